//! What a receiver has done, as plain counters that the owner exports.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of one receiver.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests that were accepted.
    pub accepted_requests: AtomicU64,
    /// Data points and spans of accepted requests, the rejected ones apart.
    pub accepted_items: AtomicU64,
    /// Data points and spans that the consumer left out of accepted requests.
    pub rejected_items: AtomicU64,
    /// Bytes of bodies as they came.
    pub received_bytes: AtomicU64,
    /// Requests that are being handled.
    pub in_flight: AtomicU64,
    refused: [AtomicU64; Reason::ALL.len()],
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The content type is not one of OTLP.
    ContentType,
    /// The content encoding is not known.
    ContentEncoding,
    /// The method is not POST, or the path is not one of OTLP.
    NotFound,
    /// The body is larger than allowed, before or after decompression.
    TooLarge,
    /// The body has more points or messages than allowed, or is nested too deep.
    TooMany,
    /// The body cannot be decompressed or decoded.
    Malformed,
    /// The agent-link headers are malformed.
    AgentLink,
    /// The body broke off or did not come in time.
    ReadFailed,
    /// The sender went away before it was answered.
    Abandoned,
    /// Too many requests at one time.
    Concurrency,
    /// The consumer has no room.
    Busy,
    /// The consumer found the request invalid.
    Invalid,
    /// The consumer knows the number of the batch with other content.
    Conflict,
    /// The consumer cannot store now.
    Unavailable,
    /// The consumer does not take this signal.
    Unsupported,
}

impl Reason {
    /// All reasons.
    pub const ALL: [Reason; 15] = [
        Reason::ContentType,
        Reason::ContentEncoding,
        Reason::NotFound,
        Reason::TooLarge,
        Reason::TooMany,
        Reason::Malformed,
        Reason::AgentLink,
        Reason::ReadFailed,
        Reason::Abandoned,
        Reason::Concurrency,
        Reason::Busy,
        Reason::Invalid,
        Reason::Conflict,
        Reason::Unavailable,
        Reason::Unsupported,
    ];

    /// The reason as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::ContentType => "content_type",
            Reason::ContentEncoding => "content_encoding",
            Reason::NotFound => "not_found",
            Reason::TooLarge => "too_large",
            Reason::TooMany => "too_many",
            Reason::Malformed => "malformed",
            Reason::AgentLink => "agent_link",
            Reason::ReadFailed => "read_failed",
            Reason::Abandoned => "abandoned",
            Reason::Concurrency => "concurrency",
            Reason::Busy => "busy",
            Reason::Invalid => "invalid",
            Reason::Conflict => "conflict",
            Reason::Unavailable => "unavailable",
            Reason::Unsupported => "unsupported",
        }
    }
}

impl Stats {
    /// How many requests were refused for `reason`.
    pub fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason as usize].load(Relaxed)
    }

    pub(crate) fn count_refused(&self, reason: Reason) {
        self.refused[reason as usize].fetch_add(1, Relaxed);
    }
}
