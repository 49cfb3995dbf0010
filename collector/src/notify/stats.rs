//! What the senders of notifications count, by receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counters of one receiver.
#[derive(Debug, Default)]
pub struct ReceiverStats {
    pub(super) name: String,
    pub(super) delivered: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) retries: AtomicU64,
    pub(super) dropped_alerts: AtomicU64,
    pub(super) alerts: AtomicU64,
}

/// The counters of all receivers that have been there since the start.
pub type Stats = Vec<Arc<ReceiverStats>>;

impl ReceiverStats {
    /// The name of the receiver.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Notifications that the receiver has taken.
    pub fn delivered(&self) -> u64 {
        self.delivered.load(Ordering::Relaxed)
    }

    /// Notifications that were given up after their last attempt, or that the receiver refused.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Attempts after the first of a notification.
    pub fn retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    /// Alerts that were dropped because the receiver had too many.
    pub fn dropped_alerts(&self) -> u64 {
        self.dropped_alerts.load(Ordering::Relaxed)
    }

    /// Alerts that are kept for the receiver now.
    pub fn alerts(&self) -> u64 {
        self.alerts.load(Ordering::Relaxed)
    }
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
