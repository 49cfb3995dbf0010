//! Builds OTLP metrics: readings in, an `ExportMetricsServiceRequest` out.
//!
//! One builder holds one moment: all its points carry the same time. It must not know where readings come from.

use sonde_proto::otlp::common::{AnyValue, InstrumentationScope, KeyValue, any_value};
use sonde_proto::otlp::metrics::number_data_point::Value as NumberValue;
use sonde_proto::otlp::metrics::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
};
use sonde_proto::otlp::resource::Resource;
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};

/// Collects the metrics of one moment.
#[derive(Debug)]
pub struct Payload {
    time_ns: u64,
    start_ns: u64,
    points: u64,
    metrics: Vec<Metric>,
}

/// The points of one metric.
#[derive(Debug)]
pub struct Points {
    time_ns: u64,
    start_ns: u64,
    points: Vec<NumberDataPoint>,
}

/// A number as OTLP carries it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// A count or a size.
    Int(i64),
    /// A measurement.
    Double(f64),
}

/// An encoded request and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// A protobuf `ExportMetricsServiceRequest`, or an `ExportTraceServiceRequest`.
    pub body: Vec<u8>,
    /// Data points or spans in it.
    pub items: u64,
}

impl Payload {
    /// A payload of the moment `time_ns`, whose cumulative sums began at `start_ns`; both since the Unix epoch.
    pub fn new(time_ns: i64, start_ns: i64) -> Self {
        let unsigned = |ns: i64| u64::try_from(ns).unwrap_or(0);
        Payload { time_ns: unsigned(time_ns), start_ns: unsigned(start_ns), points: 0, metrics: Vec::new() }
    }

    /// Adds a cumulative sum that only grows.
    pub fn counter(&mut self, name: &str, unit: &str, help: &str, fill: impl FnOnce(&mut Points)) {
        self.add(name, unit, help, self.start_ns, fill, |data_points| metric::Data::Sum(sum(data_points, true)));
    }

    /// Adds a sum that goes up and down, like bytes in use: adding it up over its attributes makes sense.
    pub fn up_down(&mut self, name: &str, unit: &str, help: &str, fill: impl FnOnce(&mut Points)) {
        self.add(name, unit, help, self.start_ns, fill, |data_points| metric::Data::Sum(sum(data_points, false)));
    }

    /// Adds a value of the moment that does not add up, like a utilisation.
    pub fn gauge(&mut self, name: &str, unit: &str, help: &str, fill: impl FnOnce(&mut Points)) {
        // A gauge has no start.
        self.add(name, unit, help, 0, fill, |data_points| metric::Data::Gauge(Gauge { data_points }));
    }

    /// How many points were added.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// The request with everything added, of one scope of one resource.
    pub fn encode(self, resource: &Resource, scope: &InstrumentationScope) -> Encoded {
        let scope_metrics =
            vec![ScopeMetrics { scope: Some(scope.clone()), metrics: self.metrics, schema_url: String::new() }];
        let resource_metrics = vec![ResourceMetrics {
            resource: Some(resource.clone()),
            scope_metrics,
            schema_url: crate::resource::SCHEMA_URL.to_owned(),
        }];
        let body = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec();
        Encoded { body, items: self.points }
    }

    fn add(
        &mut self,
        name: &str,
        unit: &str,
        help: &str,
        start_ns: u64,
        fill: impl FnOnce(&mut Points),
        data: impl FnOnce(Vec<NumberDataPoint>) -> metric::Data,
    ) {
        let mut points = Points { time_ns: self.time_ns, start_ns, points: Vec::new() };
        fill(&mut points);
        if points.points.is_empty() {
            return;
        }
        self.points += points.points.len() as u64;
        self.metrics.push(Metric {
            name: name.to_owned(),
            description: help.to_owned(),
            unit: unit.to_owned(),
            metadata: Vec::new(),
            data: Some(data(points.points)),
        });
    }
}

impl Points {
    /// Adds a point with its attributes.
    pub fn add(&mut self, attributes: &[(&str, &str)], value: impl Into<Number>) {
        self.points.push(NumberDataPoint {
            attributes: attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
            start_time_unix_nano: self.start_ns,
            time_unix_nano: self.time_ns,
            value: Some(match value.into() {
                Number::Int(value) => NumberValue::AsInt(value),
                Number::Double(value) => NumberValue::AsDouble(value),
            }),
            ..NumberDataPoint::default()
        });
    }
}

/// How many data points a request holds.
pub fn count_points(request: &ExportMetricsServiceRequest) -> u64 {
    let metrics = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    let points = metrics.flat_map(|scope| &scope.metrics).map(|metric| match &metric.data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(metric::Data::Sum(sum)) => sum.data_points.len(),
        Some(metric::Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(metric::Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    });
    points.map(|count| count as u64).sum()
}

/// A string attribute.
pub fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn sum(data_points: Vec<NumberDataPoint>, is_monotonic: bool) -> Sum {
    Sum { data_points, aggregation_temporality: AggregationTemporality::Cumulative.into(), is_monotonic }
}

impl From<u64> for Number {
    /// Kernel counters that exceed 63 bits have wrapped somewhere else before.
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Number::Double(value as f64), Number::Int)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Number::Double(value)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a payload holds, one line per point: `name{key=value} unit kind number`, for tests of receivers.
    pub(crate) fn lines(payload: &Payload) -> Vec<String> {
        let mut lines = Vec::new();
        for metric in &payload.metrics {
            let (kind, points) = match metric.data.as_ref().unwrap() {
                metric::Data::Sum(sum) if sum.is_monotonic => ("counter", &sum.data_points),
                metric::Data::Sum(sum) => ("updown", &sum.data_points),
                metric::Data::Gauge(gauge) => ("gauge", &gauge.data_points),
                other => panic!("{other:?}"),
            };
            for point in points {
                let attributes: Vec<_> = point.attributes.iter().map(|kv| format!("{}={}", kv.key, text(kv))).collect();
                let value = match point.value.as_ref().unwrap() {
                    NumberValue::AsInt(value) => value.to_string(),
                    NumberValue::AsDouble(value) => format!("{value:?}"),
                };
                lines.push(format!("{}{{{}}} {} {kind} {value}", metric.name, attributes.join(","), metric.unit));
            }
        }
        lines
    }

    fn text(attribute: &KeyValue) -> &str {
        match attribute.value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(any_value::Value::StringValue(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn points_carry_time_start_and_kind() {
        let mut payload = Payload::new(2_000, 1_000);
        payload.counter("c", "s", "C.", |points| points.add(&[("mode", "user")], 1.5));
        payload.gauge("g", "1", "G.", |points| points.add(&[], 7u64));
        payload.up_down("empty", "By", "E.", |_| {});
        assert_eq!(lines(&payload), ["c{mode=user} s counter 1.5", "g{} 1 gauge 7"]);
        let encoded = payload.encode(&Resource::default(), &InstrumentationScope::default());
        assert_eq!(encoded.items, 2);
        let request = ExportMetricsServiceRequest::decode(encoded.body.as_slice()).unwrap();
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let Some(metric::Data::Sum(sum)) = &metrics[0].data else { panic!("{metrics:?}") };
        assert_eq!((sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano), (1_000, 2_000));
        let Some(metric::Data::Gauge(gauge)) = &metrics[1].data else { panic!("{metrics:?}") };
        assert_eq!((gauge.data_points[0].start_time_unix_nano, gauge.data_points[0].time_unix_nano), (0, 2_000));
    }
}
