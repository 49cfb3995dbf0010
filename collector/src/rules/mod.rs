//! Evaluates rule groups on time.
//!
//! A group is evaluated at its slots: multiples of its interval, shifted by a hash of its name so that groups spread.
//! What is decided lies in `sonde_alerting`; here are the clock, the threads, the store and the way to the receivers.

mod files;
mod journal;
mod misses;
mod schedule;
mod sight;
mod snapshot;
mod stats;
mod store;
mod tasks;

#[cfg(test)]
pub(crate) mod tests;

pub use files::{BUILTIN, RuleFilesError, read_files};
pub use snapshot::{GroupSnapshot, RuleSnapshot};
pub use stats::Stats;
pub use store::{Appended, RuleStore};
pub use tasks::{Rules, Settings};
