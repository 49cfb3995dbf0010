//! Requests as bytes, good and bad, and what is answered.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use sonde_model::{AgentId, BatchId, Signal};
use sonde_proto::otlp::{ExportMetricsServiceResponse, ExportTraceServiceResponse, Message};
use tower::ServiceExt;

use super::*;
use crate::consumer::{Accepted, Export, Refused};
use crate::status::RpcStatus;
use crate::testing::{Recorder, eventually, metrics, within};

const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");
const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn limits() -> Limits {
    Limits {
        max_compressed_bytes: 100 << 10,
        max_body_bytes: 1 << 20,
        max_items: 100,
        read_timeout: Duration::from_secs(5),
        ..Limits::default()
    }
}

struct Fixture {
    consumer: Arc<Recorder>,
    stats: Arc<Stats>,
    router: Router,
}

/// An answer with everything that it says.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

impl Fixture {
    fn new(limits: Limits, answers: impl IntoIterator<Item = Result<Accepted, Refused>>) -> Self {
        let (consumer, stats) = (Recorder::new(answers), Arc::<Stats>::default());
        let grpc = grpc_router(Arc::clone(&consumer), limits.clone(), Arc::clone(&stats));
        let http = http_router(Arc::clone(&consumer), limits, Arc::clone(&stats));
        Fixture { consumer, stats, router: grpc.merge(http) }
    }

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (head, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        let trailers = collected.trailers().cloned().unwrap_or_default();
        Answer { status: head.status, headers: head.headers, body: collected.to_bytes(), trailers }
    }

    fn taken(&self) -> Vec<Export> {
        std::mem::take(&mut *self.consumer.taken.lock())
    }
}

impl Answer {
    fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status of a gRPC answer, from headers or trailers.
    fn grpc_status(&self) -> &str {
        let status = self.headers.get("grpc-status").or_else(|| self.trailers.get("grpc-status"));
        status.map_or("", |value| value.to_str().unwrap())
    }
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut out = vec![flag];
    out.extend((message.len() as u32).to_be_bytes());
    out.extend(message);
    out
}

/// An attribute value of `depth` lists in each other.
fn nested_protobuf(depth: usize) -> Vec<u8> {
    let wrap = |number: u64, inner: Vec<u8>| {
        let mut outer = Vec::new();
        prost::encoding::encode_varint(number << 3 | 2, &mut outer);
        prost::encoding::encode_varint(inner.len() as u64, &mut outer);
        outer.extend(inner);
        outer
    };
    let mut value = Vec::new();
    for _ in 0..depth {
        value = wrap(5, wrap(1, value));
    }
    [2, 1, 1, 1].into_iter().fold(value, |inner, number| wrap(number, inner))
}

