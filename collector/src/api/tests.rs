//! Requests against the whole router over a real store in memory.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode};
use sonde_disk::{Fs, MemFs};
use sonde_proto::remote_write::{
    BucketSpan, Count, Exemplar, Histogram, Label, MetricMetadata, Sample, TimeSeries, WriteRequest, compress, encode,
    v2,
};
use sonde_runtime::{Clock, ManualClock};
use sonde_tracedb::TraceDb;
use sonde_tsdb::{Db, Options};
use tower::ServiceExt;

mod alertmanager;
mod exchange;
mod openapi;
mod remote_write_v2;
mod sharing;
mod targets;
mod tiers;

use super::main_router;
use crate::auth::Auth;
use crate::config::Config;
use crate::flags::Flags;
use crate::notify::Notifier;
use crate::server::Server;

/// A collector without ports, whose store lies in memory.
struct Fixture {
    server: Arc<Server>,
    router: Router,
    clock: ManualClock,
}

impl Fixture {
    fn new(config: Config, flags: Flags) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let (clock, hand) = Clock::manual(60_000);
        let notifier = Notifier::new(clock.clone()).expect("a client");
        let auth = Auth::new(&flags, clock.now_ms()).expect("random numbers");
        let server = Arc::new(Server::new(config, flags, clock, notifier, auth));
        crate::telemetry::register_server(&server);
        let limits = crate::settings::otlp_limits(&server.config.load());
        let router = main_router(&server, &limits);
        Fixture { server, router, clock: hand }
    }

    /// One whose store is open.
    fn open() -> Self {
        Self::open_with(Config::default(), Flags::default())
    }

    fn open_with(config: Config, flags: Flags) -> Self {
        let fixture = Self::new(config, flags);
        let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
        let options: Options = crate::settings::store_options(&fixture.server.config.load());
        let (state, memory) =
            crate::state::State::open(&crate::state::Location::Memory, crate::state::Options::default())
                .expect("a state");
        fixture.server.auth.open(state.clone(), Vec::new());
        let (db, _) = Db::open(Arc::clone(&fs), Path::new("/data/tsdb"), options, 60_000).expect("an empty store");
        fixture.server.set_store(db, fs, state, memory);
        let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
        let options = crate::settings::span_options(&fixture.server.config.load());
        let (spans, _) = TraceDb::open(fs, Path::new("/data/traces"), options, 60_000).expect("an empty store");
        fixture.server.set_spans(spans);
        crate::telemetry::register_spans(&fixture.server);
        crate::telemetry::register_core(&fixture.server);
        fixture
    }

    async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.expect("the router answers")
    }

    async fn answer(&self, request: Request<Body>) -> (u16, String) {
        let response = self.send(request).await;
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.expect("a body");
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.answer(Request::get(path).body(Body::empty()).expect("a request")).await
    }

    async fn write(&self, request: &WriteRequest) -> (u16, String) {
        self.post_write(&[], compress(&encode(request)).expect("it fits")).await
    }

    async fn post_write(&self, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String) {
        let mut request = Request::post("/api/v1/write");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.answer(request.body(Body::from(body)).expect("a request")).await
    }
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> TimeSeries {
    let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
    let sample = |(timestamp, value): &(i64, f64)| Sample { value: *value, timestamp: *timestamp };
    TimeSeries {
        labels: labels.iter().map(label).collect(),
        samples: samples.iter().map(sample).collect(),
        ..TimeSeries::default()
    }
}

fn exemplar(labels: &[(&str, &str)], value: f64, timestamp: i64) -> Exemplar {
    let label = |(name, value): &(&str, &str)| Label { name: (*name).into(), value: (*value).into() };
    Exemplar { labels: labels.iter().map(label).collect(), value, timestamp }
}

fn of(timeseries: Vec<TimeSeries>) -> WriteRequest {
    WriteRequest { timeseries, ..WriteRequest::default() }
}

