//! What reads see: spans of the head that are durable, and the blocks.

use std::sync::Arc;

use sonde_model::span::TraceId;

use crate::block::Block;
use crate::chunk::Chunk;
use crate::head::Head;
use crate::query::TimeRange;

/// The spans of a flush that is on its way into blocks.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) flush: u64,
    /// The position of the first batch that does not belong to it.
    pub(crate) position: u64,
    pub(crate) head: Arc<Head>,
}

/// What reads see.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) active: Head,
    pub(crate) frozen: Option<Frozen>,
    pub(crate) blocks: Arc<Vec<Arc<Block>>>,
}

/// Where the spans of a trace are to be read, at one moment.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) places: Vec<(Arc<Chunk>, u32)>,
    pub(crate) blocks: Arc<Vec<Arc<Block>>>,
}

/// What a search has to look through, at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) chunks: Vec<Arc<Chunk>>,
    pub(crate) blocks: Vec<Arc<Block>>,
}

impl Data {
    pub(crate) fn find(&self, id: TraceId) -> Found {
        let mut places = self.active.places(id);
        if let Some(frozen) = &self.frozen {
            places.extend(frozen.head.places(id));
        }
        Found { places, blocks: Arc::clone(&self.blocks) }
    }

    /// What may hold spans that start in the range, the newest first.
    pub(crate) fn snapshot(&self, range: TimeRange) -> Snapshot {
        let heads = std::iter::once(&self.active).chain(self.frozen.iter().map(|f| &*f.head));
        let chunks = heads.filter(|h| h.overlaps(range)).flat_map(|h| h.chunks().iter().map(Arc::clone)).collect();
        let overlapping = self.blocks.iter().filter(|b| range.overlaps(b.range()));
        let mut blocks: Vec<Arc<Block>> = overlapping.map(Arc::clone).collect();
        blocks.sort_by_key(|b| std::cmp::Reverse(b.range().end_ns));
        Snapshot { chunks, blocks }
    }

    /// The newest start of all.
    pub(crate) fn newest(&self) -> Option<u64> {
        let blocks = self.blocks.iter().map(|b| b.range().end_ns).max();
        blocks.max(self.head_times().map(|(_, max)| max))
    }

    /// The first and the last start in the head.
    pub(crate) fn head_times(&self) -> Option<(u64, u64)> {
        match (self.active.times(), self.frozen.as_ref().and_then(|f| f.head.times())) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        }
    }

    /// An estimate of the memory that the head takes.
    pub(crate) fn bytes(&self) -> usize {
        self.active.bytes() + self.frozen.as_ref().map_or(0, |f| f.head.bytes())
    }

    /// Spans in the head.
    pub(crate) fn spans(&self) -> u64 {
        self.active.spans() + self.frozen.as_ref().map_or(0, |f| f.head.spans())
    }
}