fn nested_json(depth: usize) -> String {
    let open = r#"{"arrayValue":{"values":["#.repeat(depth);
    let close = "]}}".repeat(depth);
    format!(r#"{{"resourceMetrics":[{{"resource":{{"attributes":[{{"key":"k","value":{open}{close}}}]}}}}]}}"#)
}

#[tokio::test]
async fn http_takes_every_encoding() {
    let request = metrics(3);
    let body = request.encode_to_vec();
    let json = serde_json::to_vec(&request).unwrap();
    let fixture = Fixture::new(limits(), []);
    for (headers, sent) in [
        (vec![PROTOBUF], body.clone()),
        (vec![("content-type", "application/protobuf")], body.clone()),
        (vec![PROTOBUF, ("content-encoding", "identity")], body.clone()),
        (vec![PROTOBUF, ("content-encoding", "gzip")], gzip(&body)),
        (vec![PROTOBUF, ("content-encoding", "zstd")], zstd(&body)),
        (vec![PROTOBUF, ("content-encoding", "deflate")], zlib(&body)),
        (vec![JSON], json.clone()),
        (vec![JSON, ("content-encoding", "gzip")], gzip(&json)),
    ] {
        let answer = fixture.send("POST", "/v1/metrics", &headers, sent).await;
        assert_eq!(answer.status, StatusCode::OK, "{headers:?} {:?}", answer.body);
        if headers[0] == JSON {
            assert_eq!((answer.header("content-type"), &answer.body[..]), ("application/json", &b"{}"[..]));
        } else {
            assert_eq!(answer.header("content-type"), "application/x-protobuf");
            assert_eq!(ExportMetricsServiceResponse::decode(answer.body).unwrap().partial_success, None);
        }
        let taken = fixture.taken();
        assert_eq!((taken.len(), taken[0].items, &taken[0].body[..]), (1, 3, &body[..]), "{headers:?}");
        assert_eq!((taken[0].signal, taken[0].batch), (Signal::Metrics, None));
    }
    let answer = fixture.send("POST", "/v1/traces", &[PROTOBUF], "").await;
    assert_eq!((answer.status, fixture.taken()[0].signal), (StatusCode::OK, Signal::Traces));
    assert_eq!(fixture.stats.accepted_requests.load(std::sync::atomic::Ordering::Relaxed), 9);
    assert_eq!(fixture.stats.accepted_items.load(std::sync::atomic::Ordering::Relaxed), 24);
}

/// JSON as SDKs write it: 64-bit numbers as strings, and as numbers, enums as numbers, fields of tomorrow.
#[tokio::test]
async fn json_is_read_as_the_specification_says() {
    let fixture = Fixture::new(limits(), []);
    let body = r#"{"resourceMetrics":[{"resource":{"attributes":[
        {"key":"s","value":{"stringValue":"v"}},{"key":"i","value":{"intValue":"-7"}},{"key":"j","value":{"intValue":8}},
        {"key":"b","value":{"boolValue":true}},{"key":"d","value":{"doubleValue":1.5}}]},
      "scopeMetrics":[{"scope":{"name":"x","tomorrow":[1,{}]},"metrics":[
        {"name":"a","sum":{"aggregationTemporality":2,"isMonotonic":true,"dataPoints":[
           {"asInt":"5","timeUnixNano":"1700000000000000000","startTimeUnixNano":1},{"asDouble":2.5,"timeUnixNano":3}]}},
        {"name":"h","histogram":{"aggregationTemporality":1,"dataPoints":[
           {"count":"3","sum":4.5,"bucketCounts":["1","2"],"explicitBounds":[0.5],"timeUnixNano":"9"}]}},
        {"name":"e","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[
           {"count":"3","scale":2,"zeroCount":"1","positive":{"offset":-1,"bucketCounts":["2"]},"timeUnixNano":"9"}]}}
      ]}]}]}"#;
    let answer = fixture.send("POST", "/v1/metrics", &[JSON], body).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let taken = fixture.taken();
    let request = sonde_proto::otlp::ExportMetricsServiceRequest::decode(&taken[0].body[..]).unwrap();
    let text = format!("{request:?}");
    for part in [
        "IntValue(-7)",
        "IntValue(8)",
        "AsInt(5)",
        "AsDouble(2.5)",
        "time_unix_nano: 1700000000000000000",
        "count: 3",
        "bucket_counts: [1, 2]",
        "explicit_bounds: [0.5]",
        "scale: 2",
        "offset: -1",
        "bucket_counts: [2]",
        "zero_count: 1",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(taken[0].items, 4);
}

#[tokio::test]
async fn partial_success_is_told() {
    let partial = || Ok(Accepted { rejected: 2, message: "two were bad".to_owned() });
    let fixture = Fixture::new(limits(), [partial(), partial(), partial(), partial()]);
    let body = metrics(3).encode_to_vec();
    let answer = fixture.send("POST", "/v1/metrics", &[PROTOBUF], body.clone()).await;
    let told = ExportMetricsServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
    assert_eq!(
        (answer.status, told.rejected_data_points, told.error_message.as_str()),
        (StatusCode::OK, 2, "two were bad")
    );
    let answer = fixture.send("POST", "/v1/metrics", &[JSON], "{}").await;
    let expected = r#"{"partialSuccess":{"errorMessage":"two were bad","rejectedDataPoints":"2"}}"#;
    assert_eq!(answer.body, expected);
    let answer = fixture.send("POST", "/v1/traces", &[PROTOBUF], "").await;
    let told = ExportTraceServiceResponse::decode(answer.body).unwrap().partial_success.unwrap();
    assert_eq!(told.rejected_spans, 2);
    let answer = fixture.send("POST", METRICS_SERVICE, &[GRPC], framed(0, &body)).await;
    let told = ExportMetricsServiceResponse::decode(&answer.body[5..]).unwrap().partial_success.unwrap();
    assert_eq!((answer.grpc_status(), told.rejected_data_points), ("0", 2));
}

