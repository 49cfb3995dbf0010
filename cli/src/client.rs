//! The one HTTP client of all commands that ask a server: where it is, with what right, how long it may take.
//!
//! It knows HTTP only: what the answers say is the business of each command.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use sonde_runtime::Clock;
use sonde_tls::{ClientOptions, ClientTls, PemFile};

use crate::problem::Problem;
use crate::process::problem;
use crate::query::duration;

/// Where a collector listens by default.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:9090";
/// No answer is read beyond this: it would be for a program, not for a terminal.
pub(crate) const MAX_ANSWER_BYTES: usize = 256 << 20;
/// A file with a token holds one short line.
const MAX_TOKEN_BYTES: usize = 4 << 10;
/// The variable that holds a token. No flag does: command lines can be read by everyone on the machine.
const TOKEN_VARIABLE: &str = "SONDE_TOKEN";

/// Which server is asked, and with what right.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// Where the collector is.
    #[arg(long, value_name = "URL", env = "SONDE_URL", default_value = DEFAULT_URL)]
    pub(crate) url: String,

    /// File with the token to show, where the collector asks for one. SONDE_TOKEN may hold the token itself.
    #[arg(long, value_name = "FILE", env = "SONDE_TOKEN_FILE")]
    pub(crate) token_file: Option<PathBuf>,

    /// File with the authorities that the collector's certificate must come from, for https; by default those of the system.
    #[arg(long, value_name = "FILE", env = "SONDE_CA_FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// File with the own certificate, where the collector asks for one.
    #[arg(long, value_name = "FILE", env = "SONDE_CLIENT_CERT", requires = "client_key")]
    pub(crate) client_cert: Option<PathBuf>,

    /// File with the private key of the own certificate.
    #[arg(long, value_name = "FILE", env = "SONDE_CLIENT_KEY", requires = "client_cert")]
    pub(crate) client_key: Option<PathBuf>,

    /// How long the answer may take.
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub(crate) timeout: String,
}

