//! The receivers, and the task that sends what is due for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use reqwest::Client;
use sonde_alerting::{AlertInstance, DispatchOptions, Dispatcher, GroupBy, Notification};
use sonde_model::TimestampMs;
use sonde_runtime::{Clock, config};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::delivery::{self, Attempt, ClientError};
use super::json;
use super::stats::{ReceiverStats, Stats, add};
use crate::config::WebhookConfig;

/// The longest sleep of the task: so long may a jump of the clock go unnoticed.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// Notifications that are under way at a time, over all receivers.
const MAX_IN_FLIGHT: usize = 32;
/// The wait before the second attempt; it doubles from there.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// No wait between attempts is longer, unless the receiver asks for it.
const MAX_BACKOFF: Duration = Duration::from_secs(15);
/// After this long a notification is given up; what is due then goes out anew, with what has changed meanwhile.
const MAX_ELAPSED: Duration = Duration::from_secs(60);
/// The name in `group_by` that makes every alert a group of its own, as in Alertmanager.
const GROUP_BY_ALL: &str = "...";
/// How long attempts that run may take once the process is to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// One webhook, ready to be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookOptions {
    /// Where to post.
    pub url: String,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The name of the receiver, and when it is sent what.
    pub dispatch: DispatchOptions,
}

impl WebhookOptions {
    /// What the configuration says about a webhook. `external_url` is where people find this collector.
    pub fn new(config: &WebhookConfig, external_url: &str) -> Self {
        let millis = |duration: config::Duration| i64::try_from(duration.0.as_millis()).unwrap_or(i64::MAX);
        let all = config.group_by.iter().any(|name| name == GROUP_BY_ALL);
        let dispatch = DispatchOptions {
            receiver: config.name.clone(),
            group_by: if all { GroupBy::All } else { GroupBy::Labels(config.group_by.clone()) },
            group_wait_ms: millis(config.group_wait),
            group_interval_ms: millis(config.group_interval),
            repeat_interval_ms: millis(config.repeat_interval),
            send_resolved: config.send_resolved,
            max_alerts: config.max_alerts,
            external_url: external_url.to_owned(),
        };
        WebhookOptions { url: config.url.clone(), timeout: config.timeout.0, dispatch }
    }
}

/// The receivers of alerts. Clones share them.
#[derive(Clone)]
pub struct Notifier {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    client: Client,
    receivers: ArcSwap<Vec<Arc<Receiver>>>,
    /// By name, so that a reload keeps counting.
    stats: Mutex<BTreeMap<String, Arc<ReceiverStats>>>,
    changed: Notify,
}

struct Receiver {
    options: WebhookOptions,
    dispatcher: Mutex<Dispatcher>,
    stats: Arc<ReceiverStats>,
}

impl Notifier {
    /// No receivers yet: [`Notifier::configure`] brings them.
    pub fn new(clock: Clock) -> Result<Self, ClientError> {
        let inner = Inner {
            clock,
            client: delivery::client()?,
            receivers: ArcSwap::default(),
            stats: Mutex::default(),
            changed: Notify::new(),
        };
        Ok(Notifier { inner: Arc::new(inner) })
    }

    /// Replaces the receivers. Those whose options stay keep what they remember; others start anew and are told what fires.
    pub fn configure(&self, webhooks: Vec<WebhookOptions>) {
        let old = self.inner.receivers.load();
        let receivers = webhooks.into_iter().map(|options| {
            let same = old.iter().find(|receiver| receiver.options == options);
            same.map_or_else(|| Arc::new(self.receiver(options)), Arc::clone)
        });
        let receivers = receivers.collect();
        self.inner.receivers.store(Arc::new(receivers));
        self.inner.changed.notify_one();
    }

    fn receiver(&self, options: WebhookOptions) -> Receiver {
        let name = options.dispatch.receiver.clone();
        let fresh = || Arc::new(ReceiverStats { name: name.clone(), ..ReceiverStats::default() });
        let stats = Arc::clone(self.inner.stats.lock().entry(name.clone()).or_insert_with(fresh));
        Receiver { dispatcher: Mutex::new(Dispatcher::new(options.dispatch.clone())), options, stats }
    }

