//! Targets against a receiver that answers as it is told to.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use sonde_disk::{Fs, MemFs};
use sonde_model::{Exemplar, Histogram, Labels};
use sonde_proto::remote_write::{Limits, Version, WriteRequestView, decompress};
use sonde_runtime::Clock;
use sonde_tsdb::{Batch, BatchExemplar, BatchSample, BatchValue, Db, Metadata, MetricKind, Options, Source};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::setup::Target;
use super::stats::TargetStats;
use super::target::{self, Start};
use crate::config::Config;

/// How long a test waits for what has to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the receiver does with a request.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// It answers this status, with `Retry-After: 1` where it is 429.
    Status(u16),
    /// It does not answer.
    Hang,
    /// It says that it has taken it, and does not say what.
    Shrug,
}

#[derive(Debug, Default)]
struct Received {
    script: VecDeque<Step>,
    /// What it does with every request of 2.0.
    of_v2: Option<Step>,
    /// Refuses requests of 1.0 with this metric in them.
    refuses: Option<&'static str>,
    /// By series, in the order in which they came: time and value.
    samples: BTreeMap<String, Vec<(i64, f64)>>,
    histograms: usize,
    exemplars: usize,
    /// Start timestamps of samples and histograms, where they are said.
    starts: Vec<i64>,
    metadata: BTreeMap<String, (u64, String)>,
    /// Headers of the last request.
    headers: HeaderMap,
    versions: Vec<Version>,
    attempts: Vec<(u16, Option<String>)>,
    largest: usize,
}

#[derive(Debug)]
struct Receiver {
    url: String,
    received: Arc<Mutex<Received>>,
    _server: JoinSet<std::io::Result<()>>,
}

impl Receiver {
    async fn start(script: &[Step]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self::serve(listener, script)
    }

    fn serve(listener: tokio::net::TcpListener, script: &[Step]) -> Self {
        let url = format!("http://{}/write", listener.local_addr().expect("an address"));
        let received =
            Arc::new(Mutex::new(Received { script: script.iter().copied().collect(), ..Received::default() }));
        let router = Router::new().route("/write", post(take)).with_state(Arc::clone(&received));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await });
        Receiver { url, received, _server: server }
    }

    fn samples(&self) -> BTreeMap<String, Vec<(i64, f64)>> {
        self.received.lock().samples.clone()
    }

    fn count(&self) -> usize {
        self.received.lock().samples.values().map(Vec::len).sum()
    }
}

