//! OTLP in: over HTTP, and exactly-once over the consumer that the receivers call.

use sonde_model::{AgentId, BatchId, Signal};
use sonde_otlp::{Consumer, Export, Refused};
use sonde_proto::otlp::metrics::{
    Exemplar, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, exemplar, metric, number_data_point,
};
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};

use super::*;
use crate::consumer::OtlpConsumer;

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

fn body(points: &[(&str, u64, f64)]) -> Vec<u8> {
    let metric = |(name, ms, value): &(&str, u64, f64)| Metric {
        name: (*name).into(),
        data: Some(metric::Data::Gauge(Gauge {
            data_points: vec![NumberDataPoint {
                time_unix_nano: ms * 1_000_000,
                value: Some(number_data_point::Value::AsDouble(*value)),
                exemplars: vec![Exemplar {
                    time_unix_nano: ms * 1_000_000,
                    value: Some(exemplar::Value::AsDouble(*value)),
                    trace_id: vec![*ms as u8 | 1; 16],
                    ..Exemplar::default()
                }],
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
async fn a_resource_that_is_known_in_part_is_taken_once() {
    let fixture = Fixture::open();
    let consumer = OtlpConsumer::new(std::sync::Arc::clone(&fixture.server));
    for points in [
        &[("a", 15_000, 1.0), ("b", 15_000, 1.0)][..],
        // All are known; then some.
        &[("a", 30_000, 2.0), ("b", 30_000, 2.0)],
        &[("a", 45_000, 3.0), ("c", 45_000, 3.0), ("b", 45_000, 3.0)],
        &[("c", 60_000, 4.0), ("", 60_000, 4.0), ("a", 60_000, 4.0)],
    ] {
        let accepted = consumer.consume(export(&body(points), None)).await.expect("stored");
        let nameless = points.iter().filter(|(name, ..)| name.is_empty()).count() as u64;
        assert_eq!(accepted.rejected, nameless, "{}", accepted.message);
    }
    let core = fixture.server.core().expect("open");
    let read = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
    let (store, ingest) = (core.db.stats(), core.ingest.stats());
    assert_eq!([&store.float_samples, &store.duplicate_samples, &ingest.otlp_points].map(read), [9, 0, 10]);
    assert_eq!([&ingest.exemplars, &ingest.exemplars_without_series].map(read), [9, 0]);
    let (_, answer) = fixture.get("/api/v1/query?query=%7B__name__=~%22.%22%7D[2m]&time=60").await;
    for values in [r#"[15,"1"],[30,"2"],[45,"3"],[60,"4"]"#, r#"[15,"1"],[30,"2"],[45,"3"]]"#, r#"[[45,"3"],[60,"4"]]"#]
    {
        assert!(answer.contains(values), "{values}: {answer}");
    }
    let (_, answer) = fixture.get("/api/v1/query_exemplars?query=a&start=0&end=60").await;
    assert_eq!(answer.matches("trace_id").count(), 4, "{answer}");
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
