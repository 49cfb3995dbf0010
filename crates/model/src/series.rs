//! A series with its samples in columns.

use crate::{Histogram, Labels, TimestampMs};

/// Float samples in order of time; the columns have one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatColumn {
    /// Strictly growing.
    pub timestamps: Vec<TimestampMs>,
    /// One value a timestamp; stale markers are included.
    pub values: Vec<f64>,
    /// When the counter that a sample shows began to count, 0 where that is not known. Empty where no sample has one.
    pub starts: Vec<TimestampMs>,
}

/// Histogram samples in order of time; the columns have one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramColumn {
    /// Strictly growing.
    pub timestamps: Vec<TimestampMs>,
    /// One histogram a timestamp; stale markers are included.
    pub values: Vec<Histogram>,
    /// When the histogram that a sample shows began to count, 0 where that is not known. Empty where no sample has one.
    pub starts: Vec<TimestampMs>,
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
        self.push_started(timestamp, 0, value);
    }

    /// Appends a sample with its start timestamp, 0 where that is not known.
    pub fn push_started(&mut self, timestamp: TimestampMs, start: TimestampMs, value: f64) {
        push_start(&mut self.starts, self.timestamps.len(), start);
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
        self.push_started(timestamp, 0, value);
    }

    /// Appends a sample with its start timestamp, 0 where that is not known.
    pub fn push_started(&mut self, timestamp: TimestampMs, start: TimestampMs, value: Histogram) {
        push_start(&mut self.starts, self.timestamps.len(), start);
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

/// The column of start timestamps comes into being with the first one that is known.
fn push_start(starts: &mut Vec<TimestampMs>, samples: usize, start: TimestampMs) {
    if start != 0 || !starts.is_empty() {
        starts.resize(samples, 0);
        starts.push(start);
    }
}
