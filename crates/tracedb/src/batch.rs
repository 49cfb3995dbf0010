//! What is handed to the store in one piece, and what the store decided about it.

use sonde_model::span::ScopedSpan;
use sonde_model::{BatchId, CursorVerdict};

/// Spans that become durable together, or not at all.
#[derive(Clone, Debug, Default)]
pub struct SpanBatch {
    /// The number of the batch and the CRC-32 of its body, where the sender numbers its batches.
    pub cursor: Option<(BatchId, u32)>,
    /// The spans. Spans of one resource should share its `Arc`: it is then written once without being compared.
    pub spans: Vec<ScopedSpan>,
}

/// What was decided about a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// `New`, or `Duplicate` when the batch was taken before and nothing was stored now.
    pub verdict: CursorVerdict,
    /// Spans that will be stored. One that is stored already is taken again, and shown once.
    pub accepted: u64,
    /// Spans that will not be stored.
    pub rejected: Vec<Rejected>,
}

/// A span that was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which one of the batch.
    pub index: u32,
    /// Why.
    pub reason: RejectReason,
}

/// Why a span was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// Its trace id is all zeros, which OTLP calls invalid.
    InvalidTraceId,
    /// Its span id is all zeros, which OTLP calls invalid.
    InvalidSpanId,
    /// It starts before the retention.
    TooOld,
    /// It starts too far ahead of now.
    TooFarAhead,
    /// An attribute value is nested more deeply than 64 levels.
    TooDeep,
}

impl RejectReason {
    /// All reasons.
    pub const ALL: [RejectReason; 5] = [
        RejectReason::InvalidTraceId,
        RejectReason::InvalidSpanId,
        RejectReason::TooOld,
        RejectReason::TooFarAhead,
        RejectReason::TooDeep,
    ];

    /// The reason as a label value.
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::InvalidTraceId => "invalid_trace_id",
            RejectReason::InvalidSpanId => "invalid_span_id",
            RejectReason::TooOld => "too_old",
            RejectReason::TooFarAhead => "too_far_ahead",
            RejectReason::TooDeep => "too_deep",
        }
    }
}
