//! Takes what the OTLP receivers hand over.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use sonde_model::Signal;
use sonde_otlp::{Accepted, Consumer, Export, Refused};

use crate::ingest::{ConsumeError, Ingest, IngestError, OtlpResults, SpanIngest};
use crate::server::Server;

/// When a sender that was told to wait should come again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Bodies up to this are decoded where they arrived: less than a millisecond of work is cheaper than another thread.
const INLINE_BYTES: usize = 256 << 10;
/// A decoded request takes several times the memory of its body.
pub(crate) const DECODED_FACTOR: usize = 4;

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
        let opening = || Refused::Busy { retry_after: RETRY_AFTER, reason: "the store is being opened".into() };
        // Memory and agents are the business of one road, whatever the signal.
        let core = self.0.core().ok_or_else(opening)?;
        let spans = match export.signal {
            Signal::Metrics => None,
            Signal::Traces => Some(&self.0.spans().ok_or_else(opening)?.ingest),
        };
        let bytes = export.body.len().saturating_mul(DECODED_FACTOR);
        let result = match (core.ingest.budget().reserve(bytes), spans) {
            (None, _) if !core.ingest.budget().could_hold(bytes) => {
                let text = "the request would not fit into ingest.max_inflight alone: send smaller requests";
                Err(IngestError::TooLarge(text.into()).into())
            }
            (None, _) => {
                let reason = "too many bytes of requests are being worked on (ingest.max_inflight)";
                Err(IngestError::Busy(reason.into()).into())
            }
            (Some(_memory), None) => store(&core.ingest, export).await,
            (Some(_memory), Some(spans)) => {
                if let Some(batch) = export.batch {
                    core.ingest.agents().saw(batch, self.0.clock.now_ms());
                }
                store_spans(spans, export).await
            }
        };
        match spans {
            None => count(core.ingest.stats().otlp_results(), &result),
            Some(spans) => count(spans.stats().results(), &result),
        }
        result.map(|(accepted, _)| accepted).map_err(refused)
    }

    /// Metrics are read where they lie, and proven as they are read: what is known by its bytes was proven before.
    fn proves(&self, signal: Signal) -> bool {
        signal == Signal::Metrics
    }
}

/// Stores a batch and waits until it is durable; says whether it was there already.
async fn store(ingest: &Arc<Ingest>, export: Export) -> Result<(Accepted, bool), ConsumeError> {
    let small = export.body.len() <= INLINE_BYTES;
    let ingest = Arc::clone(ingest);
    let consumed = decoded(small, move || ingest.consume(&export)).await?;
    consumed.pending.durable().await?;
    Ok((consumed.accepted, consumed.duplicate))
}

/// The same for spans.
async fn store_spans(ingest: &Arc<SpanIngest>, export: Export) -> Result<(Accepted, bool), ConsumeError> {
    let small = export.body.len() <= INLINE_BYTES;
    let ingest = Arc::clone(ingest);
    let mut consumed = decoded(small, move || ingest.consume(&export)).await?;
    consumed.durable().await?;
    Ok((consumed.accepted, consumed.duplicate))
}

/// Decodes here where it is little, and on another thread where it is much.
async fn decoded<T: Send + 'static>(
    small: bool,
    work: impl FnOnce() -> Result<T, ConsumeError> + Send + 'static,
) -> Result<T, ConsumeError> {
    if small {
        return work();
    }
    let decoding = tokio::task::spawn_blocking(work);
    decoding.await.map_err(|_| IngestError::Unavailable("decoding failed unexpectedly".into()))?
}

/// Counts what became of a request.
fn count(results: OtlpResults<'_>, result: &Result<(Accepted, bool), ConsumeError>) {
    let counter = match result {
        Ok((_, false)) => results.stored,
        Ok((_, true)) => results.duplicate,
        Err(ConsumeError::Invalid(_) | ConsumeError::Store(IngestError::TooLarge(_))) => results.invalid,
        Err(ConsumeError::Store(IngestError::Busy(_))) => results.busy,
        Err(ConsumeError::Store(IngestError::Conflict(_))) => results.conflict,
        Err(ConsumeError::Store(IngestError::Unavailable(_))) => results.failed,
    };
    counter.fetch_add(1, Relaxed);
}

fn refused(error: ConsumeError) -> Refused {
    match error {
        ConsumeError::Invalid(text) => Refused::Invalid(text),
        ConsumeError::Store(IngestError::TooLarge(text)) => Refused::TooLarge(text),
        ConsumeError::Store(IngestError::Busy(reason)) => Refused::Busy { retry_after: RETRY_AFTER, reason },
        ConsumeError::Store(IngestError::Conflict(text)) => Refused::Conflict(text),
        ConsumeError::Store(IngestError::Unavailable(text)) => Refused::Unavailable(text),
    }
}
