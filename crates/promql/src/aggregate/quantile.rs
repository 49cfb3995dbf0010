//! `quantile`: needs all values of a step at once.

use std::rc::Rc;

use crate::column::StepSeries;
use crate::kernels::quantile;

use super::{Accumulator, Noting};

/// The floats of a group at each step.
pub(super) struct Quantiles {
    /// Which quantile is asked for at each step.
    asked: Rc<[f64]>,
    values: Vec<Vec<f64>>,
    ignored: bool,
}

impl Quantiles {
    pub(super) fn new(asked: Rc<[f64]>) -> Self {
        Quantiles { values: vec![Vec::new(); asked.len()], asked, ignored: false }
    }
}

impl Accumulator for Quantiles {
    fn add(&mut self, series: &StepSeries, _: &mut Noting<'_>) -> usize {
        self.ignored |= !series.histograms.is_empty();
        for (step, value) in series.floats.iter() {
            self.values[step as usize].push(*value);
        }
        series.floats.len()
    }

    fn finish(mut self: Box<Self>, out: &mut StepSeries, noting: &mut Noting<'_>) {
        for (step, (values, q)) in self.values.iter_mut().zip(self.asked.iter()).enumerate() {
            if !values.is_empty() {
                out.floats.push(step as u32, quantile(*q, values));
            }
        }
        if self.ignored {
            noting.histogram_ignored();
        }
    }
}
