//! Native histograms: sparse buckets with exponential or custom bounds.
//!
//! Source of the shape: Prometheus's native histogram specification. Counts are floats here; a store that was given
//! whole numbers gives whole numbers back. Arithmetic on histograms lives in the submodules.

mod arithmetic;
mod bucket;
mod custom;
mod display;
mod equal;
mod layout;
mod reset;
mod sum;
#[cfg(test)]
mod tests;
mod trim;
mod validate;
mod zero;

pub use arithmetic::{Combined, IncompatibleSchemas};
pub use bucket::{Bucket, exponential_bound};
pub use sum::HistogramSum;
pub use trim::Keep;
pub use validate::InvalidHistogram;

/// The schema of histograms with custom bounds.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;
/// The coarsest exponential schema: bucket bounds grow by 2^16.
pub const MIN_EXPONENTIAL_SCHEMA: i32 = -4;
/// The finest exponential schema: bucket bounds grow by 2^(1/256).
pub const MAX_EXPONENTIAL_SCHEMA: i32 = 8;

/// Whether a histogram is known to follow a counter reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CounterResetHint {
    /// Nothing is known: the buckets must be compared.
    #[default]
    Unknown,
    /// A reset lies between the histogram before and this one.
    Reset,
    /// No reset lies between the histogram before and this one.
    NotReset,
    /// The histogram is a gauge, to which resets do not apply.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// Gap to the end of the span before; for the first span the index of its first bucket.
    pub offset: i32,
    /// How many buckets follow without a gap.
    pub length: u32,
}

/// A native histogram with float counts.
///
/// Invariant of a valid histogram: the lengths of the spans add up to the number of buckets on each side.
/// Bucket `i` of exponential schema `s` covers `(2^(2^-s * (i-1)), 2^(2^-s * i)]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// -4 to 8, or -53 for custom bounds.
    pub schema: i32,
    /// The counter reset hint.
    pub reset_hint: CounterResetHint,
    /// Observations with an absolute value up to this are in the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// The sum of all observed values.
    pub sum: f64,
    /// Where the positive buckets lie.
    pub positive_spans: Vec<Span>,
    /// Absolute counts of the positive buckets.
    pub positive_buckets: Vec<f64>,
    /// Where the negative buckets lie.
    pub negative_spans: Vec<Span>,
    /// Absolute counts of the negative buckets.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, without +Inf, strictly growing; empty for exponential schemas.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Whether the bounds are custom ones.
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// How many float samples of 16 bytes it takes as much memory as.
    pub fn weight(&self) -> usize {
        let spans = self.positive_spans.len() + self.negative_spans.len();
        let buckets = self.positive_buckets.len() + self.negative_buckets.len();
        7 + (spans + buckets) / 2
    }

    /// Whether the hint says that this is a gauge.
    pub fn is_gauge(&self) -> bool {
        self.reset_hint == CounterResetHint::Gauge
    }

    /// The histogram that marks a series as stale: its sum is the stale marker.
    pub fn stale() -> Self {
        Histogram { sum: crate::stale_nan(), ..Histogram::default() }
    }

    /// Whether this is a stale marker.
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }
}
