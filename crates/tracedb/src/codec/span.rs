//! Spans, events, links, resources and scopes in bytes.

use sonde_disk::varint::{Reader, put, put_signed};
use sonde_model::span::{Event, Link, Resource, Scope, Span, SpanId, SpanKind, StatusCode, TraceId};

use super::DecodeError;
use super::text::{Dictionary, Interner};
use super::value::{put_attributes, read_attributes};

/// Elements for which room is made before they have been read.
const MAX_RESERVED: usize = 64;

const HAS_PARENT: u8 = 1 << 7;

/// The kind as a number below 8.
pub(crate) fn kind_code(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Unspecified => 0,
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

pub(crate) fn kind_of(code: u8) -> Result<SpanKind, DecodeError> {
    Ok(match code {
        0 => SpanKind::Unspecified,
        1 => SpanKind::Internal,
        2 => SpanKind::Server,
        3 => SpanKind::Client,
        4 => SpanKind::Producer,
        5 => SpanKind::Consumer,
        value => return Err(DecodeError::Unknown { what: "span kind", value }),
    })
}

/// The status as a number below 4.
pub(crate) fn status_code(status: StatusCode) -> u8 {
    match status {
        StatusCode::Unset => 0,
        StatusCode::Ok => 1,
        StatusCode::Error => 2,
    }
}

pub(crate) fn status_of(code: u8) -> Result<StatusCode, DecodeError> {
    Ok(match code {
        0 => StatusCode::Unset,
        1 => StatusCode::Ok,
        2 => StatusCode::Error,
        value => return Err(DecodeError::Unknown { what: "status", value }),
    })
}

/// Appends a span: first what every span has, then attributes, events and links.
pub(crate) fn put_span<'a>(out: &mut Vec<u8>, texts: &mut Interner<'a>, span: &'a Span) {
    out.extend_from_slice(&span.trace_id.0);
    out.extend_from_slice(&span.span_id.0);
    let parent = if span.parent_span_id.is_some() { HAS_PARENT } else { 0 };
    out.push(parent | kind_code(span.kind) | status_code(span.status) << 3);
    if let Some(parent) = span.parent_span_id {
        out.extend_from_slice(&parent.0);
    }
    out.extend_from_slice(&span.start_ns.to_le_bytes());
    put_signed(out, span.end_ns.wrapping_sub(span.start_ns) as i64);
    texts.put(out, &span.name);
    texts.put(out, &span.trace_state);
    texts.put(out, &span.status_message);
    for number in [span.flags, span.dropped_attributes, span.dropped_events, span.dropped_links] {
        put(out, u64::from(number));
    }
    put_attributes(out, texts, &span.attributes);
    put_events(out, texts, &span.events, span.start_ns);
    put_links(out, texts, &span.links);
}

/// Appends events; their times are kept relative to `start_ns`.
pub(crate) fn put_events<'a>(out: &mut Vec<u8>, texts: &mut Interner<'a>, events: &'a [Event], start_ns: u64) {
    put(out, events.len() as u64);
    for event in events {
        put_signed(out, event.time_ns.wrapping_sub(start_ns) as i64);
        texts.put(out, &event.name);
        put(out, u64::from(event.dropped_attributes));
        put_attributes(out, texts, &event.attributes);
    }
}

/// Appends links.
pub(crate) fn put_links<'a>(out: &mut Vec<u8>, texts: &mut Interner<'a>, links: &'a [Link]) {
    put(out, links.len() as u64);
    for link in links {
        out.extend_from_slice(&link.trace_id.0);
        out.extend_from_slice(&link.span_id.0);
        texts.put(out, &link.trace_state);
        put(out, u64::from(link.flags));
        put(out, u64::from(link.dropped_attributes));
        put_attributes(out, texts, &link.attributes);
    }
}

pub(crate) fn read_events(
    reader: &mut Reader<'_>,
    texts: &Dictionary,
    start_ns: u64,
) -> Result<Vec<Event>, DecodeError> {
    let n = reader.count(4, "events")?;
    let mut events = Vec::with_capacity(n.min(MAX_RESERVED));
    for _ in 0..n {
        events.push(Event {
            time_ns: start_ns.wrapping_add(reader.signed()? as u64),
            name: texts.next(reader)?.into(),
            dropped_attributes: reader.u32()?,
            attributes: read_attributes(reader, texts)?,
        });
    }
    Ok(events)
}

