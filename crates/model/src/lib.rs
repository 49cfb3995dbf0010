//! The nouns of Sonde: labels, matchers, samples, histograms, time and batch ids.
//!
//! Pure data and arithmetic. This crate must not know of files, clocks, wire formats, stores or query languages.

pub mod batch;
pub mod cursor;
pub mod duration;
pub mod exemplar;
pub mod go_float;
pub mod histogram;
pub mod kahan;
pub mod labels;
pub mod matcher;
pub mod series;
pub mod span;
pub mod streams;

pub use batch::{AgentId, BatchId, Signal};
pub use cursor::{Cursor, CursorVerdict};
pub use exemplar::Exemplar;
pub use go_float::GoFloat;
pub use histogram::{CounterResetHint, Histogram, Span};
pub use kahan::KahanSum;
pub use labels::{Labels, LabelsBuilder};
pub use matcher::{MatchOp, Matcher};
pub use series::{FloatColumn, HistogramColumn, Series};
pub use streams::{StreamId, Streams};

/// Milliseconds since the Unix epoch.
pub type TimestampMs = i64;

/// The label that carries the metric name.
pub const METRIC_NAME: &str = "__name__";

/// The bits of the NaN that marks a series as stale, as Prometheus defines them.
pub const STALE_NAN_BITS: u64 = 0x7ff0_0000_0000_0002;

/// The bits of the NaN that arithmetic yields, as Prometheus defines them.
pub const NORMAL_NAN_BITS: u64 = 0x7ff8_0000_0000_0001;

/// The stale marker: the last sample of a series that has ended.
pub fn stale_nan() -> f64 {
    f64::from_bits(STALE_NAN_BITS)
}

/// Whether `value` is the stale marker, bit for bit; other NaNs are ordinary values.
pub fn is_stale(value: f64) -> bool {
    value.to_bits() == STALE_NAN_BITS
}
