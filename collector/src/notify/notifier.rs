//! The receivers, and the task that sends what is due for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use reqwest::Client;
use sonde_alerting::{AlertInstance, Dispatcher, Failure, GroupMemory, LaneId, Notification, Target};
use sonde_model::{Labels, TimestampMs};
use sonde_runtime::Clock;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::asked::Asked;
use super::delivery::{self, Attempt, ClientError};
use super::json;
use super::setup::{Setup, Webhook};
use super::stats::{ReceiverStats, Stats, add};
use crate::silences::Silences;
use crate::state::{Change, CommitError, Done, State};

/// The longest sleep of the task: so long may a jump of the clock go unnoticed.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// The wait before the second attempt; it doubles from there.
const FIRST_BACKOFF: Duration = Duration::from_millis(500);
/// No wait between attempts is longer, unless the receiver asks for it.
const MAX_BACKOFF: Duration = Duration::from_secs(15);
/// After this long a notification is given up; what is due then goes out anew, with what has changed meanwhile.
const MAX_ELAPSED: Duration = Duration::from_secs(60);
/// How long attempts that run may take once the process is to end.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The receivers of alerts. Clones share them.
#[derive(Clone)]
pub struct Notifier {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Clock,
    client: Client,
    webhooks: ArcSwap<BTreeMap<Target, Webhook>>,
    /// By name of the receiver, so that a reload keeps counting.
    stats: Mutex<BTreeMap<Arc<str>, Arc<ReceiverStats>>>,
    /// Alerts that were dropped because for too long they could not be told.
    expired: AtomicU64,
    changed: Notify,
    state: OnceLock<State>,
    silences: Silences,
    /// Locked while something is decided and handed to the state database, so that it stands there in the order of the
    /// decisions.
    dispatcher: Mutex<Dispatcher>,
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

impl Notifier {
    /// No receivers yet: [`Notifier::configure`] brings them.
    pub fn new(clock: Clock) -> Result<Self, ClientError> {
        let inner = Inner {
            silences: Silences::new(clock.clone()),
            clock,
            client: delivery::client()?,
            webhooks: ArcSwap::default(),
            stats: Mutex::default(),
            expired: AtomicU64::new(0),
            changed: Notify::new(),
            state: OnceLock::new(),
            dispatcher: Mutex::new(Dispatcher::new(Setup::default().plan)),
            incomplete: Arc::default(),
        };
        Ok(Notifier { inner: Arc::new(inner) })
    }

    /// Takes up what receivers were to be told and had been told before the start, and the alerts that fired then; keeps it in
    /// the database from now on. What was remembered of receivers that are not configured any more is forgotten.
    pub fn recall(&self, state: State, outbox: Vec<(LaneId, GroupMemory)>, firing: &[Labels]) {
        let mut dispatcher = self.inner.dispatcher.lock();
        dispatcher.restore(outbox);
        firing.iter().for_each(|labels| dispatcher.recall_firing(labels));
        self.inner.count(&dispatcher);
        if self.inner.state.set(state).is_err() {
            tracing::error!("the outbox was recalled twice");
        }
        // Alerts may be routed and grouped in another way by now.
        self.inner.incomplete.store(true, Ordering::Relaxed);
        self.inner.hand_over(&mut dispatcher, Vec::new(), Box::new(|_| {}));
        drop(dispatcher);
        self.inner.changed.notify_one();
    }

    /// Replaces routes and receivers. What a webhook was told holds on as far as alerts come to it by the same route, grouped in
    /// the same way; else it is told anew.
    pub fn configure(&self, setup: Setup) {
        let mut dispatcher = self.inner.dispatcher.lock();
        for name in setup.plan.receivers().keys() {
            let fresh = || Arc::new(ReceiverStats { name: name.to_string(), ..ReceiverStats::default() });
            self.inner.stats.lock().entry(Arc::clone(name)).or_insert_with(fresh);
        }
        self.inner.webhooks.store(Arc::new(setup.webhooks));
        if *dispatcher.plan() != setup.plan {
            dispatcher.reconfigure(setup.plan);
        }
        self.inner.count(&dispatcher);
        self.inner.hand_over(&mut dispatcher, Vec::new(), Box::new(|_| {}));
        drop(dispatcher);
        self.inner.changed.notify_one();
    }

