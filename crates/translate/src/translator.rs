//! The walk over a request: resources, scopes, metrics, points.

use std::collections::HashSet;
use std::sync::Arc;

use foldhash::fast::RandomState;
use sonde_model::TimestampMs;
use sonde_proto::otlp::ExportMetricsServiceRequest;
use sonde_proto::otlp::common::{KeyValue, any_value};
use sonde_proto::otlp::metrics::{AggregationTemporality, Metric, metric::Data};

use crate::labels::{Fixed, Scratch};
use crate::metric_name::{MetricNames, Names, Shape};
use crate::options::Options;
use crate::report::{MetricKind, MetricMetadata, RejectReason, Report};
use crate::resource::{FixedLabels, TARGET_INFO, TargetInfo};
use crate::row::Row;
use crate::{exponential, histogram, number, summary};

/// Translates request after request; remembers names and keeps its scratch memory between them.
#[derive(Debug, Default)]
pub struct Translator {
    options: Options,
    metric_names: MetricNames,
    scratch: Scratch,
    bounds: histogram::BoundTexts,
    target_info: TargetInfo,
    families: HashSet<usize, RandomState>,
    /// Keeps the names alive whose addresses are in `families`.
    described: Vec<Arc<Names>>,
}

/// What the translation of a point needs to know and to write to.
pub(crate) struct Context<'a> {
    pub(crate) options: &'a Options,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) fixed: &'a [Fixed],
    pub(crate) sink: &'a mut dyn FnMut(Row<'_>),
    pub(crate) report: &'a mut Report,
    /// The earliest and the latest time of the resource's points.
    times: &'a mut Option<(TimestampMs, TimestampMs)>,
}

/// How the values of a metric relate to those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Temporality {
    Cumulative,
    Delta,
}

impl Translator {
    /// A translator with these options.
    pub fn new(options: Options) -> Self {
        Translator { options, ..Translator::default() }
    }

