//! What is handed to the store in one piece, and what the store decided about it.

use sonde_model::{BatchId, CursorVerdict, Histogram, TimestampMs};

use crate::{BatchExemplar, Metadata};

/// A series of the head, found once by its labels and used for many appends.
///
/// It holds until the series leaves the head; appends with a ref that no longer holds get
/// [`AppendError::StaleRef`](crate::AppendError::StaleRef). It is never stored anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesRef {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}

/// Samples that become durable together, or not at all.
#[derive(Clone, Debug)]
pub struct Batch {
    /// By which rules the samples are judged.
    pub source: Source,
    /// The number of the batch and the CRC-32 of its body, where the sender numbers its batches.
    pub cursor: Option<(BatchId, u32)>,
    /// The samples, in the order in which they are judged.
    pub samples: Vec<BatchSample>,
    /// Since when what each sample counts is counted, in milliseconds; 0 where that is not known. Empty where it is known
    /// of none. Kept if it is above 0 and before the time of the sample; deltas have none, because their sum is older.
    pub starts: Vec<TimestampMs>,
    /// What is known of metrics, by metric name. Only changes are written.
    pub metadata: Vec<(String, Metadata)>,
    /// Exemplars of series, of those of the samples or of others. What is refused of them is counted and tells the sender
    /// nothing.
    pub exemplars: Vec<BatchExemplar>,
}

/// One sample of a batch.
#[derive(Clone, Debug)]
pub struct BatchSample {
    /// The series.
    pub series: SeriesRef,
    /// The time of the sample.
    pub timestamp: TimestampMs,
    /// The value.
    pub value: BatchValue,
}

/// The value of a sample.
#[derive(Clone, Debug)]
pub enum BatchValue {
    /// A float, stored bit for bit.
    Float(f64),
    /// What a counter grew by since the last sample. The sum is what is stored.
    FloatDelta(f64),
    /// A native histogram.
    Histogram(Box<Histogram>),
    /// What a native histogram grew by since the last sample. The sum is what is stored.
    HistogramDelta(Box<Histogram>),
}

/// Where a batch comes from: this settles how late and repeated samples are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A client that pushes: a sample may be late by the lateness window of its series.
    Push,
    /// An agent that keeps its batches until they are taken, or a backfill: judged against retention only.
    AgentLink,
    /// Rule output: of two samples with one timestamp the last wins.
    Rules,
}

/// What was decided about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `New`, or `Duplicate` when the batch was taken before and nothing was stored now.
    pub verdict: CursorVerdict,
    /// Samples that will be stored.
    pub accepted: u64,
    /// Samples that the head has already, with the same value. What was flushed is not looked for: it is stored again,
    /// and of two samples of one time the newer one counts.
    pub duplicates: u64,
    /// Samples that were refused, each with its reason.
    pub rejected: Vec<Rejected>,
    /// Exemplars that will be stored.
    pub exemplars: u64,
    /// Exemplars that are there already.
    pub duplicate_exemplars: u64,
}

/// A sample that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Its index in the batch.
    pub index: u32,
    /// Why.
    pub reason: RejectReason,
}

/// Why a sample was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Older than the lateness window of its series, or than the retention.
    TooLate,
    /// Further ahead of the clock than is allowed.
    TooFarAhead,
    /// A delta at or before the last sample of its series.
    OutOfOrder,
    /// The series has another value at this time.
    DuplicateTimestamp,
    /// The histogram contradicts itself, or is over a limit.
    InvalidHistogram,
}

impl RejectReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [RejectReason; 5] = [
        RejectReason::TooLate,
        RejectReason::TooFarAhead,
        RejectReason::OutOfOrder,
        RejectReason::DuplicateTimestamp,
        RejectReason::InvalidHistogram,
    ];

    /// The value of the `reason` label of the counter.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectReason::TooLate => "too_late",
            RejectReason::TooFarAhead => "too_far_ahead",
            RejectReason::OutOfOrder => "out_of_order",
            RejectReason::DuplicateTimestamp => "duplicate_timestamp",
            RejectReason::InvalidHistogram => "invalid_histogram",
        }
    }
}
