//! A trace in the JSON that Tempo writes for language models (`application/vnd.grafana.llm`): short, by service.

use sonde_model::span::{AttributeValue, Attributes, ScopedSpan, StatusCode, TraceId};

use super::otlp_json::{base64, non_finite};
use crate::api::json::JsonWriter;

/// The whole answer. Spans come by service, then by resource and scope, each in the order of their starts.
pub(super) fn trace(id: TraceId, spans: &[ScopedSpan], partial: bool) -> JsonWriter {
    let mut json = JsonWriter::new();
    json.raw("{").key("trace").raw("{").key("traceId").string(&id.to_string()).raw(",").key("services").raw("[");
    for (i, of_resource) in runs(spans, |a, b| a.resource == b.resource).iter().enumerate() {
        let resource = &of_resource[0].resource;
        json.raw(if i > 0 { ",{" } else { "{" }).key("serviceName").string(resource.service_name()).raw(",");
        json.key("resource");
        attributes(&mut json, &resource.attributes, |key| key != "service.name");
        json.raw(",").key("scopes").raw("[");
        for (i, of_scope) in runs_of(of_resource, |a, b| a.scope == b.scope).iter().enumerate() {
            let scope = &of_scope[0].scope;
            json.raw(if i > 0 { ",{" } else { "{" }).key("name").string(&scope.name).raw(",");
            json.key("version").string(&scope.version).raw(",");
            if !scope.attributes.is_empty() {
                attributes(json.key("attributes"), &scope.attributes, |_| true);
                json.raw(",");
            }
            json.key("spans").raw("[");
            for (i, scoped) in of_scope.iter().enumerate() {
                if i > 0 {
                    json.raw(",");
                }
                span(&mut json, scoped);
            }
            json.raw("]}");
        }
        json.raw("]}");
    }
    json.raw("]},").key("metrics").raw("{},").key("status").string(if partial { "PARTIAL" } else { "COMPLETE" });
    json.raw("}");
    json
}

/// Groups of equals, in the order of their first elements.
fn runs(spans: &[ScopedSpan], same: impl Fn(&ScopedSpan, &ScopedSpan) -> bool) -> Vec<Vec<&ScopedSpan>> {
    runs_of(&spans.iter().collect::<Vec<_>>(), same)
}

fn runs_of<'a>(spans: &[&'a ScopedSpan], same: impl Fn(&ScopedSpan, &ScopedSpan) -> bool) -> Vec<Vec<&'a ScopedSpan>> {
    let mut groups: Vec<Vec<&ScopedSpan>> = Vec::new();
    for span in spans {
        match groups.iter_mut().find(|group| same(group[0], span)) {
            Some(group) => group.push(span),
            None => groups.push(vec![span]),
        }
    }
    groups
}

fn span(json: &mut JsonWriter, scoped: &ScopedSpan) {
    let span = &scoped.span;
    json.raw("{").key("spanId").string(&span.span_id.to_string()).raw(",");
    if let Some(parent) = span.parent_span_id {
        json.key("parentSpanId").string(&parent.to_string()).raw(",");
    }
    json.key("name").string(&span.name).raw(",").key("kind").string(span.kind.otlp_name()).raw(",");
    json.key("startTimeUnixNano").string(&span.start_ns.to_string()).raw(",");
    json.key("endTimeUnixNano").string(&span.end_ns.to_string()).raw(",");
    json.key("durationMs").number(span.duration_ns() as f64 / 1e6).raw(",");
    if !span.attributes.is_empty() {
        attributes(json.key("attributes"), &span.attributes, |_| true);
        json.raw(",");
    }
    if !span.events.is_empty() {
        json.key("events").raw("[");
        for (i, event) in span.events.iter().enumerate() {
            json.raw(if i > 0 { ",{" } else { "{" }).key("name").string(&event.name).raw(",");
            json.key("timeUnixNano").string(&event.time_ns.to_string());
            if !event.attributes.is_empty() {
                attributes(json.raw(",").key("attributes"), &event.attributes, |_| true);
            }
            json.raw("}");
        }
        json.raw("],");
    }
    if !span.links.is_empty() {
        json.key("links").raw("[");
        for (i, link) in span.links.iter().enumerate() {
            json.raw(if i > 0 { ",{" } else { "{" }).key("traceId").string(&link.trace_id.to_string()).raw(",");
            json.key("spanId").string(&link.span_id.to_string());
            if !link.attributes.is_empty() {
                attributes(json.raw(",").key("attributes"), &link.attributes, |_| true);
            }
            json.raw("}");
        }
        json.raw("],");
    }
    json.key("status").raw("{").key("code").string(status(span.status)).raw(",");
    json.key("message").string(&span.status_message).raw("}}");
}

fn attributes(json: &mut JsonWriter, pairs: &Attributes, wanted: impl Fn(&str) -> bool) {
    json.raw("{");
    for (i, (key, item)) in pairs.iter().filter(|(key, _)| wanted(key)).enumerate() {
        if i > 0 {
            json.raw(",");
        }
        value(json.string(key).raw(":"), item);
    }
    json.raw("}");
}

fn value(json: &mut JsonWriter, item: &AttributeValue) {
    match item {
        AttributeValue::Empty => json.raw("null"),
        AttributeValue::String(text) => json.string(text),
        AttributeValue::Bool(b) => json.raw(if *b { "true" } else { "false" }),
        AttributeValue::Int(n) => json.integer(*n),
        AttributeValue::Double(x) if x.is_finite() => json.number(*x),
        AttributeValue::Double(x) => json.string(non_finite(*x)),
        AttributeValue::Bytes(bytes) => json.string(&base64(bytes)),
        AttributeValue::Array(items) => {
            json.raw("[");
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    json.raw(",");
                }
                value(json, item);
            }
            json.raw("]")
        }
        AttributeValue::Map(pairs) => {
            attributes(json, pairs, |_| true);
            json
        }
    };
}

fn status(code: StatusCode) -> &'static str {
    match code {
        StatusCode::Unset => "STATUS_CODE_UNSET",
        StatusCode::Ok => "STATUS_CODE_OK",
        StatusCode::Error => "STATUS_CODE_ERROR",
    }
}
