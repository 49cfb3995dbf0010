//! Where a counter of floats was reset, found once for the whole series.

/// The places of a series at which its value is smaller than before.
pub(super) struct Resets {
    places: Vec<usize>,
    /// The first place that windows to come can still hold.
    next: usize,
}

impl Resets {
    /// The resets of a series.
    pub(super) fn of(values: &[f64]) -> Self {
        let places = (1..values.len()).filter(|i| values[*i] < values[*i - 1]).collect();
        Resets { places, next: 0 }
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
