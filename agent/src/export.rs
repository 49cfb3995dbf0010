//! The exporter task: sends what waits in the queue, in order, a few batches under way at once, until it is taken.
//!
//! Batches under way may overtake each other. That does no harm to values that stand for themselves, but a delta that
//! comes after a later one cannot be added any more: of batches with deltas only one is under way.
//!
//! It retries for ever with backoff: what a collector cannot take now stays on disk. Only what a collector refuses for
//! good is given up, and leaves a gap.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sonde_model::Signal;
use sonde_otlp::exporter::{Backoff, BackoffOptions, ExportError, Exporter};
use sonde_otlp::{Accepted, Export};
use sonde_proto::otlp::MetricsRequestView;
use sonde_runtime::Clock;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::queue::{DropReason, Queue, QueueReader, Queued};

/// How often the cursor's file is written while batches are delivered. After a crash at most what was delivered since
/// is sent again, which the collector recognises.
const PERSIST_INTERVAL: Duration = Duration::from_secs(5);
/// How long to wait when the queue itself cannot be read.
const READ_RETRY: Duration = Duration::from_secs(1);

/// What the exporter counts.
#[derive(Debug, Default)]
pub struct ExportStats {
    /// Batches that the collector refused for good.
    pub refused_batches: AtomicU64,
    /// Gauge: attempts that failed in a row.
    pub failures_in_a_row: AtomicU64,
}

/// How the exporter behaves.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// How many batches may be under way at once.
    pub max_in_flight: usize,
    /// How long to wait between attempts.
    pub backoff: BackoffOptions,
    /// How long a stop may take to send what waits.
    pub drain: Duration,
}

/// The exporter of one queue.
#[derive(Debug)]
pub struct QueueExporter {
    queue: Arc<Queue>,
    exporter: Exporter,
    options: ExportOptions,
    clock: Clock,
    stats: Arc<ExportStats>,
    reader: QueueReader,
    window: VecDeque<InFlight>,
    /// A batch that was read and waits until the one with deltas before it is taken.
    held: Option<Queued>,
    sending: JoinSet<(u64, Result<Accepted, ExportError>)>,
    /// The index of the first batch in the window, counted since the start.
    first: u64,
    backoff: Backoff,
    /// Until when nothing is sent, after a failure.
    wait_until: Option<Duration>,
    persist_at: Duration,
}

#[derive(Debug)]
struct InFlight {
    batch: Queued,
    has_deltas: bool,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Sending,
    ToRetry,
    Done,
}

impl QueueExporter {
    /// The exporter of `queue`.
    pub fn new(
        queue: Arc<Queue>,
        exporter: Exporter,
        options: ExportOptions,
        clock: Clock,
        stats: Arc<ExportStats>,
    ) -> Self {
        QueueExporter {
            reader: queue.reader(),
            backoff: Backoff::new(options.backoff.clone(), fastrand::u64(..)),
            persist_at: clock.monotonic() + PERSIST_INTERVAL,
            queue,
            exporter,
            options,
            clock,
            stats,
            window: VecDeque::new(),
            held: None,
            sending: JoinSet::new(),
            first: 0,
            wait_until: None,
        }
    }

