//! What a query demands of any trace that can match: conditions for the source.

use super::source::{Condition, SpanFilter};
use crate::ast::{Attribute, CompareOp, Field, LogicOp, Pipeline, Spanset, SpansetOp, Stage, Static, StructuralMode};

/// For each filter that must match some span, the comparisons with literals that the span must fulfil.
pub(crate) fn filters(pipeline: &Pipeline) -> Vec<SpanFilter> {
    let mut filters = Vec::new();
    // Only the first stage sees all spans; what follows can but narrow.
    if let Some(Stage::Spanset(spanset)) = pipeline.stages.first() {
        of_spanset(spanset, &mut filters);
    }
    filters.retain(|f| !f.conditions.is_empty());
    filters
}

fn of_spanset(spanset: &Spanset, into: &mut Vec<SpanFilter>) {
    match spanset {
        Spanset::Filter(field) => {
            let mut filter = SpanFilter::default();
            of_field(field, &mut filter);
            into.push(filter);
        }
        Spanset::Binary(SpansetOp::Or, ..) => {}
        Spanset::Binary(SpansetOp::Structural { mode: StructuralMode::Negated, .. }, _, right) => {
            of_spanset(right, into)
        }
        Spanset::Binary(_, left, right) => {
            of_spanset(left, into);
            of_spanset(right, into);
        }
        Spanset::Pipeline(pipeline) => into.extend(filters(pipeline)),
    }
}

fn of_field(field: &Field, into: &mut SpanFilter) {
    match field {
        Field::Logic(LogicOp::And, left, right) => {
            of_field(left, into);
            of_field(right, into);
        }
        Field::Compare(op, left, right) => {
            if let Some((attribute, op, value)) = simple(*op, left, right)
                && !matches!(value, Static::Nil)
            {
                into.conditions.push(Condition { attribute: attribute.clone(), op, value: value.clone() });
            }
        }
        _ => {}
    }
}

/// A comparison of an attribute with a literal, the attribute on the left.
pub(crate) fn simple<'a>(
    op: CompareOp,
    left: &'a Field,
    right: &'a Field,
) -> Option<(&'a Attribute, CompareOp, &'a Static)> {
    match (left, right) {
        (Field::Attribute(attribute), Field::Static(value)) => Some((attribute, op, value)),
        (Field::Static(value), Field::Attribute(attribute)) => {
            let op = match op {
                CompareOp::Less => CompareOp::Greater,
                CompareOp::LessEqual => CompareOp::GreaterEqual,
                CompareOp::Greater => CompareOp::Less,
                CompareOp::GreaterEqual => CompareOp::LessEqual,
                CompareOp::Equal | CompareOp::NotEqual => op,
                CompareOp::Regex | CompareOp::NotRegex => return None,
            };
            Some((attribute, op, value))
        }
        _ => None,
    }
}
