//! What a histogram from outside has to keep.

use thiserror::Error;

use super::{CUSTOM_BUCKETS_SCHEMA, Histogram, MAX_EXPONENTIAL_SCHEMA, MIN_EXPONENTIAL_SCHEMA, Span};

/// Why a histogram is invalid.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum InvalidHistogram {
    /// The schema does not exist.
    #[error("schema {0} is none of -4 to 8 and -53")]
    Schema(i32),
    /// The lengths of the spans do not add up to the number of buckets.
    #[error("the spans hold {spans} buckets, {buckets} are given")]
    SpanLength {
        /// What the spans add up to.
        spans: u64,
        /// How many buckets there are.
        buckets: usize,
    },
    /// A span after the first reaches back, or beyond the range of indices.
    #[error("span {0} has an offset that is negative or out of range")]
    SpanOffset(usize),
    /// A count is negative.
    #[error("bucket {0} has a negative count")]
    NegativeCount(usize),
    /// The zero bucket has no valid width.
    #[error("the zero threshold {0} is negative or no number")]
    ZeroThreshold(f64),
    /// Custom bounds do not grow strictly, or are infinite or no numbers.
    #[error("custom bound {0} is not finite or not above the one before")]
    CustomBound(usize),
    /// There are custom bounds beside an exponential schema.
    #[error("custom bounds beside an exponential schema")]
    UnexpectedCustomBounds,
    /// A histogram with custom bounds has a zero bucket or negative buckets.
    #[error("a zero bucket or negative buckets beside custom bounds")]
    UnexpectedBuckets,
    /// A histogram with custom bounds has a bucket beyond them.
    #[error("a bucket beyond the custom bounds")]
    BeyondCustomBounds,
}

impl Histogram {
    /// Checks that the parts fit together, so that arithmetic is defined. Counts may be fractions; that they add up
    /// is not checked, because rounding and NaN observations keep them from doing so.
    pub fn validate(&self) -> Result<(), InvalidHistogram> {
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            self.validate_custom()?;
        } else if !(MIN_EXPONENTIAL_SCHEMA..=MAX_EXPONENTIAL_SCHEMA).contains(&self.schema) {
            return Err(InvalidHistogram::Schema(self.schema));
        } else if !self.custom_values.is_empty() {
            return Err(InvalidHistogram::UnexpectedCustomBounds);
        }
        if self.zero_threshold.is_nan() || self.zero_threshold < 0.0 {
            return Err(InvalidHistogram::ZeroThreshold(self.zero_threshold));
        }
        validate_side(&self.positive_spans, &self.positive_buckets)?;
        validate_side(&self.negative_spans, &self.negative_buckets)
    }

    fn validate_custom(&self) -> Result<(), InvalidHistogram> {
        let grows = |i: usize| i == 0 || self.custom_values[i - 1] < self.custom_values[i];
        if let Some(i) = (0..self.custom_values.len()).find(|i| !self.custom_values[*i].is_finite() || !grows(*i)) {
            return Err(InvalidHistogram::CustomBound(i));
        }
        if self.zero_count != 0.0 || self.zero_threshold != 0.0 || !self.negative_buckets.is_empty() {
            return Err(InvalidHistogram::UnexpectedBuckets);
        }
        let end: i64 = self.positive_spans.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum();
        let starts_negative = self.positive_spans.first().is_some_and(|s| s.offset < 0);
        if starts_negative || end > self.custom_values.len() as i64 + 1 {
            return Err(InvalidHistogram::BeyondCustomBounds);
        }
        Ok(())
    }
}

fn validate_side(spans: &[Span], buckets: &[f64]) -> Result<(), InvalidHistogram> {
    let mut end = 0_i64;
    for (i, span) in spans.iter().enumerate() {
        end += i64::from(span.offset) + i64::from(span.length);
        if (i > 0 && span.offset < 0) || i32::try_from(end).is_err() {
            return Err(InvalidHistogram::SpanOffset(i));
        }
    }
    let total: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if total != buckets.len() as u64 {
        return Err(InvalidHistogram::SpanLength { spans: total, buckets: buckets.len() });
    }
    match buckets.iter().position(|count| *count < 0.0) {
        Some(i) => Err(InvalidHistogram::NegativeCount(i)),
        None => Ok(()),
    }
}
