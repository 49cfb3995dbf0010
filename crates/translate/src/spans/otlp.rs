//! The model's spans as OTLP messages, put together by resource and scope.

use std::collections::HashMap;
use std::sync::Arc;

use sonde_model::span::{
    AttributeValue, Attributes, Event, Link, Resource, Scope, ScopedSpan, Span, SpanKind, StatusCode,
};
use sonde_proto::otlp::common::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value};
use sonde_proto::otlp::resource;
use sonde_proto::otlp::trace::{self, ResourceSpans, ScopeSpans, Status, status};

/// Spans as OTLP carries them: those of equal resources and scopes lie together, in the order in which they come.
///
/// `resource`, `scope` and `status` are always there, as readers of Tempo's answers expect.
pub fn resource_spans<'a>(spans: impl IntoIterator<Item = &'a ScopedSpan>) -> Vec<ResourceSpans> {
    let mut groups: Vec<(&Resource, Vec<(&Scope, ScopeSpans)>)> = Vec::new();
    // Spans of one request share what they came with, so that equality is asked once for each pair of pointers.
    let mut known: HashMap<(*const Resource, *const Scope), (usize, usize)> = HashMap::new();
    for scoped in spans {
        let pointers = (Arc::as_ptr(&scoped.resource), Arc::as_ptr(&scoped.scope));
        let (r, s) = *known.entry(pointers).or_insert_with(|| place(&mut groups, scoped));
        groups[r].1[s].1.spans.push(otlp_span(&scoped.span));
    }
    let message = |(resource, scopes): (&Resource, Vec<(&Scope, ScopeSpans)>)| ResourceSpans {
        resource: Some(resource::Resource {
            attributes: attributes(&resource.attributes),
            dropped_attributes_count: resource.dropped_attributes,
            entity_refs: Vec::new(),
        }),
        scope_spans: scopes.into_iter().map(|(_, spans)| spans).collect(),
        schema_url: resource.schema_url.to_string(),
    };
    groups.into_iter().map(message).collect()
}

/// Where a span belongs; the place is made if there is none.
fn place<'a>(groups: &mut Vec<(&'a Resource, Vec<(&'a Scope, ScopeSpans)>)>, scoped: &'a ScopedSpan) -> (usize, usize) {
    let r = groups.iter().position(|(resource, _)| **resource == *scoped.resource).unwrap_or_else(|| {
        groups.push((&scoped.resource, Vec::new()));
        groups.len() - 1
    });
    let scopes = &mut groups[r].1;
    let s = scopes.iter().position(|(scope, _)| **scope == *scoped.scope).unwrap_or_else(|| {
        scopes.push((&scoped.scope, scope_spans(&scoped.scope)));
        scopes.len() - 1
    });
    (r, s)
}

fn scope_spans(scope: &Scope) -> ScopeSpans {
    ScopeSpans {
        scope: Some(InstrumentationScope {
            name: scope.name.to_string(),
            version: scope.version.to_string(),
            attributes: attributes(&scope.attributes),
            dropped_attributes_count: scope.dropped_attributes,
        }),
        spans: Vec::new(),
        schema_url: scope.schema_url.to_string(),
    }
}

/// A span as OTLP carries it.
pub fn otlp_span(span: &Span) -> trace::Span {
    let code = match span.status {
        StatusCode::Unset => status::StatusCode::Unset,
        StatusCode::Ok => status::StatusCode::Ok,
        StatusCode::Error => status::StatusCode::Error,
    };
    trace::Span {
        trace_id: span.trace_id.0.to_vec(),
        span_id: span.span_id.0.to_vec(),
        trace_state: span.trace_state.to_string(),
        parent_span_id: span.parent_span_id.map(|id| id.0.to_vec()).unwrap_or_default(),
        flags: span.flags,
        name: span.name.to_string(),
        kind: kind(span.kind) as i32,
        start_time_unix_nano: span.start_ns,
        end_time_unix_nano: span.end_ns,
        attributes: attributes(&span.attributes),
        dropped_attributes_count: span.dropped_attributes,
        events: span.events.iter().map(event).collect(),
        dropped_events_count: span.dropped_events,
        links: span.links.iter().map(link).collect(),
        dropped_links_count: span.dropped_links,
        status: Some(Status { message: span.status_message.to_string(), code: code as i32 }),
    }
}

fn event(event: &Event) -> trace::span::Event {
    trace::span::Event {
        time_unix_nano: event.time_ns,
        name: event.name.to_string(),
        attributes: attributes(&event.attributes),
        dropped_attributes_count: event.dropped_attributes,
    }
}

fn link(link: &Link) -> trace::span::Link {
    trace::span::Link {
        trace_id: link.trace_id.0.to_vec(),
        span_id: link.span_id.0.to_vec(),
        trace_state: link.trace_state.to_string(),
        attributes: attributes(&link.attributes),
        dropped_attributes_count: link.dropped_attributes,
        flags: link.flags,
    }
}

fn attributes(pairs: &Attributes) -> Vec<KeyValue> {
    let pair = |(key, item): &(Box<str>, AttributeValue)| KeyValue {
        key: key.to_string(),
        value: Some(value(item)),
        key_strindex: 0,
    };
    pairs.iter().map(pair).collect()
}

fn value(item: &AttributeValue) -> AnyValue {
    use any_value::Value;
    let value = match item {
        AttributeValue::Empty => None,
        AttributeValue::String(text) => Some(Value::StringValue(text.to_string())),
        AttributeValue::Bool(b) => Some(Value::BoolValue(*b)),
        AttributeValue::Int(n) => Some(Value::IntValue(*n)),
        AttributeValue::Double(x) => Some(Value::DoubleValue(*x)),
        AttributeValue::Bytes(bytes) => Some(Value::BytesValue(bytes.to_vec())),
        AttributeValue::Array(items) => {
            Some(Value::ArrayValue(ArrayValue { values: items.iter().map(value).collect() }))
        }
        AttributeValue::Map(pairs) => Some(Value::KvlistValue(KeyValueList { values: attributes(pairs) })),
    };
    AnyValue { value }
}

fn kind(kind: SpanKind) -> trace::span::SpanKind {
    match kind {
        SpanKind::Unspecified => trace::span::SpanKind::Unspecified,
        SpanKind::Internal => trace::span::SpanKind::Internal,
        SpanKind::Server => trace::span::SpanKind::Server,
        SpanKind::Client => trace::span::SpanKind::Client,
        SpanKind::Producer => trace::span::SpanKind::Producer,
        SpanKind::Consumer => trace::span::SpanKind::Consumer,
    }
}
