//! Which expressions have a value at a step that the rest of the query has no part in, so that results for some steps
//! serve every query that asks for them.

use crate::ast::{Duration, Expr, ExprKind, RangeMode, VectorSelector};
use crate::functions::Function;

/// Whether the value at a step depends on its time, the step's length and samples up to that time only: nothing is
/// pinned by `@` or looks ahead, and nothing asks for the range of the query.
pub fn is_step_local(expr: &Expr) -> bool {
    let is_local = match &expr.kind {
        ExprKind::Vector(selector) => looks_back(selector),
        ExprKind::Matrix(matrix) => looks_back(&matrix.selector) && is_fixed(&matrix.range),
        ExprKind::Subquery(subquery) => {
            let durations_are_fixed = is_fixed(&subquery.range) && subquery.step.as_ref().is_none_or(is_fixed);
            subquery.at.is_none() && is_back(subquery.offset.as_ref()) && durations_are_fixed
        }
        ExprKind::Call(call) => !matches!(call.function, Function::Start | Function::End | Function::Range),
        _ => true,
    };
    is_local && expr.children().into_iter().all(is_step_local)
}

fn looks_back(selector: &VectorSelector) -> bool {
    selector.at.is_none() && is_back(selector.offset.as_ref()) && selector.mode != RangeMode::Smoothed
}

fn is_back(offset: Option<&Duration>) -> bool {
    offset.is_none_or(|offset| matches!(offset, Duration::Fixed(ms) if *ms >= 0))
}

fn is_fixed(duration: &Duration) -> bool {
    matches!(duration, Duration::Fixed(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_ahead_or_at_the_query_is_not_local() {
        for (text, expected) in [
            ("1 + time()", true),
            ("sum by (job) (rate(up[5m])) / on (job) up offset 1h", true),
            ("max_over_time(up[1h:1m] offset 5m)", true),
            ("rate(up[5m] anchored)", true),
            ("up * step()", true),
            ("up @ 5", false),
            ("sum(up offset -1m)", false),
            ("sum(rate(up[5m] @ start()))", false),
            ("max_over_time(up[1h:1m] @ end())", false),
            ("max_over_time(up[1h:1m] offset -1s)", false),
            ("max_over_time((up @ 5)[1h:1m])", false),
            ("up smoothed", false),
            ("up * range()", false),
            ("up > start()", false),
            ("rate(up[range() / 10])", false),
            ("up offset (step() - 5m)", false),
        ] {
            let expr = crate::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(is_step_local(&expr), expected, "{text}");
        }
    }
}
