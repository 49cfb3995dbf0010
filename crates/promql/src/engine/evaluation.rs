//! One query in evaluation: the dispatch over the kinds of expressions and what all of them share.

use std::sync::Arc;

use sonde_model::TimestampMs;

use crate::aggregate::{Aggregation, takes_one_by_one};
use crate::annotations::Annotations;
use crate::ast::{Aggregate, Binary, Expr, ExprKind, QueryGrid, Span, UnaryOp, ValueType};
use crate::binary;
use crate::column::{Evaluated, StepSeries, Steps};
use crate::error::{Control, QueryError};
use crate::functions::Function;
use crate::queryable::Queryable;
use crate::value::{QueryResult, QueryStats, Value};
use crate::weight::Weight;

use super::budget::Budget;
use super::grid::{Grid, GridAnswer};
use super::invariant::is_step_invariant;
use super::pipeline::Plan;
use super::shared::Shared;
use super::threads::Helpers;
use super::timing::QueryTimes;
use super::{EngineOptions, NodeWork, Observer};

/// A query in evaluation.
pub(crate) struct Evaluation<'a> {
    pub(super) source: &'a dyn Queryable,
    pub(super) control: &'a Control<'a>,
    pub(super) options: &'a EngineOptions,
    pub(super) helpers: &'a Helpers,
    pub(super) times: QueryTimes,
    pub(super) annotations: Annotations,
    pub(super) budget: Budget,
    pub(super) stats: QueryStats,
    pub(super) histogram_use: HistogramUse,
    pub(super) observer: Option<&'a dyn Observer>,
    pub(super) shared: Shared,
}

/// What functions around a selector do with its histograms.
///
/// Below `histogram_count` and its like Prometheus reads histograms without their buckets and finds counter resets while
/// it reads, so that hints are known that are not elsewhere; warnings about contradicting hints depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HistogramUse {
    /// Only count and sum are used.
    pub(super) totals: bool,
    /// The buckets are used, or a subquery picks samples.
    pub(super) buckets: bool,
}

impl HistogramUse {
    /// Whether counter resets are found while samples are read.
    pub(super) fn finds_resets(self) -> bool {
        self.totals && !self.buckets
    }
}

impl<'a> Evaluation<'a> {
    pub(super) fn new(
        source: &'a dyn Queryable,
        control: &'a Control<'a>,
        (options, helpers): (&'a EngineOptions, &'a Helpers),
        start: TimestampMs,
        end: TimestampMs,
        grid: QueryGrid,
        budget: Budget,
    ) -> Self {
        let times = QueryTimes { start, end, grid };
        let annotations = Annotations::default();
        let (stats, histogram_use, shared) = (QueryStats::default(), HistogramUse::default(), Shared::default());
        Evaluation {
            source,
            control,
            options,
            helpers,
            times,
            annotations,
            budget,
            stats,
            histogram_use,
            observer: None,
            shared,
        }
    }

    /// The value with all that was noticed on the way.
    pub(super) fn finish(self, value: Value) -> QueryResult {
        let stats = QueryStats { peak_samples: self.budget.peak() as u64, ..self.stats };
        QueryResult { value, annotations: self.annotations, stats }
    }

    /// The value of an expression at all steps. Expressions of range vectors have none: see
    /// [`Evaluation::range_vector`].
    pub(super) fn evaluate(&mut self, expr: &Expr, steps: Steps) -> Result<Evaluated, QueryError> {
        self.control.check()?;
        let held = self.budget.held();
        if steps.count > self.budget.samples_left() && expr.value_type() == ValueType::Scalar {
            return Err(QueryError::TooManySamples { limit: self.options.max_samples });
        }
        let is_literal = matches!(expr.kind, ExprKind::Number(_) | ExprKind::String(_));
        let seen = if is_literal { None } else { self.enter(expr) };
        let value = if steps.count > 1 && !is_literal && is_step_invariant(expr) {
            let once = self.evaluate_node(expr, Steps { count: 1, ..steps })?;
            let weight = once.weight().times(steps.count);
            self.budget.acquire(weight)?;
            repeated(once, steps.count)
        } else {
            self.evaluate_shared(expr, steps)?
        };
        // What the operands held is free again.
        self.budget.settle(held, value.weight())?;
        if let Some(before) = seen {
            let series = if let Evaluated::Vector(series) = &value { series.len() } else { 1 };
            self.leave(expr, before, series, value.weight().samples);
        }
        Ok(value)
    }

