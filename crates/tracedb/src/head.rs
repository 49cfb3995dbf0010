//! The spans that are not in blocks yet, by trace.

use std::collections::HashMap;
use std::sync::Arc;

use sonde_model::span::TraceId;

use crate::chunk::Chunk;
use crate::query::TimeRange;

/// What the index takes for a span, in bytes, roughly.
const INDEX_BYTES: usize = 24;

/// Where a span lies: chunk, place in it.
pub(crate) type Place = (u32, u32);

/// Chunks, and which of their spans make up which trace.
#[derive(Debug, Default)]
pub(crate) struct Head {
    chunks: Vec<Arc<Chunk>>,
    traces: HashMap<TraceId, Vec<Place>, foldhash::fast::RandomState>,
    spans: u64,
    bytes: usize,
    times: Option<(u64, u64)>,
}

impl Head {
    /// Adds the spans of a batch that is durable.
    pub(crate) fn push(&mut self, chunk: Arc<Chunk>) {
        let number = self.chunks.len() as u32;
        for at in 0..chunk.len() {
            // A chunk is checked when it is parsed: its spans can be read.
            let Ok(span) = chunk.span(at) else { continue };
            let start = span.head.start_ns;
            let (min, max) = self.times.unwrap_or((start, start));
            self.times = Some((min.min(start), max.max(start)));
            self.traces.entry(span.head.trace_id).or_default().push((number, at as u32));
            self.spans += 1;
        }
        self.bytes += chunk.bytes() + chunk.len() * INDEX_BYTES;
        self.chunks.push(chunk);
    }

    pub(crate) fn chunks(&self) -> &[Arc<Chunk>] {
        &self.chunks
    }

    /// Where the spans of a trace lie, with the chunks.
    pub(crate) fn places(&self, id: TraceId) -> Vec<(Arc<Chunk>, u32)> {
        let places = self.traces.get(&id).map_or(&[][..], Vec::as_slice);
        places.iter().map(|(chunk, at)| (Arc::clone(&self.chunks[*chunk as usize]), *at)).collect()
    }

    pub(crate) fn trace_count(&self) -> usize {
        self.traces.len()
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The first and the last start.
    pub(crate) fn times(&self) -> Option<(u64, u64)> {
        self.times
    }

    /// Whether spans may start in the range.
    pub(crate) fn overlaps(&self, range: TimeRange) -> bool {
        self.times.is_some_and(|(start_ns, end_ns)| range.overlaps(TimeRange { start_ns, end_ns }))
    }
}
