//! Pipelines over one trace: sets of spans in, sets of spans out.

use super::aggregate;
use super::field::{Regexes, Subject};
use super::relation;
use super::value::Value;
use super::view::View;
use crate::ast::{Pipeline, Scalar, Spanset, SpansetOp, Stage};

/// Spans of one trace, in the order of their starts, and what was computed of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    pub(crate) spans: Vec<usize>,
    /// `by(x)`, `count()` and so on, with their values.
    pub(crate) attributes: Vec<(String, Value)>,
}

/// Runs a pipeline over all spans of a trace.
pub(crate) fn run(view: &View<'_>, regexes: &Regexes, pipeline: &Pipeline) -> Vec<Set> {
    let all = Set { spans: (0..view.spans.len()).collect(), attributes: Vec::new() };
    stages(view, regexes, pipeline, vec![all])
}

fn stages(view: &View<'_>, regexes: &Regexes, pipeline: &Pipeline, mut sets: Vec<Set>) -> Vec<Set> {
    for stage in &pipeline.stages {
        sets = match stage {
            Stage::Spanset(spanset) => sets
                .into_iter()
                .map(|set| Set { spans: filter(view, regexes, spanset, &set.spans), attributes: set.attributes })
                .collect(),
            Stage::Filter(comparison) => sets
                .into_iter()
                .filter(|set| aggregate::holds(view, regexes, &set.spans, comparison))
                .map(|set| computed(view, regexes, set, [&comparison.left, &comparison.right]))
                .collect(),
            Stage::By(field) => sets.into_iter().flat_map(|set| split(view, regexes, set, field)).collect(),
            Stage::Coalesce => vec![coalesced(sets)],
            Stage::Select(_) => sets,
        };
        sets.retain(|set| !set.spans.is_empty());
    }
    sets
}

fn filter(view: &View<'_>, regexes: &Regexes, spanset: &Spanset, input: &[usize]) -> Vec<usize> {
    match spanset {
        Spanset::Filter(field) => {
            let holds = |span: &usize| Subject { view, span: *span, regexes }.holds(field);
            input.iter().copied().filter(holds).collect()
        }
        Spanset::Binary(op, left, right) => {
            let (left, right) = (filter(view, regexes, left, input), filter(view, regexes, right, input));
            match op {
                SpansetOp::And if left.is_empty() || right.is_empty() => Vec::new(),
                SpansetOp::And | SpansetOp::Or => union(left, right),
                SpansetOp::Structural { relation, mode } => relation::apply(view, *relation, *mode, &left, &right),
            }
        }
        Spanset::Pipeline(pipeline) => {
            let input = Set { spans: input.to_vec(), attributes: Vec::new() };
            coalesced(stages(view, regexes, pipeline, vec![input])).spans
        }
    }
}

fn union(mut left: Vec<usize>, right: Vec<usize>) -> Vec<usize> {
    left.extend(right);
    left.sort_unstable();
    left.dedup();
    left
}

fn coalesced(sets: Vec<Set>) -> Set {
    sets.into_iter().fold(Set::default(), |all, set| Set { spans: union(all.spans, set.spans), attributes: Vec::new() })
}

/// Notes what was computed of a set that passed a comparison.
fn computed(view: &View<'_>, regexes: &Regexes, mut set: Set, sides: [&Scalar; 2]) -> Set {
    for side in sides {
        if let Scalar::Aggregate(..) = side {
            let value = aggregate::scalar(view, regexes, &set.spans, side);
            set.attributes.push((side.to_string(), value));
        }
    }
    set
}

/// One set for each value, in the order in which the values come.
fn split(view: &View<'_>, regexes: &Regexes, set: Set, field: &crate::ast::Field) -> Vec<Set> {
    let mut groups: Vec<(Value, Set)> = Vec::new();
    for span in set.spans {
        let value = Subject { view, span, regexes }.value(field);
        match groups.iter_mut().find(|(v, _)| *v == value) {
            Some((_, group)) => group.spans.push(span),
            None => {
                let mut attributes = set.attributes.clone();
                attributes.push((format!("by({field})"), value.clone()));
                groups.push((value, Set { spans: vec![span], attributes }));
            }
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}
