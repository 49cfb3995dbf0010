//! The engine: evaluates an expression at one time or at the steps of a range.
//!
//! It evaluates node by node and, within a node, series by series over columns: a selector reads once for all steps, a
//! range function slides its window over the samples of a series, operators and aggregations work on step columns.

mod budget;
mod call;
mod evaluation;
mod grid;
mod info;
mod invariant;
mod locality;
mod lookback;
mod observe;
mod output;
mod pipeline;
mod selection;
mod shared;
mod slices;
mod subquery;
#[cfg(test)]
mod tests;
mod thinned;
mod threads;
mod timing;

use std::sync::Arc;

use sonde_model::TimestampMs;

use crate::ast::{Expr, QueryGrid, ValueType};
use crate::column::Steps;
use crate::error::{Control, QueryError};
use crate::queryable::Queryable;
use crate::value::QueryResult;
use crate::weight::Weight;

pub use budget::SamplePool;
pub use grid::{Grid, GridAnswer, GridGroups};
pub use locality::is_step_local;
pub use observe::{NodeWork, Observer};
pub(crate) use output::{duplicate_labels, merge_equal_labels, without_metadata};
pub use thinned::needs_all_samples;
pub use threads::Helpers;
pub(crate) use timing::Timing;

use budget::Budget;
use evaluation::Evaluation;

/// What holds for all queries of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// How far an instant selector looks back for a sample, in milliseconds.
    pub lookback_ms: i64,
    /// The most samples that one query may hold at one time, intermediate results included.
    pub max_samples: usize,
    /// The most bytes of memory that one query may take at one time, about: samples, labels and intermediate results.
    pub max_bytes: usize,
    /// The most series that one selector may match.
    pub max_series: usize,
    /// The most steps of a range query and of a subquery.
    pub max_steps: usize,
    /// The step of a subquery that names none, in milliseconds.
    pub default_subquery_step_ms: i64,
    /// Whether `rate` and `increase` look at the label `__type__`, not at the name, to tell a counter.
    pub type_and_unit_labels: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            lookback_ms: 300_000,
            max_samples: 50_000_000,
            max_bytes: 2 << 30,
            max_series: usize::MAX,
            max_steps: 10_000_000,
            default_subquery_step_ms: 60_000,
            type_and_unit_labels: false,
        }
    }
}

/// Evaluates expressions. It keeps nothing from query to query: one serves any number of queries at once.
#[derive(Clone, Debug)]
pub struct Engine {
    options: EngineOptions,
    helpers: Arc<Helpers>,
    pool: Arc<SamplePool>,
    observer: Option<Arc<dyn Observer>>,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        let (helpers, pool) = (Arc::new(Helpers::new(0)), Arc::new(SamplePool::new(usize::MAX)));
        Engine { options, helpers, pool, observer: None }
    }

    /// The same engine, whose evaluations are watched. It evaluates node by node, also where it could do several at a time.
    pub fn observed(self, observer: Arc<dyn Observer>) -> Self {
        Engine { observer: Some(observer), ..self }
    }

    /// The same with threads that help it; other engines may share them.
    pub fn with_helpers(self, helpers: Arc<Helpers>) -> Self {
        Engine { helpers, ..self }
    }

    /// The same with samples that it shares with other engines.
    pub fn with_pool(self, pool: Arc<SamplePool>) -> Self {
        Engine { pool, ..self }
    }

    /// What holds for all queries of this engine.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The value of `expr` at `time`.
    pub fn instant(
        &self,
        source: &dyn Queryable,
        expr: &Expr,
        time: TimestampMs,
        control: &Control<'_>,
    ) -> Result<QueryResult, QueryError> {
        let mut evaluation = self.evaluation(source, control, (time, time), QueryGrid::default());
        let value = match expr.value_type() {
            ValueType::Matrix => output::samples(evaluation.range_vector(expr, Steps::at(time))?)?,
            _ => output::instant(evaluation.evaluate_in_slices(expr, Steps::at(time))?, time)?,
        };
        Ok(evaluation.finish(value))
    }

    /// The values of `expr` at `start`, `start + step` and so on up to `end`; `step` is in milliseconds and positive.
    pub fn range(
        &self,
        source: &dyn Queryable,
        expr: &Expr,
        start: TimestampMs,
        end: TimestampMs,
        step: i64,
        control: &Control<'_>,
    ) -> Result<QueryResult, QueryError> {
        let kind = expr.value_type();
        if !matches!(kind, ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::execution(format!(
                "invalid expression type \"{}\" for range query, must be Scalar or instant Vector",
                kind.documented()
            )));
        }
        if step <= 0 {
            return Err(QueryError::execution("the step of a range query must be positive"));
        }
        let steps = self.steps(start, end, step)?;
        let grid = QueryGrid { step_ms: step, range_ms: end.saturating_sub(start) };
        let mut evaluation = self.evaluation(source, control, (start, end), grid);
        let value = output::range(evaluation.evaluate_in_slices(expr, steps)?, steps)?;
        Ok(evaluation.finish(value))
    }

    fn evaluation<'a>(
        &'a self,
        source: &'a dyn Queryable,
        control: &'a Control<'a>,
        (start, end): (TimestampMs, TimestampMs),
        grid: QueryGrid,
    ) -> Evaluation<'a> {
        let most = Weight { samples: self.options.max_samples, bytes: self.options.max_bytes };
        let budget = Budget::new(most, Arc::clone(&self.pool));
        let owned = (&self.options, &*self.helpers);
        let evaluation = Evaluation::new(source, control, owned, start, end, grid, budget);
        Evaluation { observer: self.observer.as_deref(), ..evaluation }
    }

    fn steps(&self, start: TimestampMs, end: TimestampMs, step: i64) -> Result<Steps, QueryError> {
        timing::steps_between(start, end, step, self.options.max_steps)
    }
}
