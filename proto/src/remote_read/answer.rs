//! The answer in one piece, series by series.

use sonde_model::Series;

use crate::put;
use crate::remote_write::{put_histogram, put_labels, put_sample};

/// A `prometheus.ReadResponse` that is being written.
#[derive(Debug, Default)]
pub struct SampleAnswer(Vec<u8>);

/// The answer to one query that is being written.
#[derive(Debug)]
pub struct SampleResult<'a>(&'a mut Vec<u8>);

impl SampleAnswer {
    /// Adds the answer to the next query, as `fill` gives its series.
    pub fn result<E>(&mut self, fill: impl FnOnce(&mut SampleResult<'_>) -> Result<(), E>) -> Result<(), E> {
        let mut filled = Ok(());
        put::message(&mut self.0, 1, |out| filled = fill(&mut SampleResult(out)));
        filled
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}

impl SampleResult<'_> {
    /// Adds the next series.
    pub fn series(&mut self, series: &Series) {
        put::message(self.0, 1, |out| {
            put_labels(out, series.labels.iter());
            for (timestamp, value) in series.floats.timestamps.iter().zip(&series.floats.values) {
                put_sample(out, 2, *timestamp, *value, 0);
            }
            for (timestamp, histogram) in series.histograms.timestamps.iter().zip(&series.histograms.values) {
                put_histogram(out, 4, *timestamp, histogram, 0);
            }
        });
    }

    /// Bytes of the whole answer so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was added to the answer yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
