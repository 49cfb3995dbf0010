//! `changes` and `resets`: how often neighbouring samples differ, counted once for the whole series.

use std::sync::Arc;

use crate::ast::RangeMode;
use crate::column::{SampleSeries, Samples, StepSeries, StepValue};

use super::window::{Stamp, Windows, starts_anew};

/// Which pairs of neighbouring samples count.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pairs {
    /// Those that differ.
    Changes,
    /// Those between which a counter was reset.
    Resets,
}

/// Counts pairs of neighbouring samples in each window.
pub(super) fn evaluate(series: &SampleSeries, windows: &Windows, pairs: Pairs, values: &mut StepSeries) {
    let totals = running_totals(series, pairs);
    windows.slide(series, |window| {
        let (mut first, end) = (
            window.floats.first + window.histograms.first,
            window.floats.first + window.histograms.first + window.len(),
        );
        if windows.mode == RangeMode::Anchored {
            // The last sample before the range is what the first one in it is compared with.
            let before = |times: &[i64]| times.partition_point(|t| *t <= window.start);
            let before = before(window.floats.times) + before(window.histograms.times);
            if before == window.len() {
                return;
            }
            first += before.saturating_sub(1);
        }
        let count = totals[end - 1] - totals[first];
        values.floats.push(window.step as u32, f64::from(count));
    });
}

impl Pairs {
    fn counts(self, before: &Sampled, now: &Sampled) -> bool {
        match self {
            Pairs::Changes => is_change(before, now),
            Pairs::Resets => is_reset(before, now),
        }
    }
}

fn is_change(before: &Sampled, now: &Sampled) -> bool {
    match (&before.value, &now.value) {
        (StepValue::Float(before), StepValue::Float(now)) => differ(*before, *now),
        (StepValue::Histogram(before), StepValue::Histogram(now)) => !now.same_data(before),
        _ => true,
    }
}

fn is_reset(before: &Sampled, now: &Sampled) -> bool {
    if starts_anew(before.stamp, now.stamp) {
        return true;
    }
    match (&before.value, &now.value) {
        (StepValue::Float(before), StepValue::Float(now)) => now < before,
        (StepValue::Histogram(before), StepValue::Histogram(now)) => now.is_reset_after(before),
        _ => true,
    }
}

fn differ(before: f64, now: f64) -> bool {
    before != now && !(before.is_nan() && now.is_nan())
}

/// A sample with its times.
pub(super) struct Sampled {
    stamp: Stamp,
    value: StepValue,
}

/// For each sample of the series, floats and histograms in the order of time, how many pairs up to it count.
fn running_totals(series: &SampleSeries, pairs: Pairs) -> Vec<u32> {
    let (floats, histograms) = (&series.floats, &series.histograms);
    if histograms.timestamps.is_empty() && floats.starts.is_empty() {
        return match pairs {
            Pairs::Changes => totals_of_floats(&floats.values, differ),
            Pairs::Resets => totals_of_floats(&floats.values, |before, now| now < before),
        };
    }
    let mut totals = Vec::with_capacity(floats.len() + histograms.len());
    let (mut float, mut histogram, mut total) = (0, 0, 0);
    let mut before: Option<Sampled> = None;
    while float < floats.len() || histogram < histograms.len() {
        let float_is_next = match (floats.timestamps.get(float), histograms.timestamps.get(histogram)) {
            (Some(f), Some(h)) => f < h,
            (f, _) => f.is_some(),
        };
        let now = if float_is_next {
            float += 1;
            Sampled { stamp: stamp_of(floats, float - 1), value: StepValue::Float(floats.values[float - 1]) }
        } else {
            histogram += 1;
            let value = StepValue::Histogram(Arc::clone(&histograms.values[histogram - 1]));
            Sampled { stamp: stamp_of(histograms, histogram - 1), value }
        };
        total += u32::from(before.is_some_and(|before| pairs.counts(&before, &now)));
        totals.push(total);
        before = Some(now);
    }
    totals
}

fn totals_of_floats(values: &[f64], counts: impl Fn(f64, f64) -> bool) -> Vec<u32> {
    let mut total = 0;
    let mut totals = Vec::with_capacity(values.len());
    totals.extend(values.first().map(|_| 0));
    totals.extend(values.windows(2).map(|pair| {
        total += u32::from(counts(pair[0], pair[1]));
        total
    }));
    totals
}

fn stamp_of<T>(samples: &Samples<T>, index: usize) -> Stamp {
    Stamp { time: samples.timestamps[index], start: samples.start(index) }
}
