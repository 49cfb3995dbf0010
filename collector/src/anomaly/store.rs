//! What watches need of the store beyond what rules need.

use sonde_model::{Series, TimestampMs};
use sonde_promql::{Expr, QueryError};

use crate::rules::RuleStore;

/// Range queries, from a thread that may block.
pub trait AnomalyStore: RuleStore {
    /// The values of an expression at the steps from `start` to `end`, both included, under the limits of the store's
    /// owner. `stopped` is asked regularly whether the answer is still wanted.
    fn query_range(
        &self,
        expr: &Expr,
        start: TimestampMs,
        end: TimestampMs,
        step_ms: i64,
        stopped: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Series>, QueryError>;
}
