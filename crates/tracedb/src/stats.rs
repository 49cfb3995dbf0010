//! What the store counts about itself. The owner exports it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::RejectReason;

/// Counters since the store was opened.
#[derive(Debug, Default)]
pub struct Stats {
    /// Batches that were taken.
    pub batches: AtomicU64,
    /// Batches that were taken before and are not stored again.
    pub duplicate_batches: AtomicU64,
    /// Batches refused because their number was taken by another content.
    pub conflicting_batches: AtomicU64,
    /// Cursors of agent streams that went, used longest ago, because there were too many.
    pub cursors_evicted: AtomicU64,
    /// Batches refused because the WAL or the head has no room, or derivations are behind.
    pub busy_batches: AtomicU64,
    /// Batches that the WAL could not write.
    pub failed_batches: AtomicU64,
    /// Spans accepted.
    pub spans: AtomicU64,
    rejected: [AtomicU64; RejectReason::ALL.len()],
    /// Flushes of the head that were done.
    pub flushes: AtomicU64,
    /// Flushes of the head that failed; they are tried again.
    pub flush_failures: AtomicU64,
    /// Merges of blocks that were done.
    pub compactions: AtomicU64,
    /// Merges of blocks that failed.
    pub compaction_failures: AtomicU64,
    /// Spans left out of blocks because the block holds them already.
    pub duplicate_spans: AtomicU64,
    /// Blocks dropped by age.
    pub blocks_expired: AtomicU64,
    /// Blocks dropped by size.
    pub blocks_evicted: AtomicU64,
    /// Blocks set aside because they are damaged.
    pub blocks_quarantined: AtomicU64,
    /// Times that retention was paused because the clock leapt forward.
    pub retention_pauses: AtomicU64,
    /// Searches answered.
    pub searches: AtomicU64,
    /// Traces put together for reads.
    pub traces_read: AtomicU64,
    /// Traces that matched a search and were left out of it, because they have more spans than may be read at once.
    pub traces_too_large: AtomicU64,
}

impl Stats {
    /// Spans that were refused for this reason.
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.rejected[reason as usize].load(Relaxed)
    }

    pub(crate) fn reject(&self, reason: RejectReason) {
        self.rejected[reason as usize].fetch_add(1, Relaxed);
    }
}

/// The state of the store at one moment. Times are nanoseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadStatus {
    /// Traces in the head.
    pub traces: usize,
    /// Spans in the head.
    pub spans: u64,
    /// Estimated bytes of the head.
    pub bytes: usize,
    /// The first start in the head.
    pub min_start_ns: Option<u64>,
    /// The last start in the head.
    pub max_start_ns: Option<u64>,
    /// Blocks.
    pub blocks: usize,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Spans in all blocks.
    pub block_spans: u64,
    /// The first start in a block.
    pub block_min_start_ns: Option<u64>,
    /// The last start in a block.
    pub block_max_start_ns: Option<u64>,
    /// Bytes of the WAL.
    pub wal_bytes: u64,
    /// Whether retention by age is paused because the clock has leapt forward and is not proved.
    pub retention_paused: bool,
}
