//! The chunks of Prometheus's store, in which remote read streams samples: XOR chunks of floats, and float histogram chunks.
//!
//! Source of the format: Prometheus's documentation of its chunks (`tsdb/docs/format/chunks.md`). A chunk names its number of
//! samples in two bytes and goes on as a stream of bits. The decoder is that of a client: it reads from outside, and bounds
//! what it takes.

mod bits;
mod float;
mod histogram;
mod xor;

use sonde_model::{Histogram, TimestampMs};

pub use float::decode as decode_floats;
pub use histogram::decode as decode_histograms;

use bits::OutOfBits;

/// Samples of a chunk: what Prometheus aims at.
pub const MAX_SAMPLES: usize = 120;

/// What a chunk holds. The numbers are those of `prometheus.Chunk.Encoding`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Floats.
    Xor = 1,
    /// Native histograms with float counts.
    FloatHistogram = 3,
}

/// An encoded chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The time of its first sample.
    pub min_time: TimestampMs,
    /// The time of its last sample.
    pub max_time: TimestampMs,
    /// What it holds.
    pub encoding: Encoding,
    /// The samples.
    pub data: Vec<u8>,
}

/// The bytes are no chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The chunk ends in the middle of a sample.
    #[error("the chunk is truncated")]
    Truncated,
    /// A size code that does not exist, or more buckets than are read.
    #[error("the chunk is invalid: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl From<OutOfBits> for ChunkError {
    fn from(_: OutOfBits) -> Self {
        ChunkError::Truncated
    }
}

/// The chunks of float samples in order of time.
pub fn encode_floats(timestamps: &[TimestampMs], values: &[f64]) -> Vec<Chunk> {
    let chunk = |(times, values): (&[TimestampMs], &[f64])| Chunk {
        min_time: times[0],
        max_time: times[times.len() - 1],
        encoding: Encoding::Xor,
        data: float::encode(times, values),
    };
    timestamps.chunks(MAX_SAMPLES).zip(values.chunks(MAX_SAMPLES)).map(chunk).collect()
}

/// The chunks of histograms in order of time. A chunk has one layout of buckets, and no counter reset within.
pub fn encode_histograms(timestamps: &[TimestampMs], values: &[Histogram]) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut begin = 0;
    while begin < values.len() {
        let fits = |i: &usize| i - begin < MAX_SAMPLES && histogram::continues(&values[i - 1], &values[*i]);
        let end = (begin + 1..values.len()).find(|i| !fits(i)).unwrap_or(values.len());
        let times = &timestamps[begin..end];
        let follows_reset = begin > 0 && histogram::is_reset(&values[begin - 1], &values[begin]);
        chunks.push(Chunk {
            min_time: times[0],
            max_time: times[times.len() - 1],
            encoding: Encoding::FloatHistogram,
            data: histogram::encode(times, &values[begin..end], follows_reset),
        });
        begin = end;
    }
    chunks
}

#[cfg(test)]
mod tests;
