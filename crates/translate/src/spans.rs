//! OTLP spans to the model's and back. Nothing is lost but what OTLP keeps for other signals (entity references).

mod otlp;
mod size;

use std::collections::BTreeMap;
use std::sync::Arc;

use sonde_model::span::{
    AttributeValue, Attributes, Event, Link, Resource, Scope, ScopedSpan, Span, SpanId, SpanKind, StatusCode, TraceId,
};
use sonde_proto::otlp::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use sonde_proto::otlp::trace::{self, status};
use sonde_proto::otlp::{ExportTraceServiceRequest, resource};

pub use otlp::{otlp_span, resource_spans};
pub use size::otlp_span_bytes;

/// How deep values of attributes may lie in each other. Nothing that a program means is deeper.
pub const MAX_VALUE_DEPTH: usize = 32;

/// What a request became.
#[derive(Debug, Default)]
pub struct Spans {
    /// The spans, in the order of the request. Those of one resource share it, and those of one scope share that.
    pub spans: Vec<ScopedSpan>,
    /// How many spans were left out, by reason.
    pub rejected: BTreeMap<SpanReject, u64>,
    /// Links that were left out because their ids are no ids; each is counted in its span as a dropped one.
    pub dropped_links: u64,
}

/// Why a span was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpanReject {
    /// The trace id is not 16 bytes, or all of them are 0.
    InvalidTraceId,
    /// The span id is not 8 bytes, or all of them are 0.
    InvalidSpanId,
    /// The id of the parent is neither absent nor 8 bytes.
    InvalidParentId,
    /// A value of an attribute is deeper than [`MAX_VALUE_DEPTH`].
    TooDeep,
}

impl SpanReject {
    /// All reasons.
    pub const ALL: [SpanReject; 4] =
        [SpanReject::InvalidTraceId, SpanReject::InvalidSpanId, SpanReject::InvalidParentId, SpanReject::TooDeep];

    /// The reason in words that follow a number.
    pub fn as_str(self) -> &'static str {
        match self {
            SpanReject::InvalidTraceId => "invalid trace id",
            SpanReject::InvalidSpanId => "invalid span id",
            SpanReject::InvalidParentId => "invalid parent span id",
            SpanReject::TooDeep => "attribute nested too deep",
        }
    }
}

/// Takes the spans out of a request. A span that cannot be kept is left out alone and counted with its reason.
pub fn spans(request: ExportTraceServiceRequest) -> Spans {
    let mut found = Spans::default();
    for of_resource in request.resource_spans {
        let resource = match resource(of_resource.resource.unwrap_or_default(), of_resource.schema_url) {
            Ok(resource) => Arc::new(resource),
            Err(why) => {
                found.reject(why, of_resource.scope_spans.iter().map(|s| s.spans.len() as u64).sum());
                continue;
            }
        };
        for of_scope in of_resource.scope_spans {
            let scope = match scope(of_scope.scope.unwrap_or_default(), of_scope.schema_url) {
                Ok(scope) => Arc::new(scope),
                Err(why) => {
                    found.reject(why, of_scope.spans.len() as u64);
                    continue;
                }
            };
            for one in of_scope.spans {
                match span(one, &mut found.dropped_links) {
                    Ok(span) => {
                        let (resource, scope) = (Arc::clone(&resource), Arc::clone(&scope));
                        found.spans.push(ScopedSpan { resource, scope, span });
                    }
                    Err(why) => found.reject(why, 1),
                }
            }
        }
    }
    found
}

impl Spans {
    fn reject(&mut self, why: SpanReject, spans: u64) {
        if spans > 0 {
            *self.rejected.entry(why).or_default() += spans;
        }
    }
}

fn resource(message: resource::Resource, schema_url: String) -> Result<Resource, SpanReject> {
    Ok(Resource {
        attributes: attributes(message.attributes)?,
        dropped_attributes: message.dropped_attributes_count,
        schema_url: schema_url.into(),
    })
}

fn scope(message: InstrumentationScope, schema_url: String) -> Result<Scope, SpanReject> {
    Ok(Scope {
        name: message.name.into(),
        version: message.version.into(),
        attributes: attributes(message.attributes)?,
        dropped_attributes: message.dropped_attributes_count,
        schema_url: schema_url.into(),
    })
}

