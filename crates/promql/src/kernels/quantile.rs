//! Quantiles of plain values: `quantile_over_time`, `mad_over_time`, and for the aggregation `quantile`.

use std::cmp::Ordering;

use crate::annotations::Annotation;

use super::Notes;
use super::window::Window;

pub(super) fn over_time(window: &Window<'_>, q: f64, notes: &mut Notes<'_>) -> Option<f64> {
    if window.floats.is_empty() {
        return None;
    }
    if !(0.0..=1.0).contains(&q) {
        notes.add(|_, position| Annotation::invalid_quantile(q, position));
    }
    if !window.histograms.is_empty() {
        notes.add(Annotation::histogram_ignored_in_mixed_range);
    }
    Some(quantile(q, &mut window.floats.values.to_vec()))
}

/// The median of the distances from the median.
pub(super) fn median_deviation(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<f64> {
    if window.floats.is_empty() {
        return None;
    }
    if !window.histograms.is_empty() {
        notes.add(Annotation::histogram_ignored_in_mixed_range);
    }
    if window.floats.values.iter().any(|v| v.is_nan()) {
        return Some(f64::NAN);
    }
    let mut values = window.floats.values.to_vec();
    let median = quantile(0.5, &mut values);
    values.iter_mut().for_each(|v| *v = (*v - median).abs());
    Some(quantile(0.5, &mut values))
}

/// The quantile `q` of the values, interpolated between the two values around it. NaNs are the smallest values. The
/// order of the values is changed.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return f64::NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    values.sort_unstable_by(|a, b| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (a_nan, b_nan) => b_nan.cmp(&a_nan),
    });
    let last = (values.len() - 1) as f64;
    let rank = q * last;
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(last);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_values() {
        for (q, values, expected) in [
            (0.5, vec![3.0, 1.0, 2.0], 2.0),
            (0.25, vec![1.0, 2.0], 1.25),
            (0.0, vec![5.0, 4.0], 4.0),
            (1.0, vec![5.0, 4.0], 5.0),
            (1.5, vec![1.0], f64::INFINITY),
            (-0.1, vec![1.0], f64::NEG_INFINITY),
            (1.0, vec![f64::NAN, 7.0], 7.0),
        ] {
            assert_eq!(quantile(q, &mut values.clone()), expected, "{q} of {values:?}");
        }
        assert!(quantile(0.0, &mut [f64::NAN, 7.0]).is_nan() && quantile(0.5, &mut []).is_nan());
    }
}
