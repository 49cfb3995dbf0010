//! Evaluated expressions: series by series, in columns over the steps of the query.
//!
//! This is what the engine hands to functions, operators and aggregations, and what they hand back.

use std::ops::Add;
use std::sync::Arc;

use sonde_model::{Histogram, Labels, TimestampMs};

use crate::weight::Weight;

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
    /// A single point.
    pub(crate) fn at(time: TimestampMs) -> Self {
        Steps { start: time, step: 1, count: 1 }
    }

    /// The point number `index`.
    pub(crate) fn time(&self, index: usize) -> TimestampMs {
        self.start.saturating_add(self.step.saturating_mul(index as i64))
    }

    /// The last point.
    pub(crate) fn end(&self) -> TimestampMs {
        self.time(self.count.saturating_sub(1))
    }

    /// How many of the points see a sample of these times, which grow, for so long, about.
    pub(crate) fn within(&self, times: &[TimestampMs], seen_for: i64) -> usize {
        let (Some(first), Some(last)) = (times.first(), times.last()) else { return 0 };
        let seen = last.saturating_sub(*first).saturating_add(seen_for);
        usize::try_from(seen / self.step).unwrap_or(usize::MAX).saturating_add(1).min(self.count)
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

/// One value of a series at a step.
#[derive(Clone, Debug)]
pub(crate) enum StepValue {
    /// A float.
    Float(f64),
    /// A histogram.
    Histogram(Arc<Histogram>),
}

/// A series with the samples of a range of time, as they were stored or as a subquery made them.
#[derive(Clone, Debug, Default)]
pub(crate) struct SampleSeries {
    /// Its labels.
    pub(crate) labels: Labels,
    /// Whether a subquery made it of values whose name is to be dropped.
    pub(crate) drop_name: bool,
    /// The floats.
    pub(crate) floats: Samples<f64>,
    /// The histograms.
    pub(crate) histograms: Samples<Arc<Histogram>>,
}

/// Samples in the order of time. Both columns have one length.
#[derive(Clone, Debug)]
pub(crate) struct Samples<T> {
    /// Strictly growing.
    pub(crate) timestamps: Vec<TimestampMs>,
    /// The values.
    pub(crate) values: Vec<T>,
    /// When what a sample shows began to count, 0 where that is not known. Empty where no sample has one.
    pub(crate) starts: Vec<TimestampMs>,
}

impl<T> Default for Points<T> {
    fn default() -> Self {
        Points { steps: Vec::new(), values: Vec::new() }
    }
}

impl<T> Default for Samples<T> {
    fn default() -> Self {
        Samples { timestamps: Vec::new(), values: Vec::new(), starts: Vec::new() }
    }
}

impl<T> Points<T> {
    /// Makes room for so many values.
    pub(crate) fn reserve(&mut self, count: usize) {
        self.steps.reserve_exact(count);
        self.values.reserve_exact(count);
    }

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

impl<T> Samples<T> {
    /// How many samples there are.
    pub(crate) fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// When what the sample `index` shows began to count; 0 where that is not known.
    pub(crate) fn start(&self, index: usize) -> TimestampMs {
        self.starts.get(index).copied().unwrap_or(0)
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

    /// Appends a value at a later step.
    pub(crate) fn push(&mut self, step: u32, value: StepValue) {
        match value {
            StepValue::Float(value) => self.floats.push(step, value),
            StepValue::Histogram(value) => self.histograms.push(step, value),
        }
    }

    /// Whether there is a value at `step`.
    pub(crate) fn has(&self, step: u32) -> bool {
        self.floats.at(step).is_some() || self.histograms.at(step).is_some()
    }

    /// The value at `step`.
    pub(crate) fn at(&self, step: u32) -> Option<StepValue> {
        match self.floats.at(step) {
            Some(value) => Some(StepValue::Float(*value)),
            None if self.histograms.is_empty() => None,
            None => self.histograms.at(step).map(|histogram| StepValue::Histogram(Arc::clone(histogram))),
        }
    }

    /// What the series takes of a query's budget.
    pub(crate) fn weight(&self) -> Weight {
        let labels = self.labels.text_len();
        let labels = Weight { samples: if labels > ORDINARY_LABEL_BYTES { labels / 16 } else { 0 }, bytes: 0 };
        Weight::labels(&self.labels) + labels + self.weight_of_values()
    }

    /// The same without its labels, where others hold them, too.
    pub(crate) fn weight_of_values(&self) -> Weight {
        let histograms = Weight::histograms(self.histograms.values.iter().map(|histogram| &**histogram));
        Weight::series() + Weight::floats(self.floats.len()) + histograms
    }
}

impl SampleSeries {
    /// What the series takes of a query's budget.
    pub(crate) fn weight(&self) -> Weight {
        let histograms = Weight::histograms(self.histograms.values.iter().map(|histogram| &**histogram));
        Weight::floats(self.floats.len()) + histograms
    }
}

impl Evaluated {
    /// What the value takes of a query's budget.
    pub(crate) fn weight(&self) -> Weight {
        match self {
            Evaluated::Scalar(values) => Weight::floats(values.len()),
            Evaluated::String(text) => Weight { samples: 0, bytes: text.len() },
            Evaluated::Vector(series) => series.iter().map(StepSeries::weight).fold(Weight::default(), Weight::add),
        }
    }
}

/// The labels of a series that are stored are not longer than that; those that functions make may be.
const ORDINARY_LABEL_BYTES: usize = 1 << 10;
