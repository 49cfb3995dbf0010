//! The whole agent in one process, from a receiver to a collector that misbehaves as told.

#![expect(clippy::unwrap_used, reason = "a test fails where something is not as it must be")]

mod collector;
mod spans;
mod target;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use collector::{Answer, Collector, State};
use sonde_agent::config::{HostReceiver, Listen};
use sonde_agent::payload::Payload;
use sonde_agent::queue::{DropReason, Queue, Queues, Source};
use sonde_agent::{App, Config};
use sonde_model::{BatchId, Signal};
use sonde_otlp::Export;
use sonde_otlp::exporter::{ExportError, Exporter, ExporterOptions};
use sonde_proto::otlp::common::InstrumentationScope;
use sonde_proto::otlp::metrics::{
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use sonde_proto::otlp::resource::Resource;
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};
use sonde_runtime::config::{ByteSize, Duration as ConfigDuration};
use sonde_runtime::{Clock, Reload, StagesError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Long enough that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(60);

/// An agent that runs.
struct Agent {
    queue: Arc<Queue>,
    traces: Arc<Queue>,
    otlp: String,
    otlp_http: String,
    stop: CancellationToken,
    running: JoinSet<Result<(), StagesError>>,
}

impl Agent {
    async fn start(config: Config) -> Self {
        Self::run(App::build(config, Clock::system()).await.unwrap())
    }

    fn run(app: App) -> Self {
        let Queues { metrics: queue, traces } = app.queues().clone();
        let url = |address| format!("http://{address}");
        let otlp = app.otlp_grpc_addr().map(url).unwrap_or_default();
        let otlp_http = app.otlp_http_addr().map(url).unwrap_or_default();
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(app.run(stop.clone()));
        Agent { queue, traces, otlp, otlp_http, stop, running }
    }

    async fn stop(mut self) {
        self.stop.cancel();
        self.running.join_next().await.unwrap().unwrap().unwrap();
    }

    /// Sends points and spans as a local application does.
    fn client(&self) -> Exporter {
        Exporter::new(ExporterOptions { endpoint: self.otlp.clone(), ..ExporterOptions::default() }).unwrap()
    }
}

/// An agent that takes OTLP and measures nothing itself.
fn quiet(dir: &Path, endpoint: &str) -> Config {
    let mut config = Config { data_dir: dir.to_owned(), ..Config::default() };
    config.collector.endpoint = endpoint.to_owned();
    config.collector.retry_initial = ConfigDuration::from_millis(20);
    config.collector.retry_max = ConfigDuration::from_millis(100);
    config.host.receivers = Vec::new();
    config.telemetry.interval = ConfigDuration::from_secs(3_600);
    config.otlp.grpc_listen = Listen::At("127.0.0.1:0".parse().unwrap());
    config.queue.min_free = ByteSize(0);
    config
}

fn points(name: &str, count: usize) -> Export {
    let mut payload = Payload::new(1_700_000_000_000_000_000, 0);
    payload.gauge(name, "", "", |points| (0..count).for_each(|n| points.add(&[("n", &n.to_string())], n as f64)));
    let encoded = payload.encode(&Resource::default(), &InstrumentationScope::default());
    Export { signal: Signal::Metrics, body: encoded.body.into(), batch: None, items: encoded.items }
}

/// A sum with one point of delta temporality.
fn delta(name: &str) -> Export {
    let point = NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsInt(1)),
        ..NumberDataPoint::default()
    };
    let sum = Sum { data_points: vec![point], aggregation_temporality: 1, is_monotonic: true };
    let metric = Metric { name: name.to_owned(), data: Some(metric::Data::Sum(sum)), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    let body = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
    Export { signal: Signal::Metrics, body: body.into(), batch: None, items: 1 }
}

