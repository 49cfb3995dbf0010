//! Alerts that other senders post: taken, durable before they are answered, told by the same road as alerts of rules, and
//! resolved when nobody repeats them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sonde_alerting::received::{PostError, Posted, Received, ReceivedAlerts};
use sonde_model::TimestampMs;
use sonde_runtime::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::notify::{News, Notifier};
use crate::state::{Change, CommitError};

/// The longest sleep of the task: so long may a jump of the clock go unnoticed.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// The shortest: after alerts that ended together, and where the database does not take an end.
const MIN_SLEEP: Duration = Duration::from_millis(100);

/// The alerts of other senders. Clones share them.
#[derive(Clone)]
pub(crate) struct Inbox {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    notifier: Notifier,
    alerts: ArcSwap<ReceivedAlerts>,
    /// Held until what was decided is durable, so that the next decision builds on it.
    deciding: Mutex<()>,
    changed: Notify,
    taken: AtomicU64,
    refused: AtomicU64,
}

impl Inbox {
    /// No alerts yet: [`Inbox::recall`] brings those from before the start.
    pub(crate) fn new(clock: Clock, notifier: Notifier) -> Self {
        let (alerts, deciding) = (ArcSwap::default(), Mutex::default());
        let (taken, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        let inner = Inner { clock, notifier, alerts, deciding, changed: Notify::new(), taken, refused };
        Inbox { inner: Arc::new(inner) }
    }

    /// Takes up what was there before the start.
    pub(crate) fn recall(&self, received: Vec<Received>) {
        self.inner.alerts.store(Arc::new(ReceivedAlerts::restore(received)));
        self.inner.changed.notify_one();
    }

    /// The alerts that fire.
    pub(crate) fn current(&self) -> Arc<ReceivedAlerts> {
        self.inner.alerts.load_full()
    }

    /// Alerts that were taken, each time that they came.
    pub(crate) fn taken(&self) -> u64 {
        self.inner.taken.load(Ordering::Relaxed)
    }

    /// Alerts that were not taken because they make no sense or are too many.
    pub(crate) fn refused(&self) -> u64 {
        self.inner.refused.load(Ordering::Relaxed)
    }

    /// Takes alerts, and says why it does not take others. Blocks until they are durable; where that fails they are taken all
    /// the same, and the sender repeats them.
    pub(crate) fn post(&self, posted: Vec<Posted>) -> Result<Vec<PostError>, CommitError> {
        let now = self.inner.clock.now_ms();
        let _one_at_a_time = self.inner.deciding.lock();
        let mut set = ReceivedAlerts::clone(&self.inner.alerts.load());
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        for alert in posted {
            match set.post(alert, now) {
                Ok(alert) => taken.push(alert),
                Err(error) => refused.push(error),
            }
        }
        self.inner.taken.fetch_add(taken.len() as u64, Ordering::Relaxed);
        self.inner.refused.fetch_add(refused.len() as u64, Ordering::Relaxed);
        let told = self.inner.tell(&taken, now);
        self.inner.alerts.store(Arc::new(set));
        self.inner.changed.notify_one();
        told.map(|()| refused)
    }

    /// Resolves alerts when they end, until the token is cancelled.
    pub(crate) async fn run(self, token: CancellationToken) {
        loop {
            let inner = Arc::clone(&self.inner);
            let resolving = tokio::task::spawn_blocking(move || inner.resolve_ended());
            let next = resolving.await.unwrap_or(MAX_SLEEP);
            tokio::select! {
                () = token.cancelled() => return,
                () = self.inner.changed.notified() => {}
                () = self.inner.clock.sleep(next) => {}
            }
        }
    }
}

impl Inner {
    /// Resolves what has ended and says how long to sleep.
    fn resolve_ended(&self) -> Duration {
        let now = self.clock.now_ms();
        let _one_at_a_time = self.deciding.lock();
        if self.alerts.load().next_end().is_some_and(|end| end <= now) {
            let mut set = ReceivedAlerts::clone(&self.alerts.load());
            let ended = set.take_ended(now);
            // Where it cannot be made durable receivers are told all the same; that has been logged.
            drop(self.tell(&ended, now));
            self.alerts.store(Arc::new(set));
        }
        let next =
            self.alerts.load().next_end().map_or(MAX_SLEEP, |end| {
                Duration::from_millis(u64::try_from(end.saturating_sub(now)).unwrap_or_default())
            });
        next.clamp(MIN_SLEEP, MAX_SLEEP)
    }

    fn tell(&self, alerts: &[Received], now: TimestampMs) -> Result<(), CommitError> {
        if alerts.is_empty() {
            return Ok(());
        }
        let news =
            |alert: &Received| News { alerts: vec![alert.instance(now)], generator_url: alert.generator_url.clone() };
        let change = |alert: &Received| {
            if alert.ends_at <= now {
                Change::ReceivedGone(alert.labels.clone())
            } else {
                Change::Received(alert.clone())
            }
        };
        let news: Vec<News> = alerts.iter().map(news).collect();
        self.notifier.record(&news, alerts.iter().map(change).collect(), now)
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inbox").field("alerts", &self.current().iter().len()).finish_non_exhaustive()
    }
}
