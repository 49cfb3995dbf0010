//! The walk over a request: resources, scopes, metrics, points.

use std::collections::HashSet;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use sonde_model::TimestampMs;
use sonde_proto::otlp::metrics::AggregationTemporality;
use sonde_proto::otlp::{AnyValueView, DataView, MetricView, MetricsRequestView, ResourceMetricsView, ViewError};

use crate::labels::Scratch;
use crate::metric_name::{MetricNames, NameSource, Shape};
use crate::options::Options;
use crate::point::{Context, LazyNames, Scope};
use crate::report::{MetricKind, RejectReason, Report};
use crate::resource::{TARGET_INFO, TargetInfo, attributes_of};
use crate::row::{MetricMetadata, Piece, Sink};
use crate::{exponential, histogram, number, summary};

/// Translates request after request; remembers names and keeps its scratch memory between them.
#[derive(Debug, Default)]
pub struct Translator {
    options: Options,
    metric_names: MetricNames,
    scratch: Scratch,
    bounds: histogram::BoundTexts,
    target_info: TargetInfo,
    /// The hashes of the names that this request has described.
    described: HashSet<u64, RandomState>,
    hasher: RandomState,
    /// What a metric is known by, put together to be hashed.
    key: Vec<u8>,
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

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Translates a request: `sink` is called once a sample, in the order of the request.
    ///
    /// A point that cannot be translated is left out and counted in the report with its reason. An error says that the
    /// request is broken, which may be found after rows were given out: whoever collects them throws them away.
    pub fn translate(&mut self, request: MetricsRequestView<'_>, sink: &mut dyn Sink) -> Result<Report, ViewError> {
        let mut report = Report::default();
        self.target_info.clear();
        self.described.clear();
        for resource_metrics in request.resources() {
            let resource_metrics = resource_metrics?;
            let before = report.clone();
            sink.hold();
            let mut times = self.resource(resource_metrics, sink, &mut report)?;
            if !sink.settle() {
                report = before;
                times = self.resource(resource_metrics, sink, &mut report)?;
            }
            if let Some(times) = times {
                let (options, scratch) = (&self.options, &mut self.scratch);
                self.target_info.write(options, resource_metrics, times, scratch, sink, &mut report)?;
            } else {
                // Nobody asked for its attributes, so nobody has proven them.
                attributes_of(resource_metrics.resource()?)?;
            }
        }
        if !self.target_info.is_empty() {
            let help = "The attributes of the resource that a job and instance stand for";
            sink.describe(MetricMetadata { family: TARGET_INFO, kind: MetricKind::Info, help, unit: "" });
        }
        Ok(report)
    }

    /// Translates the metrics of a resource; says from when to when its points were measured, where it has any.
    fn resource(
        &mut self,
        resource_metrics: ResourceMetricsView<'_>,
        sink: &mut dyn Sink,
        report: &mut Report,
    ) -> Result<Option<(TimestampMs, TimestampMs)>, ViewError> {
        let mut times = None;
        let resource = sink.hash(Piece::Resource, resource_metrics.resource_bytes().unwrap_or_default());
        for scope_metrics in resource_metrics.scopes() {
            let scope_metrics = scope_metrics?;
            let scope = sink.hash(Piece::Scope, scope_metrics.scope_bytes().unwrap_or_default());
            let above = resource.zip(scope).map(|hashes| (hashes, scope_metrics.schema_url));
            let mut scope = Scope::new(resource_metrics, scope_metrics);
            for metric in scope_metrics.metrics() {
                let metric = metric?;
                let Some((metric_data, source, temporality)) = self.begin(&metric, sink, report)? else {
                    continue;
                };
                let metric_key = above.and_then(|above| self.key(&metric, &metric_data, above, sink));
                let mut context = Context {
                    options: &self.options,
                    names: LazyNames::new(&mut self.metric_names, source),
                    scratch: &mut self.scratch,
                    scope: &mut scope,
                    sink: &mut *sink,
                    report: &mut *report,
                    metric: metric_key,
                    times: &mut times,
                };
                points(metric_data, temporality, &mut self.bounds, &mut context)?;
            }
        }
        Ok(times)
    }

