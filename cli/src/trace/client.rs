//! Asks a server for a trace over Tempo's HTTP API.

use std::time::Duration;

use sonde_model::span::{ScopedSpan, TraceId};
use sonde_proto::otlp::{ExportTraceServiceRequest, Message};

use crate::problem::Problem;
use crate::query::unreachable_server;

/// No answer is read beyond this: it would be for a program, not for a terminal.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// The spans of a trace; nothing where the server has none.
pub(super) fn ask(url: &str, id: TraceId, timeout: Duration) -> Result<Option<Vec<ScopedSpan>>, Problem> {
    let base = url.trim_end_matches('/');
    if !base.starts_with("http://") && !base.starts_with("https://") {
        return Err(
            Problem::new(format!("--url: {url:?} is no address")).hint("Write http://HOST:PORT or https://HOST:PORT.")
        );
    }
    let internal = |e: &dyn std::fmt::Display| Problem::new(format!("the HTTP client cannot be started: {e}"));
    // The one TLS provider of this process; nothing else has installed one.
    drop(rustls::crypto::ring::default_provider().install_default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| internal(&e))?;
    let client = reqwest::Client::builder().timeout(timeout).build().map_err(|e| internal(&e))?;
    let address = format!("{base}/api/traces/{id}");
    let (status, body) = runtime.block_on(get(&client, &address)).map_err(|e| unreachable_server(url, &e))?;
    read(url, status, &body)
}

async fn get(client: &reqwest::Client, address: &str) -> Result<(u16, Vec<u8>), reqwest::Error> {
    let mut response = client.get(address).header("accept", "application/protobuf").send().await?;
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

fn read(url: &str, status: u16, body: &[u8]) -> Result<Option<Vec<ScopedSpan>>, Problem> {
    if status == 404 && body.is_empty() {
        return Ok(None);
    }
    if status != 200 {
        let words: String = String::from_utf8_lossy(body).chars().take(200).collect();
        return Err(Problem::new(format!("{url} answered {status}: {}", words.trim())));
    }
    if body.len() > MAX_ANSWER_BYTES {
        return Err(Problem::new(format!("the trace is larger than {MAX_ANSWER_BYTES} bytes")));
    }
    let trace = ExportTraceServiceRequest::decode(body)
        .map_err(|e| Problem::new(format!("{url} did not answer with a trace: {e}")))?;
    Ok(Some(sonde_translate::spans(trace).spans).filter(|spans| !spans.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        assert!(read("u", 404, b"").is_ok_and(|spans| spans.is_none()));
        assert!(read("u", 200, b"").is_ok_and(|spans| spans.is_none()));
        let told = |status, body: &[u8]| read("u", status, body).expect_err("an error").to_string();
        assert_eq!(told(404, b"404 page not found\n"), "error: u answered 404: 404 page not found\n");
        assert!(told(200, b"\xff").starts_with("error: u did not answer with a trace"));
    }
}
