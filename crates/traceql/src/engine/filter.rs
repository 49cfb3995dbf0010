//! Of one trace the spans that a query matches, and those above and below them.

use sonde_model::span::{ScopedSpan, Trace};

use super::field::Regexes;
use super::pipeline;
use super::search::{QueryError, spans_of};
use super::view::View;
use crate::ast::Query;
use crate::validate::validate;

/// How much is kept beside the spans that match, in generations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    /// Above: parents, their parents and so on.
    pub ancestors: usize,
    /// Below: children, their children and so on.
    pub descendants: usize,
}

/// The spans of a trace that a query matches, with their surroundings, in the order of their starts.
pub fn filter(trace: &Trace, query: &Query, keep: Hierarchy) -> Result<Vec<ScopedSpan>, QueryError> {
    validate(query)?;
    let view = View::new(trace);
    let sets = pipeline::run(&view, &Regexes::default(), spans_of(query)?);
    let matching: Vec<usize> = sets.iter().flat_map(|set| set.spans.iter().copied()).collect();
    let mut parents = vec![None; view.spans.len()];
    for (parent, children) in view.children.iter().enumerate() {
        for child in children {
            parents[*child] = Some(parent);
        }
    }
    let mut kept = vec![false; view.spans.len()];
    matching.iter().for_each(|span| kept[*span] = true);
    spread(&mut kept, &matching, keep.ancestors, |span| parents[span].into_iter().collect());
    spread(&mut kept, &matching, keep.descendants, |span| view.children[span].clone());
    let spans = view.spans.iter().zip(&kept).filter(|(_, kept)| **kept);
    Ok(spans.map(|(span, _)| (*span).clone()).collect())
}

/// Keeps what lies at most so many steps away from some spans.
fn spread(kept: &mut [bool], from: &[usize], steps: usize, next: impl Fn(usize) -> Vec<usize>) {
    let mut seen = vec![false; kept.len()];
    from.iter().for_each(|span| seen[*span] = true);
    let mut edge = from.to_vec();
    for _ in 0..steps.min(kept.len()) {
        edge = edge.into_iter().flat_map(&next).filter(|span| !std::mem::replace(&mut seen[*span], true)).collect();
        if edge.is_empty() {
            return;
        }
        edge.iter().for_each(|span| kept[*span] = true);
    }
}
