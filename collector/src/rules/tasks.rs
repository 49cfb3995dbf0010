//! The rule groups that are loaded, and the task that evaluates them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sonde_alerting::group::Environment;
use sonde_alerting::{AlertInstance, Group, GroupState, OutputSample, RuleFile, RuleOutput};
use sonde_model::TimestampMs;
use sonde_runtime::Clock;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::schedule::{Look, Slots};
use super::snapshot::GroupSnapshot;
use super::stats::Stats;
use super::store::RuleStore;
use crate::notify::Notifier;

/// The longest sleep of the scheduler: so long may a jump of the clock go unnoticed.
const MAX_SLEEP: Duration = Duration::from_secs(5);

/// How groups are evaluated that do not say so themselves, and what their templates see.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Time between evaluations.
    pub interval: Duration,
    /// External labels and URL, query offset.
    pub environment: Environment,
}

/// All rule groups. Clones share them.
#[derive(Clone)]
pub struct Rules {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn RuleStore>,
    notifier: Notifier,
    clock: Clock,
    settings: ArcSwap<Settings>,
    /// By file and name.
    groups: Mutex<BTreeMap<(String, String), Entry>>,
    /// Held while rules are replaced.
    loading: Mutex<()>,
    changed: Notify,
    stats: Stats,
}

#[derive(Clone)]
struct Entry {
    slots: Slots,
    task: Arc<GroupTask>,
}

/// A group that is loaded.
struct GroupTask {
    interval: Duration,
    /// `None` once the group has gone.
    state: Mutex<Option<GroupState>>,
    snapshot: ArcSwap<GroupSnapshot>,
    running: AtomicBool,
}

impl Rules {
    /// No rules yet: [`Rules::load`] brings them.
    pub fn new(store: Arc<dyn RuleStore>, notifier: Notifier, clock: Clock, settings: Settings) -> Self {
        let inner = Inner {
            store,
            notifier,
            clock,
            settings: ArcSwap::from_pointee(settings),
            groups: Mutex::default(),
            loading: Mutex::default(),
            changed: Notify::new(),
            stats: Stats::default(),
        };
        Rules { inner: Arc::new(inner) }
    }

    /// Replaces all rules. Rules that are still there keep what they remember; of the others the series end and the alerts
    /// are resolved. Blocks while an evaluation of a changed group runs.
    pub fn load(&self, files: Vec<RuleFile>, settings: Settings) {
        let _one_at_a_time = self.inner.loading.lock();
        let now = self.inner.clock.now_ms();
        let mut old: BTreeMap<_, _> =
            self.inner.groups.lock().iter().map(|(key, entry)| (key.clone(), entry.clone())).collect();
        let mut new = BTreeMap::new();
        let mut ended = Vec::new();
        for group in files.into_iter().flat_map(|file| file.groups) {
            let interval = group.interval_ms.map_or(settings.interval, |ms| Duration::from_millis(ms.unsigned_abs()));
            let key = (group.origin.clone(), group.name.clone());
            let entry = match old.remove(&key) {
                Some(entry) if entry.is_for(&group, interval) => entry,
                Some(entry) => {
                    let (entry, output) = entry.reload(&group, interval, now);
                    ended.extend(output);
                    entry
                }
                None => Entry::new(&group, interval),
            };
            new.insert(key, entry);
        }
        ended.extend(old.into_values().filter_map(|entry| Some(entry.task.state.lock().take()?.end(now))));
        self.inner.settings.store(Arc::new(settings));
        self.inner.publish(new);
        for output in ended {
            // That it failed has been counted and logged; there is no rule left whose fault it would be.
            drop(self.inner.append(output.samples));
            self.inner.notifier.take(&output.notify, "", now);
        }
        self.inner.changed.notify_one();
    }

    /// All groups, sorted by file and name, as they were after their last evaluations.
    pub fn snapshot(&self) -> Vec<Arc<GroupSnapshot>> {
        self.inner.groups.lock().values().map(|entry| entry.task.snapshot.load_full()).collect()
    }

    /// How many groups are being evaluated now.
    pub fn evaluating(&self) -> usize {
        self.inner.groups.lock().values().filter(|entry| entry.task.running.load(Ordering::Acquire)).count()
    }

    /// What has been counted.
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// Evaluates groups when their slots come, until the token is cancelled; then waits for evaluations that run.
    pub async fn run(self, token: CancellationToken) {
        let mut evaluations = JoinSet::new();
        loop {
            let now = self.inner.clock.now_ms();
            let wait = self.start_due(now, &mut evaluations);
            tokio::select! {
                () = token.cancelled() => break,
                () = self.inner.changed.notified() => {}
                () = self.inner.clock.sleep(wait) => {}
                Some(ended) = evaluations.join_next() => report(ended),
            }
        }
        while let Some(ended) = evaluations.join_next().await {
            report(ended);
        }
    }

