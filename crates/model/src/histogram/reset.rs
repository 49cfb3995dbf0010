//! Whether a counter was reset between two histograms.

use super::bucket::exponential_bound;
use super::layout::{coarser_index, indexed, merge_neighbours};
use super::{CounterResetHint, Histogram, Span};

impl Histogram {
    /// Whether a counter reset lies between `previous` and this histogram.
    ///
    /// The hint decides where it knows. Otherwise there was a reset if any count is smaller than before, a bucket that
    /// was not empty is gone, or the resolution has become finer, which only a fresh start can do.
    pub fn is_reset_after(&self, previous: &Histogram) -> bool {
        match self.reset_hint {
            CounterResetHint::Reset => return true,
            CounterResetHint::NotReset => return false,
            CounterResetHint::Unknown | CounterResetHint::Gauge => {}
        }
        if self.count < previous.count {
            return true;
        }
        if self.uses_custom_buckets() && previous.uses_custom_buckets() {
            return self.custom_buckets_shrank(previous);
        }
        // The schema of custom bounds is below all exponential ones.
        if self.uses_custom_buckets() || self.schema > previous.schema || self.zero_threshold < previous.zero_threshold
        {
            return true;
        }
        let (previous_zero, threshold) = previous.widened_zero_count(self.zero_threshold);
        if threshold != self.zero_threshold || self.zero_count < previous_zero {
            return true;
        }
        let side = |spans: &[Span], buckets: &[f64], schema: i32| {
            let pairs = indexed(spans, buckets).map(|(i, count)| (coarser_index(i, schema, self.schema), count));
            let pairs = merge_neighbours(pairs).into_iter();
            pairs.filter(|(i, _)| exponential_bound(*i, self.schema) > self.zero_threshold).collect::<Vec<_>>()
        };
        let before = side(&previous.positive_spans, &previous.positive_buckets, previous.schema);
        if shrank(&before, &side(&self.positive_spans, &self.positive_buckets, self.schema)) {
            return true;
        }
        let before = side(&previous.negative_spans, &previous.negative_buckets, previous.schema);
        shrank(&before, &side(&self.negative_spans, &self.negative_buckets, self.schema))
    }

    fn custom_buckets_shrank(&self, previous: &Histogram) -> bool {
        if self.same_custom_bounds(previous) {
            let before: Vec<_> = indexed(&previous.positive_spans, &previous.positive_buckets).collect();
            let after: Vec<_> = indexed(&self.positive_spans, &self.positive_buckets).collect();
            return shrank(&before, &after);
        }
        let bounds = super::custom::common_bounds(&self.custom_values, &previous.custom_values);
        shrank(&merge_neighbours(previous.rebucketed(&bounds)), &merge_neighbours(self.rebucketed(&bounds)))
    }
}

/// Whether a bucket that was not empty is gone or has become smaller.
fn shrank(before: &[(i32, f64)], after: &[(i32, f64)]) -> bool {
    let mut after = after.iter().peekable();
    before.iter().any(|(index, count)| {
        while after.next_if(|(i, _)| i < index).is_some() {}
        match after.peek() {
            Some((i, now)) if i == index => now < count,
            _ => *count != 0.0,
        }
    })
}
