//! Histograms cut off at a value: what `</` and `>/` do.
//!
//! Buckets on the wrong side are dropped, the bucket that the value falls into is split by interpolation, and the sum
//! is estimated again from the middles of the buckets that remain.

use super::Histogram;
use super::bucket::Bucket;

/// Which side of the value is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Observations below the value.
    Below,
    /// Observations above the value.
    Above,
}

impl Histogram {
    /// The histogram of the observations on one side of `value`.
    pub fn trimmed(&self, value: f64, keep: Keep) -> Histogram {
        let mut result = self.clone();
        let mut trim = Trim { value, keep, linear: self.uses_custom_buckets(), count: 0.0, sum: 0.0, changed: false };
        let (mut has_positive, mut has_negative) = (false, false);
        for (bucket, count) in self.positive().zip(&mut result.positive_buckets).filter(|(b, _)| b.count != 0.0) {
            has_positive = true;
            *count = trim.bucket(&bucket, true);
        }
        for (bucket, count) in self.negative().zip(&mut result.negative_buckets).filter(|(b, _)| b.count != 0.0) {
            has_negative = true;
            *count = trim.bucket(&bucket, false);
        }
        if self.zero_count > 0.0 {
            let (lower, upper) = match (has_negative, has_positive) {
                (true, false) => (-self.zero_threshold, 0.0),
                (false, true) => (0.0, self.zero_threshold),
                _ => (-self.zero_threshold, self.zero_threshold),
            };
            result.zero_count = trim.zero_bucket(self.zero_count, lower, upper);
        }
        if trim.changed {
            result.count = trim.count;
            result.sum = trim.sum;
            result.compact();
        }
        result
    }
}

/// A cut in progress: the value, and the totals of what is kept.
struct Trim {
    value: f64,
    keep: Keep,
    /// Whether buckets are filled evenly (custom bounds) or evenly in the logarithm.
    linear: bool,
    count: f64,
    sum: f64,
    changed: bool,
}

impl Trim {
    /// The count that is kept of a bucket.
    fn bucket(&mut self, bucket: &Bucket, positive: bool) -> f64 {
        let (inside, split) = match self.keep {
            Keep::Below => (bucket.upper <= self.value, bucket.lower < self.value),
            Keep::Above => (bucket.lower >= self.value, bucket.upper > self.value),
        };
        let (kept, middle) = if inside {
            (bucket.count, middle(bucket.lower, bucket.upper, positive, self.linear))
        } else if split {
            self.split(bucket, positive)
        } else {
            (0.0, 0.0)
        };
        self.take(bucket.count, kept, middle)
    }

    fn zero_bucket(&mut self, count: f64, lower: f64, upper: f64) -> f64 {
        let value = self.value;
        let whole = (count, (lower + upper) / 2.0);
        let (kept, middle) = match self.keep {
            Keep::Below if value <= lower => (0.0, 0.0),
            Keep::Below if value >= upper => whole,
            Keep::Below => (count * ((value - lower) / (upper - lower)), (lower + value) / 2.0),
            Keep::Above if value <= lower => whole,
            Keep::Above if value >= upper => (0.0, 0.0),
            Keep::Above => (count * ((upper - value) / (upper - lower)), (value + upper) / 2.0),
        };
        self.take(count, kept, middle)
    }

    fn take(&mut self, before: f64, kept: f64, middle: f64) -> f64 {
        self.changed |= before != kept;
        self.count += kept;
        self.sum += middle * kept;
        kept
    }

    /// What is kept of a bucket that the value falls into, and the middle of that part.
    fn split(&self, bucket: &Bucket, positive: bool) -> (f64, f64) {
        if bucket.lower == f64::NEG_INFINITY || bucket.upper == f64::INFINITY {
            return self.split_infinite(bucket);
        }
        let below = bucket.count * self.fraction_below(bucket, positive);
        match self.keep {
            Keep::Below => (below, middle(bucket.lower, self.value, positive, self.linear)),
            Keep::Above => (bucket.count - below, middle(self.value, bucket.upper, positive, self.linear)),
        }
    }

    fn fraction_below(&self, bucket: &Bucket, positive: bool) -> f64 {
        if self.value <= bucket.lower {
            0.0
        } else if self.value >= bucket.upper {
            1.0
        } else if self.linear {
            (self.value - bucket.lower) / (bucket.upper - bucket.lower)
        } else {
            let (lower, upper) = (bucket.lower.abs().log2(), bucket.upper.abs().log2());
            let value = self.value.abs().log2();
            if positive { (value - lower) / (upper - lower) } else { 1.0 - (value - upper) / (lower - upper) }
        }
    }

    /// Nothing is known of how observations lie in an infinite bucket, so that it is mostly dropped or kept whole.
    fn split_infinite(&self, bucket: &Bucket) -> (f64, f64) {
        let zero_if_infinite = |bound: f64| if bound.is_infinite() { 0.0 } else { bound };
        let (value, upper, count) = (self.value, bucket.upper, bucket.count);
        let upper_is_finite = upper != f64::INFINITY;
        match (self.keep, bucket.lower == f64::NEG_INFINITY) {
            (Keep::Below, true) if value >= upper => (count, 0.0),
            // An upper bound over 0 lets the bucket be seen as one from 0.
            (Keep::Below, true) if value > 0.0 && upper > 0.0 && upper_is_finite => {
                (count * value / upper, value / 2.0)
            }
            (Keep::Below, true) if upper <= 0.0 => (count, value),
            (Keep::Above, true) if value <= bucket.lower => (count, 0.0),
            (Keep::Above, true) if value >= 0.0 && upper > value && upper_is_finite => {
                (count * (1.0 - value / upper), (value + upper) / 2.0)
            }
            (_, true) => (0.0, zero_if_infinite(upper)),
            (Keep::Above, false) if value >= bucket.lower => (count, value),
            (_, false) => (0.0, zero_if_infinite(bucket.lower)),
        }
    }
}

/// The value that stands for the observations between two bounds.
fn middle(lower: f64, upper: f64, positive: bool, linear: bool) -> f64 {
    if lower.is_infinite() {
        return match upper {
            upper if upper.is_infinite() => 0.0,
            upper if upper > 0.0 => upper / 2.0,
            upper => upper,
        };
    }
    if upper.is_infinite() {
        return lower;
    }
    if linear {
        return (lower + upper) / 2.0;
    }
    let middle = (lower * upper).abs().sqrt();
    if positive { middle } else { -middle }
}
