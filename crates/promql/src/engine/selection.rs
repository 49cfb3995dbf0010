//! Selectors: reading series, and the last sample of each at every step.

use std::sync::Arc;

use sonde_model::{CounterResetHint, Labels, Matcher, Series, TimestampMs, is_stale};

use crate::annotations::Annotation;
use crate::ast::{RangeMode, Span, VectorSelector};
use crate::column::{Evaluated, SampleSeries, Samples, StepSeries, StepValue, Steps};
use crate::error::QueryError;
use crate::kernels::{Notes, interpolated, interpolated_histogram};
use crate::queryable::{SelectError, SelectLimits, Selection};
use crate::weight::Weight;

use super::evaluation::Evaluation;
use super::lookback::Lookback;
use super::pipeline::{Compute, Plan};
use super::timing::Timing;

/// The times that belong to a sample.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleTime {
    /// Its own.
    pub(super) time: TimestampMs,
    /// When what it shows began to count; 0 where that is not known.
    pub(super) start: TimestampMs,
}

impl<'a> Evaluation<'a> {
    /// The series of an instant selector with the last sample at or before each step.
    pub(super) fn instant_selector(
        &mut self,
        selector: &VectorSelector,
        span: Span,
        steps: Steps,
    ) -> Result<Plan, QueryError> {
        let timing = self.times.timing(selector.at, selector.offset.as_ref())?;
        let lookback = self.options.lookback_ms;
        let seen_for = Lookback::new(lookback, self.source.thinned());
        let smoothed = selector.mode == RangeMode::Smoothed;
        let ahead = if smoothed { lookback } else { 0 };
        let back = if smoothed { lookback } else { seen_for.from(timing.reference(steps.start)) };
        let (from, to) = seen(timing, steps, back, ahead);
        let compute = match smoothed {
            true => Compute::Smoothed { timing, lookback, position: span.start as usize },
            false => Compute::Last { timing, lookback: seen_for },
        };
        Ok(Plan { matchers: compile(selector)?, from, to, steps, compute })
    }

    /// The values of an instant selector.
    pub(super) fn selector_values(
        &mut self,
        selector: &VectorSelector,
        span: Span,
        steps: Steps,
    ) -> Result<Vec<StepSeries>, QueryError> {
        let plan = self.instant_selector(selector, span, steps)?;
        let pipeline = self.open(plan)?;
        self.collect(&pipeline)
    }

    /// The series of an instant selector with a time, in seconds, of the sample that it takes at each step.
    pub(super) fn sample_times(
        &mut self,
        selector: &VectorSelector,
        steps: Steps,
        which: fn(SampleTime) -> TimestampMs,
    ) -> Result<Evaluated, QueryError> {
        let timing = self.times.timing(selector.at, selector.offset.as_ref())?;
        let lookback = Lookback::new(self.options.lookback_ms, self.source.thinned());
        let (from, to) = seen(timing, steps, lookback.from(timing.reference(steps.start)), 0);
        let compute = Compute::Times { timing, lookback, which };
        let pipeline = self.open(Plan { matchers: compile(selector)?, from, to, steps, compute })?;
        Ok(Evaluated::Vector(self.collect(&pipeline)?))
    }

    /// Selects the series with the samples of `from..=to`, or with the newest of each at least.
    pub(super) fn select(
        &mut self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        newest: bool,
    ) -> Result<Box<dyn Selection + 'a>, QueryError> {
        self.control.check()?;
        if from > to {
            return Ok(Box::new(Vec::new()));
        }
        let limits = SelectLimits { max_series: self.options.max_series, max_samples: self.budget.samples_left() };
        let selection = match newest {
            true => self.source.select_newest(matchers, from, to, &limits),
            false => self.source.select(matchers, from, to, &limits),
        };
        selection.map_err(|error| storage(error, self.options.max_samples))
    }

    /// Reads all series of a selection. They count against the budget.
    pub(super) fn read(&mut self, selection: &dyn Selection) -> Result<Vec<SampleSeries>, QueryError> {
        let mut series = Vec::with_capacity(selection.len());
        for index in 0..selection.len() {
            self.control.check()?;
            let mut read = Series::default();
            selection.read(index, &mut read).map_err(|error| storage(error, self.options.max_samples))?;
            let mut one = SampleSeries::default();
            one.refill(&mut read, selection.labels(index));
            if self.histogram_use.finds_resets() {
                one.find_resets();
            }
            let weight = one.weight();
            self.stats.series += 1;
            self.stats.samples += weight.samples as u64;
            self.budget.acquire(weight + Weight::series() + Weight::labels(&one.labels))?;
            series.push(one);
        }
        Ok(series)
    }
}