    /// What the points of a metric share: data, what its names are made of, temporality. `None` where they are left out, which is counted.
    fn begin<'a>(
        &mut self,
        metric: &MetricView<'a>,
        sink: &mut dyn Sink,
        report: &mut Report,
    ) -> Result<Option<(DataView<'a>, NameSource<'a>, Temporality)>, ViewError> {
        let Some(data) = metric.data else {
            // A kind of metric that is newer than our messages: its points cannot be counted, so it counts as one.
            report.reject(RejectReason::UnknownType, 1);
            return Ok(None);
        };
        let (temporality, kind, shape) = match data {
            DataView::Gauge { .. } => (None, MetricKind::Gauge, Shape::Gauge),
            DataView::Sum { temporality, monotonic: true, .. } => {
                (Some(temporality), MetricKind::Counter, Shape::Counter)
            }
            DataView::Sum { temporality, .. } => (Some(temporality), MetricKind::Gauge, Shape::Other),
            DataView::Histogram { temporality, .. } | DataView::Exponential { temporality, .. } => {
                (Some(temporality), MetricKind::Histogram, Shape::Other)
            }
            DataView::Summary { .. } => (None, MetricKind::Summary, Shape::Other),
        };
        let temporality = match temporality.map(AggregationTemporality::try_from) {
            None | Some(Ok(AggregationTemporality::Cumulative)) => Temporality::Cumulative,
            Some(Ok(AggregationTemporality::Delta)) => Temporality::Delta,
            Some(Ok(AggregationTemporality::Unspecified) | Err(_)) => {
                report.reject(RejectReason::UnspecifiedTemporality, data.count() as u64);
                return Ok(None);
            }
        };
        let source = match exposition_name(metric)? {
            Some(name) => NameSource { name, unit: "", shape: Shape::Verbatim },
            None => NameSource { name: metric.name, unit: metric.unit, shape },
        };
        // The names themselves are needed once a request, and for points that are not known.
        let hash = self.hasher.hash_one(source);
        if !self.described.contains(&hash) {
            let Some(names) = self.metric_names.get(self.options.strategy, source) else {
                report.reject(RejectReason::InvalidMetricName, data.count() as u64);
                return Ok(None);
            };
            self.described.insert(hash);
            let (family, help, unit) = (names.family.as_str(), metric.description, names.unit.as_str());
            sink.describe(MetricMetadata { family, kind, help, unit });
        }
        Ok(Some((data, source, temporality)))
    }

    /// The hash of everything that decides which series the points of a metric belong to, but for the points.
    fn key(
        &mut self,
        metric: &MetricView<'_>,
        data: &DataView<'_>,
        ((resource, scope), schema_url): ((u128, u128), &str),
        sink: &mut dyn Sink,
    ) -> Option<u128> {
        let (kind, temporality, monotonic) = match *data {
            DataView::Gauge { .. } => (0_u8, 0, false),
            DataView::Sum { temporality, monotonic, .. } => (1, temporality, monotonic),
            DataView::Histogram { temporality, .. } => (2, temporality, false),
            DataView::Exponential { temporality, .. } => (3, temporality, false),
            DataView::Summary { .. } => (4, 0, false),
        };
        let page_name = exposition_name(metric).ok().flatten().unwrap_or_default();
        self.key.clear();
        for hash in [resource, scope] {
            self.key.extend_from_slice(&hash.to_le_bytes());
        }
        for text in [schema_url, metric.name, metric.unit, page_name] {
            self.key.extend_from_slice(&(text.len() as u64).to_le_bytes());
            self.key.extend_from_slice(text.as_bytes());
        }
        self.key.extend_from_slice(&temporality.to_le_bytes());
        self.key.extend_from_slice(&[kind, u8::from(monotonic)]);
        sink.hash(Piece::Metric, &self.key)
    }
}

fn points(
    data: DataView<'_>,
    temporality: Temporality,
    bounds: &mut histogram::BoundTexts,
    context: &mut Context<'_, '_>,
) -> Result<(), ViewError> {
    match data {
        DataView::Gauge { points } => number::translate(points, temporality, false, context),
        DataView::Sum { points, monotonic, .. } => number::translate(points, temporality, monotonic, context),
        DataView::Histogram { points, .. } => histogram::translate(points, temporality, bounds, context),
        DataView::Exponential { points, .. } => exponential::translate(points, temporality, context),
        DataView::Summary { points } => summary::translate(points, context),
    }
}

/// The name that a scraped metric had on its Prometheus page, which the agent's metadata says. It is kept as it is.
fn exposition_name<'a>(metric: &MetricView<'a>) -> Result<Option<&'a str>, ViewError> {
    if !metric.has_metadata() {
        return Ok(None);
    }
    for known in metric.metadata()?.iter() {
        let known = known?;
        if known.key == "prometheus.name" {
            return Ok(match known.value {
                Some(AnyValueView::String(name)) => Some(name),
                _ => None,
            });
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
