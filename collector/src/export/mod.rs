//! Remote write out: what the metrics store has committed, sent on to Prometheus and its relatives.
//!
//! Each target reads the log of the store at its own pace, from a position that is on the disk, and holds the log until the
//! receiver has what is in it. What is in memory of it is one round of requests. See decisions 130 and 131.

mod attempt;
mod body;
mod exporters;
mod position;
mod round;
mod send;
mod setup;
mod stats;
mod target;

pub(crate) use exporters::{hold, run};
pub(crate) use setup::Target;
pub(crate) use stats::{ExportStats, TargetStats};

#[cfg(test)]
mod tests;
