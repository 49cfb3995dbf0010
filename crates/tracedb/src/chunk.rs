//! The spans of one batch in bytes, with the dictionary, resources and scopes that they share.
//!
//! The same bytes are the body of a WAL record and, parsed once, what the head keeps.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use sonde_disk::varint::{Reader, put};
use sonde_model::span::{Resource, Scope, ScopedSpan};

use crate::codec::DecodeError;
use crate::codec::raw::{visit_attributes, visit_event_attributes, visit_link_attributes};
use crate::codec::span::{SpanHead, put_resource, put_scope, put_span, read_resource, read_scope};
use crate::codec::text::{Dictionary, Interner};
use crate::query::TagScope;

/// Bytes of a span at least: ids, kind, start and one byte for each of the other fields.
const MIN_SPAN_BYTES: usize = 44;

/// Encodes spans.
pub(crate) fn encode<'a>(spans: impl ExactSizeIterator<Item = &'a ScopedSpan>) -> Vec<u8> {
    let mut texts = Interner::new();
    let mut resources = Table::default();
    let mut scopes = Table::default();
    let n = spans.len();
    let mut body = Vec::with_capacity(n * 128);
    let mut one = Vec::new();
    for scoped in spans {
        one.clear();
        put(
            &mut one,
            resources.id(Arc::as_ptr(&scoped.resource) as usize, |out| {
                put_resource(out, &mut texts, &scoped.resource);
            }),
        );
        put(&mut one, scopes.id(Arc::as_ptr(&scoped.scope) as usize, |out| put_scope(out, &mut texts, &scoped.scope)));
        put_span(&mut one, &mut texts, &scoped.span);
        put(&mut body, one.len() as u64);
        body.extend_from_slice(&one);
    }
    let mut out = Vec::with_capacity(body.len() * 2);
    texts.finish(&mut out);
    resources.finish(&mut out);
    scopes.finish(&mut out);
    put(&mut out, n as u64);
    out.extend_from_slice(&body);
    out
}

/// Resources or scopes, each once: by address first, by content then. The addresses are those of values that live as
/// long as the table.
#[derive(Debug, Default)]
struct Table {
    by_address: HashMap<usize, u64, foldhash::fast::RandomState>,
    by_content: HashMap<Vec<u8>, u64, foldhash::fast::RandomState>,
    bytes: Vec<u8>,
}

impl Table {
    fn id(&mut self, address: usize, encode: impl FnOnce(&mut Vec<u8>)) -> u64 {
        if let Some(id) = self.by_address.get(&address) {
            return *id;
        }
        let mut content = Vec::new();
        encode(&mut content);
        let next = self.by_content.len() as u64;
        let Table { by_content, bytes, .. } = self;
        let id = *by_content.entry(content).or_insert_with_key(|content| {
            bytes.extend_from_slice(content);
            next
        });
        self.by_address.insert(address, id);
        id
    }

    fn finish(&self, out: &mut Vec<u8>) {
        put(out, self.by_content.len() as u64);
        out.extend_from_slice(&self.bytes);
    }
}

/// The spans of one batch, ready to be read.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) texts: Dictionary,
    pub(crate) resources: Vec<Arc<Resource>>,
    pub(crate) scopes: Vec<Arc<Scope>>,
    spans: Box<[u8]>,
    /// Where each span ends, behind its length.
    ends: Vec<u32>,
    tags: OnceLock<Vec<(TagScope, u32)>>,
}

/// A span of a chunk, not built yet.
#[derive(Debug)]
pub(crate) struct ChunkSpan<'a> {
    pub(crate) resource: u32,
    pub(crate) scope: u32,
    pub(crate) head: SpanHead<'a>,
}

