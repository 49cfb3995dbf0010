//! OTLP metrics: what scanning, counting, decoding and translating cost a data point.
//!
//! The request is an agent's: 100 hosts' worth of gauges and sums with five attributes, and histograms of 15 buckets.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sonde_model::Signal;
use sonde_proto::otlp::common::{AnyValue, KeyValue, any_value::Value};
use sonde_proto::otlp::metrics::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric::Data,
    number_data_point,
};
use sonde_proto::otlp::resource::Resource;
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message, MetricsRequestView, ScanLimits, count_items, scan};
use sonde_translate::{Options, Piece, Row, RowValue, SeriesKey, Sink, Times, Translator};

const POINTS: usize = 10_000;
const HISTOGRAM_POINTS: usize = 1_000;
const TIME: u64 = 1_700_000_000_000_000_000;

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn attributes(i: usize) -> Vec<KeyValue> {
    vec![
        attribute("http.request.method", Value::StringValue("GET".to_owned())),
        attribute("http.response.status_code", Value::IntValue(200 + (i % 5) as i64)),
        attribute("http.route", Value::StringValue(format!("/api/v1/things/{}", i % 100))),
        attribute("network.protocol.name", Value::StringValue("http".to_owned())),
        attribute("url.scheme", Value::StringValue("https".to_owned())),
    ]
}

fn request(metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let resource = ["service.name", "service.namespace", "service.instance.id", "host.name", "os.type"]
        .map(|key| attribute(key, Value::StringValue(format!("the-{key}"))));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: resource.to_vec(), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

/// 10,000 points in metrics of 20 points each, gauges and sums in turn.
fn numbers() -> ExportMetricsServiceRequest {
    let metric = |m: usize| {
        let point = |i: usize| NumberDataPoint {
            attributes: attributes(i),
            time_unix_nano: TIME,
            value: Some(number_data_point::Value::AsDouble(i as f64)),
            ..NumberDataPoint::default()
        };
        let data_points = (m * 20..m * 20 + 20).map(point).collect();
        let data = if m.is_multiple_of(2) {
            Data::Gauge(Gauge { data_points })
        } else {
            Data::Sum(Sum { data_points, aggregation_temporality: 2, is_monotonic: true })
        };
        Metric { name: format!("http.server.metric{m}"), unit: "s".to_owned(), data: Some(data), ..Metric::default() }
    };
    request((0..POINTS / 20).map(metric).collect())
}

fn histograms() -> ExportMetricsServiceRequest {
    let bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
    let point = |i: usize| HistogramDataPoint {
        attributes: attributes(i),
        time_unix_nano: TIME,
        count: 150,
        sum: Some(12.5),
        bucket_counts: vec![10; 15],
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    };
    let data_points = (0..HISTOGRAM_POINTS).map(point).collect();
    let data = Data::Histogram(Histogram { data_points, aggregation_temporality: 2 });
    let name = "http.server.request.duration".to_owned();
    request(vec![Metric { name, unit: "s".to_owned(), data: Some(data), ..Metric::default() }])
}

/// Knows every series, by a hash that costs nothing: what is left is the walk.
struct Known;

impl Sink for Known {
    fn hash(&mut self, _: Piece, bytes: &[u8]) -> Option<u128> {
        Some(bytes.len() as u128)
    }

    fn take(&mut self, key: SeriesKey, times: Times, value: RowValue) -> Option<RowValue> {
        black_box((key, times, value));
        None
    }

    fn row(&mut self, row: Row<'_>) {
        black_box(row);
    }
}

fn otlp(criterion: &mut Criterion) {
    let limits = ScanLimits { max_items: 1_000_000, max_messages: 10_000_000, max_depth: 48 };
    for (name, request, points) in
        [("otlp_numbers", numbers(), POINTS), ("otlp_histograms", histograms(), HISTOGRAM_POINTS)]
    {
        let body = request.encode_to_vec();
        let mut translator = Translator::new(Options::default());
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(points as u64));
        group.bench_function("scan", |b| b.iter(|| scan(Signal::Metrics, black_box(&body), &limits)));
        group.bench_function("count", |b| b.iter(|| count_items(Signal::Metrics, black_box(&body), &limits)));
        group.bench_function("decode", |b| {
            b.iter(|| ExportMetricsServiceRequest::decode(black_box(body.as_slice())).expect("a valid request"));
        });
        group.bench_function("translate_unknown", |b| {
            let mut sink = |row: Row<'_>| {
                black_box(row);
            };
            b.iter(|| translator.translate(MetricsRequestView::new(black_box(&body)), &mut sink).map(|r| r.points));
        });
        group.bench_function("translate_known", |b| {
            b.iter(|| translator.translate(MetricsRequestView::new(black_box(&body)), &mut Known).map(|r| r.points));
        });
        group.finish();
    }
}

criterion_group!(benches, otlp);
criterion_main!(benches);
