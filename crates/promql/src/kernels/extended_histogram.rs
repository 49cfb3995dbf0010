//! The same as `extended` for histograms.

use std::sync::Arc;

use sonde_model::{CounterResetHint, Histogram, TimestampMs};

use crate::annotations::{Annotation, HistogramOperation};

use super::Notes;
use super::extended::ends;
use super::histogram_rate::combine;
use super::rate::Rate;
use super::window::Window;

/// The change of histograms between the ends of the range; with `smoothed` the histograms there are interpolated.
pub(super) fn rate(
    window: &Window<'_>,
    kind: Rate,
    smoothed: bool,
    seconds: f64,
    notes: &mut Notes<'_>,
) -> Option<Histogram> {
    let (times, values) = (window.histograms.times, window.histograms.values);
    let (first, last) = ends(window, times, smoothed)?;
    let custom = values[first].uses_custom_buckets();
    for value in &values[first..=last] {
        if value.uses_custom_buckets() != custom {
            notes.add(Annotation::mixed_exponential_custom);
            return None;
        }
        if kind.is_counter && value.is_gauge() {
            notes.add(Annotation::native_histogram_not_counter);
        }
    }
    let point = |i: usize| (times[i], &values[i]);
    let left = if smoothed && times[first] < window.start {
        interpolated_histogram(point(first), point(first + 1), window.start, kind.is_counter, notes)?
    } else {
        Histogram::clone(&values[first])
    };
    let right = if smoothed && last > 0 && times[last] > window.end {
        interpolated_histogram(point(last - 1), point(last), window.end, kind.is_counter, notes)?
    } else {
        Histogram::clone(&values[last])
    };
    if !kind.is_counter && (!left.is_gauge() || !right.is_gauge()) {
        notes.add(Annotation::native_histogram_not_gauge);
    }
    let mut change = right.clone();
    combine(&mut change, &left, HistogramOperation::Subtraction, notes)?;
    if kind.is_counter {
        let left_is_past_reset = smoothed
            && times[first] < window.start
            && values.get(first + 1).is_some_and(|next| next.is_reset_after(&values[first]));
        let lost = lost_by_resets(&values[first..=last], &left, &right, left_is_past_reset, notes)?;
        if let Some(lost) = lost {
            combine(&mut change, &lost, HistogramOperation::Addition, notes)?;
        }
    }
    if kind.per_second {
        change.div(seconds);
    }
    change.reset_hint = CounterResetHint::Gauge;
    change.compact();
    Some(change)
}

/// What resets between the ends took. The first and the last sample are represented by `left` and `right`; where the
/// interpolation of `left` spanned a reset, the sample after it is dealt with too. The outer option is none where the
/// histograms do not fit together.
#[expect(clippy::option_option, reason = "nothing lost and nothing to be said are two things")]
fn lost_by_resets(
    values: &[Arc<Histogram>],
    left: &Histogram,
    right: &Histogram,
    left_is_past_reset: bool,
    notes: &mut Notes<'_>,
) -> Option<Option<Histogram>> {
    let (mut previous, mut first) = (left, 1);
    if left_is_past_reset {
        previous = &values[1];
        first = 2;
    }
    // Nothing lies between the ends that is not part of an interpolation.
    if first > values.len().saturating_sub(1) {
        return Some(None);
    }
    let mut lost: Option<Histogram> = None;
    let between = values[first..values.len() - 1].iter().map(|value| &**value);
    for now in between.chain([right]) {
        if now.is_reset_after(previous) {
            match &mut lost {
                Some(lost) => combine(lost, previous, HistogramOperation::Addition, notes)?,
                None => lost = Some(previous.clone()),
            }
        }
        previous = now;
    }
    Some(lost)
}

/// The histogram at `time` on the line between two samples. A counter that was reset started again from zero. None
/// where the histograms do not fit together.
pub(crate) fn interpolated_histogram(
    a: (TimestampMs, &Arc<Histogram>),
    b: (TimestampMs, &Arc<Histogram>),
    time: TimestampMs,
    is_counter: bool,
    notes: &mut Notes<'_>,
) -> Option<Histogram> {
    if time == a.0 || time == b.0 {
        return Some(Histogram::clone(if time == a.0 { a.1 } else { b.1 }));
    }
    let fraction = (time - a.0) as f64 / (b.0 - a.0) as f64;
    let mut result = Histogram::clone(b.1);
    if is_counter && b.1.is_reset_after(a.1) {
        result.mul(fraction);
        return Some(result);
    }
    combine(&mut result, a.1, HistogramOperation::Subtraction, notes)?;
    result.mul(fraction);
    combine(&mut result, a.1, HistogramOperation::Addition, notes)?;
    Some(result)
}
