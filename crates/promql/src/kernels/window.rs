//! The windows of a range function and how they slide over the samples of a series.

use std::sync::Arc;

use sonde_model::{Histogram, TimestampMs};

use crate::ast::RangeMode;
use crate::column::{SampleSeries, Samples, StepValue, Steps};
use crate::engine::Timing;

/// One window a step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    /// The steps.
    pub(crate) steps: Steps,
    /// Which time each step looks at: the right end of its range.
    pub(crate) timing: Timing,
    /// The length of the range in milliseconds.
    pub(crate) range: i64,
    /// How much further back samples are shown, for values at the left end of the range.
    pub(crate) back: i64,
    /// How much further ahead samples are shown, for values at the right end of the range.
    pub(crate) ahead: i64,
    /// How values at the ends are made.
    pub(crate) mode: RangeMode,
}

/// The samples that one step sees. There is at least one.
#[derive(Debug)]
pub(crate) struct Window<'a> {
    /// The index of the step.
    pub(crate) step: usize,
    /// The time of the step.
    pub(crate) time: TimestampMs,
    /// The left end of the range, which is not part of it.
    pub(crate) start: TimestampMs,
    /// The right end of the range.
    pub(crate) end: TimestampMs,
    /// The floats.
    pub(crate) floats: Slice<'a, f64>,
    /// The histograms.
    pub(crate) histograms: Slice<'a, Arc<Histogram>>,
}

/// Samples in a row of a series.
#[derive(Debug)]
pub(crate) struct Slice<'a, T> {
    /// The index of the first one in the series.
    pub(crate) first: usize,
    /// Their times.
    pub(crate) times: &'a [TimestampMs],
    /// Their values.
    pub(crate) values: &'a [T],
    /// Their start timestamps, 0 where one is not known; empty where none is.
    pub(crate) starts: &'a [TimestampMs],
}

impl Windows {
    /// Calls `visit` with each window that holds a sample, in the order of the steps.
    pub(crate) fn slide<'a>(&self, series: &'a SampleSeries, mut visit: impl FnMut(&Window<'a>)) {
        let (mut floats, mut histograms) = (Cursor::default(), Cursor::default());
        let mut window =
            Window { step: 0, time: 0, start: 0, end: 0, floats: Slice::default(), histograms: Slice::default() };
        let mut step = 0;
        while step < self.steps.count {
            window.step = step;
            window.time = self.steps.time(step);
            window.end = self.timing.reference(window.time);
            window.start = window.end.saturating_sub(self.range);
            let (from, to) = (window.start.saturating_sub(self.back), window.end.saturating_add(self.ahead));
            floats.advance(&series.floats, from, to, &mut window.floats);
            histograms.advance(&series.histograms, from, to, &mut window.histograms);
            if window.len() > 0 {
                visit(&window);
                step += 1;
                continue;
            }
            // There is nothing to see until the next sample comes.
            let next = floats.next(&series.floats).into_iter().chain(histograms.next(&series.histograms)).min();
            match next {
                Some(next) => step = self.timing.step_reaching(self.steps, step, next.saturating_sub(self.ahead)),
                None => return,
            }
        }
    }
}

/// The time and the start timestamp of a sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) time: TimestampMs,
    pub(crate) start: TimestampMs,
}

/// Whether the start timestamps of two samples in a row say that a counter was reset between them.
///
/// A start that is 0, or not before its own sample, is not known. One after the sample before tells of a reset. One at
/// it does too, as with deltas, unless that sample's own start is not known: then it is a cumulative one.
pub(crate) fn starts_anew(before: Stamp, now: Stamp) -> bool {
    if now.start == 0 || now.start >= now.time || now.start < before.time {
        return false;
    }
    now.start > before.time || (before.start != 0 && before.start < before.time)
}

/// The part of a column that the last window saw. Windows only move ahead.
#[derive(Default)]
struct Cursor {
    first: usize,
    end: usize,
    /// By how much the last window moved: where samples come evenly, the next one moves by as much.
    stride: usize,
}

impl Cursor {
    /// The time of the first sample that no window has seen.
    fn next<T>(&self, samples: &Samples<T>) -> Option<TimestampMs> {
        samples.timestamps.get(self.end).copied()
    }

