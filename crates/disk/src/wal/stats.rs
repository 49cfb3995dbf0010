//! What a WAL counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a WAL counts since it was opened. Each is a counter unless it says gauge.
#[derive(Debug, Default)]
pub struct WalStats {
    /// Records acknowledged.
    pub records: AtomicU64,
    /// Bytes of the records acknowledged, frames not counted.
    pub bytes: AtomicU64,
    /// Syncs of segments that succeeded; `records / syncs` is what group commit gains.
    pub syncs: AtomicU64,
    /// Appends refused because `max_pending_bytes` waited.
    pub busy: AtomicU64,
    /// Records whose callback got an error.
    pub failed_records: AtomicU64,
    /// Batches that failed because the disk was full.
    pub disk_full: AtomicU64,
    /// Writes of a segment that failed.
    pub failed_writes: AtomicU64,
    /// Syncs that failed.
    pub failed_syncs: AtomicU64,
    /// Segments abandoned after a failed write or sync.
    pub abandoned_segments: AtomicU64,
    /// Callbacks that panicked; the panic was caught.
    pub callback_panics: AtomicU64,
    /// Damaged ranges that readers stepped over.
    pub reader_damage: AtomicU64,
    /// Gauge: bytes of records and frames that wait for their sync.
    pub pending_bytes: AtomicU64,
    /// Gauge: segments on disk.
    pub segments: AtomicU64,
    /// Gauge: bytes of all segments on disk.
    pub size_bytes: AtomicU64,
}

impl WalStats {
    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
