//! Watches expressions for what was never seen before: each series of a result has a detector, whose score is stored as
//! the series `anomaly_score` (1.0 is an alarm). `docs/anomalies.md` is for its users.
//!
//! A watch walks over time at the steps of its interval. The live evaluation is a walk of one step; history at the first
//! start, and what was missed while the process was down, are walks of many: there is one road. What a score is lies in
//! `sonde_detect`.

mod alarms;
mod state;
mod state_file;
mod stats;
mod store;
mod tasks;

#[cfg(test)]
mod tests;

pub use alarms::Alarm;
pub use stats::Stats;
pub use store::AnomalyStore;
pub use tasks::Anomalies;
