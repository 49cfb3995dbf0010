//! Prometheus remote write 1.0: a snappy block that holds a `prometheus.WriteRequest`.
//!
//! Source of the format: the Prometheus remote write 1.0 specification and `prompb/types.proto`. Receivers decode with
//! [`WriteRequestView`], which borrows from the body; senders and tests build a [`WriteRequest`] and [`encode`] it.

mod histogram;
mod message;
mod series;
mod snappy;
mod view;

pub use histogram::HistogramView;
pub use message::{
    BucketSpan, Count, Exemplar, Histogram, Label, MetricMetadata, Sample, TimeSeries, WriteRequest, ZeroCount, encode,
};
pub use series::{ExemplarView, SampleView, SeriesView};
pub use snappy::{compress, decompress};
pub use view::{MetadataView, WriteRequestView};

pub use crate::wire::WireError;

/// What a request may hold. A request that goes beyond any of these is refused as a whole.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes after decompression.
    pub max_body_bytes: usize,
    /// Time series in a request.
    pub max_series: usize,
    /// Samples and histograms in a request.
    pub max_samples: usize,
    /// Labels of a series, the metric name included.
    pub max_labels: usize,
    /// Bytes of all labels of a series as they are encoded: names, values and up to six bytes a label.
    pub max_label_bytes: usize,
    /// Buckets and spans of one histogram, both signs together.
    pub max_histogram_buckets: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_body_bytes: 32 << 20,
            max_series: 100_000,
            max_samples: 1_000_000,
            max_labels: 128,
            max_label_bytes: 64 << 10,
            max_histogram_buckets: 1 << 14,
        }
    }
}

/// A request could not be decoded. Nothing of it should be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is not a snappy block.
    #[error("the body is not a snappy block: {reason}")]
    Snappy {
        /// What the decompressor says.
        reason: String,
    },
    /// The body is not a `prometheus.WriteRequest`.
    #[error("the body is not a remote write 1.0 request")]
    Wire(#[from] WireError),
    /// The request is larger than is allowed.
    #[error("the request has {found} {what}, the limit is {limit}: send smaller requests or raise the limit")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there is; where counting stopped at the limit, the first number beyond it.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// A histogram contradicts itself.
    #[error("invalid histogram: {reason}")]
    Histogram {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl DecodeError {
    fn check(what: &'static str, found: usize, limit: usize) -> Result<(), DecodeError> {
        if found > limit { Err(DecodeError::Limit { what, found, limit }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
