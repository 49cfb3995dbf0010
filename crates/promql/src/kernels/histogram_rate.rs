//! The change of a histogram over the samples of a window.

use std::sync::Arc;

use sonde_model::{CounterResetHint, Histogram};

use crate::annotations::{Annotation, HistogramOperation};

use super::Notes;
use super::window::Slice;

/// The last histogram less the first one, with what counter resets took added again; a gauge. None where the histograms
/// do not fit together. There are at least two.
pub(super) fn change(
    samples: &Slice<'_, Arc<Histogram>>,
    is_counter: bool,
    notes: &mut Notes<'_>,
) -> Option<Histogram> {
    let values = samples.values;
    let (first, last) = (&values[0], &values[values.len() - 1]);
    if is_counter && (first.is_gauge() || last.is_gauge()) {
        notes.add(Annotation::native_histogram_not_counter);
    }
    // Where the counter was reset right after the first sample, its layout does not matter.
    let empty;
    let mut previous: &Histogram = first;
    if is_counter && (samples.starts_anew(1) || values[1].is_reset_after(first)) {
        let (schema, custom_values) = (values[1].schema, values[1].custom_values.clone());
        empty = Histogram { schema, custom_values, ..Histogram::default() };
        previous = &empty;
    }
    let custom = previous.uses_custom_buckets();
    if last.uses_custom_buckets() != custom {
        notes.add(Annotation::mixed_exponential_custom);
        return None;
    }
    let mut schema = last.schema.min(previous.schema);
    if is_counter {
        for between in &values[1..values.len() - 1] {
            if between.is_gauge() {
                notes.add(Annotation::native_histogram_not_counter);
            }
            schema = schema.min(between.schema);
            if between.uses_custom_buckets() != custom {
                notes.add(Annotation::mixed_exponential_custom);
                return None;
            }
        }
    }
    let mut change = last.to_schema(schema);
    combine(&mut change, previous, HistogramOperation::Subtraction, notes)?;
    if is_counter {
        for (index, now) in values.iter().enumerate().skip(1) {
            if samples.starts_anew(index) || now.is_reset_after(previous) {
                combine(&mut change, previous, HistogramOperation::Addition, notes)?;
            }
            previous = now;
        }
    } else if !first.is_gauge() || !last.is_gauge() {
        notes.add(Annotation::native_histogram_not_gauge);
    }
    change.reset_hint = CounterResetHint::Gauge;
    change.compact();
    Some(change)
}

/// Adds or subtracts; none where the histograms do not fit together. What the hints say is not looked at: resets are
/// dealt with apart.
pub(super) fn combine(
    histogram: &mut Histogram,
    other: &Histogram,
    operation: HistogramOperation,
    notes: &mut Notes<'_>,
) -> Option<()> {
    let combined = match operation {
        HistogramOperation::Subtraction => histogram.sub(other),
        _ => histogram.add(other),
    };
    match combined {
        Ok(combined) => {
            if combined.bounds_reconciled {
                notes.add(|_, position| Annotation::mismatched_custom_buckets(operation, position));
            }
            Some(())
        }
        Err(_) => {
            notes.add(Annotation::mixed_exponential_custom);
            None
        }
    }
}
