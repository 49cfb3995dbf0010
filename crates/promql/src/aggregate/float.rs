//! Aggregations whose state is a few numbers a step: min, max, count, group, variance.

use crate::column::StepSeries;

use super::{Accumulator, Noting};

/// What an aggregation knows of a step after some values.
pub(super) trait State: Clone {
    /// The state after the first value.
    fn first(value: f64) -> Self;
    /// Takes another value in.
    fn add(&mut self, value: f64);
    /// The result.
    fn result(&self) -> f64;
}

/// The states of a group.
pub(super) struct States<S> {
    at: Vec<Option<S>>,
    /// Whether histograms are aggregated, too: their values do not matter.
    takes_histograms: bool,
    ignored: bool,
}

impl<S: State> States<S> {
    /// Over floats only.
    pub(super) fn of_floats(count: usize) -> Self {
        States { at: vec![None; count], takes_histograms: false, ignored: false }
    }

    /// Over floats and histograms alike.
    pub(super) fn of_all(count: usize) -> Self {
        States { at: vec![None; count], takes_histograms: true, ignored: false }
    }
}

impl<S: State> Accumulator for States<S> {
    fn add(&mut self, series: &StepSeries, _: &mut Noting<'_>) -> usize {
        if series.floats.len() == self.at.len() {
            self.at.iter_mut().zip(&series.floats.values).for_each(|(state, value)| take(state, *value));
        } else {
            series.floats.iter().for_each(|(step, value)| take(&mut self.at[step as usize], *value));
        }
        if self.takes_histograms {
            series.histograms.steps.iter().for_each(|step| take(&mut self.at[*step as usize], 1.0));
        } else {
            self.ignored |= !series.histograms.is_empty();
        }
        0
    }

    fn finish(self: Box<Self>, out: &mut StepSeries, noting: &mut Noting<'_>) {
        for (step, state) in self.at.iter().enumerate() {
            if let Some(state) = state {
                out.floats.push(step as u32, state.result());
            }
        }
        if self.ignored {
            noting.histogram_ignored();
        }
    }
}

fn take<S: State>(state: &mut Option<S>, value: f64) {
    match state {
        Some(state) => state.add(value),
        None => *state = Some(S::first(value)),
    }
}

/// `min`: a NaN only where there is nothing else.
#[derive(Clone, Copy)]
pub(super) struct Min(f64);

impl State for Min {
    fn first(value: f64) -> Self {
        Min(value)
    }

    fn add(&mut self, value: f64) {
        if self.0 > value || self.0.is_nan() {
            self.0 = value;
        }
    }

    fn result(&self) -> f64 {
        self.0
    }
}

/// `max`: a NaN only where there is nothing else.
#[derive(Clone, Copy)]
pub(super) struct Max(f64);

impl State for Max {
    fn first(value: f64) -> Self {
        Max(value)
    }

    fn add(&mut self, value: f64) {
        if self.0 < value || self.0.is_nan() {
            self.0 = value;
        }
    }

    fn result(&self) -> f64 {
        self.0
    }
}

/// `count`
#[derive(Clone, Copy)]
pub(super) struct Count(f64);

impl State for Count {
    fn first(_: f64) -> Self {
        Count(1.0)
    }

    fn add(&mut self, _: f64) {
        self.0 += 1.0;
    }

    fn result(&self) -> f64 {
        self.0
    }
}

/// `group`: 1 where there is anything.
#[derive(Clone, Copy)]
pub(super) struct Ever;

impl State for Ever {
    fn first(_: f64) -> Self {
        Ever
    }

    fn add(&mut self, _: f64) {}

    fn result(&self) -> f64 {
        1.0
    }
}

/// `stddev`
#[derive(Clone, Copy)]
pub(super) struct Deviation(Variance);

impl State for Deviation {
    fn first(value: f64) -> Self {
        Deviation(Variance::first(value))
    }

    fn add(&mut self, value: f64) {
        self.0.add(value);
    }

    fn result(&self) -> f64 {
        self.0.result().sqrt()
    }
}

/// `stdvar`: Welford's method.
#[derive(Clone, Copy)]
pub(super) struct Variance {
    count: f64,
    mean: f64,
    squares: f64,
}

impl State for Variance {
    fn first(value: f64) -> Self {
        // A value that is not finite leaves no variance to speak of.
        Variance { count: 1.0, mean: value, squares: if value.is_finite() { 0.0 } else { f64::NAN } }
    }

    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    fn result(&self) -> f64 {
        self.squares / self.count
    }
}
