//! `sum` and `avg` of floats and of histograms.

use std::sync::Arc;

use sonde_model::histogram::{HistogramSum, IncompatibleSchemas};
use sonde_model::{CounterResetHint, Histogram, KahanSum};

use crate::annotations::{Annotation, Annotations, HistogramOperation};
use crate::column::StepSeries;
use crate::kernels::{FloatMean, HistogramMean};

/// A running total of histograms.
trait HistogramTotal {
    fn first(histogram: &Histogram) -> Self;
    /// True where custom bounds had to be reconciled.
    fn add(&mut self, histogram: &Histogram) -> Result<bool, IncompatibleSchemas>;
    fn total(self) -> Option<Histogram>;
}

/// `sum`
pub(super) fn sum<'a>(
    members: impl Iterator<Item = &'a StepSeries> + Clone,
    count: usize,
    out: &mut StepSeries,
    annotations: &mut Annotations,
    position: usize,
) {
    let mut sums = vec![KahanSum::default(); count];
    let mut seen = vec![false; count];
    for series in members.clone() {
        for (step, value) in series.floats.iter() {
            let step = step as usize;
            if seen[step] {
                sums[step].add(*value);
            } else {
                sums[step].sum = *value;
                seen[step] = true;
            }
        }
    }
    let histograms = histogram_totals::<HistogramSum>(members, count, &mut seen, annotations, position);
    for (step, sum) in sums.iter().enumerate().filter(|(step, _)| seen[*step]) {
        out.floats.push(step as u32, sum.total());
    }
    histograms.into_iter().for_each(|(step, histogram)| out.histograms.push(step, histogram));
}

/// `avg`
pub(super) fn average<'a>(
    members: impl Iterator<Item = &'a StepSeries> + Clone,
    count: usize,
    out: &mut StepSeries,
    annotations: &mut Annotations,
    position: usize,
) {
    let mut means: Vec<Option<FloatMean>> = vec![None; count];
    for series in members.clone() {
        for (step, value) in series.floats.iter() {
            match &mut means[step as usize] {
                Some(mean) => mean.add(*value),
                mean => *mean = Some(FloatMean::new(*value)),
            }
        }
    }
    let mut seen: Vec<bool> = means.iter().map(Option::is_some).collect();
    let histograms = histogram_totals::<HistogramMean>(members, count, &mut seen, annotations, position);
    for (step, mean) in means.iter().enumerate().filter(|(step, _)| seen[*step]) {
        if let Some(mean) = mean {
            out.floats.push(step as u32, mean.total());
        }
    }
    histograms.into_iter().for_each(|(step, histogram)| out.histograms.push(step, histogram));
}

/// The totals of the histograms at each step. A step that has floats too has no result: `seen` is cleared there.
fn histogram_totals<'a, T: HistogramTotal>(
    members: impl Iterator<Item = &'a StepSeries> + Clone,
    count: usize,
    seen: &mut [bool],
    annotations: &mut Annotations,
    position: usize,
) -> Vec<(u32, Arc<Histogram>)> {
    if members.clone().all(|series| series.histograms.is_empty()) {
        return Vec::new();
    }
    let mut steps: Vec<Step<T>> = (0..count).map(|_| Step::default()).collect();
    for series in members {
        for (step, histogram) in series.histograms.iter() {
            steps[step as usize].take(histogram, series.labels.metric_name(), annotations, position);
        }
    }
    let mut totals = Vec::new();
    for (i, step) in steps.into_iter().enumerate() {
        if step.total.is_none() && !step.incompatible {
            continue;
        }
        if seen[i] {
            annotations.add(Annotation::mixed_floats_histograms_in_aggregation(position));
            seen[i] = false;
            continue;
        }
        if step.reset && step.not_reset {
            let operation = HistogramOperation::Aggregation;
            annotations.add(Annotation::counter_reset_collision(operation, position));
        }
        if let Some(mut total) = step.total.and_then(T::total).filter(|_| !step.incompatible) {
            total.compact();
            totals.push((i as u32, Arc::new(total)));
        }
    }
    totals
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
    fn take(&mut self, histogram: &Histogram, metric: &str, annotations: &mut Annotations, position: usize) {
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
                annotations.add(Annotation::mismatched_custom_buckets(operation, position));
            }
            Ok(false) => {}
            Err(_) => {
                annotations.add(Annotation::mixed_exponential_custom(metric, position));
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
