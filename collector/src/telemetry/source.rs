//! Registers metrics that are read from the counters of their owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use sonde_runtime::{Metric, Registry};

/// A counter: its name, its help, where it is. For counters of one name: two label values instead.
pub(super) type Counter<S> = (&'static str, &'static str, fn(&S) -> &AtomicU64);
/// A gauge: its name, its help, how it is read.
pub(super) type Gauge<S> = (&'static str, &'static str, fn(&S) -> f64);

/// Registers metrics that are read from one owner.
///
/// The registry does not keep the owner alive: the server owns the registry, and a store that is held has its files
/// locked.
pub(super) struct Source<'a, T> {
    pub(super) registry: &'a Registry,
    pub(super) owner: &'a Arc<T>,
}

impl<T: Send + Sync + 'static> Source<'_, T> {
    pub(super) fn counter(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn(&T) -> f64 + Send + Sync + 'static,
    ) {
        self.register(Metric::counter(name, help), read);
    }

    pub(super) fn gauge(
        &self,
        name: &'static str,
        help: &'static str,
        read: impl Fn(&T) -> f64 + Send + Sync + 'static,
    ) {
        self.register(Metric::gauge(name, help), read);
    }

    pub(super) fn register(&self, metric: Metric, read: impl Fn(&T) -> f64 + Send + Sync + 'static) {
        let owner = Arc::downgrade(self.owner);
        self.registry.register(metric, move || owner.upgrade().map_or(0.0, |owner| read(&owner)));
    }
}

/// The value of a counter.
pub(super) fn load(counter: &AtomicU64) -> f64 {
    counter.load(Relaxed) as f64
}
