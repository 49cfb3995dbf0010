//! One translated sample.

use sonde_model::{Histogram, TimestampMs};

/// A sample with its labels. The text is borrowed from the request or from scratch memory.
#[derive(Debug)]
pub struct Row<'a> {
    /// Sorted by name, unique, without empty values, `__name__` included.
    pub labels: &'a [(&'a str, &'a str)],
    /// Milliseconds since the Unix epoch.
    pub timestamp: TimestampMs,
    /// The value.
    pub value: RowValue,
}

/// The value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowValue {
    /// A gauge, or a cumulative value.
    Float(f64),
    /// What was added since the last point of the series.
    FloatDelta(f64),
    /// A native histogram: cumulative, or a gauge by its hint.
    Histogram(Histogram),
    /// The observations since the last point of the series.
    HistogramDelta(Histogram),
}