/// Sends one request over HTTP that must be refused.
async fn check_http(
    limits: Limits,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
    expected: (u16, Reason, &str),
) {
    let fixture = Fixture::new(limits, []);
    let answer = fixture.send("POST", path, headers, body).await;
    let (status, reason, part) = expected;
    let message = match headers.first() {
        Some(&PROTOBUF) => {
            assert_eq!(answer.header("content-type"), PROTOBUF.1);
            RpcStatus::decode(answer.body).unwrap().message
        }
        _ => {
            assert_eq!(answer.header("content-type"), "application/json");
            let status: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            status["message"].as_str().unwrap().to_owned()
        }
    };
    assert_eq!(answer.status.as_u16(), status, "{message}");
    assert!(message.contains(part), "{message:?} does not say {part:?}");
    assert_eq!(fixture.stats.refused(reason), 1, "{reason:?} is not counted");
    assert!(fixture.taken().is_empty());
}

#[tokio::test]
async fn http_refuses_with_a_clear_word() {
    let body = metrics(3).encode_to_vec();
    let zipped = gzip(&body);
    let bomb = vec![0u8; 4 << 20];
    // A zstd frame that asks for a window of 2 GiB.
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00];
    let gzip_header = ("content-encoding", "gzip");
    for (headers, sent, expected) in [
        (vec![("content-type", "text/plain")], body.clone(), (415, Reason::ContentType, "expected content-type")),
        (vec![], body.clone(), (415, Reason::ContentType, "expected content-type")),
        (
            vec![PROTOBUF, ("content-encoding", "br")],
            body.clone(),
            (415, Reason::ContentEncoding, "expected content-encoding"),
        ),
        (vec![PROTOBUF], body[..body.len() - 1].to_vec(), (400, Reason::Malformed, "truncated")),
        (vec![PROTOBUF], b"hello world".to_vec(), (400, Reason::Malformed, "not an OTLP request")),
        (
            vec![PROTOBUF, gzip_header],
            zipped[..zipped.len() - 9].to_vec(),
            (400, Reason::Malformed, "cannot be decompressed"),
        ),
        (vec![PROTOBUF, gzip_header], body.clone(), (400, Reason::Malformed, "cannot be decompressed")),
        (
            vec![PROTOBUF, ("content-encoding", "zstd")],
            wide.to_vec(),
            (400, Reason::Malformed, "cannot be decompressed"),
        ),
        (vec![PROTOBUF, gzip_header], gzip(&bomb), (413, Reason::TooLarge, "1048576 bytes after decompression")),
        (
            vec![PROTOBUF, ("content-encoding", "zstd")],
            zstd(&bomb),
            (413, Reason::TooLarge, "1048576 bytes after decompression"),
        ),
        (
            vec![PROTOBUF, ("content-encoding", "deflate")],
            zlib(&bomb),
            (413, Reason::TooLarge, "1048576 bytes after decompression"),
        ),
        (vec![PROTOBUF], vec![0; 103_000], (413, Reason::TooLarge, "102400 bytes as it came")),
        (vec![PROTOBUF], metrics(101).encode_to_vec(), (413, Reason::TooMany, "more than 100 data points")),
        (vec![JSON], serde_json::to_vec(&metrics(101)).unwrap(), (413, Reason::TooMany, "more than 100 data points")),
        (vec![PROTOBUF], nested_protobuf(10_000), (400, Reason::TooMany, "nested deeper than 48")),
        (vec![JSON], nested_json(5_000).into_bytes(), (413, Reason::TooLarge, "102400 bytes")),
        (vec![JSON], nested_json(2_500).into_bytes(), (400, Reason::TooMany, "nested deeper than 48")),
        (vec![JSON], vec![b'['; 50_000], (400, Reason::TooMany, "nested deeper than 48")),
        (vec![JSON], b"{\"resourceMetrics\":[{".to_vec(), (400, Reason::Malformed, "not OTLP JSON")),
        (vec![JSON], b"{\"resourceMetrics\":7}".to_vec(), (400, Reason::Malformed, "not OTLP JSON")),
        (vec![JSON], vec![0xff, 0xfe], (400, Reason::Malformed, "not OTLP JSON")),
        (vec![PROTOBUF, ("sonde-seq", "1")], body.clone(), (400, Reason::AgentLink, "sonde-agent-id is missing")),
    ] {
        check_http(limits(), "/v1/metrics", &headers, sent, expected).await;
    }
    let wide_open = Limits { max_compressed_bytes: 1 << 20, ..limits() };
    check_http(wide_open, "/v1/metrics", &[JSON], nested_json(10_000), (400, Reason::TooMany, "nested deeper")).await;
    check_http(limits(), "/v1/logs", &[PROTOBUF], body.clone(), (404, Reason::Unsupported, "logs are not taken")).await;
    check_http(limits(), "/v1/logs", &[JSON], "{}", (404, Reason::Unsupported, "logs are not taken")).await;
    let few = Limits { max_messages: 5, ..limits() };
    check_http(few.clone(), "/v1/metrics", &[PROTOBUF], body.clone(), (413, Reason::TooMany, "more than 5 messages"))
        .await;
    let many_objects = format!("[{}]", "{},".repeat(10));
    check_http(few, "/v1/metrics", &[JSON], many_objects, (413, Reason::TooMany, "more than 5 messages")).await;
    let crowded = Limits { max_concurrent: 0, ..limits() };
    check_http(crowded, "/v1/metrics", &[PROTOBUF], body.clone(), (429, Reason::Concurrency, "too many requests"))
        .await;
    let small = Limits { max_in_flight_bytes: 100, ..limits() };
    check_http(
        small.clone(),
        "/v1/metrics",
        &[PROTOBUF, gzip_header],
        gzip(&[0; 10_000]),
        (413, Reason::TooLarge, "100 bytes in memory"),
    )
    .await;
    // What decoding takes counts too: three points of a few dozen bytes are more than a dozen messages.
    let small = Limits { max_in_flight_bytes: 500, ..limits() };
    assert!(body.len() < 200);
    check_http(small.clone(), "/v1/metrics", &[PROTOBUF], body, (413, Reason::TooLarge, "500 bytes in memory")).await;
    check_http(
        small,
        "/v1/metrics",
        &[JSON],
        "[{},{},{},{},{},{},{},{},{}]",
        (413, Reason::TooLarge, "500 bytes in memory"),
    )
    .await;
}

