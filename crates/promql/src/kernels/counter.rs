//! Where a counter of floats was reset, found once for the whole series.

use crate::column::Samples;

use super::window::{Stamp, starts_anew};

/// The places of a series at which its value is smaller than before, or which began to count after it.
pub(super) struct Resets {
    places: Vec<usize>,
    /// The first place that windows to come can still hold.
    next: usize,
}

/// The places at which a value is smaller than the one before. Runs without any, which are almost all, are looked at as
/// a whole first.
fn drops(values: &[f64]) -> Vec<usize> {
    const RUN: usize = 64;
    let mut places = Vec::new();
    for start in (1..values.len()).step_by(RUN) {
        let end = (start + RUN).min(values.len());
        let pairs = || values[start - 1..end].iter().zip(&values[start..end]);
        if pairs().fold(false, |found, (before, now)| found | (now < before)) {
            places.extend((start..end).filter(|i| values[*i] < values[*i - 1]));
        }
    }
    places
}

impl Resets {
    /// The resets of a series.
    pub(super) fn of(samples: &Samples<f64>) -> Self {
        let values = &samples.values;
        let places = if samples.starts.is_empty() {
            drops(values)
        } else {
            let stamp = |i: usize| Stamp { time: samples.timestamps[i], start: samples.start(i) };
            let is_reset = |i: &usize| values[*i] < values[*i - 1] || starts_anew(stamp(*i - 1), stamp(*i));
            (1..values.len()).filter(is_reset).collect()
        };
        Resets { places, next: 0 }
    }

    /// No resets: what is no counter has none.
    pub(super) fn none() -> Self {
        Resets { places: Vec::new(), next: 0 }
    }

    /// The resets between the samples `first..end`. Windows have to come in order.
    pub(super) fn within(&mut self, first: usize, end: usize) -> &[usize] {
        while self.places.get(self.next).is_some_and(|place| *place <= first) {
            self.next += 1;
        }
        let inside = self.places[self.next..].iter().take_while(|place| **place < end).count();
        &self.places[self.next..self.next + inside]
    }
}
