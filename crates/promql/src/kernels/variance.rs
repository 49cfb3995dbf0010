//! `stddev_over_time` and `stdvar_over_time`: Welford's method with compensated sums.

use sonde_model::KahanSum;

use crate::annotations::Annotation;

use super::Notes;
use super::window::Window;

pub(super) fn variance(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<f64> {
    if window.floats.is_empty() {
        return None;
    }
    if !window.histograms.is_empty() {
        notes.add(Annotation::histogram_ignored_in_mixed_range);
    }
    let (mut mean, mut squares, mut count) = (KahanSum::default(), KahanSum::default(), 0.0);
    for value in window.floats.values {
        count += 1.0;
        let delta = value - mean.total();
        mean.add(delta / count);
        squares.add(delta * (value - mean.total()));
    }
    Some(squares.total() / count)
}
