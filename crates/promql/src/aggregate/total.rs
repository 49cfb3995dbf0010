//! `sum` and `avg` of floats and of histograms.

use std::sync::Arc;

use sonde_model::histogram::{HistogramSum, IncompatibleSchemas};
use sonde_model::{CounterResetHint, Histogram, KahanSum};

use crate::annotations::{Annotation, HistogramOperation};
use crate::column::StepSeries;
use crate::kernels::{FloatMean, HistogramMean};

use super::{Accumulator, Noting};

/// How many floats the histograms of a group weigh at a step, about.
const STEP_WEIGHT: usize = 32;

/// A running total of histograms.
trait HistogramTotal {
    fn first(histogram: &Histogram) -> Self;
    /// True where custom bounds had to be reconciled.
    fn add(&mut self, histogram: &Histogram) -> Result<bool, IncompatibleSchemas>;
    fn total(self) -> Option<Histogram>;
}

/// `sum`
pub(super) struct Sum {
    floats: Vec<KahanSum>,
    seen: Vec<bool>,
    histograms: Histograms<HistogramSum>,
}

/// `avg`
pub(super) struct Average {
    floats: Vec<Option<FloatMean>>,
    histograms: Histograms<HistogramMean>,
}

/// The histograms of a group; nothing is kept before the first one comes.
struct Histograms<T>(Vec<Step<T>>);

impl Sum {
    pub(super) fn new(count: usize) -> Self {
        Sum { floats: vec![KahanSum::default(); count], seen: vec![false; count], histograms: Histograms(Vec::new()) }
    }
}

impl Accumulator for Sum {
    fn add(&mut self, series: &StepSeries, noting: &mut Noting<'_>) -> usize {
        let floats = &series.floats;
        if floats.len() == self.floats.len() {
            self.floats.iter_mut().zip(&floats.values).for_each(|(sum, value)| sum.add(*value));
            self.seen.fill(true);
        } else {
            for (step, value) in floats.iter() {
                self.floats[step as usize].add(*value);
                self.seen[step as usize] = true;
            }
        }
        self.histograms.add(series, self.seen.len(), noting)
    }

    fn finish(mut self: Box<Self>, out: &mut StepSeries, noting: &mut Noting<'_>) {
        self.histograms.finish(&mut self.seen, out, noting);
        for (step, sum) in self.floats.iter().enumerate().filter(|(step, _)| self.seen[*step]) {
            out.floats.push(step as u32, sum.total());
        }
    }
}

impl Average {
    pub(super) fn new(count: usize) -> Self {
        Average { floats: vec![None; count], histograms: Histograms(Vec::new()) }
    }
}

impl Accumulator for Average {
    fn add(&mut self, series: &StepSeries, noting: &mut Noting<'_>) -> usize {
        for (step, value) in series.floats.iter() {
            match &mut self.floats[step as usize] {
                Some(mean) => mean.add(*value),
                mean => *mean = Some(FloatMean::new(*value)),
            }
        }
        self.histograms.add(series, self.floats.len(), noting)
    }

    fn finish(self: Box<Self>, out: &mut StepSeries, noting: &mut Noting<'_>) {
        let mut seen: Vec<bool> = self.floats.iter().map(Option::is_some).collect();
        self.histograms.finish(&mut seen, out, noting);
        for (step, mean) in self.floats.iter().enumerate().filter(|(step, _)| seen[*step]) {
            if let Some(mean) = mean {
                out.floats.push(step as u32, mean.total());
            }
        }
    }
}

impl<T: HistogramTotal> Histograms<T> {
    fn add(&mut self, series: &StepSeries, count: usize, noting: &mut Noting<'_>) -> usize {
        if series.histograms.is_empty() {
            return 0;
        }
        let mut held = 0;
        if self.0.is_empty() {
            held = count * STEP_WEIGHT;
            self.0 = (0..count).map(|_| Step::default()).collect();
        }
        for (step, histogram) in series.histograms.iter() {
            self.0[step as usize].take(histogram, series.labels.metric_name(), noting);
        }
        held
    }

    /// The totals of the histograms at each step. A step that has floats too has no result: `seen` is cleared there.
    fn finish(self, seen: &mut [bool], out: &mut StepSeries, noting: &mut Noting<'_>) {
        for (i, step) in self.0.into_iter().enumerate() {
            if step.total.is_none() && !step.incompatible {
                continue;
            }
            if seen[i] {
                noting.annotations.add(Annotation::mixed_floats_histograms_in_aggregation(noting.operand));
                seen[i] = false;
                continue;
            }
            if step.reset && step.not_reset {
                let operation = HistogramOperation::Aggregation;
                noting.annotations.add(Annotation::counter_reset_collision(operation, noting.operand));
            }
            if let Some(mut total) = step.total.and_then(T::total).filter(|_| !step.incompatible) {
                total.compact();
                out.histograms.push(i as u32, Arc::new(total));
            }
        }
    }
}

/// The histograms of a group at one step.
struct Step<T> {
    total: Option<T>,
    reset: bool,
    not_reset: bool,
    incompatible: bool,
}

impl<T> Default for Step<T> {
    fn default() -> Self {
        Step { total: None, reset: false, not_reset: false, incompatible: false }
    }
}

impl<T: HistogramTotal> Step<T> {
    fn take(&mut self, histogram: &Histogram, metric: &str, noting: &mut Noting<'_>) {
        if self.incompatible {
            return;
        }
        self.reset |= histogram.reset_hint == CounterResetHint::Reset;
        self.not_reset |= histogram.reset_hint == CounterResetHint::NotReset;
        let Some(total) = &mut self.total else {
            self.total = Some(T::first(histogram));
            return;
        };
        match total.add(histogram) {
            Ok(true) => {
                let operation = HistogramOperation::Aggregation;
                noting.annotations.add(Annotation::mismatched_custom_buckets(operation, noting.operand));
            }
            Ok(false) => {}
            Err(_) => {
                noting.annotations.add(Annotation::mixed_exponential_custom(metric, noting.operand));
                self.incompatible = true;
            }
        }
    }
}

impl HistogramTotal for HistogramSum {
    fn first(histogram: &Histogram) -> Self {
        HistogramSum::new(histogram)
    }

    fn add(&mut self, histogram: &Histogram) -> Result<bool, IncompatibleSchemas> {
        HistogramSum::add(self, histogram).map(|combined| combined.bounds_reconciled)
    }

    fn total(self) -> Option<Histogram> {
        Some(HistogramSum::total(&self))
    }
}

impl HistogramTotal for HistogramMean {
    fn first(histogram: &Histogram) -> Self {
        let mut mean = HistogramMean::default();
        // The first histogram fits to nothing and so to everything.
        let _ = mean.add(histogram);
        mean
    }

    fn add(&mut self, histogram: &Histogram) -> Result<bool, IncompatibleSchemas> {
        HistogramMean::add(self, histogram)
    }

    fn total(self) -> Option<Histogram> {
        HistogramMean::total(self)
    }
}
