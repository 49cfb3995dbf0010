//! What the derivation counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct DeriveStats {
    /// Batches that are durable in the metrics store.
    pub(crate) batches: AtomicU64,
    /// Spans that were read.
    pub(crate) spans: AtomicU64,
    /// Attempts that failed and are made again.
    pub(crate) failures: AtomicU64,
    /// Batches of spans that could not be read.
    pub(crate) unreadable: AtomicU64,
    /// Spans left out of the metrics of spans because there are too many label sets.
    pub(crate) too_many_label_sets: AtomicU64,
    /// Counters that the metrics store refused.
    pub(crate) refused: AtomicU64,
    /// Requests of the service graph that were counted.
    pub(crate) requests: AtomicU64,
    /// Requests whose other side never came.
    pub(crate) expired: AtomicU64,
    /// Spans left out of the service graph because too many requests wait.
    pub(crate) too_many_open: AtomicU64,
    /// Requests left out of the service graph because there are too many pairs.
    pub(crate) too_many_pairs: AtomicU64,
    /// Requests that wait for their other side; a state, no counter.
    pub(crate) open: AtomicU64,
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Relaxed);
}