/// What `fixtures/cases.txt` says is in the store.
fn data() -> WriteRequest {
    let times = [0, 15_000, 30_000, 45_000, 60_000];
    let with = |values: [f64; 5]| times.into_iter().zip(values).collect::<Vec<_>>();
    let mut latency = series(&[("__name__", "latency"), ("job", "a")], &[]);
    latency.histograms.push(histogram(3, &[1, 1]));
    latency.exemplars.push(exemplar(&[("trace_id", "b\"2")], 3.0, 60_000));
    let mut requests = series(
        &[("__name__", "http_requests_total"), ("code", "200"), ("job", "a")],
        &with([0.0, 30.0, 60.0, 90.0, 120.0]),
    );
    requests.exemplars.push(exemplar(&[("trace_id", "a1")], 0.25, 15_000));
    requests.exemplars.push(exemplar(&[], f64::NAN, 15_500));
    let metadata = MetricMetadata {
        kind: 1,
        metric_family_name: "http_requests_total".into(),
        help: "Requests.".into(),
        ..MetricMetadata::default()
    };
    WriteRequest {
        timeseries: vec![
            series(&[("__name__", "up"), ("instance", "1"), ("job", "a")], &with([1.0; 5])),
            requests,
            series(&[("__name__", "service.requests"), ("http.route", "/x")], &with([5.0; 5])),
            series(
                &[("job", "b"), ("__name__", "odd")],
                &with([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-7, 0.1]),
            ),
            latency,
        ],
        metadata: vec![metadata],
    }
}

/// A native histogram at 60 s; deltas are those of whole counts.
fn histogram(count: u64, deltas: &[i64]) -> Histogram {
    Histogram {
        count: Some(Count::Int(count)),
        sum: 4.5,
        positive_spans: vec![BucketSpan { offset: 0, length: deltas.len() as u32 }],
        positive_deltas: deltas.to_vec(),
        timestamp: 60_000,
        ..Histogram::default()
    }
}

#[tokio::test]
async fn answers_are_those_of_the_table() {
    let fixture = Fixture::open();
    assert_eq!(fixture.write(&data()).await, (204, String::new()));
    check_table(&fixture).await;
    let fixture = Fixture::open();
    assert_eq!(remote_write_v2::write(&fixture, &v2::Request::from(&data())).await.0, 204);
    check_table(&fixture).await;
}