fn span(message: trace::Span, dropped_links: &mut u64) -> Result<Span, SpanReject> {
    let trace_id = trace_id(&message.trace_id).ok_or(SpanReject::InvalidTraceId)?;
    let span_id = span_id(&message.span_id).ok_or(SpanReject::InvalidSpanId)?;
    let parent_span_id = match <[u8; 8]>::try_from(message.parent_span_id.as_slice()) {
        // Some senders write a root's parent as eight zeros.
        Ok(bytes) => Some(SpanId(bytes)).filter(|id| !id.is_zero()),
        Err(_) if message.parent_span_id.is_empty() => None,
        Err(_) => return Err(SpanReject::InvalidParentId),
    };
    let (kind, status) = (kind(message.kind()), message.status.unwrap_or_default());
    let events = message.events.into_iter().map(event).collect::<Result<_, _>>()?;
    let mut links = Vec::with_capacity(message.links.len());
    let mut dropped = 0;
    for one in message.links {
        match link(one)? {
            Some(link) => links.push(link),
            None => dropped += 1,
        }
    }
    *dropped_links += u64::from(dropped);
    Ok(Span {
        trace_id,
        span_id,
        parent_span_id,
        trace_state: message.trace_state.into(),
        flags: message.flags,
        name: message.name.into(),
        kind,
        start_ns: message.start_time_unix_nano,
        end_ns: message.end_time_unix_nano,
        attributes: attributes(message.attributes)?,
        dropped_attributes: message.dropped_attributes_count,
        events,
        dropped_events: message.dropped_events_count,
        links,
        dropped_links: message.dropped_links_count.saturating_add(dropped),
        status: status_code(status.code()),
        status_message: status.message.into(),
    })
}

fn event(message: trace::span::Event) -> Result<Event, SpanReject> {
    Ok(Event {
        time_ns: message.time_unix_nano,
        name: message.name.into(),
        attributes: attributes(message.attributes)?,
        dropped_attributes: message.dropped_attributes_count,
    })
}

/// A link; nothing where it leads nowhere.
fn link(message: trace::span::Link) -> Result<Option<Link>, SpanReject> {
    let (Some(trace_id), Some(span_id)) = (trace_id(&message.trace_id), span_id(&message.span_id)) else {
        return Ok(None);
    };
    Ok(Some(Link {
        trace_id,
        span_id,
        trace_state: message.trace_state.into(),
        flags: message.flags,
        attributes: attributes(message.attributes)?,
        dropped_attributes: message.dropped_attributes_count,
    }))
}

fn trace_id(bytes: &[u8]) -> Option<TraceId> {
    bytes.try_into().ok().map(TraceId).filter(|id| !id.is_zero())
}

fn span_id(bytes: &[u8]) -> Option<SpanId> {
    bytes.try_into().ok().map(SpanId).filter(|id| !id.is_zero())
}

fn attributes(pairs: Vec<KeyValue>) -> Result<Attributes, SpanReject> {
    attributes_at(pairs, 0)
}

fn attributes_at(pairs: Vec<KeyValue>, depth: usize) -> Result<Attributes, SpanReject> {
    pairs.into_iter().map(|pair| Ok((pair.key.into(), value(pair.value, depth)?))).collect()
}

fn value(message: Option<AnyValue>, depth: usize) -> Result<AttributeValue, SpanReject> {
    use any_value::Value;
    if depth > MAX_VALUE_DEPTH {
        return Err(SpanReject::TooDeep);
    }
    Ok(match message.and_then(|m| m.value) {
        // An index into a table of texts has a meaning in profiles only.
        None | Some(Value::StringValueStrindex(_)) => AttributeValue::Empty,
        Some(Value::StringValue(text)) => AttributeValue::String(text.into()),
        Some(Value::BoolValue(b)) => AttributeValue::Bool(b),
        Some(Value::IntValue(n)) => AttributeValue::Int(n),
        Some(Value::DoubleValue(x)) => AttributeValue::Double(x),
        Some(Value::BytesValue(bytes)) => AttributeValue::Bytes(bytes.into()),
        Some(Value::ArrayValue(array)) => {
            let items = array.values.into_iter().map(|item| value(Some(item), depth + 1));
            AttributeValue::Array(items.collect::<Result<_, _>>()?)
        }
        Some(Value::KvlistValue(map)) => AttributeValue::Map(attributes_at(map.values, depth + 1)?),
    })
}

fn kind(kind: trace::span::SpanKind) -> SpanKind {
    match kind {
        trace::span::SpanKind::Unspecified => SpanKind::Unspecified,
        trace::span::SpanKind::Internal => SpanKind::Internal,
        trace::span::SpanKind::Server => SpanKind::Server,
        trace::span::SpanKind::Client => SpanKind::Client,
        trace::span::SpanKind::Producer => SpanKind::Producer,
        trace::span::SpanKind::Consumer => SpanKind::Consumer,
    }
}

fn status_code(code: status::StatusCode) -> StatusCode {
    match code {
        status::StatusCode::Unset => StatusCode::Unset,
        status::StatusCode::Ok => StatusCode::Ok,
        status::StatusCode::Error => StatusCode::Error,
    }
}

#[cfg(test)]
mod tests;
