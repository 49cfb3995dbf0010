//! `sum_over_time`.

use std::sync::Arc;

use sonde_model::histogram::HistogramSum;
use sonde_model::{CounterResetHint, Histogram, KahanSum};

use crate::annotations::{Annotation, HistogramOperation};
use crate::column::StepValue;

use super::Notes;
use super::window::Window;

pub(super) fn sum(window: &Window<'_>, notes: &mut Notes<'_>) -> Option<StepValue> {
    if window.is_mixed() {
        notes.add(Annotation::mixed_floats_histograms);
        return None;
    }
    let Some((first, rest)) = window.histograms.values.split_first() else {
        let mut sum = KahanSum::default();
        window.floats.values.iter().for_each(|v| sum.add(*v));
        return Some(StepValue::Float(if sum.sum.is_infinite() { sum.sum } else { sum.total() }));
    };
    let mut seen = Seen::default();
    seen.hint(first);
    let mut sum = HistogramSum::new(first);
    for histogram in rest {
        seen.hint(histogram);
        match sum.add(histogram) {
            Ok(combined) => seen.bounds_reconciled |= combined.bounds_reconciled,
            Err(_) => {
                notes.add(Annotation::mixed_exponential_custom);
                return None;
            }
        }
    }
    seen.note(notes);
    Some(StepValue::Histogram(Arc::new(sum.total())))
}

/// What was seen while histograms were summed.
#[derive(Default)]
pub(super) struct Seen {
    reset: bool,
    not_reset: bool,
    pub(super) bounds_reconciled: bool,
}

impl Seen {
    pub(super) fn hint(&mut self, histogram: &Histogram) {
        self.reset |= histogram.reset_hint == CounterResetHint::Reset;
        self.not_reset |= histogram.reset_hint == CounterResetHint::NotReset;
    }

    /// Says what the user should know of it.
    pub(super) fn note(&self, notes: &mut Notes<'_>) {
        let operation = HistogramOperation::Aggregation;
        if self.reset && self.not_reset {
            notes.add(|_, position| Annotation::counter_reset_collision(operation, position));
        }
        if self.bounds_reconciled {
            notes.add(|_, position| Annotation::mismatched_custom_buckets(operation, position));
        }
    }
}
