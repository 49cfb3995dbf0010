//! Buckets of a histogram with their bounds, in order.

use super::layout::indexed;
use super::{CUSTOM_BUCKETS_SCHEMA, Histogram};

/// A bucket: an interval of observed values and how many fell into it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The index as the spans count it; 0 for the zero bucket.
    pub index: i32,
    /// The lower bound.
    pub lower: f64,
    /// The upper bound.
    pub upper: f64,
    /// Whether a value equal to the lower bound is in the bucket.
    pub lower_inclusive: bool,
    /// Whether a value equal to the upper bound is in the bucket.
    pub upper_inclusive: bool,
    /// How many observations are in the bucket.
    pub count: f64,
}

impl Histogram {
    /// The buckets of positive values (with custom bounds: all), growing.
    pub fn positive(&self) -> impl Iterator<Item = Bucket> + '_ {
        indexed(&self.positive_spans, &self.positive_buckets).map(|(index, count)| {
            let (lower, upper) = (self.bound(index.saturating_sub(1)), self.bound(index));
            let custom = self.uses_custom_buckets();
            Bucket {
                index,
                lower,
                upper,
                lower_inclusive: if custom { index == 0 } else { lower < 0.0 },
                upper_inclusive: custom || upper > 0.0,
                count,
            }
        })
    }

    /// The buckets of negative values, from zero downwards.
    pub fn negative(&self) -> impl Iterator<Item = Bucket> + '_ {
        indexed(&self.negative_spans, &self.negative_buckets).map(|(index, count)| {
            let (lower, upper) = (-self.bound(index), -self.bound(index.saturating_sub(1)));
            Bucket { index, lower, upper, lower_inclusive: lower < 0.0, upper_inclusive: upper > 0.0, count }
        })
    }

    /// The zero bucket, empty or not.
    pub fn zero_bucket(&self) -> Bucket {
        Bucket {
            index: 0,
            lower: -self.zero_threshold,
            upper: self.zero_threshold,
            lower_inclusive: true,
            upper_inclusive: true,
            count: self.zero_count,
        }
    }

    /// All buckets from the lowest to the highest, the zero bucket where it is not empty. Buckets that the zero bucket
    /// reaches into are cut at its bounds.
    pub fn all_buckets(&self) -> Vec<Bucket> {
        let mut buckets: Vec<Bucket> = self.negative().collect();
        buckets.reverse();
        if self.zero_count > 0.0 {
            buckets.push(self.zero_bucket());
        }
        buckets.extend(self.positive());
        for bucket in &mut buckets {
            if bucket.upper < 0.0 && bucket.upper > -self.zero_threshold {
                bucket.upper = -self.zero_threshold;
            } else if bucket.lower > 0.0 && bucket.lower < self.zero_threshold {
                bucket.lower = self.zero_threshold;
            }
        }
        buckets
    }

    /// The upper bound of bucket `index` on the positive side.
    pub fn bound(&self, index: i32) -> f64 {
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            return match usize::try_from(index) {
                Ok(index) => self.custom_values.get(index).copied().unwrap_or(f64::INFINITY),
                Err(_) => f64::NEG_INFINITY,
            };
        }
        exponential_bound(index, self.schema)
    }
}

/// The upper bound of bucket `index` of an exponential schema: `2^(index * 2^-schema)`.
///
/// The bucket of the greatest finite numbers ends at the greatest one, so that the next bucket holds the infinite ones.
pub fn exponential_bound(index: i32, schema: i32) -> f64 {
    let (whole, part) = if schema <= 0 {
        (i64::from(index) << schema.unsigned_abs().min(31), 0.0)
    } else {
        let schema = schema.unsigned_abs().min(31);
        let mask = (1_i64 << schema) - 1;
        (i64::from(index) >> schema, (i64::from(index) & mask) as f64 / (mask + 1) as f64)
    };
    if whole == 1024 && part == 0.0 {
        return f64::MAX;
    }
    // 2^whole in two factors, because 2^-1074 has no reciprocal and 2^1024 is none of a float.
    let whole = whole.clamp(-1100, 1100) as i32;
    let half = whole / 2;
    part.exp2() * 2f64.powi(half) * 2f64.powi(whole - half)
}
