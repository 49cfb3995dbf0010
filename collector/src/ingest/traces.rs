//! OTLP spans: from the encoded request to the span store, exactly once where the sender numbers its batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sonde_disk::checksum::crc32;
use sonde_model::CursorVerdict;
use sonde_otlp::{Accepted, Export};
use sonde_proto::otlp::{ExportTraceServiceRequest, Message};
use sonde_runtime::Clock;
use sonde_tracedb::{AppendError, RejectReason, SpanBatch, TraceDb};
use sonde_translate::SpanReject;
use tokio::sync::oneshot;

use super::refusals::Refusals;
use super::{ConsumeError, IngestError, OtlpResults};

/// Takes spans in.
#[derive(Debug)]
pub(crate) struct SpanIngest {
    db: Arc<TraceDb>,
    clock: Clock,
    stats: SpanStats,
}

/// Counters since the start. What the store counts is the store's.
#[derive(Debug, Default)]
pub(crate) struct SpanStats {
    /// Batches that were stored, in whole or in part.
    pub(crate) batches: AtomicU64,
    /// Batches that were there already.
    pub(crate) duplicate_batches: AtomicU64,
    /// Batches that could not be decoded or were over a limit.
    pub(crate) invalid: AtomicU64,
    /// Batches that were asked to come again.
    pub(crate) busy: AtomicU64,
    /// Batches refused because their number was taken by another content.
    pub(crate) conflicts: AtomicU64,
    /// Batches that the store could not write.
    pub(crate) failed: AtomicU64,
    /// Spans that came, whatever became of them.
    pub(crate) spans: AtomicU64,
    /// Links that were left out because their ids are no ids.
    pub(crate) dropped_links: AtomicU64,
    refused: [AtomicU64; SpanReject::ALL.len()],
}

impl SpanStats {
    /// The counters of OTLP requests with spans.
    pub(crate) fn results(&self) -> OtlpResults<'_> {
        OtlpResults {
            stored: &self.batches,
            duplicate: &self.duplicate_batches,
            invalid: &self.invalid,
            busy: &self.busy,
            conflict: &self.conflicts,
            failed: &self.failed,
        }
    }

    /// Spans that were refused before the store saw them.
    pub(crate) fn refused(&self, reason: SpanReject) -> u64 {
        self.refused[reason as usize].load(Relaxed)
    }
}

/// A batch that was judged and is on its way to the disk.
#[derive(Debug)]
pub(crate) struct ConsumedSpans {
    durable: oneshot::Receiver<Result<(), sonde_tracedb::Error>>,
    /// The answer.
    pub(crate) accepted: Accepted,
    /// Whether the batch was there already.
    pub(crate) duplicate: bool,
}

impl ConsumedSpans {
    /// Waits until the batch is on disk: only then may its sender be answered.
    pub(crate) async fn durable(&mut self) -> Result<(), IngestError> {
        match (&mut self.durable).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(IngestError::Unavailable(sonde_runtime::stage::with_causes(&e))),
            Err(_) => Err(IngestError::Unavailable("the span store is closed".into())),
        }
    }
}

impl SpanIngest {
    /// The road into `db`.
    pub(crate) fn new(db: Arc<TraceDb>, clock: Clock) -> Self {
        SpanIngest { db, clock, stats: SpanStats::default() }
    }

    /// What is counted.
    pub(crate) fn stats(&self) -> &SpanStats {
        &self.stats
    }

    /// Stores a batch. Blocks for as long as decoding takes, not for the disk.
    pub(crate) fn consume(&self, export: &Export) -> Result<ConsumedSpans, ConsumeError> {
        let request = ExportTraceServiceRequest::decode(export.body.as_ref())
            .map_err(|e| ConsumeError::Invalid(format!("the body is no ExportTraceServiceRequest: {e}")))?;
        let found = sonde_translate::spans(request);
        let refused: u64 = found.rejected.values().sum();
        let came = found.spans.len() as u64 + refused;

        let (sender, durable) = oneshot::channel();
        let told = move |result| {
            // A client that has left does not need to know.
            let _ = sender.send(result);
        };
        let cursor = export.batch.map(|id| (id, crc32(&export.body)));
        let batch = SpanBatch { cursor, spans: found.spans };
        let outcome = self.db.append(batch, self.clock.now_ms(), told).map_err(IngestError::from)?;

        self.stats.spans.fetch_add(came, Relaxed);
        if outcome.verdict == CursorVerdict::Duplicate {
            return Ok(ConsumedSpans { durable, accepted: Accepted::default(), duplicate: true });
        }
        self.stats.dropped_links.fetch_add(found.dropped_links, Relaxed);
        let mut refusals = Refusals::of("span");
        for (reason, spans) in found.rejected {
            self.stats.refused[reason as usize].fetch_add(spans, Relaxed);
            refusals.add(format!("with {}", reason.as_str()), spans, String::new);
        }
        for rejected in &outcome.rejected {
            refusals.add(describe(rejected.reason), 1, String::new);
        }
        let rejected = refusals.count();
        let message = if rejected > 0 { refusals.to_string() } else { String::new() };
        Ok(ConsumedSpans { durable, accepted: Accepted { rejected, message }, duplicate: false })
    }
}

/// Why the store refuses a span, in words that follow a number.
fn describe(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::InvalidTraceId => "with invalid trace id",
        RejectReason::InvalidSpanId => "with invalid span id",
        RejectReason::TooOld => "older than traces.retention allows",
        RejectReason::TooFarAhead => "further ahead of the clock than traces.max_ahead allows",
        RejectReason::TooDeep => "with attribute nested too deep",
    }
}

impl From<AppendError> for IngestError {
    fn from(error: AppendError) -> Self {
        let text = sonde_runtime::stage::with_causes(&error);
        match error {
            AppendError::CursorConflict { .. } => IngestError::Conflict(text),
            AppendError::Busy { reason } => IngestError::Busy(reason.to_owned()),
            AppendError::TooLarge { .. } => IngestError::TooLarge(text),
            AppendError::Wal { .. } | AppendError::Closed => IngestError::Unavailable(text),
        }
    }
}