async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let clock = Clock::system();
    while !done() {
        assert!(clock.monotonic() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Every metric `sent.N` for N from 1 to `count` was stored once, and the numbers of batches have no hole.
fn check_exactly_once(state: &State, count: usize) {
    let mut names: Vec<String> = state.names().into_iter().filter(|name| name.starts_with("sent.")).collect();
    names.sort();
    let mut expected: Vec<String> = (1..=count).map(|n| format!("sent.{n}")).collect();
    expected.sort();
    assert_eq!(names, expected);
    check_numbers(state.0.lock().stored.iter().map(|(id, _)| *id));
}

/// The numbers of batches of one signal have no hole.
fn check_numbers(ids: impl Iterator<Item = BatchId>) {
    let mut ids: Vec<_> = ids.map(|id| (id.agent, id.epoch, id.seq)).collect();
    ids.sort_unstable();
    for pair in ids.windows(2) {
        let same_row = (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1);
        assert_eq!(pair[1].2, if same_row { pair[0].2 + 1 } else { 1 }, "{ids:?}");
    }
}

#[tokio::test]
async fn host_metrics_arrive_with_their_resource() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(State::default(), "127.0.0.1:0").await;
    let mut config = quiet(dir.path(), &collector.endpoint());
    config.host.receivers = HostReceiver::ALL.to_vec();
    config.host.interval = ConfigDuration::from_millis(100);
    config.host.slow_interval = ConfigDuration::from_millis(100);
    config.telemetry.interval = ConfigDuration::from_millis(100);
    config.resource_attributes.insert("deployment.environment.name".to_owned(), "test".to_owned());
    let agent = Agent::start(config).await;
    for name in ["system.cpu.utilization", "system.filesystem.usage", "system.process.count", "sonde_agent_queue_bytes"]
    {
        eventually(name, || collector.state.names().iter().any(|known| known == name)).await;
    }
    agent.stop().await;
    {
        let seen = collector.state.0.lock();
        for (id, request) in &seen.stored {
            for metrics in &request.resource_metrics {
                let attributes = format!("{:?}", metrics.resource.as_ref().unwrap().attributes);
                for part in ["service.name", "sonde-agent", "service.instance.id", "host.name", "os.type", "test"] {
                    assert!(attributes.contains(part), "{id:?}: {part} not in {attributes}");
                }
            }
        }
    }
    check_exactly_once(&collector.state, 0);
    collector.stop().await;
}

#[tokio::test]
async fn retries_and_lost_answers_neither_lose_nor_double() {
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let collector = Collector::start(State::default(), "127.0.0.1:0").await;
        let answers = [Answer::Take, Answer::TakeAndFail, Answer::Busy];
        collector.state.script((0..60).map(|_| answers[random.usize(..answers.len())]));
        // The receiver asks for seconds of patience then: once is enough.
        collector.state.script([Answer::Unavailable]);
        let agent = Agent::start(quiet(dir.path(), &collector.endpoint())).await;
        let client = agent.client();
        for n in 1..=40 {
            client.export(&points(&format!("sent.{n}"), 3)).await.unwrap();
        }
        let stats = Arc::clone(agent.queue.stats());
        eventually("an empty queue", || stats.waiting_batches.load(Relaxed) == 0).await;
        agent.stop().await;
        check_exactly_once(&collector.state, 40);
        let seen = collector.state.0.lock();
        assert!(seen.duplicates > 0, "seed {seed}: an answer was lost and nothing came again");
        assert!(stats.accepted(Source::Otlp) == 120, "seed {seed}");
        assert_eq!(stats.sent_items.load(Relaxed), seen.points, "seed {seed}: what is counted as sent is stored");
    }
}

#[tokio::test]
async fn deltas_do_not_overtake_each_other() {
    for seed in 0..3 {
        let mut random = fastrand::Rng::with_seed(seed);
        let dir = tempfile::tempdir().unwrap();
        let collector = Collector::start(State::default(), "127.0.0.1:0").await;
        let answers = [Answer::Take, Answer::Take, Answer::Busy];
        collector.state.script((0..60).map(|_| answers[random.usize(..answers.len())]));
        let agent = Agent::start(quiet(dir.path(), &collector.endpoint())).await;
        let client = agent.client();
        for n in 1..=40 {
            // What stands for itself may come in any order, and goes in between.
            let export = if n % 4 == 0 { points(&format!("sent.{n}"), 1) } else { delta(&format!("sent.{n}")) };
            client.export(&export).await.unwrap();
        }
        let stats = Arc::clone(agent.queue.stats());
        eventually("an empty queue", || stats.waiting_batches.load(Relaxed) == 0).await;
        agent.stop().await;
        check_exactly_once(&collector.state, 40);
        let deltas = |names: Vec<String>| -> Vec<usize> {
            let numbers = names.iter().filter_map(|name| name.strip_prefix("sent.")?.parse().ok());
            numbers.filter(|n| n % 4 != 0).collect()
        };
        let stored = deltas(collector.state.names());
        assert!(stored.is_sorted(), "seed {seed}: {stored:?}");
    }
}

