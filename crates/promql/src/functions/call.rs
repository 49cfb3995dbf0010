//! A call of an instant function as the engine makes it: once for all steps, with evaluated arguments.

use crate::annotations::Annotations;
use crate::ast::Expr;
use crate::column::{Evaluated, Steps};
use crate::error::QueryError;

use super::Function;

/// A call whose arguments are evaluated.
#[expect(dead_code, reason = "no function is there yet to read it")]
#[derive(Debug)]
pub(crate) struct FunctionCall<'a> {
    /// What is called.
    pub(crate) function: Function,
    /// The arguments as written: their positions, and the matchers that `absent` turns into labels.
    pub(crate) args: &'a [Expr],
    /// When it is evaluated.
    pub(crate) steps: Steps,
    /// Whether the labels `__type__` and `__unit__` go with the metric name.
    pub(crate) type_and_unit_labels: bool,
    /// Where warnings and infos go.
    pub(crate) annotations: &'a mut Annotations,
}

/// Evaluates a call of an instant function: neither one over ranges nor one that needs to know the query or its source.
///
/// Series keep their metric name; where the function drops it, `drop_name` is set. Series of the result may have equal
/// labels as long as no two have a value at one step: the caller merges them.
pub(crate) fn evaluate(call: &mut FunctionCall<'_>, _args: Vec<Evaluated>) -> Result<Evaluated, QueryError> {
    Err(QueryError::NotImplemented(format!("the function {}", call.function.name())))
}
