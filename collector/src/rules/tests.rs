//! The rule tasks against a store in memory and a clock that is moved by hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sonde_alerting::group::Environment;
use sonde_alerting::{AlertState, External, Health, OutputSample, RuleFile};
use sonde_model::{Labels, TimestampMs, is_stale};
use sonde_promql::{Annotations, Expr, QueryError, QueryResult, QueryStats, SampleValue, Value, VectorSample};
use sonde_runtime::{Clock, ManualClock};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Appended, RuleStore, Rules, Settings};
use crate::notify::Notifier;
use crate::state::{self, HistoryPage, Location, Options, State};

/// The last sample of each series; queries are bare metric names.
#[derive(Default)]
struct Memory {
    samples: Mutex<BTreeMap<Labels, (TimestampMs, f64)>>,
    full: Mutex<bool>,
}

impl Memory {
    fn set(&self, labels: Labels, value: f64) {
        self.samples.lock().insert(labels, (0, value));
    }

    fn get(&self, name: &str) -> Vec<(String, TimestampMs, f64)> {
        let samples = self.samples.lock();
        let of_name = samples.iter().filter(|(labels, _)| labels.metric_name() == name);
        of_name.map(|(labels, (t, v))| (labels.to_string(), *t, *v)).collect()
    }
}

impl RuleStore for Memory {
    fn query(&self, expr: &Expr, t: TimestampMs) -> Result<QueryResult, QueryError> {
        let text = expr.to_string();
        let name = text.split(' ').next().unwrap_or_default();
        // What restored alerts ask: when the last sample of a series came.
        let when = name.strip_prefix("timestamp(").and_then(|rest| rest.strip_suffix(')'));
        let name = when.unwrap_or(name);
        if name == "broken" {
            return Err(QueryError::Timeout);
        }
        let threshold: f64 = text.split("> ").nth(1).map_or(f64::MIN, |n| n.parse().expect("a number"));
        let samples = self.samples.lock();
        let found = samples
            .iter()
            .filter(|(labels, (_, v))| labels.metric_name() == name && !is_stale(*v) && *v > threshold)
            .map(|(labels, (at, v))| {
                let value = if when.is_some() { *at as f64 / 1e3 } else { *v };
                VectorSample { labels: labels.without_name(), t, value: SampleValue::Float(value) }
            });
        let value = Value::Vector(found.collect());
        Ok(QueryResult { value, annotations: Annotations::default(), stats: QueryStats::default() })
    }

    fn append(&self, samples: Vec<OutputSample>) -> Result<Appended, String> {
        if *self.full.lock() {
            return Err("no space left on device".to_owned());
        }
        let accepted = samples.len() as u64;
        let mut stored = self.samples.lock();
        for sample in samples {
            stored.insert(sample.labels, (sample.timestamp, sample.value.as_float().expect("a float")));
        }
        Ok(Appended { accepted, rejected: 0 })
    }
}

struct World {
    store: Arc<Memory>,
    rules: Rules,
    hand: ManualClock,
    token: CancellationToken,
    running: JoinSet<()>,
}

impl World {
    fn new(files: &[(&str, &str)]) -> Self {
        let (state, _) = State::open(&Location::Memory, Options::default()).expect("a state database");
        Self::start(files, Arc::default(), 1_000_000_000, state, state::Memory::default())
    }

    /// Starts at a time with what a store and a state database remember.
    fn start(
        files: &[(&str, &str)],
        store: Arc<Memory>,
        now: TimestampMs,
        state: State,
        memory: state::Memory,
    ) -> Self {
        provider();
        let (clock, hand) = Clock::manual(now);
        let notifier = Notifier::new(clock.clone()).expect("a client");
        notifier.recall(state, memory.outbox, &[]);
        let rules = Rules::new(Arc::clone(&store) as Arc<dyn RuleStore>, notifier, clock, settings());
        rules.recall(memory.groups);
        let token = CancellationToken::new();
        rules.load(parse(files), settings());
        let mut running = JoinSet::new();
        running.spawn(rules.clone().run(token.clone()));
        World { store, rules, hand, token, running }
    }

    /// Moves the clock until `done`, in steps that are smaller than the shortest interval.
    async fn pass_until(&self, what: &str, done: impl Fn() -> bool) {
        for _ in 0..20_000 {
            if done() {
                return;
            }
            // Time stands still while a group is evaluated, however long the machine takes for it.
            if self.rules.evaluating() == 0 {
                self.hand.advance(Duration::from_secs(1));
            }
            tokio::time::timeout(Duration::from_millis(2), std::future::pending::<()>()).await.expect_err("a moment");
        }
        panic!("{what} did not come: {:?}", self.rules.stats());
    }

    async fn iterations(&self, more: u64) {
        let aim = self.rules.stats().iterations() + more;
        self.pass_until("an iteration", || self.rules.stats().iterations() >= aim).await;
    }

    async fn stop(mut self) {
        self.token.cancel();
        self.running.join_next().await.expect("the task").expect("no panic");
    }
}

