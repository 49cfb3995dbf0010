//! The table of traces: ids in order, the rows of each, and what is known of each as a whole.

use std::sync::Arc;

use sonde_disk::varint::{Reader, put};
use sonde_model::span::TraceId;

use super::page::{put_numbers, read_numbers};
use crate::codec::DecodeError;
use crate::codec::text::{Dictionary, Interner};

/// Traces of a page.
pub(crate) const TRACES_PER_PAGE: usize = 512;

/// A trace as far as the block knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TraceEntry {
    pub(crate) id: TraceId,
    /// Growing.
    pub(crate) rows: Vec<u32>,
    /// The first start and the last end, in nanoseconds.
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// Spans with an error.
    pub(crate) errors: u64,
    /// Service and name of the root, if the block has it.
    pub(crate) root: Option<(Arc<str>, Arc<str>)>,
    /// The services, sorted.
    pub(crate) services: Vec<Arc<str>>,
}

/// An unpacked page of traces.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TracePage {
    ids: Vec<TraceId>,
    /// Where the rows of each trace end.
    ends: Vec<u32>,
    rows: Vec<u32>,
}

/// Encodes a page of traces.
pub(crate) fn encode(traces: &[TraceEntry]) -> Vec<u8> {
    let mut texts = Interner::new();
    let mut summaries = Vec::new();
    for trace in traces {
        put(&mut summaries, u64::from(trace.root.is_some()));
        if let Some((service, name)) = &trace.root {
            texts.put(&mut summaries, service);
            texts.put(&mut summaries, name);
        }
        put(&mut summaries, trace.services.len() as u64);
        trace.services.iter().for_each(|service| texts.put(&mut summaries, service));
    }
    let column = |of: &dyn Fn(&TraceEntry) -> u64| traces.iter().map(of).collect::<Vec<u64>>();
    let mut out = Vec::new();
    put(&mut out, traces.len() as u64);
    traces.iter().for_each(|t| out.extend_from_slice(&t.id.0));
    put_numbers(&mut out, &column(&|t| t.rows.len() as u64));
    let rows: Vec<u64> = traces.iter().flat_map(|t| t.rows.iter().map(|r| u64::from(*r))).collect();
    put(&mut out, rows.len() as u64);
    put_numbers(&mut out, &rows);
    put_numbers(&mut out, &column(&|t| t.start_ns));
    put_numbers(&mut out, &column(&|t| t.end_ns.saturating_sub(t.start_ns)));
    put_numbers(&mut out, &column(&|t| t.errors));
    texts.finish(&mut out);
    out.extend_from_slice(&summaries);
    out
}

impl TracePage {
    /// Reads a page of a block of `rows` rows. The summaries are checked and not kept.
    pub(crate) fn read(bytes: &[u8], rows: u64) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let n = reader.count(16, "traces")?;
        let ids = (0..n).map(|_| Ok(TraceId(reader.array()?))).collect::<Result<Vec<_>, DecodeError>>()?;
        let counts = read_numbers(&mut reader, n)?;
        let total = reader.varint()?;
        if counts.iter().try_fold(0u64, |sum, n| sum.checked_add(*n)) != Some(total) || total > rows {
            return Err(DecodeError::Inconsistent { what: "the rows of the traces of a page" });
        }
        let found = read_numbers(&mut reader, total as usize)?;
        if found.iter().any(|row| *row >= rows) {
            return Err(DecodeError::Inconsistent { what: "a row that a block does not have" });
        }
        for _ in 0..3 {
            read_numbers(&mut reader, n)?;
        }
        let texts = Dictionary::read(&mut reader)?;
        for _ in 0..n {
            if reader.varint()? != 0 {
                texts.next(&mut reader)?;
                texts.next(&mut reader)?;
            }
            for _ in 0..reader.count(1, "services")? {
                texts.next(&mut reader)?;
            }
        }
        if !reader.is_empty() || !ids.is_sorted() {
            return Err(DecodeError::Inconsistent { what: "a page of traces" });
        }
        let mut end = 0;
        let ends = counts.iter().map(|n| {
            end += *n as u32;
            end
        });
        Ok(TracePage { ids, ends: ends.collect(), rows: found.into_iter().map(|r| r as u32).collect() })
    }

    /// The rows of a trace.
    pub(crate) fn rows_of(&self, id: TraceId) -> Option<&[u32]> {
        self.ids.binary_search(&id).ok().and_then(|at| self.rows_at(at))
    }

    /// The rows of the trace at a place.
    pub(crate) fn rows_at(&self, at: usize) -> Option<&[u32]> {
        let start = if at == 0 { 0 } else { *self.ends.get(at - 1)? as usize };
        self.rows.get(start..*self.ends.get(at)? as usize)
    }

    /// The id of the trace at a place.
    pub(crate) fn id(&self, at: usize) -> Option<TraceId> {
        self.ids.get(at).copied()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ids.len() * 20 + self.rows.len() * 4
    }
}
