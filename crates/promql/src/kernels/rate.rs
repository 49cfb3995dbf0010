//! `rate`, `increase` and `delta`: the change over a range, extrapolated to its ends.

use std::sync::Arc;

use sonde_model::TimestampMs;

use crate::annotations::{Annotation, HistogramOperation};
use crate::ast::RangeMode;
use crate::column::{SampleSeries, StepSeries, StepValue};

use super::counter::Resets;
use super::window::{Slice, Window, Windows};
use super::{Notes, extended, extended_histogram, histogram_rate};

/// Which of the three functions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// Whether values only grow but for resets.
    pub(super) is_counter: bool,
    /// Whether the result is per second.
    pub(super) per_second: bool,
}

/// What is known of a series left of its first sample in the range.
#[derive(Clone, Copy, Debug)]
enum Left {
    /// Nothing.
    Unknown,
    /// Going on as it goes in the range, the counter was zero so far before the sample, in parts of the sampled interval.
    ZeroAt(f64),
    /// The counter was zero at this time, within the range.
    Started(TimestampMs),
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
        let mut resets = if self.is_counter { Resets::of(&series.floats) } else { Resets::none() };
        let seconds = seconds(windows.range);
        windows.slide(series, |window| {
            if window.is_mixed() {
                notes.add(Annotation::mixed_floats_histograms);
                return;
            }
            let value = match (windows.mode, window.floats.is_empty()) {
                (RangeMode::Plain, false) => self.floats(window, &mut resets, seconds, notes).map(StepValue::Float),
                (RangeMode::Plain, true) => self.histograms(window, seconds, notes),
                (mode, false) => {
                    let smoothed = mode == RangeMode::Smoothed;
                    extended::rate(window, self, smoothed, seconds).map(StepValue::Float)
                }
                (mode, true) => {
                    let smoothed = mode == RangeMode::Smoothed;
                    let histogram = extended_histogram::rate(window, self, smoothed, seconds, notes);
                    histogram.map(|h| StepValue::Histogram(Arc::new(h)))
                }
            };
            if let Some(value) = value {
                values.push(window.step as u32, value);
            }
        });
    }

    fn floats(self, window: &Window<'_>, resets: &mut Resets, seconds: f64, notes: &mut Notes<'_>) -> Option<f64> {
        let (times, values) = (window.floats.times, window.floats.values);
        let (first, last) = (values.first()?, values.last()?);
        let started = self.started(&window.floats, window.start, notes);
        if values.len() < 2 && started.is_none() {
            return None;
        }
        let mut change = last - first;
        let start = window.floats.first;
        for place in resets.within(start, start + values.len()) {
            change += values[place - start - 1];
        }
        let left = match started {
            Some(start) => {
                change += first;
                Left::Started(start)
            }
            None if self.is_counter && change > 0.0 && *first >= 0.0 => Left::ZeroAt(first / change),
            None => Left::Unknown,
        };
        Some(change * self.factor(window, times, left, seconds))
    }

    fn histograms(self, window: &Window<'_>, seconds: f64, notes: &mut Notes<'_>) -> Option<StepValue> {
        let (times, values) = (window.histograms.times, window.histograms.values);
        let started = self.started(&window.histograms, window.start, notes);
        let first = values.first()?;
        let mut change = match (values.len(), started) {
            (1, None) => return None,
            (1, Some(_)) => (**first).clone(),
            _ => histogram_rate::change(&window.histograms, self.is_counter, notes)?,
        };
        let left = match started {
            Some(start) => {
                if values.len() > 1 {
                    histogram_rate::combine(&mut change, first, HistogramOperation::Addition, notes)?;
                }
                Left::Started(start)
            }
            None if self.is_counter && change.count > 0.0 && first.count >= 0.0 => {
                Left::ZeroAt(first.count / change.count)
            }
            None => Left::Unknown,
        };
        change.mul(self.factor(window, times, left, seconds));
        Some(StepValue::Histogram(Arc::new(change)))
    }

    /// When a counter began to count, if its first sample says that it did so within the range.
    fn started<T>(self, samples: &Slice<'_, T>, range_start: i64, notes: &mut Notes<'_>) -> Option<TimestampMs> {
        if !self.is_counter {
            return None;
        }
        if samples.has_overlap() {
            notes.add(Annotation::start_time_overlap);
        }
        samples.start_within(range_start)
    }

    /// By what the change between the first and the last sample is multiplied to make it that of the whole range.
    ///
    /// Where a sample lies close to an end of the range, the series is taken to go on to it, else for half the average
    /// distance of samples.
    fn factor(self, window: &Window<'_>, times: &[i64], left: Left, seconds: f64) -> f64 {
        let (first, last) = (times[0], times[times.len() - 1]);
        let mut to_start = (first - window.start) as f64 / 1000.0;
        let mut to_end = (window.end - last) as f64 / 1000.0;
        let mut sampled = (last - first) as f64 / 1000.0;
        let average = if times.len() > 1 { sampled / (times.len() - 1) as f64 } else { 0.0 };
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        match left {
            Left::Started(start) => {
                to_start = 0.0;
                sampled = (last - start) as f64 / 1000.0;
            }
            Left::ZeroAt(part) if sampled * part < to_start => to_start = sampled * part,
            Left::ZeroAt(_) | Left::Unknown => {}
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
