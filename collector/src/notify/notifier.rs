//! The receivers, and the task that sends what is due for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use reqwest::Client;
use sonde_alerting::{AlertInstance, DispatchOptions, Dispatcher, GroupBy, GroupMemory, Notification};
use sonde_model::TimestampMs;
use sonde_runtime::{Clock, config};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::delivery::{self, Attempt, ClientError};
use super::json;
use super::stats::{ReceiverStats, Stats, add};
use crate::config::WebhookConfig;
use crate::silences::Silences;
use crate::state::{Change, CommitError, Done, State};

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
    state: OnceLock<State>,
    silences: Silences,
    /// Held while something is decided and handed to the state database, so that it stands there in the order of the decisions.
    deciding: Mutex<()>,
    /// A commit failed: the next one brings everything.
    incomplete: Arc<AtomicBool>,
}

/// What an evaluation says about the alerts of a rule.
#[derive(Clone, Debug)]
pub struct News {
    /// Alerts that fire or have been resolved.
    pub alerts: Vec<AlertInstance>,
    /// A link to the expression; empty leaves the one that is known.
    pub generator_url: String,
}

struct Receiver {
    options: WebhookOptions,
    /// Shared with the receiver of this name before the last reload.
    dispatcher: Arc<Mutex<Dispatcher>>,
    stats: Arc<ReceiverStats>,
}

impl Notifier {
    /// No receivers yet: [`Notifier::configure`] brings them.
    pub fn new(clock: Clock) -> Result<Self, ClientError> {
        let inner = Inner {
            silences: Silences::new(clock.clone()),
            clock,
            client: delivery::client()?,
            receivers: ArcSwap::default(),
            stats: Mutex::default(),
            changed: Notify::new(),
            state: OnceLock::new(),
            deciding: Mutex::default(),
            incomplete: Arc::default(),
        };
        Ok(Notifier { inner: Arc::new(inner) })
    }

    /// Takes up what receivers were to be told and had been told before the start, and keeps it in the database from now on.
    /// Receivers that are not configured any more are forgotten.
    pub fn recall(&self, state: State, outbox: BTreeMap<String, Vec<GroupMemory>>) {
        let mut forgotten = Vec::new();
        let deciding = self.inner.deciding.lock();
        let receivers = self.inner.receivers.load();
        for (name, groups) in outbox {
            match receivers.iter().find(|receiver| receiver.stats.name == name) {
                Some(receiver) => {
                    let mut dispatcher = receiver.dispatcher.lock();
                    dispatcher.restore(groups);
                    receiver.count(&dispatcher);
                }
                None => forgotten.push(Change::ReceiverGone(name)),
            }
        }
        if self.inner.state.set(state).is_err() {
            tracing::error!("the outbox was recalled twice");
        }
        // Alerts may be grouped in another way by now.
        self.inner.incomplete.store(true, Ordering::Relaxed);
        self.inner.hand_over(forgotten, Box::new(|_| {}));
        drop(deciding);
        self.inner.changed.notify_one();
    }

    /// Replaces the receivers. One that has the name of an old one goes on with what that was told, as far as alerts are
    /// grouped in the same way; others start anew.
    pub fn configure(&self, webhooks: Vec<WebhookOptions>) {
        let deciding = self.inner.deciding.lock();
        let old = self.inner.receivers.load();
        let receivers: Vec<_> = webhooks
            .into_iter()
            .map(|options| {
                let name = &options.dispatch.receiver;
                match old.iter().find(|receiver| receiver.stats.name == *name) {
                    Some(same) if same.options == options => Arc::clone(same),
                    Some(same) => Arc::new(same.reconfigure(options)),
                    None => Arc::new(self.receiver(options)),
                }
            })
            .collect();
        let is_gone = |name: &str| receivers.iter().all(|receiver| receiver.stats.name != name);
        let gone = old.iter().map(|receiver| receiver.stats.name.clone()).filter(|name| is_gone(name));
        let gone = gone.map(Change::ReceiverGone).collect();
        self.inner.receivers.store(Arc::new(receivers));
        self.inner.hand_over(gone, Box::new(|_| {}));
        drop(deciding);
        self.inner.changed.notify_one();
    }

    fn receiver(&self, options: WebhookOptions) -> Receiver {
        let name = options.dispatch.receiver.clone();
        let fresh = || Arc::new(ReceiverStats { name: name.clone(), ..ReceiverStats::default() });
        let stats = Arc::clone(self.inner.stats.lock().entry(name.clone()).or_insert_with(fresh));
        let dispatcher = Arc::new(Mutex::new(Dispatcher::new(options.dispatch.clone())));
        Receiver { dispatcher, options, stats }
    }