/// The times of the samples that any step can see: `back` milliseconds, the oldest excluded, before the time that the step
/// looks at, and `ahead` milliseconds after it. Without steps they are none.
pub(super) fn seen(timing: Timing, steps: Steps, back: i64, ahead: i64) -> (TimestampMs, TimestampMs) {
    if steps.count == 0 {
        return (0, -1);
    }
    let from = timing.reference(steps.start).saturating_sub(back).saturating_add(1);
    (from, timing.reference(steps.end()).saturating_add(ahead))
}

/// What a source says, in the words of a query.
pub(super) fn storage(error: SelectError, max_samples: usize) -> QueryError {
    match error {
        SelectError::TooManySamples { .. } => QueryError::TooManySamples { limit: max_samples },
        SelectError::Expired => QueryError::Timeout,
        error => QueryError::Storage(error),
    }
}

/// The matchers of a selector.
pub(super) fn compile(selector: &VectorSelector) -> Result<Vec<Matcher>, QueryError> {
    selector.compile().map_err(|error| QueryError::execution(error.to_string()))
}

/// Calls `visit` for each step at which the series has a sample that is at most `lookback` old and no stale marker.
pub(super) fn last_at_steps(
    series: &SampleSeries,
    timing: Timing,
    steps: Steps,
    lookback: Lookback,
    mut visit: impl FnMut(u32, SampleTime, StepValue),
) {
    let (floats, histograms) = (&series.floats, &series.histograms);
    let (mut next_float, mut next_histogram) = (0, 0);
    let mut step = 0;
    while step < steps.count {
        let reference = timing.reference(steps.time(step));
        while floats.timestamps.get(next_float).is_some_and(|t| *t <= reference) {
            next_float += 1;
        }
        while histograms.timestamps.get(next_histogram).is_some_and(|t| *t <= reference) {
            next_histogram += 1;
        }
        let is_recent = |t: &TimestampMs| *t > reference.saturating_sub(lookback.of(*t));
        let float = next_float.checked_sub(1).map(|i| floats.timestamps[i]).filter(is_recent);
        let histogram = next_histogram.checked_sub(1).map(|i| histograms.timestamps[i]).filter(is_recent);
        let found = match (float, histogram) {
            (Some(t), other) if other.is_none_or(|h| h < t) => {
                let value = floats.values[next_float - 1];
                let time = SampleTime { time: t, start: floats.start(next_float - 1) };
                (!is_stale(value)).then_some((time, StepValue::Float(value)))
            }
            (_, Some(t)) => {
                let value = &histograms.values[next_histogram - 1];
                let time = SampleTime { time: t, start: histograms.start(next_histogram - 1) };
                (!value.is_stale()).then(|| (time, StepValue::Histogram(Arc::clone(value))))
            }
            _ => None,
        };
        match found {
            Some((time, value)) => {
                visit(step as u32, time, value);
                step += 1;
            }
            // There is nothing to see until the next sample comes.
            None => {
                let next =
                    floats.timestamps.get(next_float).into_iter().chain(histograms.timestamps.get(next_histogram));
                match next.min() {
                    Some(next) => step = timing.step_reaching(steps, step, *next),
                    None => return,
                }
            }
        }
    }
}

