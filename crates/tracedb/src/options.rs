//! The settings of a store, each with its default and the reason for it.

use sonde_model::TimestampMs;

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
const DAY_MS: i64 = 24 * HOUR_MS;

/// The settings of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Spans that start before this are refused, and blocks of them dropped. 14 days.
    pub retention_ms: i64,
    /// When blocks and WAL hold more bytes than this, the oldest blocks are dropped. No bound by default.
    pub retention_bytes: Option<u64>,
    /// A clock that steps forward by more than this is not believed, and retention by age pauses, until it is back or
    /// has run on for as long. 1 day.
    pub retention_pause_ms: i64,
    /// How far ahead of `now` a span may start. 10 minutes.
    pub max_ahead_ms: i64,
    /// Estimated bytes of the head that make a flush due. 96 MiB, which are about 600,000 spans.
    pub head_bytes: usize,
    /// Spans are refused as `Busy` when the head holds this many times `head_bytes`, which happens only when flushes
    /// fail. 3.
    pub head_overrun: usize,
    /// The time since the last flush that makes a flush due. 30 minutes.
    pub head_span_ms: i64,
    /// Rows of a block at most, and so what a merge aims at. 1,000,000.
    pub block_rows: usize,
    /// Spans of one trace that are read at most; a longer trace is an error that says so. 1,000,000.
    pub max_trace_spans: usize,
    /// How far outside of the range of a search the spans of a trace are still looked at. 1 hour.
    pub search_reach_ms: i64,
    /// Bytes of pages of blocks kept in memory, unpacked. 64 MiB.
    pub cache_bytes: usize,
    /// Whether the WAL is kept until [`TraceDb::release_before`](crate::TraceDb::release_before) frees it, because
    /// something is derived from committed batches. Off.
    pub hold_for_derivations: bool,
    /// Bytes of WAL that are held for derivations; with more, batches are refused as `Busy`. 4 GiB.
    pub held_wal_bytes: u64,
    /// The size of a WAL segment. 64 MiB.
    pub wal_segment_bytes: u64,
    /// Bytes that wait for the WAL before appends are refused as `Busy`. 64 MiB.
    pub wal_pending_bytes: usize,
    /// The largest WAL record; a batch that needs more is refused. 48 MiB.
    pub wal_record_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            retention_ms: 14 * DAY_MS,
            retention_bytes: None,
            retention_pause_ms: DAY_MS,
            max_ahead_ms: 10 * MINUTE_MS,
            head_bytes: 96 << 20,
            head_overrun: 3,
            head_span_ms: 30 * MINUTE_MS,
            block_rows: 1_000_000,
            max_trace_spans: 1_000_000,
            search_reach_ms: HOUR_MS,
            cache_bytes: 64 << 20,
            hold_for_derivations: false,
            held_wal_bytes: 4 << 30,
            wal_segment_bytes: 64 << 20,
            wal_pending_bytes: 64 << 20,
            wal_record_bytes: 48 << 20,
        }
    }
}

impl Options {
    /// The width of the partitions of time by which blocks are cut: a day, or more with a long retention, so that no
    /// flush makes more than some tens of blocks.
    pub(crate) fn partition_ns(&self) -> u64 {
        let days = self.retention_ms.max(0) / 32 / DAY_MS + 1;
        ms_to_ns(days * DAY_MS)
    }

    /// The start, in nanoseconds, before which spans are refused and may be dropped.
    pub(crate) fn retained_from_ns(&self, now: TimestampMs) -> u64 {
        ms_to_ns(now.saturating_sub(self.retention_ms))
    }
}

/// Milliseconds as nanoseconds since the epoch; what is before the epoch is 0.
pub(crate) fn ms_to_ns(ms: i64) -> u64 {
    u64::try_from(ms).unwrap_or(0).saturating_mul(1_000_000)
}

/// Nanoseconds since the epoch as milliseconds.
pub(crate) fn ns_to_ms(ns: u64) -> TimestampMs {
    i64::try_from(ns / 1_000_000).unwrap_or(TimestampMs::MAX)
}
