//! Takes what the OTLP receivers hand over.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sonde_model::Signal;
use sonde_otlp::{Accepted, Consumer, Export, Refused};

use crate::ingest::{ConsumeError, Ingest, IngestError};
use crate::server::Server;

/// When a sender that was told to wait should come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Bodies up to this are decoded where they arrived: less than a millisecond of work is cheaper than another thread.
const INLINE_BYTES: usize = 256 << 10;
/// A decoded request takes several times the memory of its body.
const DECODED_FACTOR: usize = 4;

/// The consumer of the collector's OTLP receivers.
#[derive(Clone, Debug)]
pub(crate) struct OtlpConsumer(Arc<Server>);

impl OtlpConsumer {
    /// A consumer that stores in `server`'s store.
    pub(crate) fn new(server: Arc<Server>) -> Self {
        OtlpConsumer(server)
    }
}

impl Consumer for OtlpConsumer {
    async fn consume(&self, export: Export) -> Result<Accepted, Refused> {
        match export.signal {
            Signal::Metrics => {}
            Signal::Traces => {
                return Err(Refused::Unsupported("spans are not stored yet: this collector takes metrics only".into()));
            }
        }
        let Some(core) = self.0.core() else {
            return Err(Refused::Busy { retry_after: RETRY_AFTER, reason: "the store is being opened".into() });
        };
        let Some(_memory) = core.ingest.budget().reserve(export.body.len().saturating_mul(DECODED_FACTOR)) else {
            core.ingest.stats().otlp_busy.fetch_add(1, Relaxed);
            let reason = "too many bytes of requests are being worked on (ingest.max_inflight)";
            return Err(Refused::Busy { retry_after: RETRY_AFTER, reason: reason.into() });
        };
        let result = store(&core.ingest, export).await;
        count(&core.ingest, &result);
        result.map(|(accepted, _)| accepted).map_err(refused)
    }
}

/// Stores a batch and waits until it is durable; says whether it was there already.
async fn store(ingest: &Arc<Ingest>, export: Export) -> Result<(Accepted, bool), ConsumeError> {
    let consumed = if export.body.len() <= INLINE_BYTES {
        ingest.consume(&export)?
    } else {
        let ingest = Arc::clone(ingest);
        let work = tokio::task::spawn_blocking(move || ingest.consume(&export));
        work.await.map_err(|_| IngestError::Unavailable("decoding failed unexpectedly".into()))??
    };
    consumed.pending.durable().await?;
    Ok((consumed.accepted, consumed.duplicate))
}

fn count(ingest: &Ingest, result: &Result<(Accepted, bool), ConsumeError>) {
    let stats = ingest.stats();
    let counter = match result {
        Ok((_, false)) => &stats.otlp_batches,
        Ok((_, true)) => &stats.otlp_duplicate_batches,
        Err(ConsumeError::Invalid(_) | ConsumeError::Store(IngestError::TooLarge(_))) => &stats.otlp_invalid,
        Err(ConsumeError::Store(IngestError::Busy(_))) => &stats.otlp_busy,
        Err(ConsumeError::Store(IngestError::Conflict(_))) => &stats.otlp_conflicts,
        Err(ConsumeError::Store(IngestError::Unavailable(_))) => &stats.otlp_failed,
    };
    counter.fetch_add(1, Relaxed);
}

fn refused(error: ConsumeError) -> Refused {
    match error {
        ConsumeError::Invalid(text) | ConsumeError::Store(IngestError::TooLarge(text)) => Refused::Invalid(text),
        ConsumeError::Store(IngestError::Busy(reason)) => Refused::Busy { retry_after: RETRY_AFTER, reason },
        ConsumeError::Store(IngestError::Conflict(text)) => Refused::Conflict(text),
        ConsumeError::Store(IngestError::Unavailable(text)) => Refused::Unavailable(text),
    }
}
