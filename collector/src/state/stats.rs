//! What the state database counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters that only grow; their owner exports them.
#[derive(Debug, Default)]
pub struct Stats {
    commits: AtomicU64,
    commit_failures: AtomicU64,
    busy: AtomicU64,
}

impl Stats {
    /// Transactions that were committed.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Transactions that failed: what they held is in the memory of the process only.
    pub fn commit_failures(&self) -> u64 {
        self.commit_failures.load(Ordering::Relaxed)
    }

    /// Bundles of changes that were turned away because too many waited.
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    pub(super) fn committed(&self, ok: bool) {
        if ok { &self.commits } else { &self.commit_failures }.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn turned_away(&self) {
        self.busy.fetch_add(1, Ordering::Relaxed);
    }
}
