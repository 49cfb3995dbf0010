//! Aggregations whose state is a few numbers a step: min, max, count, group, variance.

use crate::column::StepSeries;

/// What an aggregation knows of a step after some values.
pub(super) trait State: Clone {
    /// The state after the first value.
    fn first(value: f64) -> Self;
    /// Takes another value in.
    fn add(&mut self, value: f64);
    /// The result.
    fn result(&self) -> f64;
}

/// Aggregates the floats; true where histograms were left out.
pub(super) fn evaluate<'a, S: State>(
    members: impl Iterator<Item = &'a StepSeries>,
    count: usize,
    out: &mut StepSeries,
) -> bool {
    let mut states: Vec<Option<S>> = vec![None; count];
    let mut ignored = false;
    for series in members {
        ignored |= !series.histograms.is_empty();
        for (step, value) in series.floats.iter() {
            take(&mut states[step as usize], *value);
        }
    }
    emit(&states, out);
    ignored
}

/// Aggregates floats and histograms alike: their values do not matter.
pub(super) fn evaluate_all<'a, S: State>(
    members: impl Iterator<Item = &'a StepSeries>,
    count: usize,
    out: &mut StepSeries,
) -> bool {
    let mut states: Vec<Option<S>> = vec![None; count];
    for series in members {
        for step in series.floats.steps.iter().chain(&series.histograms.steps) {
            take(&mut states[*step as usize], 1.0);
        }
    }
    emit(&states, out);
    false
}

fn take<S: State>(state: &mut Option<S>, value: f64) {
    match state {
        Some(state) => state.add(value),
        None => *state = Some(S::first(value)),
    }
}

fn emit<S: State>(states: &[Option<S>], out: &mut StepSeries) {
    for (step, state) in states.iter().enumerate() {
        if let Some(state) = state {
            out.floats.push(step as u32, state.result());
        }
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

/// `stdvar` and `stddev`: Welford's method.
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
