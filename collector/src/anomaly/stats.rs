//! What watches count.

use std::sync::atomic::AtomicU64;

/// Counters that only grow; their owner exports them.
#[derive(Debug, Default)]
pub struct Stats {
    /// Evaluations: range queries of one step or many.
    pub evaluations: AtomicU64,
    /// Evaluations that failed; they are tried again with the next step.
    pub evaluation_failures: AtomicU64,
    /// Values that detectors took.
    pub values: AtomicU64,
    /// Values that are no finite floats, histograms included: no detector takes them.
    pub unusable_values: AtomicU64,
    /// Values that scored 1.0 or more.
    pub alarms: AtomicU64,
    /// Times a series was refused in an evaluation because its watch has as many as it may.
    pub refused_full: AtomicU64,
    /// Times a series was refused in an evaluation because another one differs only in its metric name.
    pub refused_ambiguous: AtomicU64,
    /// Steps that were given up because they are longer ago than the history that is walked over.
    pub skipped_steps: AtomicU64,
    /// Scores that were stored.
    pub samples_appended: AtomicU64,
    /// Scores that the store refused.
    pub samples_rejected: AtomicU64,
    /// Batches of scores that could not be appended at all.
    pub append_failures: AtomicU64,
    /// States that were written.
    pub saves: AtomicU64,
    /// States that could not be written; they are tried again.
    pub save_failures: AtomicU64,
    /// States that could not be used at the start: those watches learn anew.
    pub unusable_states: AtomicU64,
}