impl Chunk {
    /// Parses the body of a batch.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        let texts = Dictionary::read(&mut reader)?;
        let mut resources = Vec::new();
        for _ in 0..reader.count(3, "resources")? {
            resources.push(Arc::new(read_resource(&mut reader, &texts)?));
        }
        let mut scopes = Vec::new();
        for _ in 0..reader.count(5, "scopes")? {
            scopes.push(Arc::new(read_scope(&mut reader, &texts)?));
        }
        let n = reader.count(MIN_SPAN_BYTES, "spans")?;
        let spans: Box<[u8]> = reader.rest().into();
        let mut ends = Vec::with_capacity(n);
        for _ in 0..n {
            let len = reader.count(1, "a span")?;
            reader.take(len)?;
            ends.push(u32::try_from(spans.len() - reader.rest().len()).map_err(|_| DecodeError::OutOfRange)?);
        }
        if !reader.is_empty() {
            return Err(DecodeError::Inconsistent { what: "bytes behind the spans of a batch" });
        }
        let chunk = Chunk { texts, resources, scopes, spans, ends, tags: OnceLock::new() };
        for i in 0..n {
            let span = chunk.span(i)?;
            chunk.resource(span.resource)?;
            chunk.scope(span.scope)?;
        }
        Ok(chunk)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// An estimate of the memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        /// What a resource or a scope takes in memory, roughly.
        const TABLE_ENTRY: usize = 512;
        self.spans.len()
            + self.ends.len() * 4
            + self.texts.bytes()
            + (self.resources.len() + self.scopes.len()) * TABLE_ENTRY
    }

    /// The span at a place.
    pub(crate) fn span(&self, at: usize) -> Result<ChunkSpan<'_>, DecodeError> {
        let missing = DecodeError::Inconsistent { what: "a span that a batch does not have" };
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1).ok_or(missing)? as usize };
        let end = *self.ends.get(at).ok_or(missing)? as usize;
        let mut reader = Reader::new(self.spans.get(start..end).ok_or(missing)?);
        reader.varint()?;
        let (resource, scope) = (reader.u32()?, reader.u32()?);
        Ok(ChunkSpan { resource, scope, head: SpanHead::read(reader)? })
    }

    /// The span at a place, built.
    pub(crate) fn decode(&self, at: usize) -> Result<ScopedSpan, DecodeError> {
        let ChunkSpan { resource, scope, head } = self.span(at)?;
        Ok(ScopedSpan {
            resource: Arc::clone(self.resource(resource)?),
            scope: Arc::clone(self.scope(scope)?),
            span: head.decode(&self.texts)?,
        })
    }

    pub(crate) fn resource(&self, id: u32) -> Result<&Arc<Resource>, DecodeError> {
        self.resources.get(id as usize).ok_or(DecodeError::Inconsistent { what: "a resource that a batch lacks" })
    }

    pub(crate) fn scope(&self, id: u32) -> Result<&Arc<Scope>, DecodeError> {
        self.scopes.get(id as usize).ok_or(DecodeError::Inconsistent { what: "a scope that a batch lacks" })
    }

    /// The keys of spans, events and links, as numbers of texts. Collected when it is asked for first.
    pub(crate) fn tags(&self) -> &[(TagScope, u32)] {
        self.tags.get_or_init(|| {
            let mut tags = Vec::new();
            let mut see = |scope: TagScope, key: u32| {
                if !tags.contains(&(scope, key)) {
                    tags.push((scope, key));
                }
            };
            for i in 0..self.len() {
                // What cannot be read is told when it is asked for itself.
                let Ok(ChunkSpan { head, .. }) = self.span(i) else { continue };
                let mut rest = head.rest;
                let _ = visit_attributes(&mut rest, &self.texts, &mut |key, _| see(TagScope::Span, key))
                    .and_then(|()| {
                        visit_event_attributes(&mut rest, &self.texts, &mut |key, _| see(TagScope::Event, key))
                    })
                    .and_then(|()| {
                        visit_link_attributes(&mut rest, &self.texts, &mut |key, _| see(TagScope::Link, key))
                    });
            }
            tags
        })
    }
}

#[cfg(test)]
mod tests;
