//! A vector of histograms, classic and native ones, as `histogram_quantile` and its like look at it.

use std::collections::BTreeMap;
use std::sync::Arc;

use sonde_model::{Histogram, Labels};

use super::FunctionCall;
use crate::annotations::Annotation;
use crate::column::StepSeries;

/// The bucket of a classic histogram at one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bucket {
    /// The value of `le`.
    pub(super) upper: f64,
    /// How many observations are at most that; cumulative.
    pub(super) count: f64,
}

/// A histogram at one step.
#[derive(Debug)]
pub(super) enum AnyHistogram<'a> {
    Native(&'a Arc<Histogram>),
    /// At least one bucket, growing by `upper`; each bound is there once.
    Classic(&'a mut Vec<Bucket>),
}

/// The series of the buckets of one classic histogram, growing by bound.
type ClassicSeries = Vec<(f64, StepSeries)>;

/// Computes a value of each histogram of a vector at each step. `compute` gets the step, the metric name and the
/// histogram; `None` leaves the step out.
///
/// A classic and a native histogram of equal labels at one step contradict each other: both are left out with a warning.
pub(super) fn map_histograms(
    call: &mut FunctionCall<'_>,
    series: Vec<StepSeries>,
    position: usize,
    mut compute: impl FnMut(&mut FunctionCall<'_>, u32, &str, AnyHistogram<'_>) -> Option<f64>,
) -> Vec<StepSeries> {
    let mut classic: BTreeMap<Labels, ClassicSeries> = BTreeMap::new();
    let mut native = Vec::new();
    for mut one in series {
        if !one.floats.is_empty() {
            let bound = one.labels.get("le").unwrap_or_default();
            match bound.parse::<f64>() {
                Ok(upper) => {
                    let group = one.labels.without(|name| name == "le");
                    let floats = std::mem::take(&mut one.floats);
                    let labels = one.labels.clone();
                    classic
                        .entry(group)
                        .or_default()
                        .push((upper, StepSeries { labels, floats, ..Default::default() }));
                }
                Err(_) => {
                    let metric = one.labels.metric_name();
                    call.annotations.add(Annotation::bad_bucket_label(metric, bound, position));
                }
            }
        }
        if !one.histograms.is_empty() {
            native.push(one);
        }
    }
    let mut result = Vec::new();
    for one in &native {
        let mut values = StepSeries::new(one.labels.clone(), true);
        for (step, histogram) in one.histograms.iter() {
            let rival = classic.get(&one.labels);
            if rival.is_some_and(|group| group.iter().any(|(_, bucket)| bucket.floats.at(step).is_some())) {
                let metric = one.labels.metric_name();
                call.annotations.add(Annotation::mixed_classic_native(metric, position));
                continue;
            }
            if let Some(value) = compute(call, step, one.labels.metric_name(), AnyHistogram::Native(histogram)) {
                values.floats.push(step, value);
            }
        }
        result.push(values);
    }
    for (labels, mut group) in classic {
        group.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rivals: Vec<&StepSeries> = native.iter().filter(|one| one.labels == labels).collect();
        let metric = labels.metric_name().to_owned();
        let mut values = StepSeries::new(labels, true);
        let mut buckets = Vec::new();
        for step in 0..call.steps.count as u32 {
            if rivals.iter().any(|one| one.histograms.at(step).is_some()) {
                continue;
            }
            buckets_at(&group, step, &mut buckets);
            if buckets.is_empty() {
                continue;
            }
            if let Some(value) = compute(call, step, &metric, AnyHistogram::Classic(&mut buckets)) {
                values.floats.push(step, value);
            }
        }
        result.push(values);
    }
    result.retain(|one| !one.is_empty());
    result
}

/// The buckets of a group at one step; the counts of equal bounds, written differently, are added.
fn buckets_at(group: &ClassicSeries, step: u32, buckets: &mut Vec<Bucket>) {
    buckets.clear();
    for (upper, series) in group {
        let Some(count) = series.floats.at(step).copied() else { continue };
        match buckets.last_mut() {
            Some(last) if last.upper == *upper => last.count += count,
            _ => buckets.push(Bucket { upper: *upper, count }),
        }
    }
}
