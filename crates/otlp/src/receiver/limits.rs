//! The bounds of a request.

use std::time::Duration;

/// What a request may be. Beyond any of these it is refused as a whole, before memory is spent on it.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a body as it comes.
    pub max_compressed_bytes: usize,
    /// Bytes of a body after decompression; inflating stops here.
    pub max_body_bytes: usize,
    /// Data points, or spans, of a request.
    pub max_items: u64,
    /// Messages of all kinds in a request: resources, metrics, points, attributes. It bounds what decoding allocates.
    pub max_messages: u64,
    /// How deep messages may lie in each other; the value of an attribute of a point is at depth 7.
    pub max_depth: u32,
    /// How long a body may take to come.
    pub read_timeout: Duration,
    /// Requests that are read or waited for at one time; more get told to come again.
    pub max_concurrent: usize,
    /// Bytes that requests may take in memory at one time: bodies, compressed and decompressed, and what decoding them
    /// will take; beyond it as above.
    pub max_in_flight_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_compressed_bytes: 16 << 20,
            max_body_bytes: 32 << 20,
            max_items: 250_000,
            max_messages: 4_000_000,
            max_depth: 48,
            read_timeout: Duration::from_secs(30),
            max_concurrent: 256,
            max_in_flight_bytes: 256 << 20,
        }
    }
}