#[tokio::test]
async fn other_methods_are_not_allowed() {
    let fixture = Fixture::new(limits(), []);
    for (path, headers) in [("/v1/metrics", PROTOBUF), ("/v1/logs", JSON), (METRICS_SERVICE, GRPC)] {
        let answer = fixture.send("GET", path, &[headers], "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    let answer = fixture.send("PUT", "/v1/metrics", &[PROTOBUF], "").await;
    assert_eq!(answer.header("allow"), "POST");
    assert_eq!(fixture.stats.refused(Reason::NotFound), 4);
}

/// What the consumer refuses, in the words of both protocols.
#[tokio::test]
async fn refusals_of_the_consumer_are_mapped() {
    let busy = |millis| Refused::Busy { retry_after: Duration::from_millis(millis), reason: "no room".to_owned() };
    let text = || "why".to_owned();
    for (refused, http, grpc, retry_after, reason) in [
        (Refused::Invalid(text()), 400, 3, "", Reason::Invalid),
        (Refused::TooLarge("too many series".to_owned()), 413, 3, "", Reason::TooLarge),
        (busy(2_500), 429, 8, "3", Reason::Busy),
        (busy(0), 429, 8, "1", Reason::Busy),
        (Refused::Conflict(text()), 409, 9, "", Reason::Conflict),
        (Refused::Unavailable(text()), 503, 14, "1", Reason::Unavailable),
        (Refused::Unsupported(text()), 404, 12, "", Reason::Unsupported),
    ] {
        let fixture = Fixture::new(limits(), [Err(refused.clone()), Err(refused.clone()), Err(refused.clone())]);
        let asked = match &refused {
            Refused::Busy { retry_after, .. } => Some(*retry_after),
            Refused::Unavailable(_) => Some(Duration::from_secs(1)),
            _ => None,
        };
        let body = metrics(1).encode_to_vec();
        let answer = fixture.send("POST", "/v1/metrics", &[PROTOBUF], body.clone()).await;
        let status = RpcStatus::decode(answer.body.clone()).unwrap();
        assert_eq!((answer.status.as_u16(), status.code, status.retry_after()), (http, grpc, asked), "{refused:?}");
        assert_eq!(answer.header("retry-after"), retry_after);
        let answer = fixture.send("POST", "/v1/metrics", &[JSON], "{}").await;
        let status: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status.as_u16(), status["code"].as_i64()), (http, Some(i64::from(grpc))));
        if asked == Some(Duration::from_millis(2_500)) {
            assert_eq!(status["details"][0]["retryDelay"], "2.5s");
        }
        let answer = fixture.send("POST", METRICS_SERVICE, &[GRPC], framed(0, &body)).await;
        let status = tonic::Status::from_header_map(&answer.headers).unwrap();
        assert_eq!((answer.status, status.code() as i32), (StatusCode::OK, grpc));
        let details = RpcStatus::decode(status.details()).unwrap();
        assert_eq!(details.retry_after(), asked);
        assert_eq!(fixture.stats.refused(reason), 3, "{reason:?}");
    }
}