    /// Takes what an evaluation says about alerts, and commits it together with what else changed. Blocks until it is durable,
    /// not on the network. Where it cannot be made durable, receivers are told all the same.
    pub fn record(&self, news: &[News], changes: Vec<Change>, now: TimestampMs) -> Result<(), CommitError> {
        let (sender, committed) = std::sync::mpsc::sync_channel(1);
        let mut dispatcher = self.inner.dispatcher.lock();
        for News { alerts, generator_url } in news {
            for alert in alerts {
                for receiver in dispatcher.take(alert, generator_url, now) {
                    add(&self.inner.stats_of(&receiver).dropped_alerts);
                }
            }
        }
        self.inner.count(&dispatcher);
        // Nobody waits any more only where this thread has panicked.
        self.inner.hand_over(&mut dispatcher, changes, Box::new(move |result| drop(sender.send(result))));
        drop(dispatcher);
        let result = committed.recv().unwrap_or(Err(CommitError::Closed));
        self.inner.changed.notify_one();
        result
    }

    /// What nobody is to be told.
    pub fn silences(&self) -> &Silences {
        &self.inner.silences
    }

    /// Looks at who is told of what. Nothing is decided meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&Dispatcher) -> T) -> T {
        look(&self.inner.dispatcher.lock())
    }

    /// The counters of all receivers, by name.
    pub fn stats(&self) -> Stats {
        self.inner.stats.lock().values().map(Arc::clone).collect()
    }

    /// Alerts that were dropped because for days after their end they could not be told.
    pub fn expired(&self) -> u64 {
        self.inner.expired.load(Ordering::Relaxed)
    }

