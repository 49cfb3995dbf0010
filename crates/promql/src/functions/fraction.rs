//! `histogram_fraction`: how many of the observations lie between two values.

use sonde_model::Histogram;

use super::FunctionCall;
use super::arguments::Arguments;
use super::buckets::{AnyHistogram, Bucket, map_histograms};
use super::quantile::cut_zero_bucket;
use crate::annotations::Annotation;
use crate::column::Evaluated;
use crate::error::QueryError;

/// `histogram_fraction(lower, upper, v)`
pub(super) fn evaluate(call: &mut FunctionCall<'_>, mut args: Arguments) -> Result<Evaluated, QueryError> {
    let (lower, upper, series) = (args.scalar()?, args.scalar()?, args.vector()?);
    let position = call.args[2].span.start as usize;
    Ok(Evaluated::Vector(map_histograms(call, series, position, |call, step, metric, histogram| {
        let (lower, upper) = (lower[step as usize], upper[step as usize]);
        Some(match histogram {
            AnyHistogram::Native(histogram) => {
                let (value, has_nan) = native_fraction(lower, upper, histogram);
                if has_nan {
                    call.annotations.add(Annotation::fraction_nans(metric, position));
                }
                value
            }
            AnyHistogram::Classic(buckets) => classic_fraction(lower, upper, buckets),
        })
    })))
}

/// The fraction of a native histogram, and whether it has NaN observations, which lie between no two values.
fn native_fraction(lower: f64, upper: f64, histogram: &Histogram) -> (f64, bool) {
    if histogram.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (f64::NAN, false);
    }
    if lower >= upper {
        return (0.0, false);
    }
    let custom = histogram.uses_custom_buckets();
    let mut buckets = histogram.all_buckets();
    let observed: f64 = buckets.iter().map(|bucket| bucket.count).sum();
    let has_nan = histogram.sum.is_nan() && observed < histogram.count;
    let all = if has_nan { observed } else { histogram.count };
    for bucket in &mut buckets {
        if custom && bucket.lower == f64::NEG_INFINITY {
            bucket.lower = lowest_bound(bucket.upper);
        } else if !custom && bucket.lower <= 0.0 && bucket.upper >= 0.0 {
            cut_zero_bucket(histogram, bucket);
        }
    }
    let rank_of = |value: f64| {
        let mut below = 0.0;
        for bucket in &buckets {
            if bucket.lower >= value {
                return below;
            }
            if bucket.upper > value {
                let linear = custom || (bucket.lower <= 0.0 && bucket.upper >= 0.0);
                return below + share_below(value, bucket.lower, bucket.upper, bucket.count, linear);
            }
            below += bucket.count;
        }
        all
    };
    ((rank_of(upper).min(all) - rank_of(lower).min(all)) / histogram.count, has_nan)
}

/// Where the first bucket begins that has only an upper bound: at 0, unless it holds negative values.
fn lowest_bound(upper: f64) -> f64 {
    if upper > 0.0 { 0.0 } else { f64::NEG_INFINITY }
}

/// How many of the `count` observations of a bucket lie below a value in it.
fn share_below(value: f64, lower: f64, upper: f64, count: f64, linear: bool) -> f64 {
    if lower == f64::NEG_INFINITY {
        // Nothing is known of where they lie: all of them are taken to lie below. With no upper bound, none.
        return count;
    }
    if linear {
        return count * (value - lower) / (upper - lower);
    }
    let (log_lower, log_upper, log_value) = (lower.abs().log2(), upper.abs().log2(), value.abs().log2());
    if value > 0.0 {
        count * ((log_value - log_lower) / (log_upper - log_lower))
    } else {
        count * (1.0 - (log_value - log_upper) / (log_lower - log_upper))
    }
}

/// The fraction of a classic histogram.
fn classic_fraction(lower: f64, upper: f64, buckets: &[Bucket]) -> f64 {
    let Some(last) = buckets.last().filter(|last| last.upper == f64::INFINITY) else { return f64::NAN };
    let all = last.count;
    if all == 0.0 || lower.is_nan() || upper.is_nan() {
        return f64::NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    let rank_of = |value: f64| {
        let (mut below, mut bound) = (0.0, lowest_bound(buckets[0].upper));
        for bucket in buckets {
            if bound >= value {
                return below;
            }
            if bucket.upper > value {
                return below + share_below(value, bound, bucket.upper, bucket.count - below, true);
            }
            (below, bound) = (bucket.count, bucket.upper);
        }
        all
    };
    (rank_of(upper).min(all) - rank_of(lower).min(all)) / all
}
