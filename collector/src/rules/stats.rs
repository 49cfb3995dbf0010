//! What the rule tasks count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters that only grow; their owner exports them.
#[derive(Debug, Default)]
pub struct Stats {
    evaluations: AtomicU64,
    evaluation_failures: AtomicU64,
    evaluation_nanos: AtomicU64,
    iterations: AtomicU64,
    iterations_missed: AtomicU64,
    iterations_missed_down: AtomicU64,
    commit_failures: AtomicU64,
    samples_appended: AtomicU64,
    samples_rejected: AtomicU64,
    append_failures: AtomicU64,
}

impl Stats {
    /// Evaluations of single rules.
    pub fn evaluations(&self) -> u64 {
        self.evaluations.load(Ordering::Relaxed)
    }

    /// Evaluations of single rules that failed.
    pub fn evaluation_failures(&self) -> u64 {
        self.evaluation_failures.load(Ordering::Relaxed)
    }

    /// The time that evaluations took, in seconds.
    pub fn evaluation_seconds(&self) -> f64 {
        self.evaluation_nanos.load(Ordering::Relaxed) as f64 / 1e9
    }

    /// Evaluations of whole groups.
    pub fn iterations(&self) -> u64 {
        self.iterations.load(Ordering::Relaxed)
    }

    /// Slots of groups that passed without an evaluation, because the one before took too long or the clock jumped.
    pub fn iterations_missed(&self) -> u64 {
        self.iterations_missed.load(Ordering::Relaxed)
    }

    /// Slots of groups that passed while the process was not there.
    pub fn iterations_missed_down(&self) -> u64 {
        self.iterations_missed_down.load(Ordering::Relaxed)
    }

    /// Evaluations of groups whose alerts could not be written to the state database.
    pub fn commit_failures(&self) -> u64 {
        self.commit_failures.load(Ordering::Relaxed)
    }

    /// Samples of rules that were stored.
    pub fn samples_appended(&self) -> u64 {
        self.samples_appended.load(Ordering::Relaxed)
    }

    /// Samples of rules that the store refused.
    pub fn samples_rejected(&self) -> u64 {
        self.samples_rejected.load(Ordering::Relaxed)
    }

    /// Outputs of rules that could not be appended at all.
    pub fn append_failures(&self) -> u64 {
        self.append_failures.load(Ordering::Relaxed)
    }

    pub(super) fn evaluated(&self, failed: bool, took: Duration) {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        self.evaluation_failures.fetch_add(u64::from(failed), Ordering::Relaxed);
        self.evaluation_nanos.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn iterated(&self) {
        self.iterations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn missed(&self, slots: u64) {
        self.iterations_missed.fetch_add(slots, Ordering::Relaxed);
    }

    pub(super) fn missed_down(&self, slots: u64) {
        self.iterations_missed_down.fetch_add(slots, Ordering::Relaxed);
    }

    pub(super) fn commit_failed(&self) {
        self.commit_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn appended(&self, accepted: u64, rejected: u64) {
        self.samples_appended.fetch_add(accepted, Ordering::Relaxed);
        self.samples_rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    pub(super) fn append_failed(&self) {
        self.append_failures.fetch_add(1, Ordering::Relaxed);
    }
}
