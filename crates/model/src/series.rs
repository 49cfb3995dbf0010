//! A series with its samples in columns.

use crate::{Histogram, Labels, TimestampMs};

/// Float samples in order of time; the columns have one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatColumn {
    /// Strictly growing.
    pub timestamps: Vec<TimestampMs>,
    /// One value a timestamp; stale markers are included.
    pub values: Vec<f64>,
}

/// Histogram samples in order of time; the columns have one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramColumn {
    /// Strictly growing.
    pub timestamps: Vec<TimestampMs>,
    /// One histogram a timestamp; stale markers are included.
    pub values: Vec<Histogram>,
}

/// A series and its samples of a range of time. A timestamp is in one of the two columns, never in both.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// What identifies the series.
    pub labels: Labels,
    /// The float samples.
    pub floats: FloatColumn,
    /// The histogram samples.
    pub histograms: HistogramColumn,
}

impl FloatColumn {
    /// Appends a sample.
    pub fn push(&mut self, timestamp: TimestampMs, value: f64) {
        self.timestamps.push(timestamp);
        self.values.push(value);
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }
}

impl HistogramColumn {
    /// Appends a sample.
    pub fn push(&mut self, timestamp: TimestampMs, value: Histogram) {
        self.timestamps.push(timestamp);
        self.values.push(value);
    }

    /// How many samples there are.
    pub fn len(&self) -> usize {
        self.timestamps.len()
    }

    /// Whether there are no samples.
    pub fn is_empty(&self) -> bool {
        self.timestamps.is_empty()
    }
}