    /// Sends until `stop` is cancelled, then what it can in the time for draining. What is left stays on disk.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.send();
            self.step(&stop, None).await;
        }
        self.drain().await;
        self.sending.abort_all();
        self.persist().await;
        let left = self.queue.stats().waiting_batches.load(Relaxed);
        if left > 0 {
            tracing::info!("{left} batches of {} stay in the queue until the next start", self.queue.signal_name());
        }
    }

    /// Sends what is left until the time is over or the collector proves to be away.
    async fn drain(&mut self) {
        let deadline = self.clock.monotonic() + self.options.drain;
        let never = CancellationToken::new();
        // One more attempt, even if the last one failed a moment ago.
        self.wait_until = None;
        let failures = self.backoff.failures();
        while self.clock.monotonic() < deadline && self.backoff.failures() <= failures {
            self.send();
            // What was appended last may still be on its way to the disk.
            if self.window.is_empty() && self.queue.stats().waiting_batches.load(Relaxed) == 0 {
                return;
            }
            self.step(&never, Some(deadline)).await;
        }
    }

    /// Waits for something to happen, and deals with it.
    async fn step(&mut self, stop: &CancellationToken, deadline: Option<Duration>) {
        let is_waiting = self.wait_until.is_some();
        let has_room = self.window.len() < self.options.max_in_flight && !is_waiting;
        let wake_at = [self.wait_until, deadline].into_iter().flatten().fold(self.persist_at, Duration::min);
        tokio::select! {
            Some(sent) = self.sending.join_next(), if !self.sending.is_empty() => {
                if let Ok((index, result)) = sent {
                    self.answered(index, result).await;
                }
            }
            () = self.queue.appended(), if has_room => {}
            () = self.clock.sleep_until(wake_at) => {}
            () = stop.cancelled() => {}
        }
        let now = self.clock.monotonic();
        if self.wait_until.is_some_and(|until| now >= until) {
            self.wait_until = None;
        }
        if now >= self.persist_at {
            self.persist().await;
        }
    }

    /// Sends what may be sent: first what is to be repeated, then what comes next in the queue.
    fn send(&mut self) {
        if self.wait_until.is_some() {
            return;
        }
        let first = self.first;
        for (offset, in_flight) in (0..).zip(self.window.iter_mut()) {
            if in_flight.state == State::ToRetry {
                in_flight.state = State::Sending;
                let batch = in_flight.batch.clone();
                spawn(&mut self.sending, self.exporter.clone(), first + offset, &batch);
            }
        }
        while self.window.len() < self.options.max_in_flight {
            let held = self.held.take();
            let was_held = held.is_some();
            match held.map_or_else(|| self.reader.next(), |held| Ok(Some(held))) {
                Ok(Some(batch)) => {
                    let has_deltas = was_held || has_deltas(&batch);
                    if has_deltas && self.window.iter().any(|sent| sent.has_deltas && sent.state != State::Done) {
                        self.held = Some(batch);
                        break;
                    }
                    spawn(&mut self.sending, self.exporter.clone(), first + self.window.len() as u64, &batch);
                    self.window.push_back(InFlight { batch, has_deltas, state: State::Sending });
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!("the queue cannot be read: {error}");
                    self.wait_until = Some(self.clock.monotonic() + READ_RETRY);
                    break;
                }
            }
        }
        let oldest = self.window.front().map_or(0, |oldest| oldest.batch.created_ms);
        self.queue.stats().oldest_ms.store(u64::try_from(oldest).unwrap_or(0), Relaxed);
    }

    async fn answered(&mut self, index: u64, result: Result<Accepted, ExportError>) {
        let position = usize::try_from(index - self.first).unwrap_or(usize::MAX);
        let Some(in_flight) = self.window.get_mut(position) else { return };
        match result {
            Ok(accepted) => {
                in_flight.state = State::Done;
                let batch = in_flight.batch.clone();
                self.taken(&batch, &accepted);
            }
            Err(ExportError::Retry { after, reason }) => {
                in_flight.state = State::ToRetry;
                self.failed(after, &reason);
            }
            Err(ExportError::Conflict { reason }) => {
                in_flight.state = State::Done;
                let batch = in_flight.batch.clone();
                self.conflict(&batch, &reason).await;
            }
            Err(ExportError::Permanent { reason }) => {
                let refused = in_flight.batch.clone();
                if refused.source.is_some() {
                    // A number that never comes is a hole that the collector's cursor carries along for thousands of batches.
                    in_flight.batch = self.queue.emptied(&refused);
                    in_flight.state = State::ToRetry;
                    self.persist_refused().await;
                } else {
                    in_flight.state = State::Done;
                }
                let what = self.queue.items_name();
                tracing::error!("the collector refused {} {what} for good: {reason}", refused.items);
                self.give_up(&refused, DropReason::Refused);
            }
        }
        while self.window.front().is_some_and(|front| front.state == State::Done) {
            if let Some(front) = self.window.pop_front() {
                self.first += 1;
                self.queue.delivered(&front.batch);
            }
        }
    }

    fn taken(&mut self, batch: &Queued, accepted: &Accepted) {
        if self.backoff.failures() > 0 {
            tracing::info!("the collector takes {} again", self.queue.signal_name());
            self.backoff.reset();
            self.stats.failures_in_a_row.store(0, Relaxed);
        }
        let stats = self.queue.stats();
        if batch.source.is_some() {
            stats.sent_batches.fetch_add(1, Relaxed);
            stats.sent_items.fetch_add(batch.items.saturating_sub(accepted.rejected), Relaxed);
            stats.rejected_items.fetch_add(accepted.rejected.min(batch.items), Relaxed);
        }
        if accepted.rejected > 0 {
            tracing::warn!(
                "the collector left out {} of {} {}: {}",
                accepted.rejected,
                batch.items,
                self.queue.items_name(),
                accepted.message
            );
        }
    }

    fn failed(&mut self, after: Option<Duration>, reason: &str) {
        // Several batches fail together when the collector goes away: that is one failure.
        if self.wait_until.is_some() {
            return;
        }
        if self.backoff.failures() == 0 {
            let what = self.queue.signal_name();
            tracing::warn!("the collector takes no {what}: {reason}; they stay on disk, trying again");
        }
        let delay = self.backoff.next_delay(after);
        self.stats.failures_in_a_row.store(u64::from(self.backoff.failures()), Relaxed);
        self.wait_until = Some(self.clock.monotonic() + delay);
    }

    /// The collector has other content under this number.
    async fn conflict(&mut self, batch: &Queued, reason: &str) {
        if batch.source.is_none() {
            // What was lost here had been taken before: so much the better.
            return;
        }
        self.give_up(batch, DropReason::Conflict);
        if batch.id.agent != self.queue.identity().agent {
            return;
        }
        let (queue, taken) = (Arc::clone(&self.queue), batch.id.agent);
        let renewed = tokio::task::spawn_blocking(move || queue.renew_identity(taken)).await;
        match renewed {
            Ok(Ok(identity)) => tracing::error!(
                "{reason}. Another agent uses the id {}, perhaps on a cloned machine; this one goes on as {}",
                batch.id.agent,
                identity.agent
            ),
            Ok(Err(error)) => tracing::error!("{reason}; and no new agent id can be kept: {error}"),
            Err(_cancelled) => {}
        }
    }

    fn give_up(&mut self, batch: &Queued, reason: DropReason) {
        self.stats.refused_batches.fetch_add(1, Relaxed);
        if let Some(source) = batch.source {
            self.queue.lose(source, reason, batch.items, batch.created_ms);
        }
    }

    /// Before the empty batch is sent, so that the number means the same after a crash.
    async fn persist_refused(&self) {
        let queue = Arc::clone(&self.queue);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || queue.persist_refused()).await {
            let error = sonde_runtime::stage::with_causes(&error);
            tracing::error!("which batches were refused cannot be written: {error}; after a crash they are sent again");
        }
    }

    async fn persist(&mut self) {
        self.persist_at = self.clock.monotonic() + PERSIST_INTERVAL;
        let queue = Arc::clone(&self.queue);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || queue.persist_cursor()).await {
            let error = sonde_runtime::stage::with_causes(&error);
            tracing::error!("the cursor of the queue cannot be written: {error}; what was sent may be sent again");
        }
    }
}

/// Whether a batch must not overtake others. One that cannot be read might.
fn has_deltas(batch: &Queued) -> bool {
    batch.id.signal == Signal::Metrics && MetricsRequestView::new(&batch.body).has_deltas().unwrap_or(true)
}

fn spawn(sending: &mut JoinSet<(u64, Result<Accepted, ExportError>)>, exporter: Exporter, index: u64, batch: &Queued) {
    let export =
        Export { signal: batch.id.signal, body: batch.body.clone(), batch: Some(batch.id), items: batch.items };
    sending.spawn(async move { (index, exporter.export(&export).await) });
}
