//! The watches that are configured, and the task that evaluates them one after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sonde_alerting::OutputSample;
use sonde_disk::{Fs, read_all, write_atomic};
use sonde_model::TimestampMs;
use sonde_promql::Expr;
use sonde_runtime::Clock;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::alarms::{Alarm, Alarms};
use super::state::{Fed, State, Steps};
use super::state_file::{MAX_BYTES, StateFileError, decode, encode};
use super::stats::Stats;
use super::store::AnomalyStore;
use crate::config::{AnomalyConfig, WatchConfig};

/// The longest sleep of the task: so long may a jump of the clock go unnoticed.
const MAX_SLEEP: Duration = Duration::from_secs(5);
/// How often states are written. What comes after is fed again from the store after a crash.
const SAVE_INTERVAL: Duration = Duration::from_secs(180);
/// How many scores go into one record of the write-ahead log.
const BATCH: usize = 20_000;

/// All watches. Clones share them.
#[derive(Clone)]
pub struct Anomalies {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<dyn AnomalyStore>,
    fs: Arc<dyn Fs>,
    /// Where states are kept, a file for each watch.
    dir: PathBuf,
    clock: Clock,
    limits: ArcSwap<Limits>,
    watches: Mutex<BTreeMap<String, Arc<Watch>>>,
    /// Held while watches are replaced.
    loading: Mutex<()>,
    changed: Notify,
    alarms: Alarms,
    stats: Stats,
}

#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    history_ms: i64,
    max_series: usize,
}

/// An expression that is watched.
struct Watch {
    name: String,
    expr: Expr,
    text: String,
    step_ms: i64,
    /// `None` once the watch has gone.
    state: Mutex<Option<State>>,
    /// When to look at it next.
    next: AtomicI64,
    /// Whether there is something to write.
    dirty: AtomicBool,
    /// Whether it is being told that series are refused: one line when it begins is enough.
    refusing: AtomicBool,
    /// The watch has gone: nobody wants the answer of its query.
    gone: AtomicBool,
    /// Series that it knows.
    series: AtomicU64,
}

impl Anomalies {
    /// Nothing is watched yet: [`Anomalies::load`] brings what is.
    pub fn new(store: Arc<dyn AnomalyStore>, fs: Arc<dyn Fs>, dir: PathBuf, clock: Clock) -> Self {
        let inner = Inner {
            store,
            fs,
            dir,
            clock,
            limits: ArcSwap::default(),
            watches: Mutex::default(),
            loading: Mutex::default(),
            changed: Notify::new(),
            alarms: Alarms::default(),
            stats: Stats::default(),
        };
        Anomalies { inner: Arc::new(inner) }
    }

    /// Replaces all watches. Those that are still there with the same expression and interval go on; new ones go on from
    /// their state on disk, or learn from history. Of those that go the scores end. Blocks while one of them is evaluated.
    pub fn load(&self, config: &AnomalyConfig) {
        let _one_at_a_time = self.inner.loading.lock();
        let limits = Limits { history_ms: millis(config.history.0), max_series: config.max_series };
        self.inner.limits.store(Arc::new(limits));
        let mut old = self.inner.watches.lock().clone();
        let mut new = BTreeMap::new();
        for entry in &config.watch {
            let same = |watch: &Arc<Watch>| watch.text == entry.expr && watch.step_ms == millis(entry.interval.0);
            if let Some(watch) = old.get(&entry.name).filter(|watch| same(watch)).map(Arc::clone) {
                old.remove(&entry.name);
                new.insert(entry.name.clone(), watch);
                continue;
            }
            // Its scores end before those of the new expression begin.
            if let Some(watch) = old.remove(&entry.name) {
                self.inner.end(&watch);
            }
            match sonde_promql::parse(&entry.expr) {
                Ok(expr) => drop(new.insert(entry.name.clone(), Arc::new(self.inner.open(entry, expr, &limits)))),
                Err(e) => tracing::error!(watch = entry.name, "the expression cannot be read: {e}"),
            }
        }
        *self.inner.watches.lock() = new;
        old.into_values().for_each(|watch| self.inner.end(&watch));
        self.inner.changed.notify_one();
    }

