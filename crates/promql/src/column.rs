//! Evaluated expressions: series by series, in columns over the steps of the query.
//!
//! This is what the engine hands to functions, operators and aggregations, and what they hand back.

use std::sync::Arc;

use sonde_model::{Histogram, Labels, TimestampMs};

/// The points in time at which an expression is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    /// The first point.
    pub(crate) start: TimestampMs,
    /// The distance of two points; positive.
    pub(crate) step: i64,
    /// How many points there are.
    pub(crate) count: usize,
}

impl Steps {
    /// The point number `index`.
    pub(crate) fn time(&self, index: usize) -> TimestampMs {
        self.start + self.step * index as i64
    }

    /// The last point.
    pub(crate) fn end(&self) -> TimestampMs {
        self.time(self.count.saturating_sub(1))
    }

    /// All points.
    pub(crate) fn times(self) -> impl ExactSizeIterator<Item = TimestampMs> + Clone {
        (0..self.count).map(move |index| self.time(index))
    }
}

/// The value of an expression at all steps.
#[derive(Clone, Debug)]
pub(crate) enum Evaluated {
    /// One number a step.
    Scalar(Vec<f64>),
    /// The same at all steps.
    String(String),
    /// Any number of series. Their order matters only to `sort` and the like, at a single step.
    Vector(Vec<StepSeries>),
}

/// A series whose values are at steps. A step has at most one value: a float or a histogram.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepSeries {
    /// Its labels; `__name__` stays in them although it is to be dropped, see `drop_name`.
    pub(crate) labels: Labels,
    /// Whether metric name, type and unit are to be dropped when the query is done (delayed name removal).
    pub(crate) drop_name: bool,
    /// The floats.
    pub(crate) floats: Points<f64>,
    /// The histograms.
    pub(crate) histograms: Points<Arc<Histogram>>,
}

/// Values at steps. Both columns have one length.
#[derive(Clone, Debug)]
pub(crate) struct Points<T> {
    /// The indices of the steps, strictly growing.
    pub(crate) steps: Vec<u32>,
    /// The values.
    pub(crate) values: Vec<T>,
}

impl<T> Default for Points<T> {
    fn default() -> Self {
        Points { steps: Vec::new(), values: Vec::new() }
    }
}

impl<T> Points<T> {
    /// Appends a value at a later step.
    pub(crate) fn push(&mut self, step: u32, value: T) {
        self.steps.push(step);
        self.values.push(value);
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no value.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The values with their steps.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> + '_ {
        self.steps.iter().copied().zip(&self.values)
    }

    /// The value at `step`.
    pub(crate) fn at(&self, step: u32) -> Option<&T> {
        // Most series have a value at every step, so that the index is the step.
        let index = step as usize;
        if self.steps.get(index) == Some(&step) {
            return Some(&self.values[index]);
        }
        self.steps.binary_search(&step).ok().map(|index| &self.values[index])
    }
}

impl StepSeries {
    /// A series without values.
    pub(crate) fn new(labels: Labels, drop_name: bool) -> Self {
        StepSeries { labels, drop_name, floats: Points::default(), histograms: Points::default() }
    }

    /// Whether there is no value at any step.
    pub(crate) fn is_empty(&self) -> bool {
        self.floats.is_empty() && self.histograms.is_empty()
    }

    /// Whether there is a value at `step`.
    pub(crate) fn has(&self, step: u32) -> bool {
        self.floats.at(step).is_some() || self.histograms.at(step).is_some()
    }
}