    /// Takes what an evaluation says about alerts, and commits it together with what else changed. Blocks until it is durable,
    /// not on the network. Where it cannot be made durable, receivers are told all the same.
    pub fn record(&self, news: &[News], changes: Vec<Change>, now: TimestampMs) -> Result<(), CommitError> {
        let (sender, committed) = std::sync::mpsc::sync_channel(1);
        let deciding = self.inner.deciding.lock();
        for receiver in self.inner.receivers.load().iter() {
            receiver.take(news, now);
        }
        // Nobody waits any more only where this thread has panicked.
        self.inner.hand_over(changes, Box::new(move |result| drop(sender.send(result))));
        drop(deciding);
        let result = committed.recv().unwrap_or(Err(CommitError::Closed));
        self.inner.changed.notify_one();
        result
    }

    /// What nobody is to be told.
    pub fn silences(&self) -> &Silences {
        &self.inner.silences
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
            tracing::warn!("notifications that were under way are sent again after the next start");
        }
    }

    /// Starts what is due and says how long to sleep.
    fn start_due(&self, token: &CancellationToken, sending: &mut JoinSet<()>) -> Duration {
        let now = self.inner.clock.now_ms();
        let mut next = TimestampMs::MAX;
        let _in_order = self.inner.deciding.lock();
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
        self.inner.hand_over(Vec::new(), Box::new(|_| {}));
        Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)).min(MAX_SLEEP)
    }
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

impl Inner {
    /// Hands changes to the state database, and with them what has changed for receivers. `deciding` must be locked.
    fn hand_over(&self, mut changes: Vec<Change>, done: Done) {
        let Some(state) = self.state.get() else { return done(Ok(())) };
        let whole = self.incomplete.swap(false, Ordering::Relaxed);
        for receiver in self.receivers.load().iter() {
            let name = &receiver.stats.name;
            let mut dispatcher = receiver.dispatcher.lock();
            let changed = if whole {
                changes.push(Change::ReceiverGone(name.clone()));
                dispatcher.memory().into_iter().map(|memory| (memory.key.clone(), Some(memory))).collect()
            } else {
                dispatcher.changes()
            };
            let outbox = |(key, memory)| Change::Outbox { receiver: name.clone(), key, memory };
            changes.extend(changed.into_iter().map(outbox));
        }
        let incomplete = Arc::clone(&self.incomplete);
        let has_changes = !changes.is_empty();
        state.commit(
            changes,
            Box::new(move |result| {
                if result.is_err() && has_changes {
                    incomplete.store(true, Ordering::Relaxed);
                }
                done(result);
            }),
        );
    }

    /// Does something about a receiver and waits until it, and everything before it, is durable. That it cannot be made
    /// durable has been logged and counted.
    async fn durably(&self, decide: impl FnOnce()) {
        let (sender, committed) = tokio::sync::oneshot::channel();
        {
            let _in_order = self.deciding.lock();
            decide();
            // Nobody waits any more where the task was given up.
            self.hand_over(Vec::new(), Box::new(move |result| drop(sender.send(result))));
        }
        drop(committed.await);
    }
}

impl Receiver {
    /// The same receiver with other options.
    fn reconfigure(&self, options: WebhookOptions) -> Self {
        self.dispatcher.lock().reconfigure(options.dispatch.clone());
        Receiver { options, dispatcher: Arc::clone(&self.dispatcher), stats: Arc::clone(&self.stats) }
    }

    fn take(&self, news: &[News], now: TimestampMs) {
        let mut dispatcher = self.dispatcher.lock();
        for News { alerts, generator_url } in news {
            for alert in alerts {
                if !dispatcher.take(alert, generator_url, now) {
                    add(&self.stats.dropped_alerts);
                }
            }
        }
        self.count(&dispatcher);
    }

    /// Tries until the receiver has the notification, refuses it, or too much time has gone.
    async fn deliver(&self, inner: &Inner, notification: Notification, token: &CancellationToken) {
        // What is told must not be forgotten: first comes the disk.
        inner.durably(|| {}).await;
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
        let end = || {
            let mut dispatcher = self.dispatcher.lock();
            match &outcome {
                Ok(()) => dispatcher.delivered(&notification, inner.clock.now_ms()),
                Err(_) => dispatcher.failed(&notification),
            }
            self.count(&dispatcher);
        };
        inner.durably(end).await;
        match outcome {
            Ok(()) => add(&self.stats.delivered),
            Err(reason) => {
                add(&self.stats.failed);
                tracing::warn!(receiver = name, group = %notification.payload.group_key, "a notification failed: {reason}");
            }
        }
        inner.changed.notify_one();
    }

    fn count(&self, dispatcher: &Dispatcher) {
        self.stats.alerts.store(dispatcher.alerts() as u64, Ordering::Relaxed);
    }
}
