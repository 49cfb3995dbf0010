//! `histogram_quantile` and `histogram_quantiles`.

use sonde_model::{Histogram, LabelsBuilder};

use super::FunctionCall;
use super::arguments::{Arguments, string};
use super::buckets::{AnyHistogram, Bucket, map_histograms};
use crate::annotations::Annotation;
use crate::column::{Evaluated, StepSeries};
use crate::error::QueryError;
use sonde_model::GoFloat;

/// `histogram_quantile(q, v)`
pub(super) fn evaluate_one(call: &mut FunctionCall<'_>, mut args: Arguments) -> Result<Evaluated, QueryError> {
    let (quantiles, series) = (args.scalar()?, args.vector()?);
    check_quantiles(call, &quantiles, 0);
    Ok(Evaluated::Vector(quantile_of_series(call, series, &quantiles, 1)))
}

/// `histogram_quantiles(v, label, q...)`
pub(super) fn evaluate_many(call: &mut FunctionCall<'_>, mut args: Arguments) -> Result<Evaluated, QueryError> {
    let series = args.vector()?;
    args.skip();
    let label = &string(&call.args[1])?.text;
    let mut result = Vec::new();
    let mut arg = 2;
    while !args.is_empty() {
        let quantiles = args.scalar()?;
        check_quantiles(call, &quantiles, arg);
        arg += 1;
        for one in quantile_of_series(call, series.clone(), &quantiles, 0) {
            result.extend(labelled(one, label, &quantiles));
        }
    }
    Ok(Evaluated::Vector(result))
}

/// The values of each quantile with the quantile as a label. A quantile may change from step to step.
fn labelled(series: StepSeries, label: &str, quantiles: &[f64]) -> Vec<StepSeries> {
    let mut by_quantile: Vec<(String, StepSeries)> = Vec::new();
    for (step, value) in series.floats.iter() {
        let text = label_value(quantiles[step as usize]);
        let known = by_quantile.iter().position(|(known, _)| *known == text);
        let index = known.unwrap_or_else(|| {
            let mut builder = LabelsBuilder::from(&series.labels);
            builder.set(label, &text);
            by_quantile.push((text, StepSeries::new(builder.build(), series.drop_name)));
            by_quantile.len() - 1
        });
        by_quantile[index].1.floats.push(step, *value);
    }
    by_quantile.into_iter().map(|(_, series)| series).collect()
}

/// A quantile as OpenMetrics writes numbers: always with a point or an exponent.
fn label_value(quantile: f64) -> String {
    let text = GoFloat(quantile).to_string();
    if quantile.is_finite() && !text.contains(['.', 'e']) { format!("{text}.0") } else { text }
}

fn check_quantiles(call: &mut FunctionCall<'_>, quantiles: &[f64], arg: usize) {
    let position = call.args[arg].span.start as usize;
    for quantile in quantiles.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        call.annotations.add(Annotation::invalid_quantile(*quantile, position));
    }
}

fn quantile_of_series(
    call: &mut FunctionCall<'_>,
    series: Vec<StepSeries>,
    quantiles: &[f64],
    arg: usize,
) -> Vec<StepSeries> {
    let position = call.args[arg].span.start as usize;
    map_histograms(call, series, position, |call, step, metric, histogram| {
        let quantile = quantiles[step as usize];
        Some(match histogram {
            AnyHistogram::Native(histogram) => {
                let (value, nan) = native_quantile(quantile, histogram);
                match nan {
                    NanObservations::None => {}
                    NanObservations::Skew => {
                        call.annotations.add(Annotation::quantile_nan_skew(metric, position));
                    }
                    NanObservations::Result => {
                        call.annotations.add(Annotation::quantile_nan_result(metric, position));
                    }
                }
                value
            }
            AnyHistogram::Classic(buckets) => {
                let (value, forced) = classic_quantile(quantile, buckets);
                if let Some(changes) = forced {
                    let time = call.steps.time(step as usize);
                    call.annotations.add(Annotation::forced_monotonicity(metric, position, time, changes));
                }
                value
            }
        })
    })
}

/// What NaN observations did to a quantile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NanObservations {
    None,
    Skew,
    Result,
}