    /// Starts the evaluations that are due and says how long to sleep.
    fn start_due(&self, now: TimestampMs, evaluations: &mut JoinSet<()>) -> Duration {
        let mut next = TimestampMs::MAX;
        for entry in self.inner.groups.lock().values_mut() {
            // A slot that is due is taken at once, and what follows is when to wake up.
            loop {
                match entry.slots.look(now) {
                    Look::Wait { until } => {
                        next = next.min(until);
                        break;
                    }
                    Look::Due { at, missed } => {
                        self.inner.stats.missed(missed);
                        self.start(at, &entry.task, evaluations);
                    }
                }
            }
        }
        Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)).min(MAX_SLEEP)
    }

    fn start(&self, at: TimestampMs, task: &Arc<GroupTask>, evaluations: &mut JoinSet<()>) {
        if task.running.swap(true, Ordering::AcqRel) {
            self.inner.stats.missed(1);
            return;
        }
        let (inner, running) = (Arc::clone(&self.inner), Running(Arc::clone(task)));
        evaluations.spawn_blocking(move || inner.evaluate(&running.0, at));
    }
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rules").field("stats", &self.inner.stats).finish_non_exhaustive()
    }
}

/// Marks a group as running until it is dropped, also by a panic.
struct Running(Arc<GroupTask>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

impl Entry {
    fn new(group: &Arc<Group>, interval: Duration) -> Self {
        let task = GroupTask::new(GroupState::new(Arc::clone(group)), interval);
        Entry { slots: Slots::new(group, millis(interval)), task: Arc::new(task) }
    }

    fn is_for(&self, group: &Arc<Group>, interval: Duration) -> bool {
        self.task.interval == interval && self.task.snapshot.load().group == *group
    }

    /// The entry for a changed group, and what ends because of the change.
    fn reload(self, group: &Arc<Group>, interval: Duration, now: TimestampMs) -> (Self, Option<RuleOutput>) {
        let Some(state) = self.task.state.lock().take() else { return (Entry::new(group, interval), None) };
        let (state, output) = state.reload(Arc::clone(group), now);
        let slots = self.slots.with_interval(group, millis(interval));
        (Entry { slots, task: Arc::new(GroupTask::new(state, interval)) }, Some(output))
    }
}

fn millis(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
}

impl GroupTask {
    fn new(state: GroupState, interval: Duration) -> Self {
        let snapshot = ArcSwap::from_pointee(GroupSnapshot::new(&state, interval, &[]));
        GroupTask { interval, state: Mutex::new(Some(state)), snapshot, running: AtomicBool::new(false) }
    }
}

impl Inner {
    /// Replaces the groups; what has gone on meanwhile with those that stay is kept.
    fn publish(&self, mut new: BTreeMap<(String, String), Entry>) {
        let mut groups = self.groups.lock();
        for (key, entry) in std::mem::take(&mut *groups) {
            if let Some(replacement) = new.get_mut(&key)
                && Arc::ptr_eq(&replacement.task, &entry.task)
            {
                *replacement = entry;
            }
        }
        *groups = new;
    }

    /// Evaluates the rules of a group in order; each sees what those before it have appended.
    fn evaluate(&self, task: &GroupTask, at: TimestampMs) {
        let mut guard = task.state.lock();
        let Some(state) = guard.as_mut() else { return };
        let settings = self.settings.load();
        let mut times = Vec::new();
        for index in 0..state.group().rules.len() {
            let started = self.clock.monotonic();
            let output =
                state.evaluate_rule(index, at, &settings.environment, &mut |expr, time| self.store.query(expr, time));
            let mut failed = output.error.is_some();
            let (group, rule) = (&state.group().name, state.group().rules[index].name());
            if let Some(error) = &output.error {
                tracing::warn!(group, rule, "rule evaluation failed: {error}");
            }
            for warning in &output.warnings {
                tracing::debug!(group, rule, "{warning}");
            }
            if let Err(reason) = self.append(output.samples) {
                state.fail(index, reason);
                failed = true;
            }
            self.notify(state, index, &output.notify, &settings);
            let took = self.clock.monotonic().saturating_sub(started);
            self.stats.evaluated(failed, took);
            times.push(took);
        }
        self.stats.iterated();
        task.snapshot.store(Arc::new(GroupSnapshot::new(state, task.interval, &times)));
    }

    fn append(&self, samples: Vec<OutputSample>) -> Result<(), String> {
        if samples.is_empty() {
            return Ok(());
        }
        match self.store.append(samples) {
            Ok(appended) => {
                self.stats.appended(appended.accepted, appended.rejected);
                Ok(())
            }
            Err(reason) => {
                self.stats.append_failed();
                tracing::warn!("the output of a rule could not be appended: {reason}");
                Err(format!("the result could not be appended: {reason}"))
            }
        }
    }

    fn notify(&self, state: &GroupState, index: usize, alerts: &[AlertInstance], settings: &Settings) {
        if alerts.is_empty() {
            return;
        }
        let expr = &state.group().rules[index].expr().text;
        let link = settings.environment.external.url.clone() + &sonde_alerting::template::table_link(expr);
        self.notifier.take(alerts, &link, self.clock.now_ms());
    }
}

/// A panic in an evaluation is a bug; the group goes on at its next slot all the same.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("an evaluation of a rule group ended early: {error}");
    }
}
