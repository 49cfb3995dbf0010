//! The task that collects host metrics at their interval.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use sonde_runtime::Clock;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Host, Slow, slow_patience};
use crate::config::{HostConfig, HostReceiver};
use crate::origin::Origin;
use crate::queue::{Queue, Source};
use crate::schedule::{Tick, Ticks};

/// What the task counts.
#[derive(Debug, Default)]
pub struct HostStats {
    /// Collections.
    pub collections: AtomicU64,
    /// Time that collections took, encoding included, in microseconds.
    pub busy_us: AtomicU64,
    /// Collections that did not happen because the one before took too long.
    pub missed: AtomicU64,
    /// Jumps of wall time.
    pub clock_jumps: AtomicU64,
    /// How far wall time has jumped in all, in milliseconds, backwards negative.
    pub clock_jumped_ms: AtomicI64,
    failed: [AtomicU64; HostReceiver::ALL.len()],
}

impl HostStats {
    /// Readings of `receiver` that failed.
    pub fn failed(&self, receiver: HostReceiver) -> u64 {
        self.failed[receiver as usize].load(Relaxed)
    }
}

/// Collects until `stop` is cancelled; begins anew when the configuration changes.
pub async fn run(
    queue: Arc<Queue>,
    origin: Arc<Origin>,
    clock: Clock,
    stats: Arc<HostStats>,
    mut config: watch::Receiver<HostConfig>,
    stop: CancellationToken,
) {
    loop {
        let current = config.borrow_and_update().clone();
        let collecting = collect(&queue, &origin, &clock, &stats, current);
        tokio::select! {
            () = collecting => {}
            changed = config.changed() => match changed {
                Ok(()) => tracing::info!("host receivers: the configuration has changed"),
                // The sender lives as long as the program: it is ending.
                Err(_) => return,
            },
            () = stop.cancelled() => return,
        }
    }
}

async fn collect(queue: &Arc<Queue>, origin: &Origin, clock: &Clock, stats: &HostStats, config: HostConfig) {
    if config.receivers.is_empty() {
        return std::future::pending().await;
    }
    let mut ticks = Ticks::new(clock.clone(), config.interval.0, std::time::Duration::ZERO);
    let mut host = Host::new(config.clone(), clock.now_ns());
    let mut slow = config.has_slow().then(|| Slow::new(config.clone()));
    let patience = slow_patience(config.interval.0);
    let mut slow_due = clock.monotonic();
    loop {
        let tick = ticks.next().await;
        note(tick, stats);
        let mut reading = None;
        if let Some(slow) = slow.as_mut().filter(|_| clock.monotonic() >= slow_due) {
            // A little early, so that an interval that is a multiple of the other does not miss its tick.
            slow_due = clock.monotonic() + config.slow_interval.0.saturating_sub(config.interval.0 / 2);
            reading = slow.read(patience).await;
            if reading.is_none() {
                stats.failed[HostReceiver::Filesystem as usize].fetch_add(1, Relaxed);
            }
        }
        let began = clock.monotonic();
        let collection = host.collect(tick.time_ns, reading.as_ref());
        for receiver in &collection.failed {
            stats.failed[*receiver as usize].fetch_add(1, Relaxed);
        }
        let batch = collection.payload.encode(&origin.resource, &origin.scope);
        queue.offer(Source::Host, &batch, tick.time_ns / 1_000_000);
        let took = clock.monotonic().saturating_sub(began);
        stats.busy_us.fetch_add(u64::try_from(took.as_micros()).unwrap_or(0), Relaxed);
        stats.collections.fetch_add(1, Relaxed);
    }
}

fn note(tick: Tick, stats: &HostStats) {
    stats.missed.fetch_add(tick.missed, Relaxed);
    if tick.jumped_ms != 0 {
        tracing::warn!("the clock of this host jumped by {} ms", tick.jumped_ms);
        stats.clock_jumps.fetch_add(1, Relaxed);
        stats.clock_jumped_ms.fetch_add(tick.jumped_ms, Relaxed);
    }
}
