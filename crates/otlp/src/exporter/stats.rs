//! What an exporter has done, as plain counters that the owner exports.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::consumer::{Accepted, Export};

/// The counters of an exporter.
#[derive(Debug, Default)]
pub struct Stats {
    /// Requests that were taken.
    pub sent_requests: AtomicU64,
    /// Data points and spans that were taken.
    pub sent_items: AtomicU64,
    /// Bytes of the requests that were taken, before compression.
    pub sent_bytes: AtomicU64,
    /// Data points and spans that the receiver left out of requests that it took.
    pub rejected_items: AtomicU64,
    failures: [AtomicU64; FailureKind::ALL.len()],
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The receiver cannot be reached, or says that it is not available. Retried.
    Unreachable,
    /// One end does not accept what the other shows: a certificate is missing, over or of an unknown authority. Retried.
    Tls,
    /// No answer in time. Retried.
    Timeout,
    /// The receiver has no room. Retried.
    Busy,
    /// The receiver does not know us. Retried.
    Unauthorized,
    /// The receiver had another trouble that may pass. Retried.
    Server,
    /// The receiver has other content under the number of the batch. Not retried.
    Conflict,
    /// The receiver will never take this request. Not retried.
    Refused,
}

impl FailureKind {
    /// All kinds.
    pub const ALL: [FailureKind; 8] = [
        FailureKind::Unreachable,
        FailureKind::Tls,
        FailureKind::Timeout,
        FailureKind::Busy,
        FailureKind::Unauthorized,
        FailureKind::Server,
        FailureKind::Conflict,
        FailureKind::Refused,
    ];

    /// The kind as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            FailureKind::Unreachable => "unreachable",
            FailureKind::Tls => "tls",
            FailureKind::Timeout => "timeout",
            FailureKind::Busy => "busy",
            FailureKind::Unauthorized => "unauthorized",
            FailureKind::Server => "server",
            FailureKind::Conflict => "conflict",
            FailureKind::Refused => "refused",
        }
    }
}

impl Stats {
    /// How many attempts failed for this reason.
    pub fn failures(&self, kind: FailureKind) -> u64 {
        self.failures[kind as usize].load(Relaxed)
    }

    pub(super) fn count(&self, export: &Export, result: Result<&Accepted, FailureKind>) {
        match result {
            Ok(accepted) => {
                self.sent_requests.fetch_add(1, Relaxed);
                self.sent_items.fetch_add(export.items.saturating_sub(accepted.rejected), Relaxed);
                self.sent_bytes.fetch_add(export.body.len() as u64, Relaxed);
                self.rejected_items.fetch_add(accepted.rejected, Relaxed);
            }
            Err(kind) => {
                self.failures[kind as usize].fetch_add(1, Relaxed);
            }
        }
    }
}
