//! Watches against a store in memory and a clock that is moved by hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;
use sonde_alerting::OutputSample;
use sonde_disk::{Fs, MemFs, write_atomic};
use sonde_model::{FloatColumn, HistogramColumn, Labels, Series, TimestampMs, is_stale};
use sonde_promql::{Expr, QueryError, QueryResult};
use sonde_runtime::{Clock, ManualClock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::state::{State, Steps};
use super::{Anomalies, AnomalyStore};
use crate::config::{AnomalyConfig, WatchConfig};
use crate::rules::{Appended, RuleStore};

const MINUTE: i64 = 60_000;
/// A multiple of a minute.
const START: TimestampMs = 1_000_000 * MINUTE;

/// Values are made up from series and time; scores are kept.
#[derive(Default)]
struct Memory {
    /// The value at this minute is far from all others.
    strange: Vec<i64>,
    /// From this minute on there is no value.
    ends: Option<i64>,
    broken: AtomicBool,
    asked: AtomicU64,
    scores: Mutex<BTreeMap<(Labels, TimestampMs), f64>>,
}

impl Memory {
    fn value(&self, minute: i64) -> Option<f64> {
        let usual = 100.0 + [0.0, 3.0, 5.0, 2.0, -2.0, -5.0, -3.0][minute.rem_euclid(7) as usize];
        let value = if self.strange.contains(&minute) { 150.0 } else { usual };
        self.ends.is_none_or(|end| minute < end).then_some(value)
    }

    /// The minutes in which the score was 1.0 or more.
    fn alarms(&self) -> Vec<i64> {
        let scores = self.scores.lock();
        let alarms = scores.iter().filter(|(_, score)| **score >= 1.0);
        alarms.map(|((_, at), _)| at / MINUTE).collect()
    }
}

impl RuleStore for Memory {
    fn query(&self, _: &Expr, _: TimestampMs) -> Result<QueryResult, QueryError> {
        Err(QueryError::Timeout)
    }

    fn append(&self, samples: Vec<OutputSample>) -> Result<Appended, String> {
        let accepted = samples.len() as u64;
        let mut scores = self.scores.lock();
        for sample in samples {
            scores.insert((sample.labels, sample.timestamp), sample.value.as_float().expect("a float"));
        }
        Ok(Appended { accepted, rejected: 0 })
    }
}

impl AnomalyStore for Memory {
    fn query_range(
        &self,
        _: &Expr,
        start: TimestampMs,
        end: TimestampMs,
        step_ms: i64,
        _: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Series>, QueryError> {
        self.asked.fetch_add(1, Relaxed);
        if self.broken.load(Relaxed) {
            return Err(QueryError::Timeout);
        }
        let mut floats = FloatColumn::default();
        for at in (start..=end).step_by(usize::try_from(step_ms).expect("positive")) {
            if let Some(value) = self.value(at / MINUTE) {
                floats.push(at, value);
            }
        }
        Ok(vec![series("a", floats)])
    }
}

fn series(job: &str, floats: FloatColumn) -> Series {
    let labels = Labels::from_pairs([("__name__", "requests"), ("job", job)]);
    Series { labels, floats, histograms: HistogramColumn::default() }
}

fn config(expr: &str) -> AnomalyConfig {
    let interval = sonde_runtime::config::Duration::from_secs(60);
    let watch = WatchConfig { name: "w".into(), expr: expr.into(), interval };
    AnomalyConfig { watch: vec![watch], ..AnomalyConfig::default() }
}

struct World {
    store: Arc<Memory>,
    anomalies: Anomalies,
    hand: ManualClock,
    token: CancellationToken,
    running: JoinSet<()>,
}

impl World {
    /// Watches from `now` on, with the files of `fs`.
    fn start(store: &Arc<Memory>, fs: &MemFs, now: TimestampMs) -> Self {
        let (clock, hand) = Clock::manual(now);
        let fs: Arc<dyn Fs> = Arc::new(fs.clone());
        let anomalies = Anomalies::new(Arc::clone(store) as _, fs, "/data/anomaly".into(), clock);
        anomalies.load(&config("requests"));
        let token = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(anomalies.clone().run(token.clone()));
        World { store: Arc::clone(store), anomalies, hand, token, running }
    }

    /// Waits until the score of a time is stored.
    async fn scored(&self, at: TimestampMs) {
        let there = || self.store.scores.lock().keys().any(|(_, t)| *t == at);
        self.until("a score", there).await;
    }

    async fn until(&self, what: &str, done: impl Fn() -> bool) {
        for _ in 0..10_000 {
            if done() {
                return;
            }
            tokio::time::timeout(Duration::from_millis(2), std::future::pending::<()>()).await.expect_err("a moment");
        }
        panic!("{what} did not come: {:?}", self.anomalies.stats());
    }

    fn values(&self) -> u64 {
        self.anomalies.stats().values.load(Relaxed)
    }

    async fn stop(mut self) {
        self.token.cancel();
        self.running.join_next().await.expect("the task").expect("no panic");
    }
}

#[tokio::test]
async fn history_is_learned_and_the_strange_is_told_once() {
    let strange = START / MINUTE - 100;
    let store = Arc::new(Memory { strange: vec![strange], ..Memory::default() });
    let world = World::start(&store, &MemFs::new(), START + 10);
    world.scored(START).await;
    assert_eq!(store.alarms(), [strange]);
    assert_eq!(world.values(), 24 * 60 + 1, "a day of minutes");
    let alarms = world.anomalies.alarms();
    assert_eq!(alarms.len(), 1);
    assert_eq!((alarms[0].watch.as_str(), alarms[0].at), ("w", strange * MINUTE));
    assert_eq!(alarms[0].labels.to_string(), r#"anomaly_score{anomaly="w", job="a"}"#);
    assert_eq!(alarms[0].why, "the value is 150, above the highest so far of 105");
    // Live steps follow.
    world.hand.advance(Duration::from_secs(60));
    world.scored(START + MINUTE).await;
    assert_eq!(world.values(), 24 * 60 + 2);
    world.stop().await;
}

#[tokio::test]
async fn a_restart_learns_only_what_it_missed() {
    let minute = START / MINUTE;
    // One while it is down; the other repeats it, and is no record any more.
    let strange = vec![minute + 5, minute + 400];
    let end = START + 500 * MINUTE;
    let whole = Arc::new(Memory { strange: strange.clone(), ..Memory::default() });
    let world = World::start(&whole, &MemFs::new(), START);
    world.scored(START).await;
    world.hand.advance(Duration::from_secs(500 * 60));
    world.scored(end).await;
    world.stop().await;

    let (fs, store) = (MemFs::new(), Arc::new(Memory { strange, ..Memory::default() }));
    let world = World::start(&store, &fs, START);
    world.scored(START).await;
    world.stop().await;
    let world = World::start(&store, &fs, START + 10 * MINUTE);
    world.scored(START + 10 * MINUTE).await;
    assert_eq!(world.values(), 10, "the minutes since the stop, no more");
    world.stop().await;
    let world = World::start(&store, &fs, end);
    world.scored(end).await;
    assert_eq!(world.values(), 490);
    assert_eq!(*store.scores.lock(), *whole.scores.lock(), "as if it had never been stopped");
    assert_eq!(store.alarms(), [minute + 5]);
    world.stop().await;
}

#[tokio::test]
async fn a_crash_and_a_damaged_state_only_cost_time() {
    let (fs, store) = (MemFs::new(), Arc::new(Memory { strange: vec![START / MINUTE - 100], ..Memory::default() }));
    let world = World::start(&store, &fs, START);
    world.scored(START).await;
    let before = store.scores.lock().clone();
    // Nothing was written: the next one walks over all of it again, and stores the same.
    drop(world);
    let world = World::start(&store, &fs, START);
    world.until("history", || world.values() == 24 * 60 + 1).await;
    world.stop().await;
    assert_eq!(*store.scores.lock(), before);

    write_atomic(&fs, Path::new("/data/anomaly/w"), b"SDET, but not really").expect("a file");
    let world = World::start(&store, &fs, START);
    world.until("history", || world.values() == 24 * 60 + 1).await;
    assert_eq!(world.anomalies.stats().unusable_states.load(Relaxed), 1);
    world.stop().await;
    assert_eq!(*store.scores.lock(), before);
}

#[tokio::test]
async fn a_watch_that_goes_ends_its_scores() {
    let store = Arc::new(Memory::default());
    let world = World::start(&store, &MemFs::new(), START + 10);
    world.scored(START).await;
    world.anomalies.load(&AnomalyConfig::default());
    let last = store.scores.lock().last_key_value().map(|((_, at), score)| (*at, *score)).expect("scores");
    assert_eq!((last.0, is_stale(last.1)), (START + 10, true));
    world.stop().await;
}

#[tokio::test]
async fn a_query_that_fails_is_asked_again_with_the_next_step() {
    let store = Arc::new(Memory::default());
    store.broken.store(true, Relaxed);
    let world = World::start(&store, &MemFs::new(), START + 10);
    world.until("a failure", || world.anomalies.stats().evaluation_failures.load(Relaxed) == 1).await;
    assert_eq!(store.asked.load(Relaxed), 1, "it is not asked again at once");
    store.broken.store(false, Relaxed);
    world.hand.advance(Duration::from_secs(60));
    world.scored(START + MINUTE).await;
    assert_eq!(world.values(), 24 * 60 + 1);
    world.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_goes_on() {
    let store = Arc::new(Memory::default());
    let world = World::start(&store, &MemFs::new(), START + 1_000_000 * MINUTE);
    world.scored(START + 1_000_000 * MINUTE).await;
    world.hand.set_wall(START);
    // The task may not sleep yet when the hand moves first.
    let there = || {
        world.hand.advance(Duration::from_secs(6));
        store.scores.lock().keys().any(|(_, at)| *at == START)
    };
    world.until("a score", there).await;
    world.stop().await;
}

fn steps(from: TimestampMs, to: TimestampMs) -> Steps {
    Steps { from, to, step_ms: 10, skipped: 0, more: false }
}

/// Feeds values of series, a row a series from step `from` on, and notes what is stored: `job@time=score`, or `job@time!`
/// where the score ends.
fn feed(state: &mut State, from: TimestampMs, rows: &[(&str, &[f64])], max_series: usize) -> (String, u64) {
    let found: Vec<Series> = rows
        .iter()
        .map(|(job, values)| {
            let mut floats = FloatColumn::default();
            values.iter().enumerate().for_each(|(i, v)| floats.push(from + 10 * i as i64, *v));
            series(job, floats)
        })
        .collect();
    let to = from + 10 * (rows.iter().map(|(_, values)| values.len()).max().unwrap_or(1).max(1) as i64 - 1);
    let fed = state.feed("w", steps(from, to), &found, max_series);
    let text = |sample: &OutputSample| {
        let (job, value) = (sample.labels.get("job").expect("a job"), sample.value.as_float().expect("a float"));
        let at = sample.timestamp;
        if is_stale(value) { format!("{job}@{at}!") } else { format!("{job}@{at}={value}") }
    };
    (fed.samples.iter().map(text).collect::<Vec<_>>().join(" "), fed.refused_full)
}

#[test]
fn scores_end_where_values_end() {
    let mut state = State::default();
    assert_eq!(feed(&mut state, 10, &[("a", &[1.0]), ("b", &[1.0])], 9).0, "a@10=0 b@10=0");
    assert_eq!(feed(&mut state, 20, &[("b", &[1.0, f64::NAN, f64::NAN, 1.0])], 9).0, "a@20! b@20=0 b@30! b@50=0");
    assert_eq!(feed(&mut state, 60, &[], 9).0, "b@60!");
    assert_eq!(feed(&mut state, 70, &[], 9).0, "");
    assert_eq!(feed(&mut state, 80, &[("a", &[1.0])], 9).0, "a@80=0");
    assert_eq!(state.end(85).len(), 1);
}

#[test]
fn series_beyond_the_limit_are_refused_and_the_gone_make_room() {
    let mut state = State::default();
    let rows: [(&str, &[f64]); 3] = [("a", &[1.0]), ("b", &[1.0]), ("c", &[1.0])];
    assert_eq!(feed(&mut state, 10, &rows, 2), ("a@10=0 b@10=0".into(), 1));
    assert_eq!(feed(&mut state, 20, &rows[..1], 2), ("b@20! a@20=0".into(), 0));
    assert_eq!(feed(&mut state, 30, &rows, 2), ("a@30=0 b@30=0".into(), 1), "what is known goes first");
    assert_eq!(feed(&mut state, 40, &rows[1..], 2), ("a@40! b@40=0 c@40=0".into(), 0));
    assert_eq!(state.series.len(), 2);
}

#[test]
fn steps_are_walked_over_in_pieces_and_not_too_far_back() {
    let check = |last: Option<TimestampMs>, now, history, expected: Option<(TimestampMs, TimestampMs, u64, bool)>| {
        let mut state = State { last, ..State::default() };
        let steps = state.next_steps(now, 10, history).map(|s| (s.from, s.to, s.skipped, s.more));
        assert_eq!(steps, expected, "{last:?} {now} {history}");
    };
    check(None, 1_009, 50, Some((950, 1_000, 0, false)));
    check(None, 1_009, 5, Some((1_000, 1_000, 0, false)));
    check(Some(1_000), 1_009, 50, None);
    check(Some(1_000), 1_010, 50, Some((1_010, 1_010, 0, false)));
    check(Some(900), 1_009, 50, Some((950, 1_000, 4, false)));
    check(None, 1_000_000, 100_000, Some((900_000, 902_430, 0, true)));
    check(Some(2_000), 1_009, 50, None);
    check(Some(9_000_000), 1_009, 50, Some((950, 1_000, 0, false)));
    check(Some(i64::MIN), 1_009, 50, Some((950, 1_000, 922_337_203_685_477_579, false)));
}