#[tokio::test]
async fn what_was_acknowledged_waits_for_the_collector_over_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::default();
    // Find a free port, and leave it again.
    let collector = Collector::start(state.clone(), "127.0.0.1:0").await;
    let (endpoint, address) = (collector.endpoint(), collector.address.to_string());
    collector.stop().await;
    let mut n = 0;
    for _life in 0..3 {
        let agent = Agent::start(quiet(dir.path(), &endpoint)).await;
        let client = agent.client();
        for _ in 0..10 {
            n += 1;
            client.export(&points(&format!("sent.{n}"), 1)).await.unwrap();
        }
        agent.stop().await;
    }
    assert_eq!(state.names(), [""; 0]);
    let agent = Agent::start(quiet(dir.path(), &endpoint)).await;
    let collector = Collector::start(state.clone(), &address).await;
    eventually("an empty queue", || agent.queue.stats().waiting_batches.load(Relaxed) == 0).await;
    agent.stop().await;
    check_exactly_once(&state, 30);
    // The cursor was written at the stop: nothing is sent again.
    let agent = Agent::start(quiet(dir.path(), &endpoint)).await;
    agent.client().export(&points("sent.31", 1)).await.unwrap();
    eventually("an empty queue", || agent.queue.stats().waiting_batches.load(Relaxed) == 0).await;
    agent.stop().await;
    check_exactly_once(&state, 31);
    assert_eq!(state.0.lock().duplicates, 0);
    collector.stop().await;
}

#[tokio::test]
async fn a_full_queue_pushes_back_and_host_metrics_leave_a_gap() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(State::default(), "127.0.0.1:0").await;
    collector.state.always(Answer::Unavailable);
    let mut config = quiet(dir.path(), &collector.endpoint());
    config.queue.max_bytes = ByteSize::mib(1);
    config.host.receivers = vec![HostReceiver::Load];
    config.host.interval = ConfigDuration::from_millis(100);
    let agent = Agent::start(config).await;
    let stats = Arc::clone(agent.queue.stats());
    let client = agent.client();
    let mut taken = 0;
    let pushed_back = loop {
        // Names that compression cannot fold, so that the queue fills soon.
        let name: String = std::iter::repeat_with(fastrand::alphanumeric).take(60_000).collect();
        match client.export(&points(&name, 1)).await {
            Ok(_) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 1_000, "the queue never fills");
    };
    let ExportError::Retry { after, reason } = pushed_back else { panic!("{pushed_back}") };
    assert_eq!(after, Some(Duration::from_secs(10)));
    assert!(reason.contains("the queue is full") && reason.contains("queue.max_bytes"), "{reason}");
    eventually("a drop", || stats.dropped(DropReason::QueueFull) > 0).await;

    collector.state.always(Answer::Take);
    eventually("a gap record", || collector.state.names().iter().any(|name| name == "sonde.agent.gap.points")).await;
    let done = || stats.waiting_batches.load(Relaxed) == 0 && !agent.queue.has_gaps();
    eventually("an empty queue", done).await;
    client.export(&points("sent.1", 1)).await.unwrap();
    agent.stop().await;
    check_exactly_once(&collector.state, 1);
    let accepted: u64 = Source::ALL.iter().map(|source| stats.accepted(*source)).sum();
    let dropped: u64 = DropReason::ALL.iter().map(|reason| stats.dropped(*reason)).sum();
    let stored = collector.state.0.lock().points;
    assert_eq!(accepted, stored + dropped, "accepted = stored + gaps");
    collector.stop().await;
}

