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

mod admin;
mod alertmanager;
mod exchange;
mod imports;
mod openapi;
mod otlp;
mod remote_write;
mod remote_write_v2;
mod sharing;
mod targets;
mod tempo;
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

/// What a configuration keeps secret is secret to whoever may only read.
#[tokio::test]
async fn secrets_are_not_shown() {
    let text = "api: {external_url: 'https://user:hunter2@sonde.example.org/x'}\n\
                remote_write: [{url: 'https://metrics.example.org/write?token=hunter2&db=a'}]\n";
    let fixture = Fixture::open_with(Config::parse(text, "test").expect("a configuration"), Flags::default());
    for (path, shown) in [
        ("/api/v1/status/config", "https://metrics.example.org/write?token=<secret>&db=<secret>"),
        ("/api/v1/alertmanagers", "https://sonde.example.org/x/api/v2/alerts"),
        ("/api/v1/status/remote_write", "targets"),
        ("/api/v1/status/flags", "data"),
        ("/", "Sonde"),
    ] {
        let (status, text) = fixture.get(path).await;
        assert!(status == 200 && text.contains(shown) && !text.contains("hunter2"), "{path}: {status} {text}");
    }
}

#[tokio::test]
async fn answers_are_compressed_and_readable_from_web_pages() {
    let fixture = Fixture::open();
    for (encoding, expected) in
        [("gzip", Some("gzip")), ("zstd", Some("zstd")), ("deflate", Some("deflate")), ("identity", None)]
    {
        for (path, expected) in [("/api/v1/openapi.yaml", expected), ("/api/v1/status/buildinfo", None)] {
            let request = Request::get(path).header("accept-encoding", encoding).header("origin", "http://x");
            let response = fixture.send(request.body(Body::empty()).expect("a request")).await;
            let header = |name| response.headers().get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
            assert_eq!((header("content-encoding"), header("access-control-allow-origin")), (expected, Some("*")));
        }
    }
}

#[tokio::test]
async fn who_asks_for_nothing_special_gets_nothing_special() {
    let fixture = Fixture::open();
    let request = Request::get("/api/v1/openapi.yaml").body(Body::empty()).expect("a request");
    let response = fixture.send(request).await;
    assert_eq!(response.status(), 200);
    for name in ["content-encoding", "access-control-allow-origin", "vary"] {
        assert_eq!(response.headers().get(name), None, "{name}");
    }
}
