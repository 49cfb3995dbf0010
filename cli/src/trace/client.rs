//! Asks a server for a trace over Tempo's HTTP API.

use sonde_model::span::{ScopedSpan, TraceId};
use sonde_proto::otlp::{ExportTraceServiceRequest, Message};

use crate::client::{Answer, Ask, Client, MAX_ANSWER_BYTES};
use crate::problem::Problem;

/// The spans of a trace; nothing where the server has none.
pub(super) fn ask(client: &Client, id: TraceId) -> Result<Option<Vec<ScopedSpan>>, Problem> {
    let answer = client.ask(&format!("/api/traces/{id}"), Ask::Get { accept: "application/protobuf" })?;
    read(client.base(), &answer)
}

fn read(url: &str, answer: &Answer) -> Result<Option<Vec<ScopedSpan>>, Problem> {
    let (status, body) = (answer.status, answer.body.as_slice());
    if status == 404 && body.is_empty() {
        return Ok(None);
    }
    if status != 200 {
        return Err(Problem::new(format!("{url} answered {status}: {}", answer.words())));
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
        let read = |status, body: &[u8]| read("u", &Answer { status, body: body.into() });
        assert!(read(404, b"").is_ok_and(|spans| spans.is_none()));
        assert!(read(200, b"").is_ok_and(|spans| spans.is_none()));
        let told = |status, body: &[u8]| read(status, body).expect_err("an error").to_string();
        assert_eq!(told(404, b"404 page not found\n"), "error: u answered 404: 404 page not found\n");
        assert!(told(200, b"\xff").starts_with("error: u did not answer with a trace"));
    }
}