/// Asks one server.
#[derive(Debug)]
pub(crate) struct Client {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    /// The address without a slash at the end.
    base: String,
    token: Option<String>,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask<'a> {
    /// `GET`; what is accepted.
    Get { accept: &'a str },
    /// `POST` of a form.
    Form(&'a str),
    /// `POST` of JSON.
    Json(&'a serde_json::Value),
    /// `DELETE`.
    Delete,
}

/// An answer, whatever its status but 401 and 403.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// A client for the server of `args`.
    pub(crate) fn new(args: &ServerArgs) -> Result<Self, Problem> {
        Self::with_token(args, token(args)?)
    }

    /// A client that shows this token.
    pub(crate) fn with_token(args: &ServerArgs, token: Option<String>) -> Result<Self, Problem> {
        let timeout = duration("--timeout", &args.timeout)?;
        let base = args.url.trim_end_matches('/').to_owned();
        if !base.starts_with("http://") && !base.starts_with("https://") {
            return Err(Problem::new(format!("--url: {:?} is no address", args.url))
                .hint("Write http://HOST:PORT or https://HOST:PORT."));
        }
        let internal = |e: &dyn std::fmt::Display| Problem::new(format!("the HTTP client cannot be started: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| internal(&e))?;
        let http = http(timeout, tls(args)?).map_err(|e| internal(&e))?;
        Ok(Client { runtime, http, base, token })
    }

    /// The address of the server.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Asks `path`, which begins with a slash, and reads the answer, but no more than [`MAX_ANSWER_BYTES`] and a little.
    pub(crate) fn ask(&self, path: &str, ask: Ask<'_>) -> Result<Answer, Problem> {
        let answer = self.runtime.block_on(self.send(path, ask)).map_err(|e| unreachable_server(&self.base, &e))?;
        match answer.status {
            401 | 403 => Err(self.refused(&answer)),
            _ => Ok(answer),
        }
    }

    async fn send(&self, path: &str, ask: Ask<'_>) -> Result<Answer, reqwest::Error> {
        let address = format!("{}{path}", self.base);
        let mut request = match ask {
            Ask::Get { accept } => self.http.get(&address).header("accept", accept),
            Ask::Form(form) => {
                let request = self.http.post(&address).header("content-type", "application/x-www-form-urlencoded");
                request.body(form.to_owned())
            }
            Ask::Json(json) => {
                let request = self.http.post(&address).header("content-type", "application/json");
                request.body(json.to_string())
            }
            Ask::Delete => self.http.delete(&address),
        };
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let mut response = request.send().await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER_BYTES {
                break;
            }
        }
        Ok(Answer { status, body })
    }

    fn refused(&self, answer: &Answer) -> Problem {
        let problem = Problem::new(format!("{} answered {}: {}", self.base, answer.status, answer.words()));
        if answer.status == 401 {
            problem.hint("Show a token: --token-file FILE, or the variable SONDE_TOKEN. `sonde token --help` says how to get one.")
        } else {
            problem
        }
    }
}

impl Answer {
    /// The beginning of the answer as words for people; of JSON in the shape of Prometheus, what it says is wrong.
    pub(crate) fn words(&self) -> String {
        let json: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        if let Some(error) = json.as_ref().and_then(|json| json["error"].as_str()) {
            return error.to_owned();
        }
        let words: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
        words.trim().to_owned()
    }
}

/// A text as a part of an address or of a form: everything but letters, digits and `-._~` is escaped.
pub(crate) fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The HTTP client itself: the one place that knows about TLS.
fn http(timeout: Duration, tls: Option<sonde_tls::ClientConfig>) -> Result<reqwest::Client, reqwest::Error> {
    // The one TLS provider of this process; nothing else has installed one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let builder = reqwest::Client::builder().timeout(timeout);
    match tls {
        Some(tls) => builder.tls_backend_preconfigured(tls).build(),
        None => builder.build(),
    }
}

/// Whom to trust and what to show; `None` where no flag says so.
fn tls(args: &ServerArgs) -> Result<Option<sonde_tls::ClientConfig>, Problem> {
    let pair = args.client_cert.as_ref().zip(args.client_key.as_ref());
    if args.ca_file.is_none() && pair.is_none() {
        return Ok(None);
    }
    let options = ClientOptions {
        authorities: args.ca_file.as_ref().map(|path| PemFile::new("--ca-file", path)),
        pair: pair.map(|(cert, key)| (PemFile::new("--client-cert", cert), PemFile::new("--client-key", key))),
    };
    let (tls, warnings) =
        ClientTls::load(options, Clock::system().now_ms().div_euclid(1_000)).map_err(|e| problem(&e))?;
    warnings.iter().for_each(|warning| crate::warn(warning));
    Ok(Some(sonde_tls::ClientConfig::clone(&tls.config())))
}

/// The token to show: that of the file, else that of the variable.
pub(crate) fn token(args: &ServerArgs) -> Result<Option<String>, Problem> {
    let Some(path) = &args.token_file else {
        return match std::env::var(TOKEN_VARIABLE) {
            Ok(text) => proven(&text, TOKEN_VARIABLE).map(Some),
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(std::env::VarError::NotUnicode(_)) => Err(no_token(TOKEN_VARIABLE)),
        };
    };
    let place = path.display().to_string();
    let text = std::fs::read(path).map_err(|e| Problem::new(format!("{place}: {e}")))?;
    let text = String::from_utf8(text).map_err(|_| no_token(&place))?;
    proven(&text, &place).map(Some)
}

/// The admin token in the data directory of a collector that runs, and the address of that collector.
pub(crate) fn admin_file(data_dir: &Path) -> Result<Option<(String, String)>, Problem> {
    let path = data_dir.join("admin.token");
    let place = path.display().to_string();
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Problem::new(format!("{place}: {e}"))),
    };
    let address = text.lines().nth(1).unwrap_or(DEFAULT_URL).to_owned();
    Ok(Some((proven(&text, &place)?, address)))
}

/// Says something to people beside the answer, which programs may read.
pub(crate) fn tell(text: &str) {
    // Where stderr is gone there is nobody left to tell.
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// The first line as a token, which must be one that a header can carry.
fn proven(text: &str, place: &str) -> Result<String, Problem> {
    let line = text.lines().next().unwrap_or_default().trim();
    let printable = line.bytes().all(|b| b.is_ascii_graphic());
    if line.is_empty() || line.len() > MAX_TOKEN_BYTES || !printable {
        return Err(no_token(place));
    }
    Ok(line.to_owned())
}

fn no_token(place: &str) -> Problem {
    Problem::new(format!("{place} does not hold a token")).hint("It is one line, as `sonde token create` prints it.")
}

/// Says that there was no answer, and why.
fn unreachable_server(url: &str, error: &reqwest::Error) -> Problem {
    if error.is_timeout() {
        return Problem::new(format!("{url} did not answer in time"))
            .hint("Ask for less, or wait longer: --timeout 2m");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let cause = cause.to_string();
    let problem = Problem::new(format!("no answer from {url}: {cause}"));
    if cause.contains("invalid peer certificate") {
        return problem.hint("--ca-file FILE names the authority of the collector's certificate.");
    }
    if cause.contains("received fatal alert") {
        return problem.hint("The collector asks for a certificate: --client-cert FILE --client-key FILE.");
    }
    problem.hint("Is a collector running there? `sonde up` starts one here; --url asks another one.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line() {
        assert_eq!(proven("sonde_read_ab\nhttp://127.0.0.1:9090\n", "f").expect("a token"), "sonde_read_ab");
        for text in ["", "\n", "two words", "caf\u{e9}", &"a".repeat(MAX_TOKEN_BYTES + 1)] {
            let told = proven(text, "f").expect_err("no token").to_string();
            assert!(told.starts_with("error: f does not hold a token\n"), "{told}");
        }
    }

    #[test]
    fn errors_are_told_in_the_words_of_the_server() {
        let words = |body: &str| Answer { status: 400, body: body.into() }.words();
        assert_eq!(words(r#"{"status":"error","errorType":"x","error":"too many samples"}"#), "too many samples");
        assert_eq!(words(" no such page\n"), "no such page");
    }

    #[test]
    fn an_address_is_a_url() {
        let args = |url: &str| ServerArgs {
            url: url.into(),
            token_file: None,
            ca_file: None,
            client_cert: None,
            client_key: None,
            timeout: "1s".into(),
        };
        assert!(Client::with_token(&args("h:1"), None).is_err());
        assert_eq!(Client::with_token(&args("http://h:1/p/"), None).expect("an address").base(), "http://h:1/p");
    }
}
