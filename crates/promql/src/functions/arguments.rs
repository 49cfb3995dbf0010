//! The evaluated arguments of a call, taken one after the other.

use crate::ast::{Expr, ExprKind, StringLiteral};
use crate::column::{Evaluated, Points, StepSeries};
use crate::error::QueryError;

/// The arguments that were not taken yet. The parser has checked their types.
#[derive(Debug)]
pub(super) struct Arguments(std::vec::IntoIter<Evaluated>);

impl Arguments {
    pub(super) fn new(args: Vec<Evaluated>) -> Self {
        Arguments(args.into_iter())
    }

    /// Whether all were taken.
    pub(super) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// Leaves the next argument out: a string, which is read from the tree.
    pub(super) fn skip(&mut self) {
        self.0.next();
    }

    /// The next argument, an instant vector.
    pub(super) fn vector(&mut self) -> Result<Vec<StepSeries>, QueryError> {
        match self.0.next() {
            Some(Evaluated::Vector(series)) => Ok(series),
            _ => Err(QueryError::execution("an instant vector was expected")),
        }
    }

    /// The next argument, one number a step.
    pub(super) fn scalar(&mut self) -> Result<Vec<f64>, QueryError> {
        match self.0.next() {
            Some(Evaluated::Scalar(values)) => Ok(values),
            _ => Err(QueryError::execution("a scalar was expected")),
        }
    }
}

/// The string that an argument is.
pub(super) fn string(arg: &Expr) -> Result<&StringLiteral, QueryError> {
    match &arg.unparenthesised().kind {
        ExprKind::String(literal) => Ok(literal),
        _ => Err(QueryError::execution("a string was expected")),
    }
}

/// The series with `compute(step, value)` for each float, without the histograms and without the name.
pub(super) fn map_floats(series: Vec<StepSeries>, mut compute: impl FnMut(u32, f64) -> f64) -> Vec<StepSeries> {
    let mut mapped = Vec::with_capacity(series.len());
    for mut one in series {
        if one.floats.is_empty() {
            continue;
        }
        one.drop_name = true;
        one.histograms = Points::default();
        for (step, value) in one.floats.steps.iter().zip(&mut one.floats.values) {
            *value = compute(*step, *value);
        }
        mapped.push(one);
    }
    mapped
}
