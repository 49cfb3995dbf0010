//! The labels of what `absent` and `absent_over_time` report as missing.

use sonde_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp};

use crate::ast::{Expr, ExprKind};

/// The labels that the matchers of a selector pin to one value; none for other expressions. A label that is matched
/// twice is left out.
pub(crate) fn labels_of_absent(expr: &Expr) -> Labels {
    let selector = match &expr.unparenthesised().kind {
        ExprKind::Vector(selector) => selector,
        ExprKind::Matrix(matrix) => &matrix.selector,
        _ => return Labels::empty(),
    };
    let mut labels = LabelsBuilder::default();
    let mut seen = Vec::new();
    for matcher in selector.matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && !seen.contains(&&matcher.name) {
            labels.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            labels.remove(&matcher.name);
        }
    }
    labels.build()
}
