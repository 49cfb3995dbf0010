//! What the rule tasks need of the store.

use sonde_alerting::OutputSample;
use sonde_model::TimestampMs;
use sonde_promql::{Expr, QueryError, QueryResult};

/// Queries and appends, both from a thread that may block.
pub trait RuleStore: Send + Sync + 'static {
    /// The value of an expression at a time, under the limits of the store's owner.
    fn query(&self, expr: &Expr, at: TimestampMs) -> Result<QueryResult, QueryError>;

    /// Appends the output of a rule and returns once it is durable and can be read: the next rule of the group builds on it.
    ///
    /// Of two values of a series at one timestamp the last wins, so that an evaluation can be repeated.
    fn append(&self, samples: Vec<OutputSample>) -> Result<Appended, String>;
}

/// What became of appended samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Appended {
    /// Samples that are stored.
    pub accepted: u64,
    /// Samples that were refused: too old, too far ahead, invalid.
    pub rejected: u64,
}
