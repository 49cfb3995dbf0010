//! `deriv` and `predict_linear`: least-squares lines through the samples of a window.

use sonde_model::{KahanSum, TimestampMs};

use crate::annotations::Annotation;

use super::Notes;
use super::window::Window;

/// The slope of the line, per second.
pub(super) fn deriv(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<f64> {
    let first = *window.floats.times.first()?;
    // Times are taken from the first sample, because seconds since 1970 would cost digits.
    line(window, first, notes).map(|(slope, _)| slope)
}

/// The value of the line `seconds` after the step.
pub(super) fn predict(window: &Window<'_>, seconds: f64, notes: &mut Notes<'_>) -> Option<f64> {
    line(window, window.time, notes).map(|(slope, intercept)| slope * seconds + intercept)
}

/// Slope and value at `origin` of the line through the floats; none for fewer than two.
fn line(window: &Window<'_>, origin: TimestampMs, notes: &mut Notes<'_>) -> Option<(f64, f64)> {
    let (times, values) = (window.floats.times, window.floats.values);
    if !values.is_empty() && !window.histograms.is_empty() {
        notes.add(Annotation::histogram_ignored_in_mixed_range);
    }
    if values.len() < 2 {
        return None;
    }
    let first = values[0];
    if values.iter().all(|v| *v == first) {
        return Some(if first.is_infinite() { (f64::NAN, f64::NAN) } else { (0.0, first) });
    }
    let (mut x_sum, mut y_sum, mut xy_sum, mut xx_sum) =
        (KahanSum::default(), KahanSum::default(), KahanSum::default(), KahanSum::default());
    for (time, y) in times.iter().zip(values) {
        let x = (time - origin) as f64 / 1e3;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    let n = values.len() as f64;
    let (x_sum, y_sum) = (x_sum.total(), y_sum.total());
    let covariance = xy_sum.total() - x_sum * y_sum / n;
    let variance = xx_sum.total() - x_sum * x_sum / n;
    let slope = covariance / variance;
    Some((slope, y_sum / n - slope * x_sum / n))
}
