//! Prometheus remote write: a snappy block that holds a `prometheus.WriteRequest` (1.0) or an
//! `io.prometheus.write.v2.Request` (2.0).
//!
//! Source of the formats: the Prometheus remote write specifications 1.0 and 2.0, and their protobuf messages. Receivers
//! decode both with [`WriteRequestView`], which borrows from the body; senders and tests build a [`WriteRequest`] or a
//! [`v2::Request`] and [`encode`] it. In 2.0 labels and metadata are references into a table of symbols: what a few
//! references may spell out is bounded like the body itself.

mod encode;
mod exemplar;
mod histogram;
mod labels;
mod message;
mod metadata;
mod series;
mod snappy;
mod symbolise;
mod symbols;
pub mod v2;
mod view;

pub use encode::{put_exemplar, put_histogram, put_labels, put_metadata, put_sample, put_series, read_labels};
pub use exemplar::ExemplarView;
pub use histogram::HistogramView;
pub use message::{
    BucketSpan, Count, Exemplar, Histogram, Label, MetricMetadata, Sample, TimeSeries, WriteRequest, ZeroCount, encode,
};
pub use metadata::{MetadataView, SeriesMetadata};
pub use series::{SampleView, SeriesView};
pub use snappy::{compress, decompress, decompress_into};
pub use symbolise::{Carried, SaidOfMetric, SymbolWriter};
pub use symbols::Symbols;
pub use view::WriteRequestView;

pub use crate::wire::WireError;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Remote write 1.0.
    V1,
    /// Remote write 2.0.
    V2,
}

impl Version {
    /// Both of them.
    pub const ALL: [Version; 2] = [Version::V1, Version::V2];

    /// The name of the message, as the `proto` parameter of a content type has it.
    pub fn message_name(self) -> &'static str {
        match self {
            Version::V1 => "prometheus.WriteRequest",
            Version::V2 => "io.prometheus.write.v2.Request",
        }
    }
}

/// What a request may hold. A request that goes beyond any of these is refused as a whole.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes after decompression. In 2.0 also what all labels, and all metadata, come to when they are spelled out.
    pub max_body_bytes: usize,
    /// Time series in a request.
    pub max_series: usize,
    /// Samples and histograms in a request.
    pub max_samples: usize,
    /// Labels of a series, the metric name included.
    pub max_labels: usize,
    /// Bytes of all labels of a series: names and values, in 1.0 as they are encoded with up to six bytes a label.
    pub max_label_bytes: usize,
    /// Texts in the table of symbols of a 2.0 request.
    pub max_symbols: usize,
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
            max_symbols: 1_000_000,
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
    /// The body is not the message that it should be.
    #[error("the body is not a remote write request")]
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
    /// What a reference stands for is not there.
    #[error("invalid symbols: {reason}")]
    Symbol {
        /// What is wrong with the references.
        reason: &'static str,
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
