//! When two results are the same: tolerance for floats and histograms.

use sonde_model::{CounterResetHint, Histogram, Span, is_stale};

const EPSILON: f64 = 1e-6;

/// Whether two floats are as good as equal.
pub(crate) fn equal(a: f64, b: f64) -> bool {
    if is_stale(a) || is_stale(b) {
        return is_stale(a) && is_stale(b);
    }
    if a.is_nan() && b.is_nan() || a == b {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

/// What is different between two histograms; the counter reset hint is looked at only where one is expected.
pub(crate) fn difference(
    expected: &Histogram,
    hint: Option<CounterResetHint>,
    actual: &Histogram,
) -> Option<&'static str> {
    let (mut a, mut b) = (expected.clone(), actual.clone());
    a.compact();
    b.compact();
    let all_equal = |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(*a, *b));
    Some(match () {
        () if a.schema != b.schema => "schema",
        () if !equal(a.count, b.count) => "count",
        () if !equal(a.sum, b.sum) => "sum",
        () if a.zero_threshold != b.zero_threshold => "zero threshold",
        () if !equal(a.zero_count, b.zero_count) => "zero count",
        () if a.uses_custom_buckets() && a.custom_values != b.custom_values => "custom values",
        () if spans(&a.positive_spans) != spans(&b.positive_spans) => "spans",
        () if spans(&a.negative_spans) != spans(&b.negative_spans) => "negative spans",
        () if !all_equal(&a.positive_buckets, &b.positive_buckets) => "buckets",
        () if !all_equal(&a.negative_buckets, &b.negative_buckets) => "negative buckets",
        () if hint.is_some_and(|hint| hint != actual.reset_hint) => "counter reset hint",
        () => return None,
    })
}

/// The spans without empty ones, as ranges of indices.
fn spans(spans: &[Span]) -> Vec<(i64, i64)> {
    let mut next = 0;
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    for span in spans {
        let start = next + i64::from(span.offset);
        next = start + i64::from(span.length);
        match ranges.last_mut() {
            Some(last) if last.1 == start => last.1 = next,
            _ if span.length > 0 => ranges.push((start, next)),
            _ => {}
        }
    }
    ranges
}