#[tokio::test]
async fn a_refusal_for_good_and_a_conflict_do_not_block_the_queue() {
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(State::default(), "127.0.0.1:0").await;
    // An empty batch comes under the number of the one that was refused.
    collector.state.script([Answer::Invalid, Answer::Take, Answer::Take, Answer::Conflict]);
    let mut config = quiet(dir.path(), &collector.endpoint());
    config.collector.max_in_flight = 1;
    let agent = Agent::start(config).await;
    let (client, stats) = (agent.client(), Arc::clone(agent.queue.stats()));
    let before = agent.queue.identity();
    for n in 1..=3 {
        client.export(&points(&format!("lost.{n}"), 2)).await.unwrap();
        eventually("an answer", || stats.waiting_batches.load(Relaxed) == 0).await;
    }
    assert_eq!((stats.dropped(DropReason::Refused), stats.dropped(DropReason::Conflict)), (2, 2));
    let mark = collector.state.0.lock().cursors[&(before.agent, before.epoch, Signal::Metrics)].mark();
    assert_eq!(mark, 2, "a refused number is no hole in the stream");
    eventually("a new id", || agent.queue.identity().agent != before.agent).await;
    client.export(&points("after", 2)).await.unwrap();
    eventually("what comes behind", || collector.state.names().iter().any(|name| name == "after")).await;
    agent.stop().await;
    assert!(collector.state.names().iter().any(|name| name == "lost.2"));
    collector.stop().await;
}

#[tokio::test]
async fn two_agents_do_not_share_a_folder_nor_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let agent = Agent::start(quiet(dir.path(), "http://127.0.0.1:1")).await;
    let error = App::build(quiet(dir.path(), "http://127.0.0.1:1"), Clock::system()).await.unwrap_err();
    let error = sonde_runtime::stage::with_causes(&error);
    assert!(error.contains("is in use by another agent"), "{error}");

    let other = tempfile::tempdir().unwrap();
    let mut config = quiet(other.path(), "http://127.0.0.1:1");
    config.otlp.grpc_listen = Listen::At(agent.otlp.strip_prefix("http://").unwrap().parse().unwrap());
    let error = App::build(config, Clock::system()).await.unwrap_err();
    let error = sonde_runtime::stage::with_causes(&error);
    assert!(error.starts_with("otlp.grpc_listen: cannot listen on 127.0.0.1:"), "{error}");
    agent.stop().await;
}

#[tokio::test]
async fn a_page_is_scraped_until_it_goes_away() {
    // As a binary does.
    drop(rustls::crypto::ring::default_provider().install_default());
    let dir = tempfile::tempdir().unwrap();
    let collector = Collector::start(State::default(), "127.0.0.1:0").await;
    let target = target::Target::start().await;
    target.serve(200, "# TYPE jobs counter\njobs_total 3\n# TYPE old counter\nold 1\n");
    let scrape = format!(
        "scrape: [{{job: node, urls: ['http://{}/metrics'], interval: 100ms, timeout: 100ms, labels: {{team: a}}}}]",
        target.address
    );
    let path = dir.path().join("agent.yml");
    std::fs::write(&path, &scrape).unwrap();
    let mut config = quiet(dir.path(), &collector.endpoint());
    config.scrape = Config::load(&path).unwrap().scrape;
    let reload = Reload::new();
    let app = App::build(config, Clock::system()).await.unwrap().with_reload(path.clone(), reload.subscribe());
    let agent = Agent::run(app);
    let rows = || collector.state.rows();
    let row = |name: &str, value: &str| format!("{name}{{instance={},job=node,team=a}} {value}", target.address);
    for expected in [row("jobs_total", "3"), row("old", "1"), row("up", "1"), row("scrape_samples_scraped", "2")] {
        eventually(&expected, || rows().contains(&expected)).await;
    }
    target.serve(200, "jobs_total 4\n");
    eventually("an ended series", || rows().contains(&row("old", "stale"))).await;
    for (status, body) in [(500, ""), (200, "what is this\n"), (0, "")] {
        let before = rows().iter().filter(|known| **known == row("up", "0")).count();
        target.serve(status, body);
        eventually("a target that is down", || rows().iter().filter(|r| **r == row("up", "0")).count() > before).await;
    }
    assert!(rows().contains(&row("jobs_total", "stale")));

    // A file that is no good changes nothing; one without the target ends its series.
    target.serve(200, "jobs_total 5\n");
    std::fs::write(&path, "scrap: []\n").unwrap();
    reload.request();
    eventually("the page again", || rows().contains(&row("jobs_total", "5"))).await;
    assert!(!rows().contains(&row("up", "stale")));
    std::fs::write(&path, "scrape: []\n").unwrap();
    reload.request();
    eventually("the end of the target", || rows().contains(&row("up", "stale"))).await;
    agent.stop().await;
    collector.stop().await;
}