pub(crate) fn read_links(reader: &mut Reader<'_>, texts: &Dictionary) -> Result<Vec<Link>, DecodeError> {
    let n = reader.count(28, "links")?;
    let mut links = Vec::with_capacity(n.min(MAX_RESERVED));
    for _ in 0..n {
        links.push(Link {
            trace_id: TraceId(reader.array()?),
            span_id: SpanId(reader.array()?),
            trace_state: texts.next(reader)?.into(),
            flags: reader.u32()?,
            dropped_attributes: reader.u32()?,
            attributes: read_attributes(reader, texts)?,
        });
    }
    Ok(links)
}

pub(crate) fn put_resource<'a>(out: &mut Vec<u8>, texts: &mut Interner<'a>, resource: &'a Resource) {
    put_attributes(out, texts, &resource.attributes);
    put(out, u64::from(resource.dropped_attributes));
    texts.put(out, &resource.schema_url);
}

pub(crate) fn read_resource(reader: &mut Reader<'_>, texts: &Dictionary) -> Result<Resource, DecodeError> {
    Ok(Resource {
        attributes: read_attributes(reader, texts)?,
        dropped_attributes: reader.u32()?,
        schema_url: texts.next(reader)?.into(),
    })
}

pub(crate) fn put_scope<'a>(out: &mut Vec<u8>, texts: &mut Interner<'a>, scope: &'a Scope) {
    texts.put(out, &scope.name);
    texts.put(out, &scope.version);
    put_attributes(out, texts, &scope.attributes);
    put(out, u64::from(scope.dropped_attributes));
    texts.put(out, &scope.schema_url);
}

pub(crate) fn read_scope(reader: &mut Reader<'_>, texts: &Dictionary) -> Result<Scope, DecodeError> {
    Ok(Scope {
        name: texts.next(reader)?.into(),
        version: texts.next(reader)?.into(),
        attributes: read_attributes(reader, texts)?,
        dropped_attributes: reader.u32()?,
        schema_url: texts.next(reader)?.into(),
    })
}

/// What every span has, read without its attributes, events and links.
#[derive(Clone, Debug)]
pub(crate) struct SpanHead<'a> {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent_span_id: Option<SpanId>,
    pub(crate) kind: SpanKind,
    pub(crate) status: StatusCode,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    pub(crate) name: u32,
    trace_state: u32,
    pub(crate) status_message: u32,
    flags: u32,
    dropped: [u32; 3],
    /// Attributes, events, links.
    pub(crate) rest: Reader<'a>,
}

impl<'a> SpanHead<'a> {
    pub(crate) fn read(mut reader: Reader<'a>) -> Result<Self, DecodeError> {
        let trace_id = TraceId(reader.array()?);
        let span_id = SpanId(reader.array()?);
        let code = reader.u8()?;
        let parent_span_id = if code & HAS_PARENT != 0 { Some(SpanId(reader.array()?)) } else { None };
        let start_ns = reader.u64_le()?;
        Ok(SpanHead {
            trace_id,
            span_id,
            parent_span_id,
            kind: kind_of(code & 7)?,
            status: status_of(code >> 3 & 15)?,
            start_ns,
            end_ns: start_ns.wrapping_add(reader.signed()? as u64),
            name: reader.u32()?,
            trace_state: reader.u32()?,
            status_message: reader.u32()?,
            flags: reader.u32()?,
            dropped: [reader.u32()?, reader.u32()?, reader.u32()?],
            rest: reader,
        })
    }

    /// The whole span.
    pub(crate) fn decode(mut self, texts: &Dictionary) -> Result<Span, DecodeError> {
        let reader = &mut self.rest;
        let span = Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: self.parent_span_id,
            trace_state: texts.get(self.trace_state)?.into(),
            flags: self.flags,
            name: texts.get(self.name)?.into(),
            kind: self.kind,
            start_ns: self.start_ns,
            end_ns: self.end_ns,
            attributes: read_attributes(reader, texts)?,
            dropped_attributes: self.dropped[0],
            events: read_events(reader, texts, self.start_ns)?,
            dropped_events: self.dropped[1],
            links: read_links(reader, texts)?,
            dropped_links: self.dropped[2],
            status: self.status,
            status_message: texts.get(self.status_message)?.into(),
        };
        if !reader.is_empty() {
            return Err(DecodeError::Inconsistent { what: "bytes behind a span" });
        }
        Ok(span)
    }
}
