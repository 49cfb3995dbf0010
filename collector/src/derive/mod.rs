//! Metrics that are derived from spans: rates, errors and durations, and who calls whom.
//!
//! What is counted comes from batches that the span store has committed, in their order, and enters the metrics store
//! together with the number of the batch: neither lost nor doubled, whenever the process dies. See decision 43.

mod deriver;
mod journal;
mod latency;
mod row;
mod service_graph;
mod span_metrics;
mod stats;
mod task;

pub(crate) use stats::DeriveStats;
pub(crate) use task::run;
