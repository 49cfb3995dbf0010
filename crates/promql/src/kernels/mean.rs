//! `avg_over_time`: the sum over the count as long as the sum is finite, and an incremental mean from there on.

use std::sync::Arc;

use sonde_model::histogram::HistogramSum;
use sonde_model::{Histogram, KahanSum};

use crate::annotations::Annotation;
use crate::column::StepValue;

use super::Notes;
use super::totals::Seen;
use super::window::Window;

pub(super) fn mean(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<StepValue> {
    if window.is_mixed() {
        notes.add(Annotation::mixed_floats_histograms);
        return None;
    }
    if window.histograms.is_empty() {
        return of_floats(window.floats.values).map(StepValue::Float);
    }
    let mut seen = Seen::default();
    let mut mean = HistogramMean::default();
    for histogram in window.histograms.values {
        seen.hint(histogram);
        match mean.add(histogram) {
            Ok(reconciled) => seen.bounds_reconciled |= reconciled,
            Err(_) => {
                notes.add(Annotation::mixed_exponential_custom);
                return None;
            }
        }
    }
    seen.note(notes);
    mean.total().map(|mean| StepValue::Histogram(Arc::new(mean)))
}

fn of_floats(values: &[f64]) -> Option<f64> {
    let mut mean = FloatMean::new(*values.first()?);
    values[1..].iter().for_each(|value| mean.add(*value));
    Some(mean.total())
}

/// A running mean of floats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FloatMean {
    /// The sum, or from an overflow on the mean.
    sum: KahanSum,
    count: f64,
    incremental: bool,
}

impl FloatMean {
    /// A mean that starts with `value`.
    pub(crate) fn new(value: f64) -> Self {
        FloatMean { sum: KahanSum::new(value), count: 1.0, incremental: false }
    }

    /// Takes a value in.
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if !self.incremental {
            let mut sum = self.sum;
            sum.add(value);
            if !sum.sum.is_infinite() {
                self.sum = sum;
                return;
            }
            self.incremental = true;
            self.sum.sum /= self.count - 1.0;
            self.sum.compensation /= self.count - 1.0;
        }
        let weight = (self.count - 1.0) / self.count;
        self.sum.scale(weight);
        self.sum.add(value / self.count);
    }

    /// The mean.
    pub(crate) fn total(&self) -> f64 {
        if self.incremental {
            return self.sum.total();
        }
        self.sum.sum / self.count + self.sum.compensation / self.count
    }
}

/// A running mean of histograms.
#[derive(Clone, Debug, Default)]
pub(crate) struct HistogramMean {
    /// The sum, or from an overflow on the mean.
    sum: Option<HistogramSum>,
    count: f64,
    incremental: bool,
}

impl HistogramMean {
    /// Takes a histogram in; true where custom bounds had to be reconciled.
    pub(crate) fn add(&mut self, histogram: &Histogram) -> Result<bool, sonde_model::histogram::IncompatibleSchemas> {
        self.count += 1.0;
        let Some(sum) = &mut self.sum else {
            self.sum = Some(HistogramSum::new(histogram));
            return Ok(false);
        };
        if !self.incremental {
            let mut next = sum.clone();
            let combined = next.add(histogram)?;
            if !next.has_overflowed() {
                *sum = next;
                return Ok(combined.bounds_reconciled);
            }
            self.incremental = true;
            sum.divide(self.count - 1.0);
        }
        sum.scale((self.count - 1.0) / self.count);
        let mut part = histogram.clone();
        part.div(self.count);
        sum.add(&part).map(|combined| combined.bounds_reconciled)
    }

    /// The mean.
    pub(crate) fn total(mut self) -> Option<Histogram> {
        let sum = self.sum.as_mut()?;
        if !self.incremental {
            sum.divide(self.count);
        }
        Some(sum.total())
    }
}
