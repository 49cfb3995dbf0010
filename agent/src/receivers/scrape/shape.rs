//! Points of a page in the shapes of OTLP: numbers, histograms, summaries.
//!
//! Each metric says in its metadata what it was called and of which type it was on the page, so that it gets its name
//! back where it is stored: `prometheus.name` and `prometheus.type`.

use sonde_proto::otlp::common::KeyValue;
use sonde_proto::otlp::metrics::number_data_point::Value;
use sonde_proto::otlp::metrics::summary_data_point::ValueAtQuantile;
use sonde_proto::otlp::metrics::{
    AggregationTemporality, DataPointFlags, Exemplar, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    Sum, Summary, SummaryDataPoint, metric,
};

use super::labels::Labels;
use crate::payload::attribute;

/// The metadata key with the name on the page.
const NAME: &str = "prometheus.name";
/// The metadata key with the type on the page.
const TYPE: &str = "prometheus.type";

/// What a single number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum NumberKind {
    Counter,
    Gauge,
    Info,
    StateSet,
    Unknown,
}

/// A sample that stands for itself. Without a value it is a stale marker.
#[derive(Clone, Debug)]
pub(super) struct Number {
    pub(super) kind: NumberKind,
    pub(super) labels: Labels,
    pub(super) time_ns: i64,
    /// Since when it counts; 0 where that is not known.
    pub(super) start_ns: i64,
    pub(super) value: Option<f64>,
    /// At most one, where the sample has one.
    pub(super) exemplars: Vec<Exemplar>,
}

/// A whole histogram. Without counts it is a stale marker.
#[derive(Clone, Debug)]
pub(super) struct HistogramPoint {
    pub(super) labels: Labels,
    pub(super) time_ns: i64,
    /// Since when it counts; 0 where that is not known.
    pub(super) start_ns: i64,
    /// Finite upper bounds, ascending.
    pub(super) bounds: Vec<f64>,
    /// Counts of the buckets, one more than bounds, not cumulative.
    pub(super) counts: Option<Vec<u64>>,
    pub(super) sum: Option<f64>,
    /// Those of all buckets.
    pub(super) exemplars: Vec<Exemplar>,
}

/// A whole summary. Without a count it is a stale marker.
#[derive(Clone, Debug)]
pub(super) struct SummaryPoint {
    pub(super) labels: Labels,
    pub(super) time_ns: i64,
    /// Since when it counts; 0 where that is not known.
    pub(super) start_ns: i64,
    /// Quantiles with their values.
    pub(super) quantiles: Vec<(f64, f64)>,
    pub(super) sum: f64,
    pub(super) count: Option<u64>,
}

impl NumberKind {
    fn word(self) -> &'static str {
        match self {
            NumberKind::Counter => "counter",
            NumberKind::Gauge => "gauge",
            NumberKind::Info => "info",
            NumberKind::StateSet => "stateset",
            NumberKind::Unknown => "unknown",
        }
    }
}

impl Number {
    pub(super) fn into_metric(self, name: &str, help: &str) -> Metric {
        let kind = self.kind;
        let point = NumberDataPoint {
            attributes: attributes(&self.labels),
            time_unix_nano: nanos(self.time_ns),
            start_time_unix_nano: nanos(self.start_ns),
            flags: flags(self.value.is_none()),
            value: self.value.map(Value::AsDouble),
            exemplars: self.exemplars,
        };
        let data_points = vec![point];
        let data = match kind {
            NumberKind::Counter => metric::Data::Sum(Sum {
                data_points,
                aggregation_temporality: AggregationTemporality::Cumulative.into(),
                is_monotonic: true,
            }),
            _ => metric::Data::Gauge(Gauge { data_points }),
        };
        with_header(name, help, kind.word(), data)
    }
}

impl HistogramPoint {
    pub(super) fn into_metric(self, name: &str, help: &str) -> Metric {
        let is_stale = self.counts.is_none();
        // The translator of a stale histogram needs as many buckets as a living one has.
        let bucket_counts = self.counts.unwrap_or_else(|| vec![0; self.bounds.len() + 1]);
        let point = HistogramDataPoint {
            attributes: attributes(&self.labels),
            time_unix_nano: nanos(self.time_ns),
            start_time_unix_nano: nanos(self.start_ns),
            count: bucket_counts.iter().sum(),
            sum: if is_stale { Some(0.0) } else { self.sum },
            bucket_counts,
            explicit_bounds: self.bounds,
            flags: flags(is_stale),
            exemplars: self.exemplars,
            ..HistogramDataPoint::default()
        };
        let temporality = AggregationTemporality::Cumulative.into();
        let data = Histogram { data_points: vec![point], aggregation_temporality: temporality };
        with_header(name, help, "histogram", metric::Data::Histogram(data))
    }
}

impl SummaryPoint {
    pub(super) fn into_metric(self, name: &str, help: &str) -> Metric {
        let quantile_values =
            self.quantiles.iter().map(|(quantile, value)| ValueAtQuantile { quantile: *quantile, value: *value });
        let point = SummaryDataPoint {
            attributes: attributes(&self.labels),
            time_unix_nano: nanos(self.time_ns),
            start_time_unix_nano: nanos(self.start_ns),
            count: self.count.unwrap_or(0),
            sum: self.sum,
            quantile_values: quantile_values.collect(),
            flags: flags(self.count.is_none()),
        };
        with_header(name, help, "summary", metric::Data::Summary(Summary { data_points: vec![point] }))
    }
}

/// Adds the points of `metric` to `into` if it is the same metric, and gives it back if it is not.
pub(super) fn merge(into: &mut Metric, metric: Metric) -> Option<Metric> {
    if into.name != metric.name || into.metadata != metric.metadata {
        return Some(metric);
    }
    match (&mut into.data, metric.data) {
        (Some(metric::Data::Gauge(into)), Some(metric::Data::Gauge(more))) => into.data_points.extend(more.data_points),
        (Some(metric::Data::Sum(into)), Some(metric::Data::Sum(more))) => into.data_points.extend(more.data_points),
        (Some(metric::Data::Histogram(into)), Some(metric::Data::Histogram(more))) => {
            into.data_points.extend(more.data_points);
        }
        (Some(metric::Data::Summary(into)), Some(metric::Data::Summary(more))) => {
            into.data_points.extend(more.data_points);
        }
        (_, data) => return Some(Metric { data, ..metric }),
    }
    None
}

/// Puts metrics of one point each together into metrics of many, and those into batches of at most `max_points`.
pub(super) fn batches(metrics: Vec<Metric>, max_points: usize) -> Vec<Vec<Metric>> {
    let mut batches = Vec::new();
    let mut batch: Vec<Metric> = Vec::new();
    let mut points = 0;
    for metric in metrics {
        if points == max_points {
            batches.push(std::mem::take(&mut batch));
            points = 0;
        }
        points += 1;
        let unmerged = match batch.last_mut() {
            Some(last) => merge(last, metric),
            None => Some(metric),
        };
        batch.extend(unmerged);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

fn with_header(name: &str, help: &str, kind: &str, data: metric::Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: help.to_owned(),
        unit: String::new(),
        metadata: vec![attribute(NAME, name), attribute(TYPE, kind)],
        data: Some(data),
    }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| attribute(name, value)).collect()
}

fn nanos(time_ns: i64) -> u64 {
    u64::try_from(time_ns).unwrap_or(0)
}

fn flags(is_stale: bool) -> u32 {
    if is_stale { DataPointFlags::NoRecordedValueMask as u32 } else { 0 }
}
