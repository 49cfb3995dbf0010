//! Which expressions have the same value at every step, so that one evaluation is enough.

use crate::ast::{Expr, ExprKind};
use crate::functions::Function;

use super::info::has_selector;

/// Whether the value does not depend on the step: every selector is pinned by `@`, and no function looks at the time.
pub(crate) fn is_step_invariant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) => true,
        ExprKind::Vector(selector) => selector.at.is_some(),
        ExprKind::Matrix(matrix) => matrix.selector.at.is_some(),
        // What is inside a pinned subquery sees only the times of the subquery.
        ExprKind::Subquery(subquery) => subquery.at.is_some(),
        ExprKind::Call(call) if depends_on_time(call.function) => false,
        // The info series are looked up at the time of the first argument's samples.
        ExprKind::Call(call) if call.function == Function::Info => {
            has_selector(&call.args[0]) && is_step_invariant(&call.args[0])
        }
        _ => expr.children().into_iter().all(is_step_invariant),
    }
}

/// Whether a function looks at the time of the evaluation beside its arguments.
fn depends_on_time(function: Function) -> bool {
    use Function::{
        DayOfMonth, DayOfWeek, DayOfYear, DaysInMonth, Hour, Minute, Month, PredictLinear, Time, Timestamp, Year,
    };
    matches!(
        function,
        DaysInMonth
            | DayOfMonth
            | DayOfWeek
            | DayOfYear
            | Hour
            | Minute
            | Month
            | Year
            | PredictLinear
            | Time
            | Timestamp
    )
}
