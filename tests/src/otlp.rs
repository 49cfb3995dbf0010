//! OTLP requests of a few points, built for tests.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

/// A point of a metric.
#[derive(Clone, Debug)]
pub struct Point {
    /// The name of the metric.
    pub metric: String,
    /// Its attributes.
    pub attributes: Vec<(String, String)>,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The value.
    pub value: f64,
    /// A delta of a monotonic sum rather than a gauge.
    pub delta: bool,
}

/// The encoded request of a service with these points, one metric a point.
pub fn metrics_request(service: &str, points: &[Point]) -> Vec<u8> {
    let metrics = points.iter().map(metric).collect();
    let scope = ScopeMetrics { metrics, ..ScopeMetrics::default() };
    let resource = Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() };
    let resource =
        ResourceMetrics { resource: Some(resource), scope_metrics: vec![scope], ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![resource] }.encode_to_vec()
}

/// The encoded request of a service with one root span, which is a trace of its own: `number` is its id.
pub fn span_request(service: &str, number: u64, timestamp: i64) -> Vec<u8> {
    let span = Span {
        trace_id: u128::from(number).to_be_bytes().to_vec(),
        span_id: number.to_be_bytes().to_vec(),
        name: "work".to_owned(),
        start_time_unix_nano: nanos(timestamp),
        end_time_unix_nano: nanos(timestamp + 1),
        ..Span::default()
    };
    let resource = Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn metric(point: &Point) -> Metric {
    let data_point = NumberDataPoint {
        attributes: point.attributes.iter().map(|(k, v)| attribute(k, v)).collect(),
        start_time_unix_nano: nanos(point.timestamp - 1),
        time_unix_nano: nanos(point.timestamp),
        value: Some(number_data_point::Value::AsDouble(point.value)),
        ..NumberDataPoint::default()
    };
    let data = if point.delta {
        metric::Data::Sum(Sum {
            data_points: vec![data_point],
            aggregation_temporality: AggregationTemporality::Delta as i32,
            is_monotonic: true,
        })
    } else {
        metric::Data::Gauge(Gauge { data_points: vec![data_point] })
    };
    Metric { name: point.metric.clone(), data: Some(data), ..Metric::default() }
}

fn nanos(ms: i64) -> u64 {
    ms.unsigned_abs() * 1_000_000
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}