/// The quantile of a native histogram.
///
/// Within a bucket observations lie evenly: on a logarithmic scale where the bounds are exponential, on a linear one in
/// the zero bucket and with custom bounds. NaN observations are in no bucket and count as greater than all others.
fn native_quantile(quantile: f64, histogram: &Histogram) -> (f64, NanObservations) {
    if quantile < 0.0 {
        return (f64::NEG_INFINITY, NanObservations::None);
    }
    if quantile > 1.0 {
        return (f64::INFINITY, NanObservations::None);
    }
    if histogram.count == 0.0 || quantile.is_nan() {
        return (f64::NAN, NanObservations::None);
    }
    let mut buckets = histogram.all_buckets();
    let observed: f64 = buckets.iter().map(|bucket| bucket.count).sum();
    // A sum of NaN tells of NaN observations, or of positive and negative infinity only: the counts then agree.
    let from_below = histogram.sum.is_nan() || quantile < 0.5;
    let has_nan = histogram.sum.is_nan() && observed < histogram.count;
    let rank = if from_below { quantile * histogram.count } else { (1.0 - quantile) * histogram.count };
    if !from_below {
        buckets.reverse();
    }
    let mut count = 0.0;
    let mut found = None;
    for bucket in buckets.into_iter().filter(|bucket| bucket.count != 0.0) {
        count += bucket.count;
        found = Some(bucket);
        if count >= rank {
            break;
        }
    }
    let nan_result = if has_nan { NanObservations::Result } else { NanObservations::None };
    let Some(mut bucket) = found else { return (f64::NAN, nan_result) };
    let nan_skew = if has_nan { NanObservations::Skew } else { NanObservations::None };
    count = count.min(histogram.count);
    if count < rank {
        // The rank lies beyond all buckets.
        let value = if histogram.sum.is_nan() { f64::NAN } else { bucket.upper };
        return (value, nan_result);
    }
    let custom = histogram.uses_custom_buckets();
    if custom && bucket.lower == f64::NEG_INFINITY {
        if bucket.upper <= 0.0 {
            return (bucket.upper, nan_skew);
        }
        bucket.lower = 0.0;
    } else if custom && bucket.upper == f64::INFINITY {
        return (bucket.lower, nan_skew);
    } else if !custom && bucket.lower < 0.0 && bucket.upper > 0.0 {
        cut_zero_bucket(histogram, &mut bucket);
    }
    let rank = if from_below { rank - (count - bucket.count) } else { count - rank };
    let fraction = rank / bucket.count;
    let value = if custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0) {
        bucket.lower + (bucket.upper - bucket.lower) * fraction
    } else {
        let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
        if bucket.lower > 0.0 {
            (lower + (upper - lower) * fraction).exp2()
        } else {
            -(upper + (lower - upper) * (1.0 - fraction)).exp2()
        }
    };
    (value, nan_skew)
}

/// Where a histogram has only positive (or only negative) buckets, its zero bucket is taken to begin (or end) at 0.
pub(super) fn cut_zero_bucket(histogram: &Histogram, bucket: &mut sonde_model::histogram::Bucket) {
    match (histogram.negative_buckets.is_empty(), histogram.positive_buckets.is_empty()) {
        (true, false) => bucket.lower = 0.0,
        (false, true) => bucket.upper = 0.0,
        _ => {}
    }
}

/// The quantile of a classic histogram, and what was changed to make its counts grow: the smallest and the greatest
/// bound whose count was changed and the greatest change.
///
/// Within a bucket observations lie evenly. In the last bucket, which has no upper bound, the answer is its lower one.
fn classic_quantile(quantile: f64, buckets: &mut [Bucket]) -> (f64, Option<[f64; 3]>) {
    if quantile.is_nan() {
        return (f64::NAN, None);
    }
    if quantile < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if quantile > 1.0 {
        return (f64::INFINITY, None);
    }
    let last = buckets.len() - 1;
    if buckets[last].upper != f64::INFINITY {
        return (f64::NAN, None);
    }
    let forced = force_growth(buckets);
    if buckets.len() < 2 || buckets[last].count == 0.0 {
        return (f64::NAN, None);
    }
    let mut rank = quantile * buckets[last].count;
    let index = buckets[..last].partition_point(|bucket| bucket.count < rank);
    if index == last {
        return (buckets[last - 1].upper, forced);
    }
    let Bucket { upper, mut count } = buckets[index];
    let mut lower = 0.0;
    if index > 0 {
        lower = buckets[index - 1].upper;
        count -= buckets[index - 1].count;
        rank -= buckets[index - 1].count;
    } else if upper <= 0.0 {
        return (upper, forced);
    }
    (lower + (upper - lower) * (rank / count), forced)
}

/// Removes decreases of the counts. Differences that come of rounding are removed silently, in either direction.
fn force_growth(buckets: &mut [Bucket]) -> Option<[f64; 3]> {
    let mut changes: Option<[f64; 3]> = None;
    let mut previous = buckets[0].count;
    for bucket in &mut buckets[1..] {
        let count = bucket.count;
        if almost_equal(previous, count) {
            bucket.count = previous;
        } else if count < previous {
            let [min, max, diff] = changes.unwrap_or([bucket.upper, bucket.upper, 0.0]);
            changes = Some([min.min(bucket.upper), max.max(bucket.upper), diff.max(previous - count)]);
            bucket.count = previous;
        } else {
            previous = count;
        }
    }
    changes
}

/// Whether two counts differ only by the rounding of the arithmetic that made them.
fn almost_equal(a: f64, b: f64) -> bool {
    const TOLERANCE: f64 = 1e-12;
    if a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < TOLERANCE * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < TOLERANCE
}
