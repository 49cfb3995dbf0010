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
    /// Going on as it goes in the range, the counter was zero before the sample: its first value and its change.
    Grew { first: f64, change: f64 },
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
        let range_seconds = seconds(windows.range);
        let mut scale = Scale { seconds: self.per_second.then_some(range_seconds), ends: Ends::default() };
        windows.slide(series, |window| {
            if window.is_mixed() {
                notes.add(Annotation::mixed_floats_histograms);
                return;
            }
            let value = match (windows.mode, window.floats.is_empty()) {
                (RangeMode::Plain, false) => self.floats(window, &mut resets, &mut scale, notes).map(StepValue::Float),
                (RangeMode::Plain, true) => self.histograms(window, &mut scale, notes),
                (mode, false) => {
                    let smoothed = mode == RangeMode::Smoothed;
                    extended::rate(window, self, smoothed, range_seconds).map(StepValue::Float)
                }
                (mode, true) => {
                    let smoothed = mode == RangeMode::Smoothed;
                    let histogram = extended_histogram::rate(window, self, smoothed, range_seconds, notes);
                    histogram.map(|h| StepValue::Histogram(Arc::new(h)))
                }
            };
            if let Some(value) = value {
                values.push(window.step as u32, value);
            }
        });
    }

    fn floats(self, window: &Window<'_>, resets: &mut Resets, scale: &mut Scale, notes: &mut Notes<'_>) -> Option<f64> {
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
            None if self.is_counter && change > 0.0 && *first >= 0.0 => Left::Grew { first: *first, change },
            None => Left::Unknown,
        };
        Some(change * scale.factor(window, times, left))
    }

    fn histograms(self, window: &Window<'_>, scale: &mut Scale, notes: &mut Notes<'_>) -> Option<StepValue> {
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
                Left::Grew { first: first.count, change: change.count }
            }
            None => Left::Unknown,
        };
        change.mul(scale.factor(window, times, left));
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
}

/// How the change between two samples is extrapolated to the range that they are in.
struct Scale {
    /// The length of the range, where the result is per second.
    seconds: Option<f64>,
    /// The ends of the window before.
    ends: Ends,
}

/// How the samples of a window lie in its range, and what follows from that. Where samples come evenly one window is like
/// the next, and nothing has to be divided again.
#[derive(Clone, Copy, Debug, Default)]
struct Ends {
    /// From the start of the range to the first sample, from the last sample to the end, and between them, in
    /// milliseconds.
    lie: (i64, i64, i64),
    samples: usize,
    /// How far to extrapolate in either direction, and the time between the samples, in seconds.
    to_start: f64,
    to_end: f64,
    sampled: f64,
    /// What the change is multiplied by.
    factor: f64,
}

impl Scale {
    /// By what the change between the first and the last sample is multiplied to make it that of the whole range.
    ///
    /// Where a sample lies close to an end of the range, the series is taken to go on to it, else for half the average
    /// distance of samples.
    fn factor(&mut self, window: &Window<'_>, times: &[i64], left: Left) -> f64 {
        let (first, last) = (times[0], times[times.len() - 1]);
        let lie = (first - window.start, window.end - last, last - first);
        if self.ends.lie != lie || self.ends.samples != times.len() {
            self.ends = self.ends(lie, times.len());
        }
        let Ends { samples, to_start, to_end, sampled, factor, .. } = self.ends;
        match left {
            Left::Started(start) => self.of(0.0, to_end, (last - start) as f64 / 1000.0),
            // With three samples and more less than they span is extrapolated, and zero lies beyond their span.
            Left::Grew { first, change } if first < change || samples < 3 => {
                let to_zero = sampled * (first / change);
                if to_zero < to_start { self.of(to_zero, to_end, sampled) } else { factor }
            }
            Left::Grew { .. } | Left::Unknown => factor,
        }
    }

    fn ends(&self, lie: (i64, i64, i64), samples: usize) -> Ends {
        let [mut to_start, mut to_end, sampled] = [lie.0, lie.1, lie.2].map(|ms| ms as f64 / 1000.0);
        let average = if samples > 1 { sampled / (samples - 1) as f64 } else { 0.0 };
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if to_end >= threshold {
            to_end = average / 2.0;
        }
        Ends { lie, samples, to_start, to_end, sampled, factor: self.of(to_start, to_end, sampled) }
    }

    fn of(&self, to_start: f64, to_end: f64, sampled: f64) -> f64 {
        let factor = if sampled == 0.0 { 1.0 } else { (sampled + to_start + to_end) / sampled };
        self.seconds.map_or(factor, |seconds| factor / seconds)
    }
}

/// Milliseconds in seconds, rounded as Go rounds them.
fn seconds(ms: i64) -> f64 {
    (ms / 1000) as f64 + (ms % 1000) as f64 * 1e6 / 1e9
}
