//! How many bytes a span takes as OTLP's protobuf, without writing it.

use sonde_model::span::{AttributeValue, Attributes, Event, Link, Span};

/// A tag of a field up to 15, and the eight bytes behind it.
const FIXED64: usize = 9;

/// The bytes of [`otlp_span`](super::otlp_span) as protobuf.
pub fn otlp_span_bytes(span: &Span) -> usize {
    let ids = bytes(&span.trace_id.0) + bytes(&span.span_id.0) + span.parent_span_id.map_or(0, |id| bytes(&id.0));
    let texts = bytes(span.trace_state.as_bytes()) + bytes(span.name.as_bytes());
    let times = [span.start_ns, span.end_ns].into_iter().filter(|ns| *ns != 0).count() * FIXED64;
    let dropped = [span.dropped_attributes, span.dropped_events, span.dropped_links];
    let numbers = number(span.kind as u64) + dropped.iter().map(|n| number(u64::from(*n))).sum::<usize>();
    // The tag of field 16 takes two bytes.
    let flags = if span.flags == 0 { 0 } else { 6 };
    let events: usize = span.events.iter().map(|e| message(event(e))).sum();
    let links: usize = span.links.iter().map(|l| message(link(l))).sum();
    let status = message(bytes(span.status_message.as_bytes()) + number(span.status as u64));
    ids + texts + times + numbers + flags + attributes(&span.attributes) + events + links + status
}

fn event(event: &Event) -> usize {
    let time = if event.time_ns == 0 { 0 } else { FIXED64 };
    let dropped = number(u64::from(event.dropped_attributes));
    time + bytes(event.name.as_bytes()) + attributes(&event.attributes) + dropped
}

fn link(link: &Link) -> usize {
    let ids = bytes(&link.trace_id.0) + bytes(&link.span_id.0);
    let flags = if link.flags == 0 { 0 } else { 5 };
    let dropped = number(u64::from(link.dropped_attributes));
    ids + bytes(link.trace_state.as_bytes()) + attributes(&link.attributes) + dropped + flags
}

fn attributes(pairs: &Attributes) -> usize {
    pairs.iter().map(|(key, item)| message(bytes(key.as_bytes()) + message(value(item)))).sum()
}

/// A value is one of several fields: unlike others, it is written even where it is empty.
fn value(item: &AttributeValue) -> usize {
    match item {
        AttributeValue::Empty => 0,
        AttributeValue::String(text) => message(text.len()),
        AttributeValue::Bool(_) => 2,
        AttributeValue::Int(n) => 1 + varint(*n as u64),
        AttributeValue::Double(_) => FIXED64,
        AttributeValue::Bytes(content) => message(content.len()),
        AttributeValue::Array(items) => message(items.iter().map(|item| message(value(item))).sum()),
        AttributeValue::Map(pairs) => message(attributes(pairs)),
    }
}

/// A tag, a length, and so many bytes.
fn message(len: usize) -> usize {
    1 + varint(len as u64) + len
}

/// A text or piece of bytes; an empty one is not written.
fn bytes(content: &[u8]) -> usize {
    if content.is_empty() { 0 } else { message(content.len()) }
}

/// A number; 0 is not written.
fn number(n: u64) -> usize {
    if n == 0 { 0 } else { 1 + varint(n) }
}

fn varint(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}