#[tokio::test]
async fn grpc_takes_and_refuses() {
    let body = metrics(3).encode_to_vec();
    let bomb = vec![0u8; 4 << 20];
    let (gzip_header, zstd_header) = (("grpc-encoding", "gzip"), ("grpc-encoding", "zstd"));
    let mut two = framed(0, &body);
    two.extend(framed(0, &body));
    for (headers, sent, status, part) in [
        (vec![GRPC], framed(0, &body), "0", ""),
        (vec![("content-type", "application/grpc+proto")], framed(0, &body), "0", ""),
        (vec![GRPC, gzip_header], framed(1, &gzip(&body)), "0", ""),
        (vec![GRPC, zstd_header], framed(1, &zstd(&body)), "0", ""),
        (vec![GRPC, zstd_header], framed(0, &body), "0", ""),
        (vec![GRPC], framed(0, &[]), "0", ""),
        (vec![GRPC], vec![], "3", "no message"),
        (vec![GRPC], framed(0, &body)[..20].to_vec(), "3", "15 bytes of one message of"),
        (vec![GRPC], two, "3", "of one message of"),
        (vec![GRPC], framed(2, &body), "3", "compression flag is 2"),
        (vec![GRPC], framed(1, &body), "3", "without an encoding"),
        (vec![GRPC, ("grpc-encoding", "snappy")], framed(1, &body), "12", "snappy"),
        (vec![GRPC, gzip_header], framed(1, &body), "3", "cannot be decompressed"),
        (vec![GRPC, gzip_header], framed(1, &gzip(&bomb)), "3", "larger than 1048576 bytes"),
        (vec![GRPC, zstd_header], framed(1, &zstd(&bomb)), "3", "larger than 1048576 bytes"),
        (vec![GRPC], framed(0, &nested_protobuf(10_000)), "3", "nested deeper"),
        (vec![GRPC], framed(0, &vec![0; 110_000]), "3", "larger than"),
        (vec![GRPC], vec![0, 0xff, 0xff, 0xff, 0xff], "3", "0 bytes of one message of 4294967295"),
        (vec![GRPC, ("sonde-epoch", "x")], framed(0, &body), "3", "sonde-agent-id is missing"),
    ] {
        let fixture = Fixture::new(limits(), []);
        let answer = fixture.send("POST", METRICS_SERVICE, &headers, sent).await;
        let message = tonic::Status::from_header_map(&answer.headers).map_or(String::new(), |s| s.message().to_owned());
        assert_eq!((answer.status, answer.grpc_status()), (StatusCode::OK, status), "{headers:?} {message}");
        assert!(message.contains(part), "{message:?} does not say {part:?}");
        assert_eq!(fixture.taken().len(), usize::from(status == "0"));
    }
    let fixture = Fixture::new(limits(), []);
    let answer = fixture.send("POST", LOGS_SERVICE, &[GRPC], framed(0, &[])).await;
    assert_eq!(answer.grpc_status(), "12");
    let answer = fixture.send("POST", METRICS_SERVICE, &[PROTOBUF], body).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = fixture.send("POST", TRACES_SERVICE, &[GRPC, ("grpc-encoding", "br")], framed(1, &[])).await;
    assert_eq!(answer.header("grpc-accept-encoding"), "identity,gzip,zstd");
}

