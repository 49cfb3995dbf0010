//! What the queue counts.
//!
//! Always: accepted = sent + rejected + dropped + waiting, in items: data points or spans, by the signal of the queue.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{DropReason, Source};

/// What the queue counts since the start, and what waits in it now.
#[derive(Debug, Default)]
pub struct QueueStats {
    accepted: [AtomicU64; Source::ALL.len()],
    dropped: [AtomicU64; DropReason::ALL.len()],
    /// Items that the collector has taken.
    pub sent_items: AtomicU64,
    /// Batches that the collector has taken.
    pub sent_batches: AtomicU64,
    /// Items that the collector left out of batches that it took.
    pub rejected_items: AtomicU64,
    /// Numbers of batches that were lost to damage and given up with an empty batch.
    pub filled_holes: AtomicU64,
    /// Requests of local clients that were pushed back because there was no room.
    pub pushed_back: AtomicU64,
    /// Gauge: bytes that wait, as they lie on disk.
    pub waiting_bytes: AtomicU64,
    /// Gauge: batches that wait.
    pub waiting_batches: AtomicU64,
    /// Gauge: items that wait.
    pub waiting_items: AtomicU64,
    /// Gauge: when the batch that is next to be sent was made, in milliseconds since the Unix epoch; 0 for none.
    pub oldest_ms: AtomicU64,
}

impl QueueStats {
    /// Items of `source` that the agent took responsibility for: they are on disk, or in a gap.
    pub fn accepted(&self, source: Source) -> u64 {
        self.accepted[source as usize].load(Relaxed)
    }

    /// Items that were dropped for `reason`.
    pub fn dropped(&self, reason: DropReason) -> u64 {
        self.dropped[reason as usize].load(Relaxed)
    }

    pub(super) fn count_accepted(&self, source: Source, items: u64) {
        self.accepted[source as usize].fetch_add(items, Relaxed);
    }

    pub(super) fn count_dropped(&self, reason: DropReason, items: u64) {
        self.dropped[reason as usize].fetch_add(items, Relaxed);
    }

    pub(super) fn add_waiting(&self, bytes: u64, items: u64) {
        self.waiting_bytes.fetch_add(bytes, Relaxed);
        self.waiting_items.fetch_add(items, Relaxed);
        self.waiting_batches.fetch_add(1, Relaxed);
    }

    pub(super) fn sub_waiting(&self, bytes: u64, items: u64) {
        for (gauge, by) in [(&self.waiting_bytes, bytes), (&self.waiting_items, items), (&self.waiting_batches, 1)] {
            // The closure always gives a value, so the update cannot fail.
            let _ = gauge.fetch_update(Relaxed, Relaxed, |value| Some(value.saturating_sub(by)));
        }
    }
}
