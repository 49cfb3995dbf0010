//! What the store counts about itself. The owner exports it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sonde_model::TimestampMs;

use crate::{ExemplarRejectReason, RejectReason};

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
    /// Batches refused because the WAL or the head has no room.
    pub busy_batches: AtomicU64,
    /// Batches that the WAL could not write.
    pub failed_batches: AtomicU64,
    /// Float samples accepted.
    pub float_samples: AtomicU64,
    /// Histogram samples accepted.
    pub histogram_samples: AtomicU64,
    /// Accepted samples that were not the newest of their series.
    pub late_samples: AtomicU64,
    /// Samples that were there already with the same value.
    pub duplicate_samples: AtomicU64,
    rejected: [AtomicU64; RejectReason::ALL.len()],
    /// Exemplars accepted.
    pub exemplars: AtomicU64,
    /// Exemplars that were there already.
    pub duplicate_exemplars: AtomicU64,
    exemplars_rejected: [AtomicU64; ExemplarRejectReason::ALL.len()],
    /// Exemplars pushed out by newer ones.
    pub exemplars_evicted: AtomicU64,
    /// Bytes of the file of exemplars; a state, no counter.
    pub exemplar_file_bytes: AtomicU64,
    /// Series that came into being in the head.
    pub series_created: AtomicU64,
    /// Series that left the head.
    pub series_removed: AtomicU64,
    /// Attempts to bring a new series that were refused because the head is full.
    pub series_refused: AtomicU64,
    /// The same, because its metric has as many as one may have.
    pub series_refused_by_metric: AtomicU64,
    /// The same, because its agent has brought as many as one may bring.
    pub series_refused_by_agent: AtomicU64,
    /// Metadata entries dropped because there are too many.
    pub metadata_dropped: AtomicU64,
    /// Flushes of the head that were done.
    pub flushes: AtomicU64,
    /// Flushes of the head that failed; they are tried again.
    pub flush_failures: AtomicU64,
    /// Merges of blocks that were done.
    pub compactions: AtomicU64,
    /// Merges of blocks that failed.
    pub compaction_failures: AtomicU64,
    /// Blocks dropped by age.
    pub blocks_expired: AtomicU64,
    /// Blocks dropped by size.
    pub blocks_evicted: AtomicU64,
    /// Deletes that were done.
    pub deletes: AtomicU64,
    /// Blocks that were written again, or dropped, to give the space of deleted samples back.
    pub blocks_cleaned: AtomicU64,
    /// Times that the reserved room was given up because the disk was full.
    pub ballast_released: AtomicU64,
    /// The most bytes that the inputs and the output of one merge took at once; a state, no counter.
    pub merge_peak_bytes: AtomicU64,
    /// Days that tiers were fed with.
    pub tier_feeds: AtomicU64,
    /// Days that a tier could not be fed with; it is tried again.
    pub tier_feed_failures: AtomicU64,
    /// Blocks that went although a tier could not be fed with them.
    pub tier_blocks_missed: AtomicU64,
    /// Snapshots that were made.
    pub snapshots: AtomicU64,
    /// Blocks set aside because they are damaged.
    pub blocks_quarantined: AtomicU64,
    /// Pages of blocks whose checksum did not hold.
    pub corrupt_pages: AtomicU64,
    /// Samples found in the WAL at the start whose series definition was lost.
    pub replay_orphans: AtomicU64,
    /// Times that a part of the log was cut that a reader still wanted.
    pub wal_holds_broken: AtomicU64,
    /// Times that retention was paused because the clock leapt forward.
    pub retention_pauses: AtomicU64,
}

impl Stats {
    /// Samples that were refused for this reason.
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.rejected[reason as usize].load(Relaxed)
    }

    /// Exemplars that were refused for this reason.
    pub fn exemplars_rejected(&self, reason: ExemplarRejectReason) -> u64 {
        self.exemplars_rejected[reason as usize].load(Relaxed)
    }

    pub(crate) fn reject_exemplar(&self, reason: ExemplarRejectReason) {
        self.exemplars_rejected[reason as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn reject(&self, reason: RejectReason) {
        self.rejected[reason as usize].fetch_add(1, Relaxed);
    }
}

/// What is known of a block without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockStatus {
    /// Its number, which names its file.
    pub number: u64,
    /// The oldest sample.
    pub min_time: TimestampMs,
    /// The newest sample.
    pub max_time: TimestampMs,
    /// Series.
    pub series: u64,
    /// Samples.
    pub samples: u64,
    /// The size of the file.
    pub bytes: u64,
    /// How many merges made it: 0 for what came out of the head.
    pub merges: u32,
}

/// The state of the store at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadStatus {
    /// Series in the head.
    pub series: usize,
    /// Estimated bytes of samples in the head.
    pub bytes: usize,
    /// Samples in the head.
    pub samples: u64,
    /// The oldest sample in the head.
    pub min_time: Option<TimestampMs>,
    /// The newest sample in the head.
    pub max_time: Option<TimestampMs>,
    /// Blocks.
    pub blocks: usize,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Samples in all blocks.
    pub block_samples: u64,
    /// The oldest sample in a block.
    pub block_min_time: Option<TimestampMs>,
    /// The newest sample in a block.
    pub block_max_time: Option<TimestampMs>,
    /// Bytes of the WAL.
    pub wal_bytes: u64,
    /// Whether retention by age is paused because the clock has leapt forward and is not proved.
    pub retention_paused: bool,
    /// Label pairs in the index of the head.
    pub label_pairs: usize,
    /// Estimated bytes of the index of the head, which `bytes` does not count.
    pub index_bytes: usize,
}
