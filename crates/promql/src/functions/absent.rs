//! `absent`, and the labels of what is absent.

use sonde_model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp};

use super::FunctionCall;
use crate::ast::{Expr, ExprKind};
use crate::column::StepSeries;

/// 1 at the steps at which no series has a value.
pub(super) fn evaluate(call: &FunctionCall<'_>, series: &[StepSeries]) -> Vec<StepSeries> {
    let mut present = vec![false; call.steps.count];
    for step in series.iter().flat_map(|one| one.floats.steps.iter().chain(&one.histograms.steps)) {
        present[*step as usize] = true;
    }
    let mut absent = StepSeries::new(labels_of_absent(&call.args[0]), false);
    for (step, _) in present.iter().enumerate().filter(|(_, present)| !**present) {
        absent.floats.push(step as u32, 1.0);
    }
    if absent.is_empty() { Vec::new() } else { vec![absent] }
}

/// The labels that a selector asks for by equality, each by one matcher only.
pub(crate) fn labels_of_absent(expr: &Expr) -> Labels {
    let matchers = match &expr.unparenthesised().kind {
        ExprKind::Vector(selector) => &selector.matchers,
        ExprKind::Matrix(matrix) => &matrix.selector.matchers,
        _ => return Labels::empty(),
    };
    let mut builder = LabelsBuilder::default();
    let mut seen: Vec<&str> = Vec::new();
    for matcher in matchers.iter().filter(|matcher| matcher.name != METRIC_NAME) {
        if matcher.op == MatchOp::Equal && !seen.contains(&matcher.name.as_str()) {
            builder.set(&matcher.name, &matcher.value);
            seen.push(&matcher.name);
        } else {
            builder.remove(&matcher.name);
        }
    }
    builder.build()
}