/// The values interpolated between the samples around each step (`smoothed`).
pub(super) fn smoothed_at_steps(
    series: &SampleSeries,
    timing: Timing,
    steps: Steps,
    lookback: i64,
    notes: &mut Notes<'_>,
) -> StepSeries {
    let mut values = StepSeries::new(series.labels.clone(), false);
    for (step, time) in steps.times().enumerate() {
        let reference = timing.reference(time);
        let (from, to) = (reference.saturating_sub(lookback), reference.saturating_add(lookback));
        let around = |timestamps: &[TimestampMs]| {
            timestamps.partition_point(|t| *t <= from)..timestamps.partition_point(|t| *t <= to)
        };
        let floats = around(&series.floats.timestamps);
        let histograms = around(&series.histograms.timestamps);
        if !floats.is_empty() && !histograms.is_empty() {
            notes.add(Annotation::mixed_floats_histograms);
            continue;
        }
        let step = step as u32;
        if !floats.is_empty() {
            let (times, samples) = (&series.floats.timestamps[floats.clone()], &series.floats.values[floats]);
            let next = times.partition_point(|t| *t < reference);
            let value = match (next.checked_sub(1), times.get(next)) {
                (_, Some(t)) if *t == reference => Some(samples[next]),
                (Some(last), Some(t)) => {
                    Some(interpolated((times[last], samples[last]), (*t, samples[next]), reference, false))
                }
                (Some(last), None) => Some(samples[last]),
                (None, _) => None,
            };
            if let Some(value) = value {
                values.floats.push(step, value);
            }
        } else if !histograms.is_empty() {
            let times = &series.histograms.timestamps[histograms.clone()];
            let samples = &series.histograms.values[histograms];
            let next = times.partition_point(|t| *t < reference);
            let value = match (next.checked_sub(1), times.get(next)) {
                (_, Some(t)) if *t == reference => Some(Arc::clone(&samples[next])),
                (Some(last), Some(t)) => {
                    let (a, b) = (&samples[last], &samples[next]);
                    if a.uses_custom_buckets() != b.uses_custom_buckets() {
                        notes.add(Annotation::mixed_exponential_custom);
                        continue;
                    }
                    let gauges = a.is_gauge() && b.is_gauge();
                    interpolated_histogram((times[last], a), (*t, b), reference, !gauges, notes).map(Arc::new)
                }
                (Some(last), None) => Some(Arc::clone(&samples[last])),
                (None, _) => None,
            };
            if let Some(value) = value {
                values.histograms.push(step, value);
            }
        }
    }
    values
}

impl SampleSeries {
    /// Takes the samples of `read`, and leaves it what it had of memory.
    pub(super) fn refill(&mut self, read: &mut Series, labels: &Labels) {
        self.labels = labels.clone();
        self.drop_name = false;
        let (floats, histograms) = (&mut read.floats, &mut read.histograms);
        std::mem::swap(&mut self.floats.timestamps, &mut floats.timestamps);
        std::mem::swap(&mut self.floats.values, &mut floats.values);
        std::mem::swap(&mut self.floats.starts, &mut floats.starts);
        std::mem::swap(&mut self.histograms.timestamps, &mut histograms.timestamps);
        std::mem::swap(&mut self.histograms.starts, &mut histograms.starts);
        self.histograms.values.clear();
        self.histograms.values.extend(histograms.values.drain(..).map(Arc::new));
    }
}

impl SampleSeries {
    /// Removes the stale markers: ranges do not see them.
    pub(super) fn drop_stale_markers(&mut self) {
        if has_stale_marker(&self.floats.values) {
            self.floats.retain(|v| !is_stale(*v));
        }
        if self.histograms.values.iter().any(|h| h.is_stale()) {
            self.histograms.retain(|h| !h.is_stale());
        }
    }
}

impl SampleSeries {
    /// Sets the hints that are not set, as comparing neighbouring histograms tells them.
    pub(super) fn find_resets(&mut self) {
        let values = &mut self.histograms.values;
        for i in 1..values.len() {
            let (before, rest) = values.split_at_mut(i);
            let now = &mut rest[0];
            if now.reset_hint == CounterResetHint::Unknown && !now.is_stale() && !before[i - 1].is_stale() {
                let is_reset = now.is_reset_after(&before[i - 1]);
                Arc::make_mut(now).reset_hint =
                    if is_reset { CounterResetHint::Reset } else { CounterResetHint::NotReset };
            }
        }
    }
}

/// Whether a value is a stale marker. Looked at in runs, which a processor does many at a time.
fn has_stale_marker(values: &[f64]) -> bool {
    values.chunks(64).any(|run| run.iter().fold(false, |found, value| found | is_stale(*value)))
}

impl<T> Samples<T> {
    fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let kept: Vec<bool> = self.values.iter().map(keep).collect();
        let mut keep_time = kept.iter().copied();
        self.timestamps.retain(|_| keep_time.next().unwrap_or(true));
        let mut keep_start = kept.iter().copied();
        self.starts.retain(|_| keep_start.next().unwrap_or(true));
        let mut keep_value = kept.into_iter();
        self.values.retain(|_| keep_value.next().unwrap_or(true));
    }
}
