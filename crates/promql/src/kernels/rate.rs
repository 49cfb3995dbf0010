//! `rate`, `increase` and `delta`: the change over a range, extrapolated to its ends.

use std::sync::Arc;

use crate::annotations::Annotation;
use crate::ast::RangeMode;
use crate::column::{SampleSeries, StepSeries, StepValue};

use super::counter::Resets;
use super::window::{Window, Windows};
use super::{Notes, extended, extended_histogram, histogram_rate};

/// Which of the three functions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Whether values only grow but for resets.
    pub(super) is_counter: bool,
    /// Whether the result is per second.
    pub(super) per_second: bool,
}

impl Rate {
    pub(super) const RATE: Rate = Rate { is_counter: true, per_second: true };
    pub(super) const INCREASE: Rate = Rate { is_counter: true, per_second: false };
    pub(super) const DELTA: Rate = Rate { is_counter: false, per_second: false };

    pub(super) fn evaluate(
        self,
        series: &SampleSeries,
        windows: &Windows,
        values: &mut StepSeries,
        notes: &mut Notes<'_>,
    ) {
        let mut resets = Resets::of(if self.is_counter { &series.floats.values } else { &[] });
        let seconds = seconds(windows.range);
        windows.slide(series, |window| {
            if window.is_mixed() {
                notes.add(Annotation::mixed_floats_histograms);
                return;
            }
            let value = match (windows.mode, window.floats.is_empty()) {
                (RangeMode::Plain, false) => self.floats(&window, &mut resets, seconds).map(StepValue::Float),
                (RangeMode::Plain, true) => self.histograms(&window, seconds, notes),
                (mode, false) => {
                    let smoothed = mode == RangeMode::Smoothed;
                    extended::rate(&window, self, smoothed, seconds).map(StepValue::Float)
                }
                (mode, true) => {
                    let smoothed = mode == RangeMode::Smoothed;
                    let histogram = extended_histogram::rate(&window, self, smoothed, seconds, notes);
                    histogram.map(|h| StepValue::Histogram(Arc::new(h)))
                }
            };
            if let Some(value) = value {
                values.push(window.step as u32, value);
            }
        });
    }

    fn floats(self, window: &Window<'_>, resets: &mut Resets, seconds: f64) -> Option<f64> {
        let (times, values) = (window.floats.times, window.floats.values);
        let (first, last) = (values.first()?, values.last()?);
        if values.len() < 2 {
            return None;
        }
        let mut change = last - first;
        let start = window.floats.first;
        for place in resets.within(start, start + values.len()) {
            change += values[place - start - 1];
        }
        let zero_at = if self.is_counter && change > 0.0 && *first >= 0.0 { Some(first / change) } else { None };
        let factor = self.factor(window, times, zero_at, seconds);
        Some(change * factor)
    }

    fn histograms(self, window: &Window<'_>, seconds: f64, notes: &mut Notes<'_>) -> Option<StepValue> {
        let (times, values) = (window.histograms.times, window.histograms.values);
        if values.len() < 2 {
            return None;
        }
        let mut change = histogram_rate::change(values, self.is_counter, notes)?;
        let first = values[0].count;
        let zero_at =
            if self.is_counter && change.count > 0.0 && first >= 0.0 { Some(first / change.count) } else { None };
        change.mul(self.factor(window, times, zero_at, seconds));
        Some(StepValue::Histogram(Arc::new(change)))
    }

    /// By what the change between the first and the last sample is multiplied to make it that of the whole range.
    ///
    /// Where a sample lies close to an end of the range, the series is taken to go on to it, else for half the average
    /// distance of samples. A counter does not go on below zero: `zero_at` is how far before the first sample, in
    /// parts of the sampled interval, it was zero.
    fn factor(self, window: &Window<'_>, times: &[i64], zero_at: Option<f64>, seconds: f64) -> f64 {
        let (first, last) = (times[0], times[times.len() - 1]);
        let mut to_start = (first - window.start) as f64 / 1000.0;
        let mut to_end = (window.end - last) as f64 / 1000.0;
        let sampled = (last - first) as f64 / 1000.0;
        let average = sampled / (times.len() - 1) as f64;
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if let Some(zero_at) = zero_at {
            let to_zero = sampled * zero_at;
            if to_zero < to_start {
                to_start = to_zero;
            }
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        let mut factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        if self.per_second {
            factor /= seconds;
        }
        factor
    }
}

/// Milliseconds in seconds, rounded as Go rounds them.
fn seconds(ms: i64) -> f64 {
    (ms / 1000) as f64 + (ms % 1000) as f64 * 1e6 / 1e9
}