#[tokio::test]
async fn the_number_of_a_batch_comes_through() {
    let fixture = Fixture::new(limits(), []);
    let id = BatchId { agent: AgentId([7; 16]), epoch: 3, signal: Signal::Metrics, seq: 9 };
    let headers = sonde_proto::agent_link::format(&id);
    let mut all: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    all.push(GRPC);
    fixture.send("POST", METRICS_SERVICE, &all, framed(0, &metrics(1).encode_to_vec())).await;
    assert_eq!(fixture.taken()[0].batch, Some(id));
}

#[tokio::test]
async fn requests_at_one_time_are_bounded_and_those_given_up_are_counted() {
    let fixture = Arc::new(Fixture::new(Limits { max_concurrent: 1, ..limits() }, []));
    fixture.consumer.gate.forget_permits(usize::MAX);
    let body = metrics(1).encode_to_vec();
    let first = fixture.send("POST", "/v1/metrics", &[PROTOBUF], body.clone());
    let mut first = Box::pin(first);
    tokio::select! {
        _ = &mut first => panic!("the consumer has not answered"),
        () = eventually("the first request waits", || !fixture.consumer.taken.lock().is_empty()) => {}
    }
    let second = fixture.send("POST", "/v1/metrics", &[PROTOBUF], body.clone()).await;
    assert_eq!((second.status.as_u16(), second.header("retry-after")), (429, "1"));
    fixture.consumer.gate.add_permits(1);
    assert_eq!(within(first).await.unwrap().status, StatusCode::OK);
    // A sender that goes away frees its place and is counted.
    {
        let third = fixture.send("POST", "/v1/metrics", &[PROTOBUF], body.clone());
        let mut third = Box::pin(third);
        let waiting = eventually("the third request waits", || fixture.consumer.taken.lock().len() == 2);
        tokio::select! {
            _ = &mut third => panic!("the consumer has not answered"),
            () = waiting => {}
        }
    }
    assert_eq!(fixture.stats.refused(Reason::Abandoned), 1);
    assert_eq!(fixture.stats.in_flight.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn memory_is_shared_by_requests() {
    let fixture = Fixture::new(Limits { max_in_flight_bytes: 12_000, ..limits() }, []);
    fixture.consumer.gate.forget_permits(usize::MAX);
    let body = metrics(100).encode_to_vec();
    let mut first = Box::pin(fixture.send("POST", "/v1/metrics", &[PROTOBUF], body.clone()));
    tokio::select! {
        _ = &mut first => panic!("the consumer has not answered"),
        () = eventually("the first request waits", || !fixture.consumer.taken.lock().is_empty()) => {}
    }
    let second = fixture.send("POST", "/v1/metrics", &[PROTOBUF], body.clone());
    let second = within(second).await.unwrap();
    assert_eq!((second.status.as_u16(), fixture.stats.refused(Reason::Concurrency)), (429, 1));
    fixture.consumer.gate.add_permits(2);
    assert_eq!(within(first).await.unwrap().status, StatusCode::OK);
    assert_eq!(fixture.send("POST", "/v1/metrics", &[PROTOBUF], body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let fixture = Fixture::new(Limits { read_timeout: Duration::from_millis(20), ..limits() }, []);
    let (_sender, never) = tokio::sync::oneshot::channel::<()>();
    let answer = fixture.send("POST", "/v1/metrics", &[PROTOBUF], Body::new(Pending(never))).await;
    assert_eq!(answer.status, StatusCode::REQUEST_TIMEOUT);
    assert_eq!(fixture.stats.refused(Reason::ReadFailed), 1);
}

/// A body of which nothing comes.
struct Pending(tokio::sync::oneshot::Receiver<()>);

impl hyper::body::Body for Pending {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, std::io::Error>>> {
        Pin::new(&mut self.0).poll(context).map(|_| None)
    }
}