/// Asks what `fixtures/cases.txt` asks of a store with [`data`].
async fn check_table(fixture: &Fixture) {
    let mut request = ("", "", "");
    let (mut cases, mut failures) = (0, Vec::new());
    for line in include_str!("fixtures/cases.txt").lines() {
        if let Some(rest) = line.strip_prefix("> ") {
            let (method, rest) = rest.split_once(' ').expect("a method");
            let (path, form) = rest.split_once(' ').unwrap_or((rest, ""));
            request = (method, path, form);
        } else if let Some(rest) = line.strip_prefix('<') {
            let (partly, rest) = rest.strip_prefix('~').map_or((false, rest), |rest| (true, rest));
            let rest = rest.trim_start();
            let (status, body) = rest.split_once(' ').unwrap_or((rest, ""));
            let failure = check(fixture, request, status.parse().expect("a status"), body, partly).await;
            failures.extend(failure);
            cases += 1;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert!(cases > 50, "only {cases} cases were read");
}

/// What is wrong with the answer to a request.
async fn check(
    fixture: &Fixture,
    (method, path, form): (&str, &str, &str),
    status: u16,
    body: &str,
    partly: bool,
) -> Option<String> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.body(Body::from(form.to_owned())).expect("a request");
    let (found_status, found) = fixture.answer(request).await;
    let is_right = if partly { found.contains(body) } else { found.trim_end() == body };
    (found_status != status || !is_right)
        .then(|| format!("{method} {path} {form}:\n{found_status} {found}\nis not\n{status} {body}"))
}

#[tokio::test]
async fn before_the_store_is_open_only_the_probes_are_served() {
    let fixture = Fixture::new(Config::default(), Flags::default());
    let (state, memory) =
        crate::state::State::open(&crate::state::Location::Memory, crate::state::Options::default()).expect("a state");
    fixture.server.auth.open(state, memory.tokens);
    let (status, text) = fixture.get("/-/ready").await;
    assert_eq!((status, text.contains("store: the store is being opened")), (503, true), "{text}");
    assert_eq!(fixture.get("/-/healthy").await.0, 200);
    for path in ["/api/v1/query?query=1", "/api/v1/labels", "/api/v1/rules", "/api/v1/status/tsdb"] {
        let (status, text) = fixture.get(path).await;
        assert_eq!((status, text.contains(r#""errorType":"unavailable""#)), (503, true), "{path}: {text}");
    }
    assert_eq!(fixture.write(&data()).await.0, 503);
    assert_eq!(fixture.get("/").await.0, 200);
    assert_eq!(fixture.get("/metrics").await.0, 200);
}

#[tokio::test]
async fn answers_are_compressed_and_readable_from_web_pages() {
    let fixture = Fixture::open();
    for (encoding, expected) in
        [("gzip", Some("gzip")), ("zstd", Some("zstd")), ("deflate", Some("deflate")), ("identity", None)]
    {
        let request =
            Request::get("/api/v1/status/buildinfo").header("accept-encoding", encoding).header("origin", "http://x");
        let response = fixture.send(request.body(Body::empty()).expect("a request")).await;
        let header = |name| response.headers().get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
        assert_eq!((header("content-encoding"), header("access-control-allow-origin")), (expected, Some("*")));
    }
}

#[tokio::test]
async fn remote_write_answers_with_the_statuses_that_senders_expect() {
    let fixture = Fixture::open();
    let good = compress(&encode(&data())).expect("it fits");
    const PROTOBUF: &str = "application/x-protobuf";
    for (headers, status) in [
        (vec![], 204),
        (vec![("content-type", PROTOBUF), ("content-encoding", "snappy")], 204),
        (vec![("content-type", "application/x-protobuf;proto=prometheus.WriteRequest")], 204),
        (vec![("content-type", "application/x-protobuf;proto=io.prometheus.write.v3.Request")], 415),
        (vec![("content-type", "application/json")], 415),
        (vec![("content-type", PROTOBUF), ("content-encoding", "gzip")], 415),
        (vec![("content-length", "999999999")], 413),
    ] {
        let (found, text) = fixture.post_write(&headers, good.clone()).await;
        assert_eq!(found, status, "{headers:?}: {text}");
        assert_eq!(text.is_empty(), status == 204, "{headers:?}: {text}");
    }
    for body in [&b""[..], b"garbage", &[0xff; 40], &good[..good.len() / 2], &[0xff, 0xff, 0xff, 0xff, 0x0f, 0]] {
        let (found, text) = fixture.post_write(&[], body.to_vec()).await;
        assert_eq!(found, 400, "{body:?}: {text}");
    }
    for body in [&[0x0a, 0x05, 0x01][..], &[0xff; 30], &[0x0a; 500]] {
        let (found, text) = fixture.post_write(&[], compress(body).expect("it fits")).await;
        assert_eq!(found, 400, "{body:?}: {text}");
    }
}

#[tokio::test]
async fn mutated_bodies_never_do_harm() {
    let fixture = Fixture::open();
    let (first, second) = (encode(&data()), encode(&v2::Request::from(&data())));
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..4_000 {
        let is_first = random.bool();
        let mut body = if is_first { first.clone() } else { second.clone() };
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..body.len());
            match random.u8(..3) {
                0 => body[at] = random.u8(..),
                1 => body.truncate(at.max(1)),
                _ => body.insert(at, random.u8(..)),
            }
        }
        let mut block = compress(&body).expect("it fits");
        if random.u8(..4) == 0 {
            let at = random.usize(..block.len());
            block[at] = random.u8(..);
        }
        let content_type = [("content-type", remote_write_v2::CONTENT_TYPE)];
        let (status, text) = fixture.post_write(if is_first { &[] } else { &content_type }, block).await;
        assert!(status == 204 || status == 400 && !text.is_empty(), "{status} {text}: {body:?}");
    }
    assert_eq!(fixture.get("/api/v1/query?query=1").await.0, 200);
}

#[tokio::test]
async fn bad_samples_are_refused_one_by_one() {
    let fixture = Fixture::open();
    fixture.clock.advance(std::time::Duration::from_secs(100_000));
    let now = 60_000 + 100_000_000;
    let mut broken = series(&[("__name__", "broken")], &[]);
    broken.histograms.push(histogram(3, &[1, -7]));
    let request = of(vec![
        series(&[("__name__", "good")], &[(now, 1.0)]),
        series(&[("job", "nameless")], &[(now, 1.0)]),
        series(&[("__name__", "twice"), ("a", "1"), ("a", "2")], &[(now, 1.0), (now + 1, 2.0)]),
        series(&[("__name__", "ahead")], &[(now, 1.0), (now + 3_600_000, 2.0)]),
        broken,
    ]);
    let (status, text) = fixture.write(&request).await;
    assert_eq!(status, 400, "{text}");
    for part in [
        "5 samples were refused:",
        "1 further ahead of the clock than storage.max_ahead allows",
        "1 with a histogram that contradicts itself",
        "2 with a label name that comes twice",
        "1 without a metric name",
        "2 were stored",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // The same again is no error where the same was stored.
    assert_eq!(fixture.write(&of(vec![series(&[("__name__", "good")], &[(now, 1.0)])])).await.0, 204);
    let (status, text) = fixture.write(&of(vec![series(&[("__name__", "good")], &[(now, 2.0)])])).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("1 sample was refused: 1 with another value than the one stored") && text.contains("good"));
    let late = of(vec![series(&[("__name__", "good")], &[(now - 7_200_000, 1.0)])]);
    let (status, text) = fixture.write(&late).await;
    assert_eq!((status, text.contains("older than storage.lateness")), (400, true), "{text}");
    let (_, answer) =
        fixture.get(&format!("/api/v1/query?query=count(%7B__name__=~%22.%2B%22%7D)&time={}", now / 1_000)).await;
    assert!(answer.contains(r#""2"]"#), "good and ahead are stored: {answer}");
}

#[tokio::test]
async fn limits_are_answered_before_memory_is_spent() {
    let mut config = Config::default();
    config.ingest.max_samples = 10;
    let fixture = Fixture::open_with(config.clone(), Flags::default());
    let many: Vec<(i64, f64)> = (0..11).map(|n| (50_000 + n, 1.0)).collect();
    let (status, text) = fixture.write(&of(vec![series(&[("__name__", "many")], &many)])).await;
    assert_eq!((status, text.contains("11 samples, the limit is 10")), (400, true), "{text}");

    config.ingest.max_inflight = sonde_runtime::config::ByteSize(4096);
    let fixture = Fixture::open_with(config, Flags::default());
    let mut response = Request::post("/api/v1/write").header("content-length", "5000");
    response = response.header("content-encoding", "snappy");
    let response = fixture.send(response.body(Body::from(vec![0; 5000])).expect("a request")).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers().get("retry-after").and_then(|v| v.to_str().ok()), Some("1"));

    // What would not fit alone need not come again.
    let json = format!(r#"{{"resourceMetrics":[{{"schemaUrl":"{}"}}]}}"#, "x".repeat(2_000));
    let request = Request::post("/v1/metrics").header("content-type", "application/json");
    let (status, text) = fixture.answer(request.body(Body::from(json)).expect("a request")).await;
    assert_eq!((status, text.contains("ingest.max_inflight")), (413, true), "{text}");
}

/// Nobody proves OTLP metrics before they are read: what is broken anywhere in a request refuses all of it, and what is
/// written in pieces, as no encoder does, is put together.
#[tokio::test]
async fn otlp_metrics_are_proven_as_they_are_read() {
    let fixture = Fixture::open();
    let message = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
    let point = |key: &[u8], time: u64| {
        let attribute = message(7, &message(1, key));
        let numbers = [&[0x19][..], &time.to_le_bytes(), &[0x21], &1.5_f64.to_le_bytes()].concat();
        message(1, &[numbers, attribute].concat())
    };
    let post = async |gauges: &[Vec<u8>]| {
        let gauges = gauges.iter().flat_map(|points| message(5, points)).collect::<Vec<_>>();
        let metric = message(2, &[message(1, b"proven"), gauges].concat());
        let request = Request::post("/v1/metrics").header("content-type", "application/x-protobuf");
        let body = Body::from(message(1, &message(2, &metric)));
        fixture.answer(request.body(body).expect("a request")).await.0
    };
    let half_broken = [point(b"a", 60_000_000_000), point(b"b\xff", 60_000_000_000)].concat();
    assert_eq!(post(&[half_broken]).await, 400);
    let (_, found) = fixture.get("/api/v1/query?query=proven&time=70").await;
    assert!(found.contains(r#""result":[]"#), "{found}");
    assert_eq!(post(&[point(b"a", 60_000_000_000), point(b"b", 61_000_000_000)]).await, 200, "two pieces of one gauge");
    let (_, found) = fixture.get("/api/v1/query?query=count_over_time(proven%5B1m%5D)&time=70").await;
    assert!(found.contains(r#""value":[70,"2"]"#), "{found}");
}

#[tokio::test]
async fn otlp_is_taken_on_the_main_port_by_content_type() {
    let fixture = Fixture::open();
    let json = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"pushed","gauge":{"dataPoints":[
        {"asDouble":1,"timeUnixNano":"60000000000"}]}}]}]}]}"#;
    for path in ["/v1/metrics", "/api/v1/otlp/v1/metrics"] {
        let request = Request::post(path).header("content-type", "application/json");
        let (status, text) = fixture.answer(request.body(Body::from(json)).expect("a request")).await;
        assert_eq!(status, 200, "{path}: {text}");
    }
    let (_, answer) = fixture.get("/api/v1/query?query=pushed").await;
    assert!(answer.contains(r#"[60,"1"]"#), "{answer}");

    let request = Request::post("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(Body::from(vec![0; 5]))
        .expect("a request");
    let response = fixture.send(request).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/grpc".parse().expect("valid"))
    );
    let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body");
    assert_eq!(body.trailers().map(|t| t["grpc-status"].as_bytes().to_vec()), Some(b"0".to_vec()));

    for (path, taken) in [("/v1/traces", 200), ("/v1/logs", 404)] {
        let request = Request::post(path).header("content-type", "application/json");
        let (status, text) = fixture.answer(request.body(Body::from("{}")).expect("a request")).await;
        assert_eq!(status, taken, "{path}: {text}");
    }
}

/// Whatever is asked of Tempo's API: an answer, or a sentence with a status that blames the right side.
#[tokio::test]
async fn garbage_is_refused_by_every_path_of_tempo() {
    let fixture = Fixture::open();
    let paths = [
        "/api/traces/{}",
        "/api/v2/traces/{}",
        "/api/v2/traces/1?q={}",
        "/api/v2/traces/1?q=%7B%7D&match_depth={}&keep_hierarchy=true&ancestor_depth={}",
        "/api/search?q={}",
        "/api/search?tags={}",
        "/api/search?minDuration={}",
        "/api/search?limit={}",
        "/api/search?spss={}",
        "/api/search?start={}&end={}",
        "/api/search/tags?scope={}",
        "/api/v2/search/tags?q={}&limit={}",
        "/api/search/tag/{}/values",
        "/api/v2/search/tag/{}/values?q={}",
        "/api/metrics/query?q={}",
        "/api/metrics/query_range?q=%7B%7D%7Crate()&step={}",
    ];
    let deep = "(".repeat(5_000);
    let long = "a".repeat(20_000);
    let garbage = [
        "%7B",
        "%22",
        "%00",
        "-1",
        "NaN",
        "99999999999999999999",
        "%F0%9F%92%A5",
        "%ff",
        "a%3D%22",
        "1e308s",
        ".",
        &deep,
        &long,
    ];
    for path in paths {
        for text in garbage {
            let asked = path.replace("{}", text);
            let (status, answer) = fixture.get(&asked).await;
            let told = format!("{path} with {}: {status} {answer:.200}", &text[..text.len().min(40)]);
            assert!(matches!(status, 200 | 400 | 404 | 501), "{told}");
            assert!(status == 200 || status == 404 || !answer.is_empty(), "{told}");
        }
    }
    assert_eq!(fixture.get("/api/echo").await, (200, "echo\n".to_owned()));
    assert_eq!(fixture.get("/ready").await, (200, "ready\n".to_owned()));
}

/// Before the store is open: not yet, and when to come again.
#[tokio::test]
async fn tempo_says_that_the_span_store_is_being_opened() {
    let fixture = Fixture::new(Config::default(), Flags::default());
    for path in ["/api/search?q=%7B%7D", "/api/v2/traces/1", "/api/search/tags", "/ready"] {
        assert_eq!(fixture.get(path).await.0, 503, "{path}");
    }
}

#[tokio::test]
async fn admin_calls_answer_when_the_work_is_done() {
    let flags = Flags { enable_admin_api: true, ..Flags::default() };
    let fixture = Fixture::open_with(Config::default(), flags);
    assert_eq!(fixture.write(&data()).await.0, 204);
    for call in ["flush", "compact"] {
        let request = Request::post(format!("/api/v1/admin/tsdb/{call}")).body(Body::empty()).expect("a request");
        assert_eq!(fixture.answer(request).await, (204, String::new()));
    }
    let (_, status) = fixture.get("/api/v1/status/tsdb").await;
    assert!(status.contains(r#""blockStats":{"numBlocks":1,"numSamples":21,"#), "{status}");
    assert!(status.contains(r#""seriesCountByMetricName":[{"name":"http_requests_total","value":"#), "{status}");
    assert_eq!(fixture.get("/api/v1/status/tsdb?limit=10001").await.0, 400);
    let (_, answer) = fixture.get("/api/v1/query?query=sum(http_requests_total)").await;
    assert!(answer.contains(r#"[60,"120"]"#), "{answer}");
}

#[tokio::test]
async fn series_are_deleted_and_a_snapshot_is_made() {
    let flags = Flags { enable_admin_api: true, ..Flags::default() };
    let fixture = Fixture::open_with(Config::default(), flags);
    assert_eq!(fixture.write(&data()).await.0, 204);
    let call = async |call: &str| {
        let request = Request::post(format!("/api/v1/admin/tsdb/{call}")).body(Body::empty()).expect("a request");
        fixture.answer(request).await
    };
    let (status, answer) = call("delete_series").await;
    assert!(status == 400 && answer.contains("match[]"), "{status} {answer}");
    assert_eq!(call("delete_series?match[]=%7Ba%3D%22%22%7D").await.0, 400, "that would be everything");
    assert_eq!(call("delete_series?match[]=http_requests_total&start=0&end=50").await, (204, String::new()));
    assert_eq!(call("clean_tombstones").await, (204, String::new()));
    let (_, answer) = fixture.get("/api/v1/query?query=count_over_time(http_requests_total[1h])&time=3600").await;
    assert!(answer.contains(r#""result":["#) && !answer.contains("error"), "{answer}");
    let (status, answer) = call("snapshot").await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains(r#""data":{"name":"19700101T000100Z-"#), "{answer}");
}

mod otlp {
    //! Exactly-once over the consumer that the receivers call.

    use sonde_model::{AgentId, BatchId, Signal};
    use sonde_otlp::{Consumer, Export, Refused};
    use sonde_proto::otlp::metrics::{
        Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric, number_data_point,
    };
    use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};

    use super::Fixture;
    use crate::consumer::OtlpConsumer;

    fn body(points: &[(&str, u64, f64)]) -> Vec<u8> {
        let metric = |(name, ms, value): &(&str, u64, f64)| Metric {
            name: (*name).into(),
            data: Some(metric::Data::Gauge(Gauge {
                data_points: vec![NumberDataPoint {
                    time_unix_nano: ms * 1_000_000,
                    value: Some(number_data_point::Value::AsDouble(*value)),
                    ..NumberDataPoint::default()
                }],
            })),
            ..Metric::default()
        };
        let scope = ScopeMetrics { metrics: points.iter().map(metric).collect(), ..ScopeMetrics::default() };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
        ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec()
    }

    fn export(body: &[u8], seq: Option<u64>) -> Export {
        let batch = seq.map(|seq| BatchId { agent: AgentId([7; 16]), epoch: 1, signal: Signal::Metrics, seq });
        Export { signal: Signal::Metrics, body: body.to_vec().into(), batch, items: 1 }
    }

    #[tokio::test]
    async fn a_numbered_batch_counts_once() {
        let fixture = Fixture::open();
        let consumer = OtlpConsumer::new(std::sync::Arc::clone(&fixture.server));
        let first = body(&[("some.gauge", 60_000, 1.0)]);
        for _ in 0..3 {
            let accepted = consumer.consume(export(&first, Some(1))).await.expect("stored, or there already");
            assert_eq!(accepted.rejected, 0);
        }
        let other = body(&[("some.gauge", 60_000, 2.0)]);
        let refused = consumer.consume(export(&other, Some(1))).await;
        assert!(matches!(&refused, Err(Refused::Conflict(text)) if text.contains("other content")), "{refused:?}");
        consumer.consume(export(&other, Some(3))).await.expect("batches may overtake each other");
        consumer.consume(export(&other, Some(1_000_000))).await.expect("numbers that never come hold nobody up");

        let db = &fixture.server.core().expect("open").db;
        let stats = db.stats();
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!([&stats.batches, &stats.duplicate_batches, &stats.conflicting_batches].map(read), [3, 2, 1]);
        let (_, answer) = fixture.get("/api/v1/query?query=some_gauge").await;
        assert!(answer.contains(r#"[60,"1"]"#), "{answer}");
        let (_, page) = fixture.get("/").await;
        assert!(page.contains("agent 07070707070707070707070707070707") && page.contains("epoch 1, batch"), "{page}");
    }

    #[tokio::test]
    async fn what_is_valid_is_stored_and_the_rest_is_told() {
        let fixture = Fixture::open();
        let consumer = OtlpConsumer::new(std::sync::Arc::clone(&fixture.server));
        let mixed = body(&[("good", 60_000, 1.0), ("ahead", 3_600_000_000, 1.0), ("", 60_000, 1.0)]);
        let accepted = consumer.consume(export(&mixed, None)).await.expect("stored in part");
        assert_eq!(accepted.rejected, 2, "{}", accepted.message);
        assert!(accepted.message.contains("storage.max_ahead"), "{}", accepted.message);
        for garbage in [&b"garbage"[..], &[0xff; 100], &mixed[..mixed.len() - 2]] {
            let refused = consumer.consume(export(garbage, None)).await;
            assert!(matches!(refused, Err(Refused::Invalid(_))), "{refused:?}");
        }
        let spans = Export { signal: Signal::Traces, ..export(&mixed, None) };
        let refused = consumer.consume(spans).await;
        assert!(matches!(&refused, Err(Refused::Invalid(_))), "metrics are no spans: {refused:?}");
    }

    /// A request with one span for each pair of ids.
    fn spans(ids: &[(u8, u8)]) -> Vec<u8> {
        let span = |(trace, span): &(u8, u8)| sonde_proto::otlp::trace::Span {
            trace_id: vec![*trace; 16],
            span_id: vec![*span; 8],
            name: "work".into(),
            start_time_unix_nano: 59_000_000_000,
            end_time_unix_nano: 60_000_000_000,
            ..Default::default()
        };
        let scope_spans =
            vec![sonde_proto::otlp::trace::ScopeSpans { spans: ids.iter().map(span).collect(), ..Default::default() }];
        let of_resource = sonde_proto::otlp::trace::ResourceSpans { scope_spans, ..Default::default() };
        sonde_proto::otlp::ExportTraceServiceRequest { resource_spans: vec![of_resource] }.encode_to_vec()
    }

    fn span_export(body: &[u8], seq: Option<u64>) -> Export {
        let mut export = Export { signal: Signal::Traces, ..export(body, seq) };
        export.batch = export.batch.map(|batch| BatchId { signal: Signal::Traces, ..batch });
        export
    }

    #[tokio::test]
    async fn spans_are_stored_once_and_found() {
        let fixture = Fixture::open();
        let consumer = OtlpConsumer::new(std::sync::Arc::clone(&fixture.server));
        let first = spans(&[(1, 1), (1, 2), (0, 3)]);
        let accepted = consumer.consume(span_export(&first, Some(1))).await.expect("stored in part");
        assert_eq!((accepted.rejected, &*accepted.message), (1, "1 span was refused: 1 with invalid trace id"));
        let again = consumer.consume(span_export(&first, Some(1))).await.expect("there already");
        assert_eq!(again.rejected, 0);
        let refused = consumer.consume(span_export(&spans(&[(1, 4)]), Some(1))).await;
        assert!(matches!(&refused, Err(Refused::Conflict(text)) if text.contains("other content")), "{refused:?}");

        let (status, text) = fixture.get("/api/search?q=%7B%20name%20%3D%20%22work%22%20%7D&spss=0").await;
        assert_eq!((status, text.matches("spanID").count()), (200, 4), "two spans, in spanSet and in spanSets: {text}");
        let (status, text) = fixture.get(&format!("/api/v2/traces/{}", "01".repeat(16))).await;
        assert_eq!((status, text.matches("spanId").count()), (200, 2), "{text}");
        let (_, metrics) = fixture.get("/metrics").await;
        for line in [
            "sonde_otlp_spans_total 6",
            "sonde_ingest_span_requests_total{result=\"stored\"} 1",
            "sonde_ingest_span_requests_total{result=\"duplicate\"} 1",
            "sonde_ingest_span_requests_total{result=\"conflict\"} 1",
            "sonde_ingest_refused_spans_total{reason=\"invalid_trace_id\"} 1",
            "sonde_tracedb_spans_total 2",
        ] {
            assert!(metrics.contains(line), "{line} in {metrics}");
        }
        let (_, page) = fixture.get("/").await;
        assert!(page.contains("2 in the head (1 traces)"), "{page}");
    }
}

#[tokio::test]
async fn bad_exemplars_are_counted_and_fail_nothing() {
    let fixture = Fixture::open();
    let mut up = series(&[("__name__", "up")], &[(60_000, 1.0)]);
    let long = "x".repeat(200);
    up.exemplars = vec![
        exemplar(&[("trace_id", "a"), ("trace_id", "b")], 1.0, 60_000),
        exemplar(&[("", "a")], 1.0, 60_000),
        exemplar(&[("trace_id", &long)], 1.0, 60_000),
        exemplar(&[("z", "1"), ("b", ""), ("a", "2")], 1.0, 60_000),
        exemplar(&[("z", "1"), ("a", "2")], 1.0, 60_000 + 3_600_000),
    ];
    let mut nameless = series(&[("job", "a")], &[]);
    nameless.exemplars = vec![exemplar(&[], 1.0, 60_000)];
    let mut alone = series(&[("__name__", "alone")], &[]);
    alone.exemplars = vec![exemplar(&[("a", "1")], 1.0, 60_000)];
    assert_eq!(fixture.write(&of(vec![up, nameless, alone])).await, (204, String::new()));
    let (_, found) = fixture.get("/api/v1/query_exemplars?query=up%20or%20alone").await;
    let one = |name: &str, labels: &str| {
        format!(
            r#"{{"seriesLabels":{{"__name__":"{name}"}},"exemplars":[{{"labels":{labels},"value":"1","timestamp":60}}]}}"#
        )
    };
    let expected = format!("[{},{}]", one("alone", r#"{"a":"1"}"#), one("up", r#"{"a":"2","z":"1"}"#));
    assert_eq!(found, format!(r#"{{"status":"success","data":{expected}}}"#));
    let (_, page) = fixture.get("/metrics").await;
    for line in [
        "sonde_ingest_exemplars_total 7",
        "sonde_ingest_refused_exemplars_total{reason=\"invalid_labels\"} 2",
        "sonde_ingest_refused_exemplars_total{reason=\"series_refused\"} 1",
        "sonde_tsdb_rejected_exemplars_total{reason=\"labels_too_long\"} 1",
        "sonde_tsdb_rejected_exemplars_total{reason=\"too_far_ahead\"} 1",
        "sonde_tsdb_exemplars 2",
    ] {
        assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
    }
}