    /// Sends what is due until the token is cancelled; attempts that run then get a moment to end.
    pub async fn run(self, token: CancellationToken) {
        let mut sending = JoinSet::new();
        loop {
            let wait = self.start_due(&token, &mut sending).await;
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
    async fn start_due(&self, token: &CancellationToken, sending: &mut JoinSet<()>) -> Duration {
        let inner = Arc::clone(&self.inner);
        let decided = match tokio::task::spawn_blocking(move || inner.decide()).await {
            Ok(decided) => decided,
            Err(error) => {
                tracing::error!("what is due could not be decided: {error}");
                return MAX_SLEEP;
            }
        };
        for notification in decided.due {
            let (inner, token) = (Arc::clone(&self.inner), token.clone());
            sending.spawn(async move { inner.deliver(notification, &token).await });
        }
        decided.sleep
    }
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").finish_non_exhaustive()
    }
}

/// What is sent now, and when to look again.
struct Decided {
    due: Vec<Notification>,
    sleep: Duration,
}

impl Inner {
    /// Decides what is due. Blocks: many alerts and silences take their time.
    fn decide(&self) -> Decided {
        let now = self.clock.now_ms();
        // Silences are asked before the lock is taken, because regular expressions may be slow and rules wait for the lock.
        let asked = Asked::new(self.silences.current(), self.dispatcher.lock().due_alerts(now), now);
        let mut dispatcher = self.dispatcher.lock();
        let silences = self.silences.current();
        let due = dispatcher.due(now, &|labels| asked.is_silenced(labels, &silences, now));
        let next = dispatcher.next_due().unwrap_or(TimestampMs::MAX);
        self.expired.store(dispatcher.expired(), Ordering::Relaxed);
        self.count(&dispatcher);
        self.hand_over(&mut dispatcher, Vec::new(), Box::new(|_| {}));
        let sleep = Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)).min(MAX_SLEEP);
        Decided { due, sleep }
    }

    /// Hands changes to the state database, and with them what has changed for receivers.
    fn hand_over(&self, dispatcher: &mut Dispatcher, mut changes: Vec<Change>, done: Done) {
        let Some(state) = self.state.get() else { return done(Ok(())) };
        if self.incomplete.swap(false, Ordering::Relaxed) {
            changes.push(Change::Outbox(dispatcher.memory()));
        } else {
            changes.extend(dispatcher.changes().into_iter().map(Change::OutboxGroup));
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

    /// Decides something and waits until it, and everything before it, is durable. That it cannot be made durable has been
    /// logged and counted.
    async fn durably(&self, decide: impl FnOnce(&mut Dispatcher)) {
        let (sender, committed) = tokio::sync::oneshot::channel();
        {
            let mut dispatcher = self.dispatcher.lock();
            decide(&mut dispatcher);
            // Nobody waits any more where the task was given up.
            self.hand_over(&mut dispatcher, Vec::new(), Box::new(move |result| drop(sender.send(result))));
        }
        drop(committed.await);
    }

    /// Tries until the receiver has the notification, refuses it, or too much time has gone.
    async fn deliver(&self, notification: Notification, token: &CancellationToken) {
        // What is told must not be forgotten: first comes the disk.
        self.durably(|_| {}).await;
        let stats = self.stats_of(&notification.lane.target.receiver);
        let outcome = self.attempt(&notification, &stats, token).await;
        let end = |dispatcher: &mut Dispatcher| {
            let now = self.clock.now_ms();
            match &outcome {
                Ok(()) => dispatcher.delivered(&notification, now),
                Err((failure, _)) => dispatcher.failed(&notification, *failure, now),
            }
            self.count(dispatcher);
        };
        self.durably(end).await;
        match outcome {
            Ok(()) => add(&stats.delivered),
            Err((_, reason)) => {
                add(&stats.failed);
                let (receiver, group) = (&stats.name, &notification.payload.group_key);
                tracing::warn!(receiver, %group, "a notification failed and is due again: {reason}");
            }
        }
        self.changed.notify_one();
    }

    async fn attempt(
        &self,
        notification: &Notification,
        stats: &ReceiverStats,
        token: &CancellationToken,
    ) -> Result<(), (Failure, String)> {
        let Some(webhook) = self.webhooks.load().get(&notification.lane.target).cloned() else {
            return Err((Failure::Refused, "the receiver is not configured any more".to_owned()));
        };
        let body = json::body(&notification.payload);
        let give_up = self.clock.monotonic() + MAX_ELAPSED;
        let mut backoff = FIRST_BACKOFF;
        loop {
            match delivery::attempt(&self.client, &webhook, self.clock.now_ms(), body.clone()).await {
                Attempt::Delivered => return Ok(()),
                Attempt::Refused(reason) => return Err((Failure::Refused, reason)),
                Attempt::Retry { after, reason } => {
                    let wait = after.unwrap_or_else(|| backoff.mul_f64(0.5 + fastrand::f64()));
                    if self.clock.monotonic() + wait > give_up {
                        let asked = after.map(|after| i64::try_from(after.as_millis()).unwrap_or(i64::MAX));
                        return Err((asked.map_or(Failure::Away, Failure::Busy), reason));
                    }
                    tracing::debug!(receiver = stats.name, "a notification is tried again in {wait:?}: {reason}");
                    tokio::select! {
                        () = self.clock.sleep(wait) => {}
                        () = token.cancelled() => return Err((Failure::Away, reason)),
                    }
                    add(&stats.retries);
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
            }
        }
    }

    fn stats_of(&self, receiver: &Arc<str>) -> Arc<ReceiverStats> {
        let fresh = || Arc::new(ReceiverStats { name: receiver.to_string(), ..ReceiverStats::default() });
        Arc::clone(self.stats.lock().entry(Arc::clone(receiver)).or_insert_with(fresh))
    }

    fn count(&self, dispatcher: &Dispatcher) {
        let counts = dispatcher.alerts();
        for (name, stats) in self.stats.lock().iter() {
            stats.alerts.store(counts.get(name).copied().unwrap_or_default() as u64, Ordering::Relaxed);
        }
    }
}
