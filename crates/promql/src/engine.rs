//! The engine: evaluates an expression at one time or at the steps of a range.

use sonde_model::TimestampMs;

use crate::ast::Expr;
use crate::error::{Control, QueryError};
use crate::queryable::Queryable;
use crate::value::QueryResult;

/// What holds for all queries of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How far an instant selector looks back for a sample, in milliseconds.
    pub lookback_ms: i64,
    /// The most samples that one query may hold at one time, intermediate results included.
    pub max_samples: usize,
    /// The most series that one selector may match.
    pub max_series: usize,
    /// The most steps of a range query and of a subquery.
    pub max_steps: usize,
    /// The step of a subquery that names none, in milliseconds.
    pub default_subquery_step_ms: i64,
    /// Whether the labels `__type__` and `__unit__` are dropped and looked at as `__name__` is.
    pub type_and_unit_labels: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            max_series: usize::MAX,
            max_steps: 10_000_000,
            default_subquery_step_ms: 60_000,
            type_and_unit_labels: false,
        }
    }
}

/// Evaluates expressions. It has no state but its options: one serves any number of queries at once.
#[derive(Clone, Debug)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Engine { options }
    }

    /// What holds for all queries of this engine.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The value of `expr` at `time`.
    pub fn instant(
        &self,
        _source: &dyn Queryable,
        _expr: &Expr,
        _time: TimestampMs,
        _control: &Control<'_>,
    ) -> Result<QueryResult, QueryError> {
        Err(QueryError::NotImplemented("the evaluation of an instant query".to_owned()))
    }

    /// The values of `expr` at `start`, `start + step` and so on up to `end`; `step` is in milliseconds and positive.
    pub fn range(
        &self,
        _source: &dyn Queryable,
        _expr: &Expr,
        _start: TimestampMs,
        _end: TimestampMs,
        _step: i64,
        _control: &Control<'_>,
    ) -> Result<QueryResult, QueryError> {
        Err(QueryError::NotImplemented("the evaluation of a range query".to_owned()))
    }
}
