//! Series by series: what is computed of each series of a selection on its own, read, evaluated and handed on, so that
//! each thread holds the samples of one series at a time.

use std::ops::Add;

use sonde_model::{Matcher, Series, TimestampMs};

use crate::annotations::Annotations;
use crate::column::{SampleSeries, StepSeries, Steps};
use crate::error::{Control, QueryError};
use crate::kernels::{Notes, RangeCall, Windows};
use crate::queryable::Selection;
use crate::weight::Weight;

use super::budget::Budget;
use super::evaluation::Evaluation;
use super::lookback::Lookback;
use super::selection::{SampleTime, last_at_steps, smoothed_at_steps, storage};
use super::timing::Timing;

/// Which series are read, of which time, and what is computed of each.
pub(super) struct Plan {
    pub(super) matchers: Vec<Matcher>,
    pub(super) from: TimestampMs,
    pub(super) to: TimestampMs,
    pub(super) steps: Steps,
    pub(super) compute: Compute,
}

/// The series of a selection and what is computed of each.
pub(super) struct Pipeline<'a> {
    pub(super) selection: Box<dyn Selection + 'a>,
    pub(super) steps: Steps,
    pub(super) compute: Compute,
}

/// What is computed of a series.
pub(super) enum Compute {
    /// The last sample at or before each step, not older than `lookback`.
    Last { timing: Timing, lookback: Lookback },
    /// The value between the samples around each step.
    Smoothed { timing: Timing, lookback: i64, position: usize },
    /// A time of the last sample, in seconds.
    Times { timing: Timing, lookback: Lookback, which: fn(SampleTime) -> TimestampMs },
    /// A function over the samples in a window.
    Range { call: RangeCall, windows: Windows, keeps_name: bool },
}

/// What a thread keeps from series to series.
#[derive(Default)]
struct Scratch {
    read: Series,
    samples: SampleSeries,
}

/// What became of a series.
struct One {
    values: StepSeries,
    /// What its samples weighed.
    weight: Weight,
    annotations: Annotations,
}

impl<'a> Evaluation<'a> {
    /// Selects the series of a plan.
    pub(super) fn open(&mut self, plan: Plan) -> Result<Pipeline<'a>, QueryError> {
        // One step looks at one sample of each series.
        let newest = matches!(plan.compute, Compute::Last { .. }) && plan.steps.count == 1;
        let selection = self.select(&plan.matchers, plan.from, plan.to, newest)?;
        let of_series = |index: usize| Weight::series() + Weight::labels(selection.labels(index));
        self.budget.acquire((0..selection.len()).map(of_series).fold(Weight::default(), Weight::add))?;
        Ok(Pipeline { selection, steps: plan.steps, compute: plan.compute })
    }

    /// Evaluates each series and hands those that have values to `take`, in the order of their labels, whatever threads
    /// help.
    pub(super) fn run(
        &mut self,
        pipeline: &Pipeline<'_>,
        mut take: impl FnMut(StepSeries, &mut Budget, &mut Annotations) -> Result<(), QueryError>,
    ) -> Result<(), QueryError> {
        let (control, finds_resets) = (self.control, self.histogram_use.finds_resets());
        let Pipeline { selection, steps, compute } = pipeline;
        let work = |index: usize, scratch: &mut Scratch| {
            control.check()?;
            selection.read(index, &mut scratch.read).map_err(|error| storage(error, self.options.max_samples))?;
            let samples = &mut scratch.samples;
            samples.refill(&mut scratch.read, selection.labels(index));
            let weight = samples.weight();
            if finds_resets {
                samples.find_resets();
            }
            let mut annotations = Annotations::default();
            let values = compute.of(samples, *steps, control, &mut annotations)?;
            Ok(One { values, weight, annotations })
        };
        let (budget, stats, annotations) = (&mut self.budget, &mut self.stats, &mut self.annotations);
        let weigh = |one: &One| one.values.weight_of_values().bytes;
        self.helpers.in_order(selection.len(), steps.count, work, weigh, |one| {
            if one.weight.samples > 0 {
                stats.series += 1;
                stats.samples += one.weight.samples as u64;
            }
            // The samples are held while the series is evaluated, and gone after it.
            let held = budget.held();
            budget.acquire(one.weight)?;
            budget.settle(held, Weight::default())?;
            annotations.merge(one.annotations);
            if one.values.is_empty() { Ok(()) } else { take(one.values, budget, annotations) }
        })
    }

    /// All series of a pipeline that have values. They count against the budget.
    pub(super) fn collect(&mut self, pipeline: &Pipeline<'_>) -> Result<Vec<StepSeries>, QueryError> {
        let mut result = Vec::new();
        self.run(pipeline, |values, budget, _| {
            budget.acquire(values.weight_of_values())?;
            result.push(values);
            Ok(())
        })?;
        Ok(result)
    }
}

impl Compute {
    /// The values of a series.
    pub(super) fn of(
        &self,
        series: &mut SampleSeries,
        steps: Steps,
        control: &Control<'_>,
        annotations: &mut Annotations,
    ) -> Result<StepSeries, QueryError> {
        match self {
            Compute::Last { timing, lookback } => {
                let mut values = StepSeries::new(series.labels.clone(), false);
                values.floats.reserve(steps.within(&series.floats.timestamps, lookback.most()));
                last_at_steps(series, *timing, steps, *lookback, |step, _, value| values.push(step, value));
                Ok(values)
            }
            Compute::Smoothed { timing, lookback, position } => {
                series.drop_stale_markers();
                let notes = &mut Notes::new(annotations, control, series.labels.metric_name(), *position);
                Ok(smoothed_at_steps(series, *timing, steps, *lookback, notes))
            }
            Compute::Times { timing, lookback, which } => {
                let mut values = StepSeries::new(series.labels.clone(), true);
                last_at_steps(series, *timing, steps, *lookback, |step, time, _| {
                    values.floats.push(step, which(time) as f64 / 1000.0);
                });
                Ok(values)
            }
            Compute::Range { call, windows, keeps_name } => {
                series.drop_stale_markers();
                call.of_series(series, windows, *keeps_name, control, annotations)
            }
        }
    }
}