    #[inline]
    fn advance<'a, T>(
        &mut self,
        samples: &'a Samples<T>,
        from: TimestampMs,
        to: TimestampMs,
        slice: &mut Slice<'a, T>,
    ) {
        let timestamps = samples.timestamps.as_slice();
        if timestamps.is_empty() {
            return;
        }
        let end = ahead(timestamps, self.end, self.stride, to);
        self.first = ahead(&timestamps[..end], self.first, self.stride, from);
        self.stride = end - self.end;
        self.end = end;
        let range = self.first..self.end;
        slice.first = self.first;
        slice.times = &timestamps[range.clone()];
        slice.values = &samples.values[range.clone()];
        if !samples.starts.is_empty() {
            slice.starts = samples.starts.get(range).unwrap_or_default();
        }
    }
}

/// The place of the first time after `until`, from `place` on; likely `stride` further.
#[inline]
fn ahead(times: &[TimestampMs], mut place: usize, stride: usize, until: TimestampMs) -> usize {
    if let Some([before, after]) = times.get((place + stride).wrapping_sub(1)..=place + stride)
        && stride > 0
        && *before <= until
        && *after > until
    {
        return place + stride;
    }
    while place < times.len() && times[place] <= until {
        place += 1;
    }
    place
}

impl<T> Default for Slice<'_, T> {
    fn default() -> Self {
        Slice { first: 0, times: &[], values: &[], starts: &[] }
    }
}

impl<T> Slice<'_, T> {
    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Whether the start timestamps say that a counter was reset between a sample and the one before it.
    pub(crate) fn starts_anew(&self, index: usize) -> bool {
        !self.starts.is_empty() && starts_anew(self.stamp(index - 1), self.stamp(index))
    }

    /// Whether any sample claims to have begun before the one before it, with another start.
    pub(crate) fn has_overlap(&self) -> bool {
        !self.starts.is_empty()
            && (1..self.len()).any(|index| {
                let (before, now) = (self.stamp(index - 1), self.stamp(index));
                now.start != 0 && now.start < before.time && now.start != before.start
            })
    }

    /// Where in the range of a counter its first sample began to count, if it did so within the range.
    pub(crate) fn start_within(&self, range_start: TimestampMs) -> Option<TimestampMs> {
        let (start, first) = (*self.starts.first()?, *self.times.first()?);
        (start != 0 && start > range_start && start < first).then_some(start)
    }

    /// The times of a sample.
    pub(crate) fn stamp(&self, index: usize) -> Stamp {
        Stamp { time: self.times[index], start: self.starts.get(index).copied().unwrap_or(0) }
    }
}

impl Window<'_> {
    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.floats.len() + self.histograms.len()
    }

    /// Whether there are floats and histograms.
    pub(crate) fn is_mixed(&self) -> bool {
        !self.floats.is_empty() && !self.histograms.is_empty()
    }

    /// The first sample.
    pub(crate) fn first(&self) -> Option<StepValue> {
        match (self.floats.times.first(), self.histograms.times.first()) {
            (Some(float), Some(histogram)) if histogram <= float => self.histogram_at(0),
            (None, Some(_)) => self.histogram_at(0),
            (float, _) => float.map(|_| StepValue::Float(self.floats.values[0])),
        }
    }

    /// The last sample.
    pub(crate) fn last(&self) -> Option<StepValue> {
        match (self.floats.times.last(), self.histograms.times.last()) {
            (Some(float), Some(histogram)) if histogram >= float => self.histogram_at(self.histograms.len() - 1),
            (None, Some(_)) => self.histogram_at(self.histograms.len() - 1),
            (float, _) => float.map(|_| StepValue::Float(self.floats.values[self.floats.len() - 1])),
        }
    }

    /// The time of the first sample.
    pub(crate) fn first_time(&self) -> Option<TimestampMs> {
        self.floats.times.first().into_iter().chain(self.histograms.times.first()).min().copied()
    }

    /// The time of the last sample.
    pub(crate) fn last_time(&self) -> Option<TimestampMs> {
        self.floats.times.last().max(self.histograms.times.last()).copied()
    }

    fn histogram_at(&self, index: usize) -> Option<StepValue> {
        self.histograms.values.get(index).map(|histogram| StepValue::Histogram(Arc::clone(histogram)))
    }
}
