//! The rule groups that are loaded, and the task that evaluates them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sonde_alerting::group::Environment;
use sonde_alerting::{AlertState, Group, GroupState, OutputSample, RuleFile, RuleOutput};
use sonde_model::TimestampMs;
use sonde_runtime::Clock;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::journal::{self, Journal};
use super::misses::Misses;
use super::schedule::{Look, Slots};
use super::sight::Sight;
use super::snapshot::GroupSnapshot;
use super::stats::Stats;
use super::store::RuleStore;
use crate::notify::{News, Notifier};
use crate::state::{Change, StoredGroup};

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
    /// What was remembered from before the start, until rules are loaded.
    recalled: Mutex<Vec<StoredGroup>>,
    started: TimestampMs,
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
    /// What the state database has; locked after `state`.
    journal: Mutex<Journal>,
    snapshot: ArcSwap<GroupSnapshot>,
    running: AtomicBool,
    misses: Misses,
}

impl Rules {
    /// No rules yet: [`Rules::load`] brings them.
    pub fn new(store: Arc<dyn RuleStore>, notifier: Notifier, clock: Clock, settings: Settings) -> Self {
        let started = clock.now_ms();
        let inner = Inner {
            store,
            notifier,
            clock,
            started,
            recalled: Mutex::default(),
            settings: ArcSwap::from_pointee(settings),
            groups: Mutex::default(),
            loading: Mutex::default(),
            changed: Notify::new(),
            stats: Stats::default(),
        };
        Rules { inner: Arc::new(inner) }
    }

    /// Takes what was remembered from before the start; comes before the first [`Rules::load`].
    pub fn recall(&self, groups: Vec<StoredGroup>) {
        *self.inner.recalled.lock() = groups;
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
        let mut recalled: BTreeMap<_, _> = std::mem::take(&mut *self.inner.recalled.lock())
            .into_iter()
            .map(|group| ((group.file.clone(), group.name.clone()), group))
            .collect();
        for group in files.into_iter().flat_map(|file| file.groups) {
            let interval = group.interval_ms.map_or(settings.interval, |ms| Duration::from_millis(ms.unsigned_abs()));
            let key = (group.origin.clone(), group.name.clone());
            let entry = match old.remove(&key) {
                Some(entry) if entry.is_for(&group, interval) => entry,
                Some(entry) => {
                    let (entry, output) = entry.reload(&group, interval, now);
                    ended.extend(output.map(|output| (key.clone(), output)));
                    entry
                }
                None => match recalled.remove(&key) {
                    Some(stored) => {
                        let (entry, output) = Entry::restore(&group, interval, stored, now, &self.inner.stats);
                        ended.push((key.clone(), output));
                        entry
                    }
                    None => Entry::new(&group, interval),
                },
            };
            new.insert(key, entry);
        }
        let mut gone: Vec<_> = old.keys().chain(recalled.keys()).cloned().collect();
        gone.sort();
        ended.extend(old.into_iter().filter_map(|(key, entry)| Some((key, entry.task.state.lock().take()?.end(now)))));
        ended.extend(recalled.into_iter().map(|(key, stored)| (key, end_stored(stored, now))));
        self.inner.settings.store(Arc::new(settings));
        self.inner.publish(new);
        let (mut news, mut changes) = (Vec::new(), Vec::new());
        for ((file, group), output) in ended {
            // That it failed has been counted and logged; there is no rule left whose fault it would be.
            drop(self.inner.append(output.samples));
            changes.extend(output.notify.iter().map(|alert| {
                let line = journal::transition(&file, &group, alert, AlertState::Firing, AlertState::Inactive, now);
                Change::Transition(line)
            }));
            news.push(News { alerts: output.notify, generator_url: String::new() });
        }
        changes.extend(gone.into_iter().map(|(file, name)| Change::GroupGone { file, name }));
        // Blocks until it is in the database; what failed has been logged.
        if self.inner.notifier.record(&news, changes, now).is_err() {
            self.inner.stats.commit_failed();
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
                        self.inner.missed(&entry.task, missed);
                        self.start(at, &entry.task, evaluations);
                    }
                }
            }
        }
        Duration::from_millis(u64::try_from(next.saturating_sub(now)).unwrap_or(0)).min(MAX_SLEEP)
    }

    fn start(&self, at: TimestampMs, task: &Arc<GroupTask>, evaluations: &mut JoinSet<()>) {
        if task.running.swap(true, Ordering::AcqRel) {
            self.inner.missed(task, 1);
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
        let task = GroupTask::new(GroupState::new(Arc::clone(group)), interval, Journal::default(), 0);
        Entry { slots: Slots::new(group, millis(interval)), task: Arc::new(task) }
    }

    /// The entry for a group that was there before the start, and what ends because its rule has gone since.
    fn restore(
        group: &Arc<Group>,
        interval: Duration,
        stored: StoredGroup,
        now: TimestampMs,
        stats: &Stats,
    ) -> (Self, RuleOutput) {
        let slots = Slots::new(group, millis(interval));
        let last = stored.last_evaluation;
        let missed = slots.since(last, now);
        if missed > 0 {
            stats.missed_down(missed);
            let (group, away_s) = (&group.name, (now - last) as f64 / 1e3);
            tracing::warn!(group, "{missed} evaluations were missed: the last one was {away_s} s ago");
        }
        let (state, ended) = GroupState::restore(Arc::clone(group), stored.rules, Some(last), now);
        let journal = Journal::of_restored(&state);
        (Entry { slots, task: Arc::new(GroupTask::new(state, interval, journal, missed)) }, ended)
    }

    fn is_for(&self, group: &Arc<Group>, interval: Duration) -> bool {
        self.task.interval == interval && self.task.snapshot.load().group == *group
    }

    /// The entry for a changed group, and what ends because of the change.
    fn reload(self, group: &Arc<Group>, interval: Duration, now: TimestampMs) -> (Self, Option<RuleOutput>) {
        let Some(state) = self.task.state.lock().take() else { return (Entry::new(group, interval), None) };
        let (state, output) = state.reload(Arc::clone(group), now);
        let slots = self.slots.with_interval(group, millis(interval));
        let journal = Journal::of_restored(&state);
        let task = GroupTask::new(state, interval, journal, self.task.misses.count());
        (Entry { slots, task: Arc::new(task) }, Some(output))
    }
}

