//! Which attributes there are, and which values they have. The range is taken coarsely: by head and blocks.

use std::collections::{BTreeMap, BTreeSet};

use sonde_model::span::{AttributeValue, Attributes};

use crate::chunk::{Chunk, ChunkSpan};
use crate::codec::DecodeError;
use crate::codec::raw::{RawValue, visit_attributes, visit_event_attributes, visit_link_attributes};
use crate::db::TraceDb;
use crate::query::{TagScope, TagValue, Target, TimeRange};
use crate::{Error, ReadError};

impl TraceDb {
    /// The attribute keys of a scope (of every scope for `Any`), each with its scope, sorted, at most `limit`.
    pub fn tag_names(
        &self,
        scope: TagScope,
        range: TimeRange,
        limit: usize,
    ) -> Result<Vec<(TagScope, Box<str>)>, ReadError> {
        let snapshot = self.shared.data.read().snapshot(range);
        let mut names: BTreeSet<(TagScope, Box<str>)> = BTreeSet::new();
        let mut see = |of: TagScope, key: &str| {
            if names.len() < limit && (scope == TagScope::Any || scope == of) {
                names.insert((of, key.into()));
            }
        };
        for chunk in &snapshot.chunks {
            chunk_names(chunk, &mut see);
        }
        for block in &snapshot.blocks {
            block.tag_names(&mut see);
        }
        Ok(names.into_iter().collect())
    }

    /// The values of an attribute, a name or a status message, sorted by type and value, at most `limit`. Nothing for
    /// durations, kinds and statuses.
    pub fn tag_values(&self, target: &Target, range: TimeRange, limit: usize) -> Result<Vec<TagValue>, ReadError> {
        let snapshot = self.shared.data.read().snapshot(range);
        let mut values = Values { found: BTreeMap::new(), limit };
        for chunk in &snapshot.chunks {
            let unreadable = |error: DecodeError| Error::Unreadable { reason: error.to_string() };
            chunk_values(chunk, target, &mut values).map_err(unreadable)?;
        }
        for block in &snapshot.blocks {
            if values.is_full() {
                break;
            }
            block.tag_values(target, &mut values)?;
        }
        Ok(values.found.into_values().collect())
    }
}

fn chunk_names(chunk: &Chunk, see: &mut dyn FnMut(TagScope, &str)) {
    let mut all = |scope: TagScope, attributes: &Attributes| attributes.iter().for_each(|(key, _)| see(scope, key));
    chunk.resources.iter().for_each(|r| all(TagScope::Resource, &r.attributes));
    chunk.scopes.iter().for_each(|s| all(TagScope::Instrumentation, &s.attributes));
    for (scope, key) in chunk.tags() {
        if let Ok(key) = chunk.texts.get(*key) {
            see(*scope, key);
        }
    }
}

fn chunk_values(chunk: &Chunk, target: &Target, values: &mut Values) -> Result<(), DecodeError> {
    let (scope, key) = match target {
        Target::Attribute(scope, key) => (*scope, key),
        Target::Name | Target::StatusMessage => {
            for at in 0..chunk.len() {
                let head = chunk.span(at)?.head;
                let id = if *target == Target::Name { head.name } else { head.status_message };
                values.see(&RawValue::String(chunk.texts.get(id)?));
            }
            return Ok(());
        }
        Target::Duration | Target::Status | Target::Kind => return Ok(()),
    };
    let Some(number) = chunk.texts.find(key) else { return Ok(()) };
    if matches!(scope, TagScope::Any | TagScope::Resource) {
        chunk.resources.iter().for_each(|r| values.see_key(&r.attributes, key));
    }
    if scope == TagScope::Instrumentation {
        chunk.scopes.iter().for_each(|s| values.see_key(&s.attributes, key));
    }
    if matches!(scope, TagScope::Resource | TagScope::Instrumentation) {
        return Ok(());
    }
    for at in 0..chunk.len() {
        let ChunkSpan { head, .. } = chunk.span(at)?;
        let mut rest = head.rest;
        let mut see = |of: &[TagScope], id: u32, value: &RawValue<'_>| {
            if id == number && of.contains(&scope) {
                values.see(value);
            }
        };
        visit_attributes(&mut rest, &chunk.texts, &mut |id, v| see(&[TagScope::Any, TagScope::Span], id, &v))?;
        if matches!(scope, TagScope::Event | TagScope::Link) {
            visit_event_attributes(&mut rest, &chunk.texts, &mut |id, v| see(&[TagScope::Event], id, &v))?;
            visit_link_attributes(&mut rest, &chunk.texts, &mut |id, v| see(&[TagScope::Link], id, &v))?;
        }
    }
    Ok(())
}

/// Distinct values, as many as are wanted.
#[derive(Debug)]
pub(crate) struct Values {
    found: BTreeMap<Key, TagValue>,
    limit: usize,
}

/// The order of values: by type, then by value.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Bool(bool),
    Int(i64),
    Double(i64),
    String(Box<str>),
}

impl Values {
    /// Whether as many are found as are wanted.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= self.limit
    }

    pub(crate) fn see(&mut self, value: &RawValue<'_>) {
        if self.is_full() || *value == RawValue::String("") {
            return;
        }
        let (key, value) = match value {
            RawValue::String(text) => (Key::String((*text).into()), TagValue::String((*text).into())),
            RawValue::Bool(b) => (Key::Bool(*b), TagValue::Bool(*b)),
            RawValue::Int(n) => (Key::Int(*n), TagValue::Int(*n)),
            RawValue::Double(x) => (Key::Double(total_order(*x)), TagValue::Double(*x)),
            RawValue::Other(AttributeValue::Array(items)) => {
                let flat = items.iter().filter(|i| !matches!(i, AttributeValue::Array(_)));
                flat.for_each(|item| self.see(&RawValue::of(item)));
                return;
            }
            RawValue::Other(_) => return,
        };
        self.found.insert(key, value);
    }

    pub(crate) fn see_key(&mut self, attributes: &Attributes, key: &str) {
        attributes.iter().filter(|(k, _)| &**k == key).for_each(|(_, value)| self.see(&RawValue::of(value)));
    }
}

/// A number that sorts as `f64::total_cmp` does.
fn total_order(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}
