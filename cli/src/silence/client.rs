//! Asks a server over Alertmanager's API v2.

use serde_json::Value;
use sonde_alerting::Matchers;

use super::wire::Silence;
use crate::client::{Answer, Ask, Client, encode};
use crate::problem::Problem;

/// A silence as it is understood, and the JSON in which it came.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) silence: Silence,
    pub(super) json: Value,
}

/// Makes or changes a silence and gives the id of the one that holds now.
pub(super) fn post(client: &Client, silence: &Silence) -> Result<String, Problem> {
    let answer = client.ask("/api/v2/silences", Ask::Json(&silence.to_json()))?;
    let json = read(client.base(), &answer)?;
    let id = json["silenceID"].as_str().map(str::to_owned);
    id.ok_or_else(|| Problem::new(format!("{} did not say the id of the silence: {}", client.base(), answer.words())))
}

/// The silences that have these matchers among theirs.
pub(super) fn list(client: &Client, filter: &Matchers) -> Result<Vec<Found>, Problem> {
    let parameters: Vec<String> = filter.iter().map(|m| format!("filter={}", encode(&m.to_string()))).collect();
    let answer = client.ask(&format!("/api/v2/silences?{}", parameters.join("&")), Ask::Get { accept: JSON })?;
    match read(client.base(), &answer)? {
        Value::Array(list) => list.into_iter().map(|json| found(client.base(), json)).collect(),
        other => Err(strange(client.base(), &format!("no list: {other:.100}"))),
    }
}

/// One silence.
pub(super) fn one(client: &Client, id: &str) -> Result<Found, Problem> {
    let answer = client.ask(&format!("/api/v2/silence/{}", encode(id)), Ask::Get { accept: JSON })?;
    found(client.base(), read_one(client.base(), id, &answer)?)
}

/// Ends a silence.
pub(super) fn expire(client: &Client, id: &str) -> Result<(), Problem> {
    let answer = client.ask(&format!("/api/v2/silence/{}", encode(id)), Ask::Delete)?;
    read_one(client.base(), id, &answer).map(drop)
}

const JSON: &str = "application/json";

fn read_one(url: &str, id: &str, answer: &Answer) -> Result<Value, Problem> {
    if answer.status == 404 && (answer.body.is_empty() || answer.words().contains("silence not found")) {
        return Err(Problem::new(format!("there is no silence {id:?} in {url}"))
            .hint("`sonde silence list --all` shows all; five days after their end they are forgotten."));
    }
    read(url, answer)
}

/// The JSON of a good answer; nothing where it is empty.
fn read(url: &str, answer: &Answer) -> Result<Value, Problem> {
    let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if answer.status == 200 {
        return match json {
            Some(json) => Ok(json),
            None if answer.body.is_empty() => Ok(Value::Null),
            None => Err(strange(url, &answer.words())),
        };
    }
    // Alertmanager says why in a string, go-openapi in an object.
    let said = json.as_ref().and_then(|json| json.as_str().or_else(|| json["message"].as_str()));
    let words = said.map_or_else(|| answer.words(), str::to_owned);
    Err(Problem::new(format!("{url} answered {}: {words}", answer.status)))
}

fn found(url: &str, json: Value) -> Result<Found, Problem> {
    let silence = Silence::read(&json).map_err(|reason| strange(url, &reason))?;
    Ok(Found { silence, json })
}

fn strange(url: &str, reason: &str) -> Problem {
    Problem::new(format!("{url} does not answer in the language of Alertmanager: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str) {
        let told = read_one("u", "7", &Answer { status, body: body.into() }).expect_err("an error").to_string();
        assert!(told.starts_with(expected), "{told}");
    }

    #[test]
    fn errors_are_told_in_the_words_of_the_server() {
        check(404, "", "error: there is no silence \"7\" in u\n`sonde silence list --all`");
        check(404, "\"silence not found\"", "error: there is no silence \"7\" in u\n");
        check(404, "404 page not found\n", "error: u answered 404: 404 page not found\n");
        check(400, "\"Failed to create silence\"\n", "error: u answered 400: Failed to create silence\n");
        check(422, r#"{"code":601,"message":"must be of type uuid"}"#, "error: u answered 422: must be of type uuid\n");
        check(200, "<html>", "error: u does not answer in the language of Alertmanager: <html>\n");
        assert_eq!(read("u", &Answer { status: 200, body: Vec::new() }), Ok(Value::Null));
    }
}