/// What ends because the group has gone since the last start.
fn end_stored(stored: StoredGroup, now: TimestampMs) -> RuleOutput {
    let group = Group {
        origin: stored.file,
        name: stored.name,
        interval_ms: None,
        query_offset_ms: None,
        limit: 0,
        rules: Vec::new(),
    };
    GroupState::restore(Arc::new(group), stored.rules, None, now).1
}

fn millis(interval: Duration) -> i64 {
    i64::try_from(interval.as_millis()).unwrap_or(i64::MAX)
}

impl GroupTask {
    fn new(state: GroupState, interval: Duration, journal: Journal, missed: u64) -> Self {
        let snapshot = ArcSwap::from_pointee(GroupSnapshot::new(&state, interval, &[], missed));
        let (state, journal) = (Mutex::new(Some(state)), Mutex::new(journal));
        GroupTask { interval, state, journal, snapshot, running: AtomicBool::new(false), misses: Misses::new(missed) }
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

    /// Slots of a group have passed without an evaluation.
    fn missed(&self, task: &GroupTask, slots: u64) {
        self.stats.missed(slots);
        if task.misses.add(slots) {
            let snapshot = task.snapshot.load();
            let (group, interval, took) = (&snapshot.group.name, snapshot.interval, snapshot.evaluation_time);
            tracing::warn!(
                group,
                ?interval,
                ?took,
                "evaluations are missed: they take too long, or the clock was set forward"
            );
        }
    }

    /// Evaluates the rules of a group in order; each sees what those before it have appended. Then alerts, what receivers are
    /// to be told and the time of the evaluation become durable as one, before anybody is told.
    fn evaluate(&self, task: &GroupTask, at: TimestampMs) {
        let mut guard = task.state.lock();
        let Some(state) = guard.as_mut() else { return };
        let settings = self.settings.load();
        let (mut times, mut news) = (Vec::new(), Vec::new());
        for index in 0..state.group().rules.len() {
            let started = self.clock.monotonic();
            let query = &mut |expr: &_, time| self.store.query(expr, time);
            let mut sight = Sight::new(&*self.store, at, self.started);
            let seen = &mut |rule: &_, alert: &_| sight.sees(rule, alert);
            let output = state.evaluate_rule(index, at, &settings.environment, query, seen);
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
            let expr = &state.group().rules[index].expr().text;
            let generator_url = settings.environment.external.url.clone() + &sonde_alerting::template::table_link(expr);
            news.push(News { alerts: output.notify, generator_url });
            let took = self.clock.monotonic().saturating_sub(started);
            self.stats.evaluated(failed, took);
            times.push(took);
        }
        let mut journal = task.journal.lock();
        match self.notifier.record(&news, journal.changes(state, at), self.clock.now_ms()) {
            Ok(()) => journal.committed(state),
            // Logged already; what has changed since the last commit is tried again with the next evaluation.
            Err(_) => self.stats.commit_failed(),
        }
        drop(journal);
        task.snapshot.store(Arc::new(GroupSnapshot::new(state, task.interval, &times, task.misses.count())));
        // Last: who sees the count sees the picture, too.
        self.stats.iterated();
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
}

/// A panic in an evaluation is a bug; the group goes on at its next slot all the same.
fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!("an evaluation of a rule group ended early: {error}");
    }
}
