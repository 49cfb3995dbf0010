//! `sonde token`: makes, lists and revokes the tokens of a collector.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use sonde_collector::flags::DEFAULT_DATA_DIR;

use crate::args::{TokenAction, TokenArgs, TokenServer};
use crate::client::{self, Answer, Ask, Client, DEFAULT_URL, encode};
use crate::print;
use crate::problem::Problem;
use crate::query::{columns, duration};

/// Where tokens are.
const PATH: &str = "/api/v1/tokens";

/// A token as the collector tells of it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    id: String,
    name: String,
    role: String,
    #[serde(default)]
    agent: String,
    #[serde(default)]
    expires_at: String,
    #[serde(default)]
    last_used_at: String,
    uses_left: Option<u32>,
    #[serde(default)]
    expired: bool,
    /// The token itself, once.
    #[serde(default)]
    token: String,
}

#[derive(Debug, Deserialize)]
struct Body<T> {
    data: T,
}

#[derive(Debug, Deserialize)]
struct List {
    tokens: Vec<Told>,
}

pub(crate) fn run(args: &TokenArgs) -> Result<(), Problem> {
    match &args.action {
        TokenAction::Create { role, name, expires, uses, server } => {
            let mut form = vec![("role", role.to_string()), ("name", name.clone())];
            if let Some(expires) = expires {
                form.push(("expires_in", format!("{}ms", duration("--expires", expires)?.as_millis())));
            }
            form.extend(uses.map(|uses| ("uses", uses.to_string())));
            create(&connect(server)?, &form)
        }
        TokenAction::List { server } => print(&draw(&list(&connect(server)?)?)),
        TokenAction::Revoke { token, server } => revoke(&connect(server)?, token),
    }
}

/// A client with the right to manage tokens: the token that is given, else the one in the data directory.
pub(crate) fn connect(server: &TokenServer) -> Result<Client, Problem> {
    let given = client::token(&server.server)?;
    let (dir, is_meant) = match &server.data_dir {
        Some(dir) => (dir.clone(), true),
        None => (PathBuf::from(DEFAULT_DATA_DIR), false),
    };
    if given.is_some() && !is_meant {
        return Client::with_token(&server.server, given);
    }
    match client::admin_file(&dir)? {
        Some((token, address)) => {
            let mut args = server.server.clone();
            if args.url == DEFAULT_URL {
                args.url = address;
            }
            Client::with_token(&args, Some(token))
        }
        None if is_meant => Err(no_admin_file(&dir)),
        None => Client::with_token(&server.server, None),
    }
}

fn no_admin_file(dir: &Path) -> Problem {
    Problem::new(format!("{}: no collector runs with this data directory", dir.display()))
        .hint("While one runs, there is a file admin.token in it.")
}

fn create(client: &Client, form: &[(&str, String)]) -> Result<(), Problem> {
    let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    let Body { data: made } = read::<Body<Told>>(client, &client.ask(PATH, Ask::Form(&form.join("&")))?)?;
    client::tell(&format!("token {:?} ({}), {}; it is shown this once", made.name, made.id, life(&made)));
    if list(client)?.len() == 1 {
        client::tell("From now on this collector asks everybody for a token.");
    }
    print(&format!("{}\n", made.token))
}

fn list(client: &Client) -> Result<Vec<Told>, Problem> {
    let body: Body<List> = read(client, &client.ask(PATH, Ask::Get { accept: "application/json" })?)?;
    Ok(body.data.tokens)
}

/// Revokes the token of an id, or the only one of a name.
fn revoke(client: &Client, wanted: &str) -> Result<(), Problem> {
    let tokens = list(client)?;
    let found: Vec<&Told> = tokens.iter().filter(|token| token.id == wanted || token.name == wanted).collect();
    let token = match found.as_slice() {
        [token] => token,
        [] => return Err(Problem::new(format!("there is no token {wanted:?}")).hint("`sonde token list` lists them.")),
        _ => {
            let ids: Vec<&str> = found.iter().map(|token| token.id.as_str()).collect();
            return Err(Problem::new(format!("{} tokens are called {wanted:?}", found.len()))
                .hint(format!("Say which by its id: {}", ids.join(", "))));
        }
    };
    let answer = client.ask(&format!("{PATH}/{}", token.id), Ask::Delete)?;
    if answer.status != 204 {
        return Err(Problem::new(format!("{} answered {}: {}", client.base(), answer.status, answer.words())));
    }
    print(&format!("token {:?} ({}) is void\n", token.name, token.id))
}

fn read<T: for<'de> Deserialize<'de>>(client: &Client, answer: &Answer) -> Result<T, Problem> {
    let told = || Problem::new(format!("{} answered {}: {}", client.base(), answer.status, answer.words()));
    if answer.status != 200 {
        return Err(told());
    }
    serde_json::from_slice(&answer.body).map_err(|_| told())
}

/// How long it lives, in words.
fn life(token: &Told) -> String {
    let uses = token.uses_left.map_or(String::new(), |uses| format!(", for {uses} agents"));
    match token.expires_at.as_str() {
        "" => format!("role {}{uses}, without end", token.role),
        at => format!("role {}{uses}, until {at}", token.role),
    }
}

fn draw(tokens: &[Told]) -> String {
    if tokens.is_empty() {
        return "no tokens\n".to_owned();
    }
    let header = ["ID", "ROLE", "NAME", "AGENT", "USES LEFT", "EXPIRES", "LAST USED"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for token in tokens {
        let or = |text: &str, none: &str| if text.is_empty() { none.to_owned() } else { text.to_owned() };
        rows.push(vec![
            token.id.clone(),
            token.role.clone(),
            token.name.clone(),
            token.agent.clone(),
            token.uses_left.map_or(String::new(), |uses| uses.to_string()),
            if token.expired { "expired".to_owned() } else { or(&token.expires_at, "never") },
            or(&token.last_used_at, "never"),
        ]);
    }
    columns(&rows, header.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_listed() {
        let text = r#"{"data":{"tokens":[
            {"id":"01","name":"grafana","role":"read","createdAt":"2026-11-20T09:00:00Z","expired":false},
            {"id":"02","name":"rack 1","role":"enrol","createdAt":"2026-11-20T09:00:00Z","expired":true,
             "expiresAt":"2026-11-20T10:00:00Z","usesLeft":1}]}}"#;
        let body: Body<List> = serde_json::from_str(text).expect("a list");
        let drawn = draw(&body.data.tokens);
        let lines: Vec<&str> = drawn.lines().collect();
        assert!(lines[0].starts_with("ID  ROLE   NAME"), "{drawn}");
        assert!(lines[1].starts_with("01  read   grafana") && lines[1].ends_with("never"), "{drawn}");
        assert!(lines[2].contains("expired"), "{drawn}");
        assert_eq!(life(&body.data.tokens[0]), "role read, without end");
        assert_eq!(draw(&[]), "no tokens\n");
    }
}
