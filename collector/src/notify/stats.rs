//! What the senders of notifications count, by receiver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sonde_runtime::{Metric, Registry};

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

impl ReceiverStats {
    pub(super) fn register(self: &Arc<Self>, registry: &Registry) {
        let metric = |metric: Metric, read: fn(&ReceiverStats) -> u64| {
            let stats = Arc::clone(self);
            registry.register(metric.label("receiver", self.name.clone()), move || read(&stats) as f64);
        };
        let counter = |name: &'static str, help: &'static str| Metric::counter(name, help);
        metric(
            counter("sonde_notifications_delivered_total", "Notifications that a receiver has taken."),
            Self::delivered,
        );
        metric(
            counter("sonde_notifications_failed_total", "Notifications given up, or refused by their receiver."),
            Self::failed,
        );
        metric(counter("sonde_notification_retries_total", "Attempts after the first one."), Self::retries);
        metric(
            counter("sonde_notification_alerts_dropped_total", "Alerts dropped because a receiver had too many."),
            Self::dropped_alerts,
        );
        let help = "Alerts that are kept for a receiver: they fire, or their end is not delivered yet.";
        metric(Metric::gauge("sonde_notification_alerts", help), Self::alerts);
    }
}

pub(super) fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
