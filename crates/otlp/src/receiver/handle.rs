//! The part of the road that is the same for all protocols.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use sonde_model::Signal;
use sonde_proto::agent_link;
use sonde_proto::otlp::{ScanLimits, Scanned, count_items, scan};
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::Code;

use super::body::Held;
use super::failure::Failure;
use super::limits::Limits;
use super::stats::{Reason, Stats};
use crate::consumer::{Accepted, Consumer, Export};

/// What all requests of a router share.
#[derive(Debug)]
pub(super) struct Shared<C> {
    consumer: Arc<C>,
    pub(super) limits: Limits,
    stats: Arc<Stats>,
    requests: Semaphore,
    bytes: Arc<Semaphore>,
}

/// One request on its way. Dropping it before its end means that the sender went away.
pub(super) struct InFlight<'a> {
    stats: &'a Stats,
    finished: bool,
    _permit: Option<SemaphorePermit<'a>>,
}

impl<C: Consumer> Shared<C> {
    pub(super) fn new(consumer: Arc<C>, limits: Limits, stats: Arc<Stats>) -> Self {
        let requests = Semaphore::new(limits.max_concurrent.min(Semaphore::MAX_PERMITS));
        let bytes = Arc::new(Semaphore::new(limits.max_in_flight_bytes.min(Semaphore::MAX_PERMITS)));
        Shared { consumer, limits, stats, requests, bytes }
    }

    /// Begins a request; the second value is an error where there is no room for it.
    pub(super) fn begin(&self) -> (InFlight<'_>, Result<Held, Failure>) {
        self.stats.in_flight.fetch_add(1, Relaxed);
        let permit = self.requests.try_acquire().ok();
        let room = permit
            .as_ref()
            .map(|_| Held::new(&self.bytes, self.limits.max_in_flight_bytes))
            .ok_or_else(|| Failure::crowded("requests"));
        (InFlight { stats: &self.stats, finished: false, _permit: permit }, room)
    }

    /// Counts what came in over the network.
    pub(super) fn count_received(&self, body: &Bytes) {
        self.stats.received_bytes.fetch_add(body.len() as u64, Relaxed);
    }

    /// The bounds of a decompressed request.
    pub(super) fn scan_limits(&self) -> ScanLimits {
        let Limits { max_items, max_messages, max_depth, .. } = self.limits;
        ScanLimits { max_items, max_messages, max_depth }
    }

    /// Proves a decompressed protobuf request, unless its consumer does, and hands it on.
    pub(super) async fn consume(
        &self,
        signal: Signal,
        headers: &HeaderMap,
        body: Bytes,
        held: &mut Held,
    ) -> Result<Accepted, Failure> {
        let batch = agent_link::parse(signal, |name| headers.get(name).map(|value| value.as_bytes()))?;
        let walk = if self.consumer.proves(signal) { count_items } else { scan };
        let Scanned { items, messages } = walk(signal, &body, &self.scan_limits())?;
        held.take_messages(messages)?;
        let accepted = self.consumer.consume(Export { signal, body, batch, items }).await?;
        self.stats.accepted_requests.fetch_add(1, Relaxed);
        self.stats.accepted_items.fetch_add(items.saturating_sub(accepted.rejected), Relaxed);
        self.stats.rejected_items.fetch_add(accepted.rejected, Relaxed);
        Ok(accepted)
    }
}

impl InFlight<'_> {
    /// Ends a request and counts why it failed, where it did.
    pub(super) fn finish(mut self, result: &Result<Accepted, Failure>) {
        self.finished = true;
        if let Err(failure) = result {
            self.stats.count_refused(failure.reason);
        }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.stats.in_flight.fetch_sub(1, Relaxed);
        if !self.finished {
            self.stats.count_refused(Reason::Abandoned);
        }
    }
}

/// The answer to a signal that Sonde does not store.
pub(super) fn no_logs() -> Failure {
    let message = "logs are not taken by Sonde: send metrics and traces, and logs to another backend";
    Failure::new(Reason::Unsupported, Code::Unimplemented, StatusCode::NOT_FOUND, message)
}