    /// The alarms of late, the newest first.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.inner.alarms.newest_first()
    }

    /// What has been counted.
    pub fn stats(&self) -> &Stats {
        &self.inner.stats
    }

    /// How many series all watches know.
    pub fn series(&self) -> u64 {
        self.inner.watches.lock().values().map(|watch| watch.series.load(Relaxed)).sum()
    }

    /// Evaluates what is due until the token is cancelled; then writes all states.
    pub async fn run(self, token: CancellationToken) {
        let mut saved = self.inner.clock.monotonic();
        while !token.is_cancelled() {
            let watches: Vec<_> = self.inner.watches.lock().values().map(Arc::clone).collect();
            let mut next = TimestampMs::MAX;
            // Each in turn, and each at most one walk a round: a long history does not make the others wait.
            for watch in watches {
                if watch.is_due(self.inner.clock.now_ms()) {
                    let (inner, watch, token) = (Arc::clone(&self.inner), Arc::clone(&watch), token.clone());
                    blocking(move || inner.evaluate(&watch, &|| token.is_cancelled())).await;
                }
                next = next.min(watch.next.load(Relaxed));
            }
            if self.inner.clock.monotonic().saturating_sub(saved) >= SAVE_INTERVAL {
                self.save().await;
                saved = self.inner.clock.monotonic();
            }
            let wait = u64::try_from(next.saturating_sub(self.inner.clock.now_ms())).unwrap_or(0);
            tokio::select! {
                () = token.cancelled() => {}
                () = self.inner.changed.notified() => {}
                () = self.inner.clock.sleep(Duration::from_millis(wait).min(MAX_SLEEP)) => {}
            }
        }
        self.save().await;
    }

    /// Writes the states that changed.
    async fn save(&self) {
        let inner = Arc::clone(&self.inner);
        blocking(move || {
            let watches: Vec<_> = inner.watches.lock().values().map(Arc::clone).collect();
            watches.iter().for_each(|watch| inner.save(watch, watch.state.lock().as_ref()));
        })
        .await;
    }
}

impl std::fmt::Debug for Anomalies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Anomalies").field("stats", &self.inner.stats).finish_non_exhaustive()
    }
}

impl Watch {
    fn is_due(&self, now: TimestampMs) -> bool {
        let next = self.next.load(Relaxed);
        // What lies further ahead than a step was planned under a clock that has been set back since.
        next <= now || next > now.saturating_add(self.step_ms)
    }
}

/// Runs what blocks. A panic in it is a bug; the others go on all the same.
async fn blocking(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = tokio::task::spawn_blocking(work).await {
        tracing::error!("the evaluation of a watch ended early: {error}");
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).max(1)
}

impl Inner {
    /// A watch with what it learned before, where that can be used.
    fn open(&self, entry: &WatchConfig, expr: Expr, limits: &Limits) -> Watch {
        let step_ms = millis(entry.interval.0);
        let path = self.dir.join(&entry.name);
        let state = match read_all(&*self.fs, &path, MAX_BYTES) {
            Ok(bytes) => match decode(&bytes, &entry.expr, step_ms, limits.max_series) {
                Err(StateFileError::OtherWatch) => {
                    tracing::info!(
                        watch = entry.name,
                        "the expression or interval is another one, the watch learns anew"
                    );
                    Ok(State::default())
                }
                decoded => decoded.map_err(|e| e.to_string()),
            },
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(State::default()),
            Err(e) => Err(e.to_string()),
        };
        let state = state.unwrap_or_else(|reason| {
            self.stats.unusable_states.fetch_add(1, Relaxed);
            tracing::warn!(watch = entry.name, "{} cannot be used, the watch learns anew: {reason}", path.display());
            State::default()
        });
        Watch {
            name: entry.name.clone(),
            expr,
            text: entry.expr.clone(),
            step_ms,
            series: AtomicU64::new(state.series.len() as u64),
            state: Mutex::new(Some(state)),
            next: AtomicI64::new(TimestampMs::MIN),
            dirty: AtomicBool::new(false),
            refusing: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        }
    }

    /// Ends the scores of a watch that goes, and keeps what it learned.
    fn end(&self, watch: &Watch) {
        watch.gone.store(true, Relaxed);
        let Some(mut state) = watch.state.lock().take() else { return };
        self.save(watch, Some(&state));
        self.append(&watch.name, state.end(self.clock.now_ms()));
    }

