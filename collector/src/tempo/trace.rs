//! `/api/traces/{id}` and `/api/v2/traces/{id}`: a whole trace, as protobuf, as JSON, or as short JSON.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use sonde_model::span::{ScopedSpan, TraceId};
use sonde_proto::otlp::{ExportTraceServiceRequest, Message};
use sonde_translate::resource_spans;

use super::answer::{self, TempoError};
use super::form::TempoForm;
use super::{filter, llm_json, otlp_json};
use crate::api::json::JsonWriter;
use crate::server::Server;

const PROTOBUF: &str = "application/protobuf";
const LLM: &str = "application/vnd.grafana.llm";
const LLM_JSON: &str = "application/vnd.grafana.llm+json";
/// What the message of an answer says that holds a part of the trace, in the words of Tempo.
const FILTERED: &str = "Trace filtered, only a subset of spans matching the filter is returned";

/// What an answer is written in, by `Accept`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    Json,
    Protobuf,
    /// Short JSON for language models.
    Llm,
}

impl Format {
    fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if accept.contains(LLM) {
            Format::Llm
        } else if accept.contains(PROTOBUF) {
            Format::Protobuf
        } else {
            Format::Json
        }
    }
}

/// `/api/traces/{id}`: the spans; 404 without a body where there are none.
pub(super) async fn by_id(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, TempoError> {
    let (id, format) = (parse_id(&id)?, Format::of(&headers));
    let body = answer::read(&server, move |source, _| {
        let Some(trace) = source.db().trace(id, None)? else { return Ok(None) };
        let spans = in_order(trace.spans);
        Ok(Some(match format {
            Format::Protobuf => {
                Body::Protobuf(ExportTraceServiceRequest { resource_spans: resource_spans(&spans) }.encode_to_vec())
            }
            Format::Llm => Body::Llm(llm_json::trace(id, &spans, false)),
            Format::Json => {
                let mut json = JsonWriter::new();
                otlp_json::resource_spans(json.raw("{").key("batches"), &resource_spans(&spans));
                json.raw("}");
                Body::Json(json)
            }
        }))
    });
    Ok(body.await?.map_or_else(|| StatusCode::NOT_FOUND.into_response(), Body::respond))
}

/// `/api/v2/traces/{id}`: the spans, or those that `q` matches; an empty trace where there are none.
///
/// `start` and `end` are hints where to look, which the index does not need.
pub(super) async fn by_id_v2(
    State(server): State<Arc<Server>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    TempoForm(form): TempoForm,
) -> Result<Response, TempoError> {
    let (id, format) = (parse_id(&id)?, Format::of(&headers));
    let filter = filter::Filter::from_form(&form)?;
    let body = answer::read(&server, move |source, _| {
        let trace = source.db().trace(id, None)?;
        let (spans, partial) = match (trace, &filter) {
            (None, _) => (Vec::new(), false),
            (Some(trace), Some(filter)) => (filter.apply(&trace)?, true),
            (Some(trace), None) => (trace.spans, false),
        };
        Ok(encode(id, &in_order(spans), partial, format))
    });
    Ok(body.await?.respond())
}

/// A body that is ready to be sent.
enum Body {
    Protobuf(Vec<u8>),
    Json(JsonWriter),
    Llm(JsonWriter),
}

impl Body {
    fn respond(self) -> Response {
        match self {
            Body::Protobuf(bytes) => ([(header::CONTENT_TYPE, PROTOBUF)], bytes).into_response(),
            Body::Json(json) => answer::json(json),
            Body::Llm(json) => {
                let mut response = answer::json(json);
                response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(LLM_JSON));
                response
            }
        }
    }
}

/// A `tempopb.TraceByIDResponse`: trace = 1, metrics = 2, status = 3, message = 4. `trace` is always there, because
/// Grafana reads it without asking.
fn encode(id: TraceId, spans: &[ScopedSpan], partial: bool, format: Format) -> Body {
    let all = match format {
        Format::Llm => return Body::Llm(llm_json::trace(id, spans, partial)),
        Format::Json | Format::Protobuf => resource_spans(spans),
    };
    if format == Format::Protobuf {
        let trace = ExportTraceServiceRequest { resource_spans: all }.encode_to_vec();
        let mut bytes = vec![0x0a];
        prost::encoding::encode_varint(trace.len() as u64, &mut bytes);
        bytes.extend_from_slice(&trace);
        bytes.extend_from_slice(&[0x12, 0]);
        if partial {
            bytes.extend_from_slice(&[0x18, 1, 0x22]);
            prost::encoding::encode_varint(FILTERED.len() as u64, &mut bytes);
            bytes.extend_from_slice(FILTERED.as_bytes());
        }
        return Body::Protobuf(bytes);
    }
    let mut json = JsonWriter::new();
    json.raw("{").key("trace").raw("{");
    if !all.is_empty() {
        otlp_json::resource_spans(json.key("resourceSpans"), &all);
    }
    json.raw("},").key("metrics").raw("{}");
    if partial {
        json.raw(",").key("status").string("PARTIAL").raw(",").key("message").string(FILTERED);
    }
    json.raw("}");
    Body::Json(json)
}

/// Spans in the order of their starts, so that equal traces give equal answers.
fn in_order(mut spans: Vec<ScopedSpan>) -> Vec<ScopedSpan> {
    spans.sort_by_key(|s| (s.span.start_ns, s.span.span_id));
    spans
}

/// An id in hex digits; a short one has zeros on its left.
fn parse_id(text: &str) -> Result<TraceId, TempoError> {
    if let Some((at, c)) = text.chars().enumerate().find(|(_, c)| !c.is_ascii_hexdigit()) {
        let at = at + 1;
        let text = format!("trace IDs can only contain hex characters: invalid character '{c}' at position {at}");
        return Err(TempoError::bad(text));
    }
    text.parse().map_err(|_| TempoError::bad("trace IDs can't be larger than 128 bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_hex() {
        assert_eq!(parse_id("abc").map(|id| id.to_string()), Ok(format!("{:0>32}", "abc")));
        let message = "trace IDs can only contain hex characters: invalid character 'z' at position 1";
        assert_eq!(parse_id("zz"), Err(TempoError::bad(message)));
        assert!(parse_id(&"a".repeat(33)).is_err());
    }

    #[test]
    fn nothing_is_an_empty_trace() {
        let empty = |format| encode(TraceId([1; 16]), &[], false, format);
        let Body::Protobuf(bytes) = empty(Format::Protobuf) else { panic!("protobuf was asked for") };
        assert_eq!(bytes, [0x0a, 0, 0x12, 0]);
        let Body::Json(json) = empty(Format::Json) else { panic!("JSON was asked for") };
        assert_eq!(json.into_string(), r#"{"trace":{},"metrics":{}}"#);
    }
}
