//! `quantile`: needs all values of a step at once.

use crate::column::StepSeries;
use crate::kernels::quantile;

/// The quantile of the floats at each step; true where histograms were left out.
pub(super) fn evaluate<'a>(
    members: impl Iterator<Item = &'a StepSeries>,
    quantiles: &[f64],
    out: &mut StepSeries,
) -> bool {
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); quantiles.len()];
    let mut ignored = false;
    for series in members {
        ignored |= !series.histograms.is_empty();
        for (step, value) in series.floats.iter() {
            values[step as usize].push(*value);
        }
    }
    for (step, (values, q)) in values.iter_mut().zip(quantiles).enumerate() {
        if !values.is_empty() {
            out.floats.push(step as u32, quantile(*q, values));
        }
    }
    ignored
}
