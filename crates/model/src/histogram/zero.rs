//! Zero buckets of different widths are brought to a common one before histograms are added or compared.

use super::Histogram;
use super::layout::{encode, indexed};

impl Histogram {
    /// The count of the zero bucket if it reached up to `threshold`, which is at least as wide as it is.
    ///
    /// A threshold inside a bucket that is not empty is raised to that bucket's outer bound; the second number is the
    /// threshold that results.
    pub(super) fn widened_zero_count(&self, threshold: f64) -> (f64, f64) {
        let mut threshold = threshold;
        if threshold == self.zero_threshold {
            return (self.zero_count, threshold);
        }
        loop {
            let before = threshold;
            let mut count = self.zero_count;
            for bucket in self.positive() {
                if bucket.lower >= threshold {
                    break;
                }
                count += bucket.count;
                if bucket.upper > threshold {
                    if bucket.count != 0.0 {
                        threshold = bucket.upper;
                    }
                    break;
                }
            }
            for bucket in self.negative() {
                if bucket.upper <= -threshold {
                    break;
                }
                count += bucket.count;
                if bucket.lower < -threshold {
                    if bucket.count != 0.0 {
                        threshold = -bucket.lower;
                    }
                    break;
                }
            }
            // The positive side has to be counted again where the negative side raised the threshold, and the other
            // way round; the bounds of the two sides are the same, so that this ends.
            if threshold == before {
                return (count, threshold);
            }
        }
    }

    /// Widens the zero bucket to `threshold` or, where that is inside a bucket, beyond, and takes the buckets inside
    /// into it.
    fn widen_zero_bucket(&mut self, threshold: f64) {
        (self.zero_count, self.zero_threshold) = self.widened_zero_count(threshold);
        let (schema, threshold) = (self.schema, self.zero_threshold);
        let outside = |(index, _): &(i32, f64)| super::bucket::exponential_bound(index - 1, schema) >= threshold;
        (self.positive_spans, self.positive_buckets) =
            encode(indexed(&self.positive_spans, &self.positive_buckets).filter(outside));
        (self.negative_spans, self.negative_buckets) =
            encode(indexed(&self.negative_spans, &self.negative_buckets).filter(outside));
    }

    /// Widens the zero bucket until it covers that of `other` and ends at a bound of both. Gives the count that the
    /// zero bucket of `other` has at that width.
    pub(super) fn reconcile_zero_bucket(&mut self, other: &Histogram) -> f64 {
        let (mut count, mut threshold) = (other.zero_count, other.zero_threshold);
        // Each round widens one of the two; a NaN threshold, which no valid histogram has, ends the loop.
        loop {
            if self.zero_threshold > threshold {
                (count, threshold) = other.widened_zero_count(self.zero_threshold);
            } else if threshold > self.zero_threshold {
                self.widen_zero_bucket(threshold);
            } else {
                return count;
            }
        }
    }
}
