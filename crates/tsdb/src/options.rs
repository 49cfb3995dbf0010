//! The settings of a store, each with its default and the reason for it.

use sonde_model::TimestampMs;

use crate::partitions::Partitions;
use crate::{Retention, RetentionClass, TierOptions};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The settings of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Data older than this is dropped, block by block, and samples older than this are refused. 15 days.
    pub retention_ms: i64,
    /// Series that are kept for another time; the first class that selects a series counts. None by default. Can be changed
    /// while the store is open: [`Db::set_retention`](crate::Db::set_retention).
    pub retention_classes: Vec<RetentionClass>,
    /// Downsampled tiers, at most [`MAX_TIERS`](crate::MAX_TIERS). None by default.
    pub tiers: Vec<TierOptions>,
    /// When blocks and WAL hold more bytes than this, the oldest blocks are dropped. No bound by default.
    pub retention_bytes: Option<u64>,
    /// Bytes of a reserved file that is given up where a full disk would keep deletes and retention from making room. 0
    /// reserves nothing. 64 MiB.
    pub ballast_bytes: u64,
    /// Bytes of blocks from which on that room is reserved: it would be much of a small store. 1 GiB.
    pub ballast_from: u64,
    /// A clock that steps forward by more than this is not believed, and retention by age pauses, until it is back or
    /// has run on for as long. 1 day.
    pub retention_pause_ms: i64,
    /// How much older than the last sample of its series a pushed sample may be. 1 hour.
    pub lateness_ms: i64,
    /// How far ahead of `now` a sample may be. 10 minutes.
    pub max_ahead_ms: i64,
    /// Series in the head; the newcomer is refused. 5,000,000.
    pub max_series: usize,
    /// Series of one metric in the head; the newcomer is refused. No bound by default.
    pub max_series_per_metric: Option<usize>,
    /// Series in the head that one agent brought; the newcomer is refused. No bound by default.
    pub max_series_per_agent: Option<usize>,
    /// Estimated bytes of samples in the head that make a flush due. 256 MiB.
    pub head_bytes: usize,
    /// Samples are refused as `Busy` when the head holds this many times `head_bytes`, which happens only when flushes
    /// fail. 4.
    pub head_overrun: usize,
    /// The span of time between flushes that makes a flush due. 2 hours.
    pub head_span_ms: i64,
    /// A series without samples for this long leaves the head at a flush. 1 hour.
    pub idle_ms: i64,
    /// Metrics whose metadata is kept; further ones are counted and not kept. 100,000.
    pub max_metadata: usize,
    /// Exemplars that are kept; the oldest go first. 0 keeps none. 100,000.
    pub max_exemplars: usize,
    /// Exemplars of one series that are kept: an hour of one every 15 seconds. 256.
    pub max_exemplars_per_series: usize,
    /// Estimated bytes of memory that exemplars may take. 64 MiB.
    pub exemplar_bytes: usize,
    /// Bytes of block pages, and of what was unpacked of them, kept in memory. 64 MiB.
    pub cache_bytes: usize,
    /// The size of a WAL segment. 64 MiB.
    pub wal_segment_bytes: u64,
    /// Bytes that wait for the WAL before appends are refused as `Busy`. 64 MiB.
    pub wal_pending_bytes: usize,
    /// The largest WAL record; a batch that needs more is refused. 48 MiB.
    pub wal_record_bytes: usize,
    /// Bytes that the WAL may have for the sake of its readers, see [`Db::hold_wal`](crate::Db::hold_wal). 2 GiB.
    pub max_wal_hold_bytes: u64,
    /// How long the WAL is kept for the sake of its readers. 1 day.
    pub max_wal_hold_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            retention_ms: 15 * DAY_MS,
            retention_classes: Vec::new(),
            tiers: Vec::new(),
            retention_bytes: None,
            ballast_bytes: 64 << 20,
            ballast_from: 1 << 30,
            retention_pause_ms: DAY_MS,
            lateness_ms: HOUR_MS,
            max_ahead_ms: 10 * MINUTE_MS,
            max_series: 5_000_000,
            max_series_per_metric: None,
            max_series_per_agent: None,
            head_bytes: 256 << 20,
            head_overrun: 4,
            head_span_ms: 2 * HOUR_MS,
            idle_ms: HOUR_MS,
            max_metadata: 100_000,
            max_exemplars: 100_000,
            max_exemplars_per_series: 256,
            exemplar_bytes: 64 << 20,
            cache_bytes: 64 << 20,
            wal_segment_bytes: 64 << 20,
            wal_pending_bytes: 64 << 20,
            wal_record_bytes: 48 << 20,
            max_wal_hold_bytes: 2 << 30,
            max_wal_hold_ms: DAY_MS,
        }
    }
}

impl Options {
    /// The partitions of time by which blocks are cut. They follow the retention that the store was opened with.
    pub(crate) fn partitions(&self, now: TimestampMs) -> Partitions {
        Partitions::new(&self.retention(), now)
    }

    /// How long samples are kept at first.
    pub(crate) fn retention(&self) -> Retention {
        Retention { keep_ms: self.retention_ms, classes: self.retention_classes.clone() }
    }
}