fn settings() -> Settings {
    let external = External { labels: Labels::empty(), url: "http://s".into() };
    Settings { interval: Duration::from_secs(60), environment: Environment { external, query_offset_ms: 0 } }
}

fn parse(files: &[(&str, &str)]) -> Vec<RuleFile> {
    files.iter().map(|(origin, text)| RuleFile::parse(text, origin).expect("a rule file")).collect()
}

/// The TLS provider, which binaries install.
pub(crate) fn provider() {
    // Another test may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
}

const CHAIN: &str = "
groups:
- name: chain
  rules:
  - {record: twice, expr: load}
  - {alert: High, expr: twice > 5, for: 2m, annotations: {value: '{{ $value }}'}}
";

#[tokio::test]
async fn rules_see_what_those_before_them_recorded_and_fire_in_time() {
    let world = World::new(&[("a.yml", CHAIN)]);
    world.store.set(Labels::from_pairs([("__name__", "load"), ("host", "x")]), 9.0);
    assert_eq!(world.rules.snapshot()[0].rules[1].health, Health::Unknown);
    world.iterations(1).await;
    let state = || world.rules.snapshot()[0].rules[1].state;
    assert_eq!(state(), AlertState::Pending, "the alert saw the recorded series in the same iteration");
    let recorded = world.store.get("twice");
    let at = recorded[0].1;
    assert_eq!(recorded, [("twice{host=\"x\"}".to_owned(), at, 9.0)]);
    world.iterations(1).await;
    assert_eq!((state(), world.store.get("twice")[0].1), (AlertState::Pending, at + 60_000), "slots are aligned");
    world.iterations(1).await;
    let snapshot = world.rules.snapshot();
    let alert = &snapshot[0].rules[1].alerts[0];
    assert_eq!((alert.state, alert.active_at, alert.fired_at), (AlertState::Firing, at, Some(at + 120_000)));
    assert_eq!(alert.annotations.to_string(), r#"{value="9"}"#);
    let alerts = world.store.get("ALERTS");
    assert!(alerts.iter().any(|(labels, _, v)| labels.contains("firing") && *v == 1.0), "{alerts:?}");
    assert!(alerts.iter().any(|(labels, _, v)| labels.contains("pending") && is_stale(*v)), "{alerts:?}");
    assert_eq!((world.rules.stats().iterations_missed(), world.rules.stats().evaluations()), (0, 6));
    world.stop().await;
}

#[tokio::test]
async fn a_reload_keeps_the_state_of_what_is_unchanged() {
    let world = World::new(&[("a.yml", CHAIN), ("b.yml", &CHAIN.replace("chain", "other").replace("High", "Other"))]);
    world.store.set(Labels::from_pairs([("__name__", "load")]), 9.0);
    world.iterations(6).await;
    let firing = |index: usize| world.rules.snapshot()[index].rules[1].alerts.first().map(|a| a.state);
    world.pass_until("firing", || firing(0) == Some(AlertState::Firing) && firing(1) == Some(AlertState::Firing)).await;

    // The threshold of one rule changes and the other file goes.
    let changed = CHAIN.replace("> 5", "> 6");
    world.rules.load(parse(&[("a.yml", &changed)]), settings());
    let snapshot = world.rules.snapshot();
    assert_eq!(snapshot.len(), 1);
    assert_eq!(snapshot[0].rules[1].state, AlertState::Firing, "a changed expression keeps its alerts");
    let ended = world.store.get("ALERTS");
    let of = |name: &str| {
        ended.iter().filter(|(l, ..)| l.contains(name) && l.contains("firing")).map(|a| a.2).collect::<Vec<_>>()
    };
    assert!(is_stale(of("Other")[0]) && of("High") == [1.0], "{ended:?}");
    world.iterations(1).await;
    assert_eq!(world.rules.snapshot()[0].rules[1].state, AlertState::Firing);
    world.stop().await;
}

#[tokio::test]
async fn failures_are_shown_and_counted() {
    let world = World::new(&[(
        "a.yml",
        "groups:\n- name: g\n  rules:\n  - {record: r, expr: broken}\n  - {record: s, expr: load}\n",
    )]);
    world.store.set(Labels::from_pairs([("__name__", "load")]), 1.0);
    *world.store.full.lock() = true;
    world.iterations(1).await;
    let snapshot = world.rules.snapshot();
    let health = |i: usize| snapshot[0].rules[i].health.clone();
    assert_eq!(health(0), Health::Bad("query timed out in expression evaluation".into()));
    assert_eq!(health(1), Health::Bad("the result could not be appended: no space left on device".into()));
    assert_eq!(world.rules.stats().evaluation_failures(), 2);
    *world.store.full.lock() = false;
    world.iterations(1).await;
    assert_eq!(world.rules.snapshot()[0].rules[1].health, Health::Good);
    world.stop().await;
}

#[tokio::test]
async fn a_clock_that_jumps_forward_is_counted_and_does_not_stop_rules() {
    let world = World::new(&[("a.yml", CHAIN)]);
    world.iterations(1).await;
    world.hand.advance(Duration::from_secs(600));
    world.iterations(1).await;
    let missed = world.rules.stats().iterations_missed();
    assert!((9..=10).contains(&missed), "{missed}");
    world.iterations(1).await;
    world.stop().await;
}

#[tokio::test]
async fn a_restart_forgets_nothing_and_believes_no_absence_before_data_come() {
    let dir = tempfile::tempdir().expect("a folder");
    let location = Location::File(dir.path().join("state.sqlite"));
    let open = || State::open(&location, Options::default()).expect("a state database");
    let series = || Labels::from_pairs([("__name__", "load"), ("host", "x")]);
    let rule = "groups:\n- name: g\n  rules:\n  - {alert: High, expr: load > 5, for: 2m, labels: {team: a}}\n";
    let files = [("a.yml", rule)];
    let store = Arc::new(Memory::default());
    store.set(series(), 9.0);
    let (state, memory) = open();
    let world = World::start(&files, Arc::clone(&store), 1_000_000_000, state.clone(), memory);
    world.iterations(1).await;
    let active_at = world.rules.snapshot()[0].rules[0].alerts[0].active_at;
    world.stop().await;
    state.close();

    // Ten minutes later there are no data yet: the alert is as it was.
    store.samples.lock().clear();
    let (state, memory) = open();
    let world = World::start(&files, Arc::clone(&store), active_at + 600_000, state.clone(), memory);
    let alert = |world: &World| world.rules.snapshot()[0].rules[0].alerts.first().cloned();
    assert_eq!(world.rules.snapshot()[0].last_evaluation, Some(active_at), "shown before the first evaluation");
    assert_eq!(world.rules.stats().iterations_missed_down(), 10);
    world.iterations(3).await;
    let unseen = alert(&world).expect("it is kept");
    assert_eq!((unseen.state, unseen.active_at), (AlertState::Pending, active_at));
    // Another host says nothing about this one.
    let other = Labels::from_pairs([("__name__", "load"), ("host", "y")]);
    store.samples.lock().insert(other, (i64::MAX, 1.0));
    world.iterations(1).await;
    assert!(alert(&world).is_some());
    store.samples.lock().insert(series(), (i64::MAX, 9.0));
    world.iterations(1).await;
    let firing = alert(&world).expect("it is there");
    assert_eq!((firing.state, firing.active_at), (AlertState::Firing, active_at), "as if there had been no restart");
    world.stop().await;
    state.close();

    // Old data do not end it, new ones do.
    store.samples.lock().insert(series(), (0, 1.0));
    let (state, memory) = open();
    let fired_at = firing.fired_at;
    let world = World::start(&files, Arc::clone(&store), active_at + 3_600_000, state.clone(), memory);
    world.iterations(1).await;
    assert_eq!(alert(&world).map(|a| (a.state, a.fired_at)), Some((AlertState::Firing, fired_at)));
    store.samples.lock().insert(series(), (i64::MAX, 1.0));
    world.iterations(1).await;
    assert_eq!(alert(&world), None);
    let lines = state.history(HistoryPage::newest(10)).expect("lines");
    let steps: Vec<_> = lines.iter().rev().map(|line| (line.transition.from, line.transition.to)).collect();
    use AlertState::{Firing, Inactive, Pending};
    assert_eq!(steps, [(Inactive, Pending), (Pending, Firing), (Firing, Inactive)]);
    world.stop().await;
    state.close();

    // A group that is not loaded any more leaves nothing behind.
    let (state, memory) = open();
    assert_eq!(memory.groups.len(), 1);
    let world = World::start(&[], store, active_at + 7_200_000, state.clone(), memory);
    world.stop().await;
    state.close();
    assert!(open().1.groups.is_empty());
}

#[tokio::test]
async fn rules_go_on_in_memory_while_the_state_database_has_no_room() {
    let (state, memory) =
        State::open(&Location::Memory, Options { max_bytes: 100_000, ..Options::default() }).expect("a state database");
    let store = Arc::new(Memory::default());
    let rule = "groups:\n- name: g\n  rules:\n  - {alert: High, expr: load > 5}\n";
    let world = World::start(&[("a.yml", rule)], Arc::clone(&store), 1_000_000_000, state.clone(), memory);
    let host = |n: usize| Labels::from_pairs([("__name__", "load"), ("host", &n.to_string()[..])]);
    (0..3_000).for_each(|n| store.set(host(n), 9.0));
    world.iterations(1).await;
    let firing = |world: &World| world.rules.snapshot()[0].rules[0].alerts.len();
    assert_eq!((firing(&world), world.rules.stats().commit_failures()), (3_000, 1));
    assert!(state.history(HistoryPage::newest(1)).expect("an answer").is_empty());
    // What was not written comes once there is room.
    (1..3_000).for_each(|n| store.set(host(n), 1.0));
    world.iterations(1).await;
    assert_eq!((firing(&world), world.rules.stats().commit_failures()), (1, 1));
    assert_eq!(state.history(HistoryPage::newest(10)).expect("lines").len(), 1);
    world.stop().await;
}