async fn take(State(received): State<Arc<Mutex<Received>>>, headers: HeaderMap, body: Bytes) -> Response {
    let step = received.lock().script.pop_front();
    if let Some(Step::Hang) = step {
        std::future::pending::<()>().await;
    }
    let mut received = received.lock();
    let attempt = headers.get("retry-attempt").map(|value| value.to_str().expect("text").to_owned());
    let is_v2 = headers["content-type"] == "application/x-protobuf;proto=io.prometheus.write.v2.Request";
    let version = if is_v2 { Version::V2 } else { Version::V1 };
    received.headers = headers;
    let step = step.or(received.of_v2.filter(|_| is_v2));
    if let Some(Step::Status(status)) = step {
        received.attempts.push((status, attempt));
        let retry_after = if status == 429 { "1" } else { "" };
        return (StatusCode::from_u16(status).expect("a status"), [("retry-after", retry_after)]).into_response();
    }
    received.attempts.push((200, attempt));
    if let Some(Step::Shrug) = step {
        return StatusCode::NO_CONTENT.into_response();
    }
    let body = decompress(&body, 64 << 20).expect("a block");
    let limits = Limits::default();
    let view = WriteRequestView::new(version, &body, &limits).expect("a request");
    let series: Vec<_> = view.series().collect::<Result<_, _>>().expect("series");
    let labels_of = |s: &sonde_proto::remote_write::SeriesView<'_>| {
        Labels::from_pairs(s.labels().map(|l| l.expect("a label"))).to_string()
    };
    let refused = received.refuses.is_some_and(|name| series.iter().any(|s| labels_of(s).starts_with(name)));
    if refused && version == Version::V1 {
        return (StatusCode::BAD_REQUEST, "out of order").into_response();
    }
    let mut written = [0u64; 3];
    let mut metadata = view.series_metadata();
    for series in &series {
        let labels = labels_of(series);
        let starts = series.samples().map(|s| s.expect("a sample").start_timestamp);
        let starts = starts.chain(series.histograms().map(|h| h.expect("a histogram").start_timestamp));
        received.starts.extend(starts.filter(|start| *start != 0));
        let samples: Vec<_> = series.samples().map(|s| s.map(|s| (s.timestamp, s.value)).expect("a sample")).collect();
        written[0] += samples.len() as u64;
        if !samples.is_empty() {
            received.samples.entry(labels).or_default().extend(samples);
        }
        written[1] += series.histogram_count() as u64;
        written[2] += series.exemplar_count() as u64;
        if let Some(said) = metadata.read(series).expect("metadata") {
            received.metadata.insert(said.family.to_owned(), (said.kind, said.help.to_owned()));
        }
    }
    for said in view.metadata() {
        let said = said.expect("metadata");
        received.metadata.insert(said.family.to_owned(), (said.kind, said.help.to_owned()));
    }
    received.histograms += written[1] as usize;
    received.exemplars += written[2] as usize;
    received.largest = received.largest.max(series.len());
    received.versions.push(version);
    if version == Version::V1 {
        return StatusCode::NO_CONTENT.into_response();
    }
    let headers = [
        ("x-prometheus-remote-write-samples-written", written[0].to_string()),
        ("x-prometheus-remote-write-histograms-written", written[1].to_string()),
        ("x-prometheus-remote-write-exemplars-written", written[2].to_string()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// A store, and the targets that read from it.
struct Fixture {
    db: Arc<Db>,
    fs: Arc<dyn Fs>,
    clock: Clock,
    now: i64,
}

struct Running {
    stats: Arc<TargetStats>,
    token: CancellationToken,
    tasks: JoinSet<()>,
}

impl Running {
    async fn stop(mut self) {
        self.token.cancel();
        self.tasks.join_next().await.expect("it runs").expect("it ends");
    }
}

impl Fixture {
    fn new() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (fs, clock): (Arc<dyn Fs>, _) = (Arc::new(MemFs::new()), Clock::system());
        let now = clock.now_ms();
        let (db, _) = Db::open(Arc::clone(&fs), Path::new("data"), Options::default(), now).expect("a store");
        fs.create_dir_all(Path::new("positions")).expect("a folder");
        Fixture { db, fs, clock, now }
    }

    fn start(&self, url: &str, more: &str) -> Running {
        self.hold();
        self.start_from(self.db.committed(None), url, more)
    }

    fn hold(&self) {
        self.db.hold_wal("one", self.db.wal_start()).expect("it is held");
    }

    fn start_from(&self, fresh: sonde_tsdb::CommittedReader, url: &str, more: &str) -> Running {
        let text = format!(
            "remote_write:\n- url: {url}\n  name: one\n  queue_config: {{batch_send_deadline: 50ms, max_backoff: 200ms}}\n{more}"
        );
        let config = Config::parse(&text, "test").expect("a configuration");
        let target = Target::all(&config.remote_write).expect("a target").pop().expect("one");
        let (stats, token) = (Arc::new(TargetStats::default()), CancellationToken::new());
        let start = Start {
            target: Arc::new(target),
            stats: Arc::clone(&stats),
            db: Arc::clone(&self.db),
            fs: Arc::clone(&self.fs),
            dir: PathBuf::from("positions"),
            clock: self.clock.clone(),
            token: token.clone(),
            fresh,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(target::run(start));
        Running { stats, token, tasks }
    }

    /// Appends a batch: `name`, time in ms after the beginning, value.
    async fn append(&self, samples: &[(&str, i64, f64)]) {
        let samples =
            samples.iter().map(|(name, at, value)| self.sample(name, *at, BatchValue::Float(*value))).collect();
        self.batch(samples, Vec::new(), Vec::new(), Vec::new()).await;
    }

    fn sample(&self, name: &str, at: i64, value: BatchValue) -> BatchSample {
        let series = self.db.series_ref(&[("__name__", name), ("job", "x")]).expect("room");
        BatchSample { series, timestamp: self.now + at - 600_000, value }
    }

    async fn batch(
        &self,
        samples: Vec<BatchSample>,
        starts: Vec<i64>,
        exemplars: Vec<BatchExemplar>,
        metadata: Vec<(String, Metadata)>,
    ) {
        let (sender, durable) = tokio::sync::oneshot::channel();
        let batch = Batch { source: Source::Push, cursor: None, samples, starts, metadata, exemplars };
        let outcome = self.db.append(batch, self.now, move |result| drop(sender.send(result))).expect("it is taken");
        assert_eq!(outcome.rejected, []);
        durable.await.expect("an answer").expect("it is durable");
    }

    fn expected(&self, name: &str, samples: impl IntoIterator<Item = (i64, f64)>) -> (String, Vec<(i64, f64)>) {
        let at = |(at, value)| (self.now + at - 600_000, value);
        (format!("{name}{{job=\"x\"}}"), samples.into_iter().map(at).collect())
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let waited = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.unwrap_or_else(|_| panic!("{what} did not come about"));
}

/// A target that is new begins where the log ends: what comes after this counts.
async fn started(running: &Running) {
    until("the beginning", || running.stats.position.load(Relaxed) > 0).await;
}

#[tokio::test]
async fn everything_arrives_once_in_order_whatever_the_receiver_answers() {
    use Step::{Hang, Status};
    let fixture = Fixture::new();
    let receiver = Receiver::start(&[Status(500), Status(429), Hang, Status(503), Status(302)]).await;
    let running = fixture.start(&receiver.url, "  remote_timeout: 300ms\n  metadata_config: {send: false}\n");
    started(&running).await;
    for i in 0..100 {
        fixture.append(&[("a", i, i as f64), ("b", i, -i as f64)]).await;
    }
    until("all samples", || receiver.count() >= 200).await;
    let all = |sign: f64| (0..100).map(move |i| (i, sign * i as f64));
    let expected = BTreeMap::from([fixture.expected("a", all(1.0)), fixture.expected("b", all(-1.0))]);
    assert_eq!(receiver.samples(), expected);
    let stats = &running.stats;
    until("the counters", || stats.samples.load(Relaxed) == 200).await;
    assert_eq!((stats.refused.load(Relaxed), stats.retries.load(Relaxed)), (0, 5));
    assert!(stats.last_failure.lock().is_some());
    let attempts = receiver.received.lock().attempts.clone();
    assert!(attempts.iter().any(|(_, attempt)| attempt.as_deref() == Some("1")), "{attempts:?}");
    running.stop().await;
}

#[tokio::test]
async fn what_a_new_target_begins_with_survives_a_crash() {
    let fixture = Fixture::new();
    let receiver = Receiver::start(&[Step::Hang]).await;
    fixture.append(&[("before", 0, 1.0)]).await;
    fixture.hold();
    let fresh = fixture.db.committed(None);
    // These come between the hold and the first look at the log, and the crash before the receiver has answered.
    fixture.append(&[("a", 1, 1.0)]).await;
    fixture.append(&[("a", 2, 2.0)]).await;
    let running = fixture.start_from(fresh, &receiver.url, "  metadata_config: {send: false}\n");
    started(&running).await;
    until("the first request", || receiver.received.lock().script.is_empty()).await;
    drop(running);
    let running = fixture.start(&receiver.url, "  metadata_config: {send: false}\n");
    until("both samples", || receiver.count() >= 2).await;
    assert_eq!(receiver.samples(), BTreeMap::from([fixture.expected("a", [(1, 1.0), (2, 2.0)])]));
    running.stop().await;
}

#[tokio::test]
async fn what_is_refused_costs_nothing_but_the_records_that_it_is_in() {
    let fixture = Fixture::new();
    let receiver = Receiver::start(&[]).await;
    receiver.received.lock().refuses = Some("bad");
    let running = fixture.start(&receiver.url, "  metadata_config: {send: false}\n");
    started(&running).await;
    let mut appended = Vec::new();
    for i in 0..20 {
        let name = if i == 7 { "bad" } else { "good" };
        appended.push((name, i));
        fixture.append(&[(name, i, 1.0)]).await;
    }
    until("all good samples", || receiver.count() >= 19).await;
    assert_eq!(receiver.samples().keys().collect::<Vec<_>>(), [r#"good{job="x"}"#]);
    until("the refusal", || running.stats.refused.load(Relaxed) == 1).await;
    // 404 is final for all of a request.
    receiver.received.lock().script = VecDeque::from([Step::Status(404)]);
    fixture.append(&[("good", 30, 1.0)]).await;
    until("the refusal", || running.stats.refused.load(Relaxed) == 2).await;
    assert_eq!(receiver.count(), 19);
    running.stop().await;
}

#[tokio::test]
async fn remote_write_2_0_carries_all_kinds_and_falls_back() {
    let more = "  protobuf_message: io.prometheus.write.v2.Request\n  send_exemplars: true\n  send_native_histograms: true\n\
                \x20 headers: {x-scope-orgid: me}\n  basic_auth: {username: u, password: p}\n  external_labels: {job: no, site: here}\n";
    for (of_v2, version) in
        [(None, Version::V2), (Some(Step::Status(415)), Version::V1), (Some(Step::Shrug), Version::V1)]
    {
        let fixture = Fixture::new();
        let receiver = Receiver::start(&[]).await;
        receiver.received.lock().of_v2 = of_v2;
        let running = fixture.start(&receiver.url, more);
        started(&running).await;
        let histogram = Box::new(Histogram { count: 3.0, zero_count: 3.0, ..Histogram::default() });
        let samples = vec![
            fixture.sample("calls_total", 1, BatchValue::Float(2.0)),
            fixture.sample("sizes", 1, BatchValue::Histogram(histogram)),
        ];
        let exemplar =
            Exemplar { labels: Labels::from_pairs([("trace_id", "t")]), value: 1.0, timestamp: samples[0].timestamp };
        let exemplars = vec![BatchExemplar { series: samples[0].series, exemplar }];
        let metadata = Metadata { kind: MetricKind::Counter, help: "Calls.".into(), unit: String::new() };
        fixture.batch(samples, vec![11, 12], exemplars, vec![("calls_total".into(), metadata)]).await;
        let has_all = || {
            let received = receiver.received.lock();
            received.histograms == 1
                && received.exemplars == 1
                && !received.metadata.is_empty()
                && !received.samples.is_empty()
        };
        until("all kinds", has_all).await;
        running.stop().await;
        let mut received = receiver.received.lock();
        assert_eq!(received.samples.keys().collect::<Vec<_>>(), [r#"calls_total{job="x", site="here"}"#]);
        assert_eq!(received.metadata["calls_total"], (1, "Calls.".to_owned()));
        assert!(received.versions.iter().all(|v| *v == version), "{:?}", received.versions);
        received.starts.sort_unstable();
        assert_eq!(received.starts, if version == Version::V2 { vec![11, 12] } else { vec![] }, "1.0 has none");
        assert_eq!(received.headers["x-scope-orgid"], "me");
        assert_eq!(received.headers["authorization"], "Basic dTpw");
        let number = if version == Version::V2 { "2.0.0" } else { "0.1.0" };
        assert_eq!(received.headers["x-prometheus-remote-write-version"], number);
    }
}

#[tokio::test]
async fn credentials_that_expire_cost_nothing() {
    let fixture = Fixture::new();
    let receiver = Receiver::start(&[Step::Status(401), Step::Status(403), Step::Status(408)]).await;
    let running = fixture.start(&receiver.url, "");
    started(&running).await;
    fixture.append(&[("up", 1, 1.0)]).await;
    until("the sample", || receiver.count() == 1).await;
    assert_eq!(running.stats.refused.load(Relaxed), 0);
    assert_eq!(running.stats.retries.load(Relaxed), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_learns_2_0_is_found_to_know_it() {
    let fixture = Fixture::new();
    let receiver = Receiver::start(&[]).await;
    receiver.received.lock().of_v2 = Some(Step::Status(415));
    let running = fixture.start(&receiver.url, "  protobuf_message: io.prometheus.write.v2.Request\n");
    started(&running).await;
    fixture.append(&[("up", 1, 1.0)]).await;
    until("the first sample", || receiver.count() == 1).await;
    assert!(running.stats.has_fallen_back(fixture.clock.now_ms()));
    assert!(!running.stats.has_fallen_back(fixture.clock.now_ms() + 3_600_001));
    // An hour later, and the receiver is another one.
    running.stats.fall_back(fixture.clock.now_ms() - 3_600_000);
    receiver.received.lock().of_v2 = None;
    fixture.append(&[("up", 2, 2.0)]).await;
    until("the second sample", || receiver.count() == 2).await;
    running.stop().await;
    assert_eq!(receiver.received.lock().versions, [Version::V1, Version::V2]);
}

#[tokio::test]
async fn a_target_goes_on_where_it_was_and_a_new_one_begins_now() {
    let fixture = Fixture::new();
    let receiver = Receiver::start(&[]).await;
    fixture.append(&[("old", 1, 1.0)]).await;
    let more = "  metadata_config: {send: false}\n  write_relabel_configs: [{source_labels: [__name__], regex: 'secret.*', action: drop}]\n";
    let running = fixture.start(&receiver.url, more);
    started(&running).await;
    fixture.append(&[("a", 1, 1.0), ("secret_a", 1, 1.0)]).await;
    until("the first sample", || receiver.count() == 1).await;
    assert_eq!(running.stats.dropped_by_rules.load(Relaxed), 1);
    running.stop().await;
    fixture.append(&[("a", 2, 2.0)]).await;
    fixture.db.flush(fixture.now).expect("it works");
    // What is late comes behind what is not: a receiver may refuse it.
    fixture.append(&[("a", 4, 4.0), ("a", 3, 3.0), ("a", 5, 5.0)]).await;
    let running = fixture.start(&receiver.url, more);
    until("the rest", || receiver.count() >= 5).await;
    running.stop().await;
    let expected = fixture.expected("a", [(1, 1.0), (2, 2.0), (4, 4.0), (5, 5.0), (3, 3.0)]);
    assert_eq!(receiver.samples(), BTreeMap::from([expected]));
}

#[tokio::test]
async fn an_outage_costs_neither_samples_nor_memory() {
    const SERIES: i64 = 500;
    const BATCHES: i64 = 400;
    let fixture = Fixture::new();
    let reserved = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = reserved.local_addr().expect("an address");
    drop(reserved);
    let more = "  remote_timeout: 5s\n  metadata_config: {send: false}\n";
    let running = fixture.start(&format!("http://{address}/write"), more);
    started(&running).await;
    let names: Vec<String> = (0..SERIES).map(|i| format!("series_{i:04}")).collect();
    let mut most = 0;
    for batch in 0..BATCHES {
        let samples: Vec<_> = names.iter().map(|name| (name.as_str(), batch, batch as f64)).collect();
        fixture.append(&samples).await;
        if batch % 100 == 50 {
            fixture.db.flush(fixture.now).expect("it works");
        }
        most = most.max(running.stats.round_bytes.load(Relaxed));
    }
    let listener = tokio::net::TcpListener::bind(address).await.expect("the same port");
    let receiver = Receiver::serve(listener, &[]);
    let stats = Arc::clone(&running.stats);
    let expected = (SERIES * BATCHES) as u64;
    let watched = async {
        while stats.samples.load(Relaxed) < expected {
            most = most.max(stats.round_bytes.load(Relaxed));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, watched).await.expect("everything arrives");
    // A round of 4 shards of 2,000 samples, and one record more.
    assert!(most > 0 && most < 1 << 20, "{most} bytes of a round");
    assert!(receiver.received.lock().largest <= 2_000);
    let in_order = (0..BATCHES).map(|i| (i, i as f64));
    for name in [&names[0], &names[499]] {
        let (series, samples) = fixture.expected(name, in_order.clone());
        assert_eq!(receiver.samples()[&series], samples);
    }
    assert_eq!(receiver.count() as u64, expected);
    assert_eq!(stats.skipped_records.load(Relaxed) + stats.dropped_unknown.load(Relaxed), 0);
    running.stop().await;
}

#[test]
fn configurations_that_cannot_work_are_told_by_their_key() {
    for (text, key) in [
        ("url: ftp://x", "remote_write[0].url"),
        ("{url: 'http://x', name: 'a/b'}", "remote_write[0].name"),
        ("{url: 'http://x', headers: {host: y}}", "remote_write[0].headers"),
        ("{url: 'http://x', queue_config: {max_shards: 0}}", "remote_write[0].queue_config.max_shards"),
        ("{url: 'http://x', basic_auth: {username: u}}", "remote_write[0].basic_auth"),
        ("{url: 'http://x', authorization: {credentials: a, credentials_file: b}}", "remote_write[0].authorization"),
        (
            "{url: 'http://x', write_relabel_configs: [{action: keep}, {regex: '('}]}",
            "remote_write[0].write_relabel_configs[1]",
        ),
    ] {
        let error =
            Config::parse(&format!("remote_write: [{text}]").replace("[url: ftp://x]", "[{url: 'ftp://x'}]"), "test");
        let text = error.expect_err(key).to_string();
        assert!(text.contains(key), "{text}");
    }
    let twice = Config::parse("remote_write: [{url: 'http://x'}, {url: 'http://x'}]", "test").expect_err("twice");
    assert!(twice.to_string().contains("is used twice"), "{twice}");
    let config =
        Config::parse("remote_write: [{url: 'http://x', authorization: {credentials: hush}}]", "test").expect("valid");
    assert!(!format!("{config:?}").contains("hush"));
    assert!(!serde_json::to_string(&config).expect("it is written").contains("hush"));
}
