//! The series of a script in memory.

use std::collections::BTreeMap;

use sonde_model::{Histogram, Labels, Matcher, Series, TimestampMs, is_stale};
use sonde_promql::{Queryable, SelectError, SelectLimits, Selection};

use crate::hints::ResetHints;
use crate::load::{Load, LoadedSeries};
use crate::nhcb;
use crate::sequence::SequenceValue;

/// Series by their labels.
#[derive(Debug, Default)]
pub(crate) struct Store {
    series: BTreeMap<Labels, Stored>,
}

#[derive(Debug, Default)]
struct Stored {
    series: Series,
    hints: ResetHints,
}

impl Store {
    /// Adds what a script loads. A sample that is not newer than those before is an error.
    pub(crate) fn load(&mut self, load: &Load) -> Result<(), String> {
        for series in &load.series {
            self.append(series)?;
        }
        if load.with_nhcb {
            for series in nhcb::convert(&load.series)? {
                self.append(&series)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, loaded: &LoadedSeries) -> Result<(), String> {
        let stored = self.series.entry(loaded.labels.clone()).or_default();
        stored.series.labels = loaded.labels.clone();
        for sample in &loaded.samples {
            stored.append(sample.timestamp, sample.start.unwrap_or(0), &sample.value)?;
        }
        Ok(())
    }
}

impl Stored {
    fn append(&mut self, timestamp: TimestampMs, start: TimestampMs, value: &SequenceValue) -> Result<(), String> {
        let last_float = self.series.floats.timestamps.last().copied();
        let last_histogram = self.series.histograms.timestamps.last().copied();
        if last_float.max(last_histogram).is_some_and(|last| last >= timestamp) {
            return Err(format!("sample of {} at {timestamp} is out of order", self.series.labels));
        }
        match value {
            SequenceValue::Omitted => {}
            // The stale marker is of the type of what was before it.
            SequenceValue::Float(value) if is_stale(*value) && last_histogram > last_float => {
                self.push_histogram(timestamp, start, Histogram::stale());
            }
            SequenceValue::Float(value) => {
                self.hints = ResetHints::default();
                self.series.floats.push_started(timestamp, start, *value);
            }
            SequenceValue::Histogram { histogram, .. } => {
                self.push_histogram(timestamp, start, (**histogram).clone());
            }
        }
        Ok(())
    }

    fn push_histogram(&mut self, timestamp: TimestampMs, start: TimestampMs, mut histogram: Histogram) {
        histogram.reset_hint = self.hints.next(&histogram);
        self.series.histograms.push_started(timestamp, start, histogram);
    }
}

impl Queryable for Store {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        let mut selected = Vec::new();
        let mut samples = 0;
        for (labels, stored) in &self.series {
            if !matchers.iter().all(|matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default())) {
                continue;
            }
            let mut series = Series { labels: labels.clone(), ..Series::default() };
            let (floats, histograms) = (&stored.series.floats, &stored.series.histograms);
            let range =
                |times: &[TimestampMs]| times.partition_point(|t| *t < from)..times.partition_point(|t| *t <= to);
            for i in range(&floats.timestamps) {
                let start = floats.starts.get(i).copied().unwrap_or(0);
                series.floats.push_started(floats.timestamps[i], start, floats.values[i]);
            }
            for i in range(&histograms.timestamps) {
                let start = histograms.starts.get(i).copied().unwrap_or(0);
                series.histograms.push_started(histograms.timestamps[i], start, histograms.values[i].clone());
            }
            samples += series.floats.len() + series.histograms.len();
            selected.push(series);
        }
        if selected.len() > limits.max_series {
            return Err(SelectError::TooManySeries { limit: limits.max_series });
        }
        if samples > limits.max_samples {
            return Err(SelectError::TooManySamples { limit: limits.max_samples });
        }
        Ok(Box::new(selected))
    }
}