    /// Takes the news about alerts of one rule: they fire, or have been resolved. Does not block on the network.
    pub fn take(&self, alerts: &[AlertInstance], generator_url: &str, now: TimestampMs) {
        if alerts.is_empty() {
            return;
        }
        for receiver in self.inner.receivers.load().iter() {
            let mut dispatcher = receiver.dispatcher.lock();
            for alert in alerts {
                if !dispatcher.take(alert, generator_url, now) {
                    add(&receiver.stats.dropped_alerts);
                }
            }
            receiver.count(&dispatcher);
        }
        self.inner.changed.notify_one();
    }

    /// The counters of all receivers, by name.
    pub fn stats(&self) -> Stats {
        self.inner.stats.lock().values().map(Arc::clone).collect()
    }

    /// Sends what is due until the token is cancelled; attempts that run then get a moment to end.
    pub async fn run(self, token: CancellationToken) {
        let mut sending = JoinSet::new();
        loop {
            let wait = self.start_due(&token, &mut sending);
            tokio::select! {
                () = token.cancelled() => break,
                () = self.inner.changed.notified() => {}
                () = self.inner.clock.sleep(wait) => {}
                Some(_) = sending.join_next() => {}
            }
        }
        let rest = async { while sending.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
            tracing::warn!("notifications that were under way are lost");
        }
    }

    /// Starts what is due and says how long to sleep.
    fn start_due(&self, token: &CancellationToken, sending: &mut JoinSet<()>) -> Duration {
        let now = self.inner.clock.now_ms();
        let mut next = TimestampMs::MAX;
        for receiver in self.inner.receivers.load().iter() {
            let mut dispatcher = receiver.dispatcher.lock();
            let room = MAX_IN_FLIGHT.saturating_sub(sending.len());
            for notification in dispatcher.due(now, room) {
                let (inner, receiver, token) = (Arc::clone(&self.inner), Arc::clone(receiver), token.clone());
                sending.spawn(async move { receiver.deliver(&inner, notification, &token).await });
            }
            if sending.len() < MAX_IN_FLIGHT {
                next = next.min(dispatcher.next_due().unwrap_or(TimestampMs::MAX));
            }
        }
        Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)).min(MAX_SLEEP)
    }
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

impl Receiver {
    /// Tries until the receiver has the notification, refuses it, or too much time has gone.
    async fn deliver(&self, inner: &Inner, notification: Notification, token: &CancellationToken) {
        let name = &self.stats.name;
        let body = json::body(&notification.payload);
        let give_up = inner.clock.monotonic() + MAX_ELAPSED;
        let mut backoff = FIRST_BACKOFF;
        let outcome = loop {
            match delivery::attempt(&inner.client, &self.options.url, self.options.timeout, body.clone()).await {
                Attempt::Delivered => break Ok(()),
                Attempt::Refused(reason) => break Err(reason),
                Attempt::Retry { after, reason } => {
                    let wait = after.unwrap_or_else(|| backoff.mul_f64(0.5 + fastrand::f64()));
                    if inner.clock.monotonic() + wait > give_up {
                        break Err(reason);
                    }
                    tracing::debug!(receiver = name, "a notification is tried again in {wait:?}: {reason}");
                    tokio::select! {
                        () = inner.clock.sleep(wait) => {}
                        () = token.cancelled() => break Err(reason),
                    }
                    add(&self.stats.retries);
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        };
        let mut dispatcher = self.dispatcher.lock();
        match outcome {
            Ok(()) => {
                add(&self.stats.delivered);
                dispatcher.delivered(&notification, inner.clock.now_ms());
            }
            Err(reason) => {
                add(&self.stats.failed);
                tracing::warn!(receiver = name, group = %notification.payload.group_key, "a notification failed: {reason}");
                dispatcher.failed(&notification);
            }
        }
        self.count(&dispatcher);
        inner.changed.notify_one();
    }

    fn count(&self, dispatcher: &Dispatcher) {
        self.stats.alerts.store(dispatcher.alerts() as u64, Ordering::Relaxed);
    }
}