    /// Translates a request as [`crate::translate`] does.
    pub fn translate(&mut self, request: &ExportMetricsServiceRequest, sink: &mut dyn FnMut(Row<'_>)) -> Report {
        let mut report = Report::default();
        self.target_info.clear();
        self.families.clear();
        self.described.clear();
        for resource_metrics in &request.resource_metrics {
            let resource = resource_metrics.resource.as_ref();
            let mut times = None;
            for scope_metrics in &resource_metrics.scope_metrics {
                let scope = scope_metrics.scope.as_ref().map(|scope| (scope, scope_metrics.schema_url.as_str()));
                let fixed = FixedLabels::of(&self.options, resource, scope);
                for metric in &scope_metrics.metrics {
                    self.metric(metric, fixed.as_slice(), &mut times, sink, &mut report);
                }
            }
            if let (Some(resource), Some(times)) = (resource, times) {
                let (options, scratch) = (&self.options, &mut self.scratch);
                self.target_info.write(options, resource, times, scratch, sink, &mut report);
            }
        }
        if !self.target_info.is_empty() {
            let help = "The attributes of the resource that a job and instance stand for".to_owned();
            let (family, kind, unit) = (TARGET_INFO.to_owned(), MetricKind::Info, String::new());
            report.metadata.push(MetricMetadata { family, kind, help, unit });
        }
        report
    }

    fn metric(
        &mut self,
        metric: &Metric,
        fixed: &[Fixed],
        times: &mut Option<(TimestampMs, TimestampMs)>,
        sink: &mut dyn FnMut(Row<'_>),
        report: &mut Report,
    ) {
        let Some(data) = &metric.data else {
            // A kind of metric that is newer than our messages: its points cannot be counted, so it counts as one.
            report.reject(RejectReason::UnknownType, 1);
            return;
        };
        let (points, temporality, kind, shape) = match data {
            Data::Gauge(m) => (m.data_points.len(), None, MetricKind::Gauge, Shape::Gauge),
            Data::Sum(m) => {
                let (kind, shape) = if m.is_monotonic {
                    (MetricKind::Counter, Shape::Counter)
                } else {
                    (MetricKind::Gauge, Shape::Other)
                };
                (m.data_points.len(), Some(m.aggregation_temporality), kind, shape)
            }
            Data::Histogram(m) => {
                (m.data_points.len(), Some(m.aggregation_temporality), MetricKind::Histogram, Shape::Other)
            }
            Data::ExponentialHistogram(m) => {
                (m.data_points.len(), Some(m.aggregation_temporality), MetricKind::Histogram, Shape::Other)
            }
            Data::Summary(m) => (m.data_points.len(), None, MetricKind::Summary, Shape::Other),
        };
        let temporality = match temporality.map(AggregationTemporality::try_from) {
            None | Some(Ok(AggregationTemporality::Cumulative)) => Temporality::Cumulative,
            Some(Ok(AggregationTemporality::Delta)) => Temporality::Delta,
            Some(Ok(AggregationTemporality::Unspecified) | Err(_)) => {
                report.reject(RejectReason::UnspecifiedTemporality, points as u64);
                return;
            }
        };
        let (name, unit, shape) = match exposition_name(metric) {
            Some(name) => (name, "", Shape::Verbatim),
            None => (metric.name.as_str(), metric.unit.as_str(), shape),
        };
        let Some(names) = self.metric_names.get(self.options.strategy, name, unit, shape) else {
            report.reject(RejectReason::InvalidMetricName, points as u64);
            return;
        };
        self.describe(metric, kind, &names, report);
        let context = &mut Context { options: &self.options, scratch: &mut self.scratch, fixed, sink, report, times };
        match data {
            Data::Gauge(m) => number::translate(&m.data_points, &names.family, temporality, context),
            Data::Sum(m) => number::translate(&m.data_points, &names.family, temporality, context),
            Data::Histogram(m) => histogram::translate(&m.data_points, &names, temporality, &mut self.bounds, context),
            Data::ExponentialHistogram(m) => {
                exponential::translate(&m.data_points, &names.family, temporality, context);
            }
            Data::Summary(m) => summary::translate(&m.data_points, &names, context),
        }
    }

    /// Puts what is known about the family into the report, once a request.
    fn describe(&mut self, metric: &Metric, kind: MetricKind, names: &Arc<Names>, report: &mut Report) {
        if self.families.insert(Arc::as_ptr(names).addr()) {
            self.described.push(Arc::clone(names));
            let (family, help, unit) = (names.family.clone(), metric.description.clone(), names.unit.clone());
            report.metadata.push(MetricMetadata { family, kind, help, unit });
        }
    }
}

/// The name that a scraped metric had on its Prometheus page, which the agent's metadata says. It is kept as it is.
fn exposition_name(metric: &Metric) -> Option<&str> {
    let name = metric.metadata.iter().find(|known| known.key == "prometheus.name")?;
    match name.value.as_ref()?.value.as_ref()? {
        any_value::Value::StringValue(name) => Some(name),
        _ => None,
    }
}

impl Context<'_> {
    /// Begins a point: its time in milliseconds, or `None` where it is left out.
    pub(crate) fn begin(&mut self, attributes: &[KeyValue], time_unix_nano: u64) -> Option<TimestampMs> {
        if time_unix_nano == 0 {
            return self.reject(RejectReason::MissingTimestamp);
        }
        match self.scratch.read(self.options, attributes, |_| true) {
            Ok(collides) => self.report.colliding_attributes += u64::from(collides),
            Err(reason) => return self.reject(reason),
        }
        if attributes.len() + self.fixed.len() > self.options.max_labels {
            return self.reject(RejectReason::TooManyLabels);
        }
        let timestamp = (time_unix_nano / 1_000_000).cast_signed();
        let times = self.times.get_or_insert((timestamp, timestamp));
        *times = (times.0.min(timestamp), times.1.max(timestamp));
        self.report.points += 1;
        Some(timestamp)
    }

    /// Leaves a point out.
    pub(crate) fn reject<T>(&mut self, reason: RejectReason) -> Option<T> {
        self.report.reject(reason, 1);
        None
    }
}

#[cfg(test)]
mod tests;
