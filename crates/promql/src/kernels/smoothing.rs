//! `double_exponential_smoothing`: Holt's linear method.

use crate::annotations::Annotation;
use crate::error::QueryError;

use super::Notes;
use super::window::Window;

/// The smoothed value at the end of the window; none for fewer than two floats.
pub(super) fn double_exponential(
    window: &Window<'_>,
    smoothing: f64,
    trend: f64,
    notes: &mut Notes<'_>,
) -> Result<Option<f64>, QueryError> {
    for (name, factor, short) in [("smoothing", smoothing, "sf"), ("trend", trend, "tf")] {
        if factor <= 0.0 || factor >= 1.0 {
            let expected = format!("0 < {short} < 1, got: {factor:.6}");
            return Err(QueryError::execution(format!("invalid {name} factor. Expected: {expected}")));
        }
    }
    let values = window.floats.values;
    if !values.is_empty() && !window.histograms.is_empty() {
        notes.add(Annotation::histogram_ignored_in_mixed_range);
    }
    if values.len() < 2 {
        return Ok(None);
    }
    let (mut before, mut level) = (0.0, values[0]);
    let mut slope = values[1] - values[0];
    for (i, value) in values.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * value + (1.0 - smoothing) * (level + slope);
        (before, level) = (level, next);
    }
    Ok(Some(level))
}
