//! The answer in one piece, series by series.

use sonde_model::Series;

use crate::put;
use crate::remote_write::{put_histogram, put_labels, put_sample};

/// A `prometheus.ReadResponse` that is being written.
#[derive(Debug, Default)]
pub struct SampleAnswer(Vec<u8>);

impl SampleAnswer {
    /// Adds the answer to the next query.
    pub fn result(&mut self, series: &[Series]) {
        put::message(&mut self.0, 1, |out| {
            for one in series {
                put::message(out, 1, |out| {
                    put_labels(out, one.labels.iter());
                    for (timestamp, value) in one.floats.timestamps.iter().zip(&one.floats.values) {
                        put_sample(out, 2, *timestamp, *value, 0);
                    }
                    for (timestamp, histogram) in one.histograms.timestamps.iter().zip(&one.histograms.values) {
                        put_histogram(out, 4, *timestamp, histogram, 0);
                    }
                });
            }
        });
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }
}
