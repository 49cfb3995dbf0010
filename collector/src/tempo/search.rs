//! `/api/search`: the traces that match, newest first.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use sonde_traceql::engine::{SearchOptions, SearchResult, SpansetMatch, TraceMatch, Value, search as evaluate};

use super::answer::{self, TempoError};
use super::form::TempoForm;
use super::{legacy, parameters};
use crate::api::json::JsonWriter;
use crate::server::Server;

/// `/api/search`, with `q`, or with `tags`, `minDuration` and `maxDuration`.
pub(super) async fn search(
    State(server): State<Arc<Server>>,
    TempoForm(form): TempoForm,
) -> Result<Response, TempoError> {
    let (limit, spans_per_set) = (parameters::limit(&form)?, parameters::spans_per_set(&form)?);
    let range = parameters::range(&form)?;
    let query = match (form.get("q"), form.get("tags")) {
        (Some(_), Some(_)) => {
            return Err(TempoError::bad("invalid request: can't specify tags and q in the same query"));
        }
        (Some(text), None) => {
            let query = sonde_traceql::parse(text).map_err(TempoError::query)?;
            sonde_traceql::validate(&query).map_err(TempoError::query)?;
            query
        }
        (None, _) => legacy::query(&form)?,
    };
    // Without TraceQL nobody asked which spans it was.
    let with_sets = form.get("q").is_some();
    let options = SearchOptions { start_ns: range.start_ns, end_ns: range.end_ns, limit, spans_per_set };
    let json = answer::read(&server, move |source, interrupted| {
        let result = evaluate(source, &query, &options, interrupted)?;
        Ok(write(&result, with_sets))
    });
    Ok(answer::json(json.await?))
}

fn write(result: &SearchResult, with_sets: bool) -> JsonWriter {
    let mut json = JsonWriter::new();
    json.raw("{").key("traces").raw("[");
    for (i, trace) in result.traces.iter().enumerate() {
        if i > 0 {
            json.raw(",");
        }
        write_trace(&mut json, trace, with_sets);
    }
    json.raw("],").key("metrics").raw("{").key("inspectedTraces");
    json.integer(i64::try_from(result.inspected_traces).unwrap_or(i64::MAX).min(i64::from(u32::MAX))).raw("}}");
    json
}

fn write_trace(json: &mut JsonWriter, trace: &TraceMatch, with_sets: bool) {
    json.raw("{").key("traceID").string(&trace.trace_id.to_string());
    for (key, text) in [("rootServiceName", &trace.root_service), ("rootTraceName", &trace.root_name)] {
        if !text.is_empty() {
            json.raw(",").key(key).string(text);
        }
    }
    json.raw(",").key("startTimeUnixNano").string(&trace.start_ns.to_string());
    let duration = (trace.duration_ns / 1_000_000).min(u64::from(u32::MAX));
    if duration > 0 {
        json.raw(",").key("durationMs").integer(duration as i64);
    }
    if with_sets {
        if let Some(first) = trace.sets.first() {
            json.raw(",").key("spanSet");
            write_set(json, first);
        }
        json.raw(",").key("spanSets").raw("[");
        for (i, set) in trace.sets.iter().enumerate() {
            if i > 0 {
                json.raw(",");
            }
            write_set(json, set);
        }
        json.raw("],").key("serviceStats").raw("{");
        for (i, service) in trace.services.iter().enumerate() {
            if i > 0 {
                json.raw(",");
            }
            json.string(&service.service).raw(":{").key("spanCount").integer(service.spans as i64);
            if service.errors > 0 {
                json.raw(",").key("errorCount").integer(service.errors as i64);
            }
            json.raw("}");
        }
        json.raw("}");
    }
    json.raw("}");
}

fn write_set(json: &mut JsonWriter, set: &SpansetMatch) {
    json.raw("{").key("spans").raw("[");
    for (i, span) in set.spans.iter().enumerate() {
        json.raw(if i > 0 { ",{" } else { "{" });
        json.key("spanID").string(&span.span_id.to_string()).raw(",");
        if let Some(name) = span.name.as_deref().filter(|name| !name.is_empty()) {
            json.key("name").string(name).raw(",");
        }
        json.key("startTimeUnixNano").string(&span.start_ns.to_string());
        if span.duration_ns > 0 {
            json.raw(",").key("durationNanos").string(&span.duration_ns.to_string());
        }
        write_attributes(json, &span.attributes);
        json.raw("}");
    }
    json.raw("],").key("matched").integer(set.matched as i64);
    write_attributes(json, &set.attributes);
    json.raw("}");
}

fn write_attributes(json: &mut JsonWriter, attributes: &[(String, Value)]) {
    if attributes.is_empty() {
        return;
    }
    json.raw(",").key("attributes").raw("[");
    for (i, (key, value)) in attributes.iter().enumerate() {
        json.raw(if i > 0 { ",{" } else { "{" }).key("key").string(key).raw(",").key("value").raw("{");
        match value {
            Value::Int(n) => json.key("intValue").string(&n.to_string()),
            Value::Float(x) if x.is_finite() => json.key("doubleValue").number(*x),
            Value::Float(x) => json.key("doubleValue").string(super::otlp_json::non_finite(*x)),
            Value::Bool(b) => json.key("boolValue").raw(if *b { "true" } else { "false" }),
            text => json.key("stringValue").string(&text.to_string()),
        };
        json.raw("}}");
    }
    json.raw("]");
}
