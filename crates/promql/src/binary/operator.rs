//! One operator on one pair of values.

use std::sync::Arc;

use sonde_model::CounterResetHint;
use sonde_model::Histogram;
use sonde_model::histogram::Keep;

use crate::annotations::{Annotation, Annotations, HistogramOperation};
use crate::ast::BinaryOp;
use crate::column::StepValue;

/// Where an operator leaves its annotations.
pub(super) struct Notes<'a> {
    pub(super) annotations: &'a mut Annotations,
    pub(super) operator: BinaryOp,
    pub(super) position: usize,
}

/// Two scalars; a comparison yields 0 or 1.
pub(super) fn scalars(op: BinaryOp, a: f64, b: f64) -> f64 {
    if op.is_comparison() { f64::from(u8::from(holds(op, a, b))) } else { arithmetic(op, a, b) }
}

/// Two values of vectors. None where the operator has no meaning for them, which is noted, or where a comparison does
/// not hold; else the value, which is the left one for a comparison.
pub(super) fn values(op: BinaryOp, a: &StepValue, b: &StepValue, notes: &mut Notes<'_>) -> Outcome {
    match (a, b) {
        (StepValue::Float(a), StepValue::Float(b)) => match op {
            BinaryOp::TrimLower | BinaryOp::TrimUpper => notes.incompatible("float", "float"),
            _ if op.is_comparison() => Outcome::comparison(holds(op, *a, *b), StepValue::Float(*a)),
            _ => Outcome::Value(StepValue::Float(arithmetic(op, *a, *b))),
        },
        (StepValue::Float(a), StepValue::Histogram(b)) => match op {
            BinaryOp::Mul => scaled(b, |histogram| histogram.mul(*a)),
            _ => notes.incompatible("float", "histogram"),
        },
        (StepValue::Histogram(a), StepValue::Float(b)) => match op {
            BinaryOp::Mul => scaled(a, |histogram| histogram.mul(*b)),
            BinaryOp::Div => scaled(a, |histogram| histogram.div(*b)),
            BinaryOp::TrimUpper => Outcome::Value(StepValue::Histogram(Arc::new(a.trimmed(*b, Keep::Below)))),
            BinaryOp::TrimLower => Outcome::Value(StepValue::Histogram(Arc::new(a.trimmed(*b, Keep::Above)))),
            _ => notes.incompatible("histogram", "float"),
        },
        (StepValue::Histogram(a), StepValue::Histogram(b)) => match op {
            BinaryOp::Add | BinaryOp::Sub => combined(op, a, b, notes),
            BinaryOp::Eql => Outcome::comparison(a.same_data(b), StepValue::Histogram(Arc::clone(a))),
            BinaryOp::Neq => Outcome::comparison(!a.same_data(b), StepValue::Histogram(Arc::clone(a))),
            _ => notes.incompatible("histogram", "histogram"),
        },
    }
}

/// What an operator makes of two values.
pub(super) enum Outcome {
    /// A value; for a comparison that holds, the left one.
    Value(StepValue),
    /// A comparison that does not hold.
    Filtered,
    /// Nothing: the operator has no meaning for the values.
    Nothing,
}

impl Outcome {
    fn comparison(holds: bool, left: StepValue) -> Self {
        if holds { Outcome::Value(left) } else { Outcome::Filtered }
    }
}

impl Notes<'_> {
    fn incompatible(&mut self, left: &str, right: &str) -> Outcome {
        self.annotations.add(Annotation::incompatible_types(left, self.operator.symbol(), right, self.position));
        Outcome::Nothing
    }
}

fn scaled(histogram: &Arc<Histogram>, scale: impl FnOnce(&mut Histogram)) -> Outcome {
    let mut scaled = Histogram::clone(histogram);
    scale(&mut scaled);
    scaled.compact();
    Outcome::Value(StepValue::Histogram(Arc::new(scaled)))
}

fn combined(op: BinaryOp, a: &Arc<Histogram>, b: &Arc<Histogram>, notes: &mut Notes<'_>) -> Outcome {
    let mut result = Histogram::clone(a);
    let is_sub = op == BinaryOp::Sub;
    let (operation, combined) = if is_sub {
        (HistogramOperation::Subtraction, result.sub(b))
    } else {
        (HistogramOperation::Addition, result.add(b))
    };
    let Ok(combined) = combined else {
        notes.annotations.add(Annotation::incompatible_bucket_layout(op.symbol(), notes.position));
        return Outcome::Nothing;
    };
    if combined.hint_collision {
        notes.annotations.add(Annotation::counter_reset_collision(operation, notes.position));
    }
    if combined.bounds_reconciled {
        notes.annotations.add(Annotation::mismatched_custom_buckets(operation, notes.position));
    }
    if is_sub {
        result.reset_hint = CounterResetHint::Gauge;
    }
    result.compact();
    Outcome::Value(StepValue::Histogram(Arc::new(result)))
}

/// Whether a comparison of floats holds.
#[inline]
pub(super) fn holds(op: BinaryOp, a: f64, b: f64) -> bool {
    match op {
        BinaryOp::Eql => a == b,
        BinaryOp::Neq => a != b,
        BinaryOp::Gtr => a > b,
        BinaryOp::Lss => a < b,
        BinaryOp::Gte => a >= b,
        BinaryOp::Lte => a <= b,
        _ => false,
    }
}

/// Arithmetic on floats; NaN for operators that are none.
#[inline]
pub(super) fn arithmetic(op: BinaryOp, a: f64, b: f64) -> f64 {
    match op {
        BinaryOp::Add => a + b,
        BinaryOp::Sub => a - b,
        BinaryOp::Mul => a * b,
        BinaryOp::Div => a / b,
        BinaryOp::Mod => a % b,
        BinaryOp::Pow => a.powf(b),
        BinaryOp::Atan2 => a.atan2(b),
        _ => f64::NAN,
    }
}

/// Whether the result of an operator is another metric than its operands, so that it has no name.
pub(super) fn changes_metric(op: BinaryOp) -> bool {
    use BinaryOp::{Add, Atan2, Div, Mod, Mul, Pow, Sub};
    matches!(op, Add | Sub | Div | Mul | Pow | Mod | Atan2)
}
