//! Range queries that would hold too much at one time are evaluated in slices of their steps.
//!
//! A step does not depend on its neighbours, so that the slices give what the whole would.

use std::collections::HashMap;

use sonde_model::Labels;

use crate::ast::Expr;
use crate::column::{Evaluated, Points, StepSeries, Steps};
use crate::error::QueryError;
use crate::weight::Weight;

use super::evaluation::{Evaluation, HistogramUse};
use super::shared::Shared;

/// How often a range is halved. A query that does not fit into a 16th of its steps is too big.
const MAX_HALVINGS: u32 = 4;

impl Evaluation<'_> {
    /// The value of an expression at all steps; in halves, and halves of these, where it holds too many samples.
    pub(super) fn evaluate_in_slices(&mut self, expr: &Expr, steps: Steps) -> Result<Evaluated, QueryError> {
        // Who watches is told of every node.
        if self.observer.is_none() {
            self.shared = Shared::of(expr);
        }
        self.evaluate_slice(expr, steps, MAX_HALVINGS)
    }

    fn evaluate_slice(&mut self, expr: &Expr, steps: Steps, halvings: u32) -> Result<Evaluated, QueryError> {
        let (held, stats) = (self.budget.held(), self.stats);
        match self.evaluate(expr, steps) {
            Err(QueryError::TooManySamples { .. } | QueryError::TooManyBytes { .. })
                if halvings > 0 && steps.count > 1 => {}
            result => return result,
        }
        self.forget_shared();
        self.budget.settle(held, Weight::default())?;
        self.stats = stats;
        self.histogram_use = HistogramUse::default();
        let half = steps.count / 2;
        let first = Steps { count: half, ..steps };
        let second = Steps { start: steps.time(half), count: steps.count - half, ..steps };
        let first = self.evaluate_slice(expr, first, halvings - 1)?;
        self.forget_shared();
        let second = self.evaluate_slice(expr, second, halvings - 1)?;
        Ok(joined(first, second, half as u32))
    }
}

/// Two values one after the other; the second begins at step `offset`.
fn joined(first: Evaluated, second: Evaluated, offset: u32) -> Evaluated {
    match (first, second) {
        (Evaluated::Scalar(mut values), Evaluated::Scalar(more)) => {
            values.extend(more);
            Evaluated::Scalar(values)
        }
        (Evaluated::Vector(mut series), Evaluated::Vector(more)) => {
            let key = |one: &StepSeries| (one.labels.clone(), one.drop_name);
            let places: HashMap<(Labels, bool), usize, foldhash::fast::RandomState> =
                series.iter().enumerate().map(|(i, one)| (key(one), i)).collect();
            for one in more {
                let place = places.get(&key(&one)).copied().unwrap_or_else(|| {
                    series.push(StepSeries::new(one.labels.clone(), one.drop_name));
                    series.len() - 1
                });
                append(&mut series[place].floats, one.floats, offset);
                append(&mut series[place].histograms, one.histograms, offset);
            }
            Evaluated::Vector(series)
        }
        (first, _) => first,
    }
}

fn append<T>(points: &mut Points<T>, more: Points<T>, offset: u32) {
    points.steps.extend(more.steps.into_iter().map(|step| step + offset));
    points.values.extend(more.values);
}