    fn save(&self, watch: &Watch, state: Option<&State>) {
        if !watch.dirty.swap(false, Relaxed) {
            return;
        }
        let Some(bytes) = state.and_then(|state| encode(state, &watch.text, watch.step_ms)) else { return };
        let path = self.dir.join(&watch.name);
        let written = self.fs.create_dir_all(&self.dir).and_then(|()| write_atomic(&*self.fs, &path, &bytes));
        if let Err(e) = written {
            watch.dirty.store(true, Relaxed);
            self.stats.save_failures.fetch_add(1, Relaxed);
            tracing::warn!(watch = watch.name, "{} cannot be written, it is tried again: {e}", path.display());
        } else {
            self.stats.saves.fetch_add(1, Relaxed);
        }
    }

    /// Walks over the next steps of a watch.
    fn evaluate(&self, watch: &Watch, stopping: &(dyn Fn() -> bool + Sync)) {
        let (now, limits) = (self.clock.now_ms(), **self.limits.load());
        let mut guard = watch.state.lock();
        let Some(state) = guard.as_mut() else { return };
        let Some(steps) = state.next_steps(now, watch.step_ms, limits.history_ms) else {
            watch.next.store(next_slot(now, watch.step_ms), Relaxed);
            return;
        };
        let stopped = || stopping() || watch.gone.load(Relaxed);
        let Steps { from, to, step_ms, .. } = steps;
        self.stats.evaluations.fetch_add(1, Relaxed);
        match self.store.query_range(&watch.expr, from, to, step_ms, &stopped) {
            Ok(found) => {
                let fed = state.feed(&watch.name, steps, &found, limits.max_series);
                watch.series.store(state.series.len() as u64, Relaxed);
                watch.dirty.store(true, Relaxed);
                watch.next.store(if steps.more { now } else { next_slot(now, watch.step_ms) }, Relaxed);
                self.take(watch, fed, &steps, limits.max_series);
            }
            Err(_) if stopped() => {}
            Err(e) => {
                // The steps are walked over with the next one.
                watch.next.store(next_slot(now, watch.step_ms), Relaxed);
                self.stats.evaluation_failures.fetch_add(1, Relaxed);
                tracing::warn!(watch = watch.name, "the evaluation failed: {e}");
            }
        }
    }

    /// Counts, tells and stores what came of some steps.
    fn take(&self, watch: &Watch, fed: Fed, steps: &Steps, max_series: usize) {
        let add = |counter: &AtomicU64, n: u64| {
            counter.fetch_add(n, Relaxed);
        };
        add(&self.stats.values, fed.values);
        add(&self.stats.unusable_values, fed.unusable);
        add(&self.stats.alarms, fed.alarms.len() as u64);
        add(&self.stats.refused_full, fed.refused_full);
        add(&self.stats.refused_ambiguous, fed.refused_ambiguous);
        add(&self.stats.skipped_steps, steps.skipped);
        let (full, ambiguous) = (fed.refused_full, fed.refused_ambiguous);
        if !watch.refusing.swap(full + ambiguous > 0, Relaxed) && full + ambiguous > 0 {
            tracing::warn!(
                watch = watch.name,
                "{full} series are not watched because anomaly.max_series is {max_series}, {ambiguous} because they \
                 differ from another one only in the metric name"
            );
        }
        self.alarms.extend(fed.alarms);
        self.append(&watch.name, fed.samples);
    }

    fn append(&self, watch: &str, mut samples: Vec<OutputSample>) {
        while !samples.is_empty() {
            let rest = samples.split_off(samples.len().min(BATCH));
            match self.store.append(samples) {
                Ok(appended) => {
                    self.stats.samples_appended.fetch_add(appended.accepted, Relaxed);
                    self.stats.samples_rejected.fetch_add(appended.rejected, Relaxed);
                }
                Err(reason) => {
                    self.stats.append_failures.fetch_add(1, Relaxed);
                    tracing::warn!(watch, "scores could not be stored: {reason}");
                }
            }
            samples = rest;
        }
    }
}

/// The first multiple of `step_ms` after `now`.
fn next_slot(now: TimestampMs, step_ms: i64) -> TimestampMs {
    (now.div_euclid(step_ms) + 1).saturating_mul(step_ms)
}
