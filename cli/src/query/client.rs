//! Asks a server over Prometheus's HTTP API.

use std::io::Write;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use sonde_model::TimestampMs;

use crate::problem::Problem;

/// No answer is read beyond this: it would be for a program, not for a terminal.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) expr: String,
    /// The time of an instant query; `None` is the server's now.
    pub(super) at: Option<TimestampMs>,
    pub(super) range: Option<Range>,
}

/// The times of a range query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) start: TimestampMs,
    pub(super) end: TimestampMs,
    pub(super) step: i64,
}

/// An answer that is not an error.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) data: Value,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    status: String,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    error_type: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

pub(super) fn warn(warning: &str) {
    // Where stderr is gone there is nobody left to warn.
    drop(writeln!(std::io::stderr(), "warning: {warning}"));
}

pub(super) fn ask(url: &str, request: &Request, timeout: Duration) -> Result<Reply, Problem> {
    let internal = |e: &dyn std::fmt::Display| Problem::new(format!("the HTTP client cannot be started: {e}"));
    // The one TLS provider of this process; nothing else has installed one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| internal(&e))?;
    let client = reqwest::Client::builder().timeout(timeout).build().map_err(|e| internal(&e))?;
    let (address, form) = address_and_form(url, request)?;
    let (status, body) = runtime.block_on(send(&client, &address, &form)).map_err(|e| unreachable_server(url, &e))?;
    read(url, status, &body)
}

/// The address of the API, and the parameters.
fn address_and_form(url: &str, request: &Request) -> Result<(String, String), Problem> {
    let base = url.trim_end_matches('/');
    if !base.starts_with("http://") && !base.starts_with("https://") {
        return Err(
            Problem::new(format!("--url: {url:?} is no address")).hint("Write http://HOST:PORT or https://HOST:PORT.")
        );
    }
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    let mut form = vec![("query", request.expr.clone())];
    let path = match request.range {
        Some(range) => {
            form.extend([("start", seconds(range.start)), ("end", seconds(range.end)), ("step", seconds(range.step))]);
            "query_range"
        }
        None => {
            form.extend(request.at.map(|at| ("time", seconds(at))));
            "query"
        }
    };
    let form: Vec<String> = form.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    Ok((format!("{base}/api/v1/{path}"), form.join("&")))
}

fn encode(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~');
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

async fn send(client: &reqwest::Client, address: &str, form: &str) -> Result<(u16, Vec<u8>), reqwest::Error> {
    let request = client.post(address).header("content-type", "application/x-www-form-urlencoded");
    let mut response = request.body(form.to_owned()).send().await?;
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok((status, body))
}

/// Says that there was no answer, and why.
pub(crate) fn unreachable_server(url: &str, error: &reqwest::Error) -> Problem {
    if error.is_timeout() {
        return Problem::new(format!("{url} did not answer in time"))
            .hint("Ask for less, or wait longer: --timeout 2m");
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    Problem::new(format!("no answer from {url}: {cause}"))
        .hint("Is a collector running there? `sonde up` starts one here; --url asks another one.")
}

fn read(url: &str, status: u16, body: &[u8]) -> Result<Reply, Problem> {
    if body.len() > MAX_ANSWER_BYTES {
        return Err(Problem::new(format!("the answer is larger than {MAX_ANSWER_BYTES} bytes"))
            .hint("Ask for fewer series, for a shorter range or for a longer step."));
    }
    let Ok(body) = serde_json::from_slice::<Body>(body) else {
        let words: String = String::from_utf8_lossy(body).chars().take(200).collect();
        return Err(Problem::new(format!(
            "{url} answered {status} and not in the language of Prometheus: {}",
            words.trim()
        )));
    };
    if body.status != "success" {
        return Err(Problem::new(format!("{} ({})", body.error, body.error_type)));
    }
    Ok(Reply { data: body.data, warnings: body.warnings.into_iter().chain(body.infos).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_become_forms() {
        let mut request = Request { expr: "up{a=\"b\"} + 1".into(), at: Some(1_500), range: None };
        let form = |request: &Request| address_and_form("http://h:1/p/", request).expect("an address");
        assert_eq!(
            form(&request),
            ("http://h:1/p/api/v1/query".into(), "query=up%7Ba%3D%22b%22%7D%20%2B%201&time=1.500".into())
        );
        request = Request { expr: "up".into(), at: None, range: Some(Range { start: 0, end: 60_000, step: 15_000 }) };
        assert_eq!(form(&request).1, "query=up&start=0.000&end=60.000&step=15.000");
        assert!(address_and_form("h:1", &request).is_err());
    }

    #[test]
    fn errors_are_told_in_the_words_of_the_server() {
        let told = |status, body: &str| read("http://h", status, body.as_bytes()).expect_err("an error").to_string();
        assert_eq!(
            told(422, r#"{"status":"error","errorType":"execution","error":"too many samples"}"#),
            "error: too many samples (execution)\n"
        );
        assert_eq!(
            told(404, "not found\n"),
            "error: http://h answered 404 and not in the language of Prometheus: not found\n"
        );
    }
}