    /// Tells who watches that a node begins; what was read until now, where somebody does.
    pub(super) fn enter(&self, expr: &Expr) -> Option<QueryStats> {
        let observer = self.observer?;
        observer.enter(expr);
        Some(self.stats)
    }

    /// Tells who watches what became of a node.
    pub(super) fn leave(&self, expr: &Expr, before: QueryStats, series: usize, samples: usize) {
        let Some(observer) = self.observer else { return };
        let work = NodeWork {
            series: series as u64,
            samples: samples as u64,
            series_read: self.stats.series - before.series,
            samples_read: self.stats.samples - before.samples,
        };
        observer.leave(expr, work);
    }

    /// The series of an expression that the parser knows to be an instant vector.
    pub(super) fn vector(&mut self, expr: &Expr, steps: Steps) -> Result<Vec<StepSeries>, QueryError> {
        match self.evaluate(expr, steps)? {
            Evaluated::Vector(series) => Ok(series),
            _ => Err(QueryError::execution("an instant vector was expected")),
        }
    }

    /// The values of an expression that the parser knows to be a scalar.
    pub(super) fn scalar(&mut self, expr: &Expr, steps: Steps) -> Result<Vec<f64>, QueryError> {
        match self.evaluate(expr, steps)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => Err(QueryError::execution("a scalar was expected")),
        }
    }

    pub(super) fn evaluate_node(&mut self, expr: &Expr, steps: Steps) -> Result<Evaluated, QueryError> {
        match &expr.kind {
            ExprKind::Number(number) => Ok(Evaluated::Scalar(vec![number.value; steps.count])),
            ExprKind::String(string) => Ok(Evaluated::String(string.text.clone())),
            ExprKind::Paren(inner) => self.evaluate(inner, steps),
            ExprKind::Vector(selector) => Ok(Evaluated::Vector(self.selector_values(selector, expr.span, steps)?)),
            ExprKind::Unary(unary) => {
                let operand = self.evaluate(&unary.operand, steps)?;
                Ok(if unary.op == UnaryOp::Minus { negated(operand) } else { operand })
            }
            ExprKind::Binary(operation) => self.binary(operation, expr, steps),
            ExprKind::Aggregate(aggregate) => Ok(Evaluated::Vector(self.aggregate(aggregate, expr.span, steps)?)),
            ExprKind::Call(call) => self.call(call, expr.span, steps),
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => {
                Err(QueryError::execution("a range vector is only allowed as the argument of a function"))
            }
        }
    }

    fn aggregate(&mut self, node: &Aggregate, span: Span, steps: Steps) -> Result<Vec<StepSeries>, QueryError> {
        let param = match &node.param {
            Some(param) => Some(self.evaluate(param, steps)?),
            None => None,
        };
        let aggregation = Aggregation::new(node, span, param, steps, self.control);
        if takes_one_by_one(node.op)
            && let Some(series) = self.aggregate_one_by_one(&node.operand, &aggregation, steps)?
        {
            return Ok(series);
        }
        let series = self.vector(&node.operand, steps)?;
        if !series.is_empty() && steps.count > self.budget.samples_left() {
            return Err(QueryError::TooManySamples { limit: self.options.max_samples });
        }
        let budget = &mut self.budget;
        aggregation.evaluate(series, &mut self.annotations, &mut |held| budget.acquire(Weight::floats(held)))
    }

    /// An aggregation whose operand is computed series by series; `None` where it is not. A function of its own, because what it
    /// needs of the stack is not needed at each level of a deep expression.
    fn aggregate_one_by_one(
        &mut self,
        operand: &Expr,
        aggregation: &Aggregation<'_>,
        steps: Steps,
    ) -> Result<Option<Vec<StepSeries>>, QueryError> {
        let Some(plan) = self.plan(operand, steps)? else { return Ok(None) };
        let answer = self.source.eval_grid(&Grid {
            plan: &plan,
            aggregation,
            control: self.control,
            finds_resets: self.histogram_use.finds_resets(),
            limit: self.budget.limit(),
            left: self.budget.left(),
        });
        if let Some(answer) = answer {
            let GridAnswer { series, annotations, stats, held } = answer?;
            self.budget.acquire(Weight::floats(held))?;
            self.annotations.merge(annotations);
            self.stats.series += stats.series;
            self.stats.samples += stats.samples;
            return Ok(Some(series));
        }
        let pipeline = self.open(plan)?;
        let mut groups = aggregation.groups(&mut self.annotations);
        self.run(&pipeline, |series, budget, annotations| {
            let held = groups.add(&series, annotations);
            if held > 0 { budget.acquire(Weight::floats(held)) } else { Ok(()) }
        })?;
        Ok(Some(groups.finish(&mut self.annotations)))
    }

    /// The expression as something that is computed series by series, where it is that.
    fn plan(&mut self, expr: &Expr, steps: Steps) -> Result<Option<Plan>, QueryError> {
        // Who watches is told of every node.
        if self.observer.is_some() || (steps.count > 1 && is_step_invariant(expr)) {
            return Ok(None);
        }
        let expr = expr.unparenthesised();
        if self.shared.has(expr) {
            return Ok(None);
        }
        match &expr.kind {
            ExprKind::Vector(selector) => Ok(Some(self.instant_selector(selector, expr.span, steps)?)),
            ExprKind::Call(call) if call.function != Function::AbsentOverTime => {
                let is_matrix = |arg: &Expr| matches!(arg.unparenthesised().kind, ExprKind::Matrix(_));
                match call.args.iter().position(is_matrix) {
                    Some(range_arg) => Ok(Some(self.range_plan(call, range_arg, steps)?)),
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        }
    }

    fn binary(&mut self, operation: &Binary, expr: &Expr, steps: Steps) -> Result<Evaluated, QueryError> {
        let around = std::mem::take(&mut self.histogram_use);
        let left = self.evaluate(&operation.lhs, steps)?;
        let right = self.evaluate(&operation.rhs, steps)?;
        self.histogram_use = around;
        binary::evaluate(operation, expr.span, left, right, steps, self.control, &mut self.annotations)
    }
}

/// A value of one step at `count` steps.
fn repeated(value: Evaluated, count: usize) -> Evaluated {
    let all_steps = || (0..count as u32).collect::<Vec<u32>>();
    match value {
        Evaluated::Scalar(values) => Evaluated::Scalar(vec![values.first().copied().unwrap_or(f64::NAN); count]),
        Evaluated::String(text) => Evaluated::String(text),
        Evaluated::Vector(mut series) => {
            for one in &mut series {
                if let Some(value) = one.floats.values.first().copied() {
                    one.floats.values = vec![value; count];
                    one.floats.steps = all_steps();
                } else if let Some(value) = one.histograms.values.first().map(Arc::clone) {
                    one.histograms.values = vec![value; count];
                    one.histograms.steps = all_steps();
                }
            }
            Evaluated::Vector(series)
        }
    }
}

fn negated(value: Evaluated) -> Evaluated {
    match value {
        Evaluated::Scalar(values) => Evaluated::Scalar(values.into_iter().map(|v| -v).collect()),
        Evaluated::String(text) => Evaluated::String(text),
        Evaluated::Vector(mut series) => {
            for one in &mut series {
                one.drop_name = true;
                one.floats.values.iter_mut().for_each(|v| *v = -*v);
                one.histograms.values.iter_mut().for_each(|h| Arc::make_mut(h).mul(-1.0));
            }
            Evaluated::Vector(series)
        }
    }
}
