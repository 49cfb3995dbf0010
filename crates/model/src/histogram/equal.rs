//! Equality of histograms as the language sees it.

use super::layout::indexed;
use super::{Histogram, Span};

impl Histogram {
    /// Whether two histograms hold the same data: the same buckets, empty ones included, with the same counts. The
    /// counter reset hint does not matter; sums are compared bit by bit, so that stale markers and NaNs are equal.
    pub fn same_data(&self, other: &Histogram) -> bool {
        self.schema == other.schema
            && self.count == other.count
            && self.sum.to_bits() == other.sum.to_bits()
            && (!self.uses_custom_buckets() || self.custom_values == other.custom_values)
            && self.zero_threshold == other.zero_threshold
            && self.zero_count == other.zero_count
            && same_side(
                (&self.negative_spans, &self.negative_buckets),
                (&other.negative_spans, &other.negative_buckets),
            )
            && same_side(
                (&self.positive_spans, &self.positive_buckets),
                (&other.positive_spans, &other.positive_buckets),
            )
    }

    /// Whether the custom bounds are the same.
    pub fn same_custom_bounds(&self, other: &Histogram) -> bool {
        self.custom_values == other.custom_values
    }
}

fn same_side(a: (&[Span], &[f64]), b: (&[Span], &[f64])) -> bool {
    indexed(a.0, a.1).eq(indexed(b.0, b.1))
}
