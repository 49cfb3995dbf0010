//! Binary operators over evaluated operands.

mod matching;
mod operator;
mod scalar;
mod set;
mod vector;

use crate::annotations::Annotations;
use crate::ast::{Binary, Span};
use crate::column::{Evaluated, Steps};
use crate::error::{Control, QueryError};

/// The value of a binary operation; `span` is that of the whole operation.
pub(crate) fn evaluate(
    operation: &Binary,
    span: Span,
    left: Evaluated,
    right: Evaluated,
    steps: Steps,
    control: &Control<'_>,
    annotations: &mut Annotations,
) -> Result<Evaluated, QueryError> {
    let mut notes = operator::Notes { annotations, operator: operation.op, position: span.start as usize };
    match (left, right) {
        (Evaluated::Scalar(left), Evaluated::Scalar(right)) => {
            let pairs = left.into_iter().zip(right);
            Ok(Evaluated::Scalar(pairs.map(|(a, b)| operator::scalars(operation.op, a, b)).collect()))
        }
        (Evaluated::Vector(vector), Evaluated::Scalar(scalars)) => {
            Ok(Evaluated::Vector(scalar::evaluate(operation, vector, &scalars, false, &mut notes)))
        }
        (Evaluated::Scalar(scalars), Evaluated::Vector(vector)) => {
            Ok(Evaluated::Vector(scalar::evaluate(operation, vector, &scalars, true, &mut notes)))
        }
        (Evaluated::Vector(left), Evaluated::Vector(right)) => {
            let result = if operation.op.is_set() {
                set::evaluate(operation, left, right, steps)?
            } else {
                vector::evaluate(operation, left, right, steps, control, &mut notes)?
            };
            Ok(Evaluated::Vector(result))
        }
        _ => Err(QueryError::execution("a binary operator has no meaning for a string")),
    }
}
