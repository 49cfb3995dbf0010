//! What can be read off a native histogram without arguments: count, sum, mean, spread.

use sonde_model::Histogram;

use super::Function;
use crate::column::{Points, StepSeries};

/// The value of each histogram; floats are left out.
pub(super) fn evaluate(function: Function, series: Vec<StepSeries>) -> Vec<StepSeries> {
    let value = match function {
        Function::HistogramAvg => |h: &Histogram| h.sum / h.count,
        Function::HistogramCount => |h: &Histogram| h.count,
        Function::HistogramStddev => |h: &Histogram| variance(h).sqrt(),
        Function::HistogramStdvar => variance,
        _ => |h: &Histogram| h.sum,
    };
    let mut result = Vec::with_capacity(series.len());
    for mut one in series.into_iter().filter(|one| !one.histograms.is_empty()) {
        let histograms = std::mem::take(&mut one.histograms);
        one.drop_name = true;
        one.floats = Points { steps: histograms.steps, values: histograms.values.iter().map(|h| value(h)).collect() };
        result.push(one);
    }
    result
}

/// The variance, with all observations of a bucket at one value: the geometric mean of its bounds, the arithmetic mean
/// where the bounds are custom ones, 0 in the zero bucket.
fn variance(histogram: &Histogram) -> f64 {
    let mean = histogram.sum / histogram.count;
    let (mut sum, mut compensation) = (0.0, 0.0);
    for bucket in histogram.all_buckets() {
        if bucket.count == 0.0 {
            continue;
        }
        let value = if histogram.uses_custom_buckets() {
            (bucket.upper + bucket.lower) / 2.0
        } else if bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            0.0
        } else {
            (bucket.upper * bucket.lower).sqrt().copysign(bucket.upper)
        };
        let delta = value - mean;
        (sum, compensation) = add_exactly(bucket.count * delta * delta, sum, compensation);
    }
    (sum + compensation) / histogram.count
}

/// One step of Neumaier's sum: the new sum and what it lost to rounding.
fn add_exactly(value: f64, sum: f64, compensation: f64) -> (f64, f64) {
    let total = sum + value;
    if total.is_infinite() {
        return (total, 0.0);
    }
    let lost = if sum.abs() >= value.abs() { (sum - total) + value } else { (value - total) + sum };
    (total, compensation + lost)
}
