//! Sub-expressions that come several times in a query are evaluated once.

use std::collections::HashMap;
use std::ops::Add;

use crate::ast::{Expr, ExprKind, Span};
use crate::column::{Evaluated, StepSeries, Steps};
use crate::error::QueryError;
use crate::weight::Weight;

use super::evaluation::{Evaluation, HistogramUse};

/// The sub-expressions of a query that read series and are there more than once, and their values.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Which sub-expressions are the same, by their place in the text.
    same: HashMap<Span, usize, foldhash::fast::RandomState>,
    /// For each set of equal ones how many are there.
    counts: Vec<usize>,
    /// For each set what is known.
    known: Vec<Option<Known>>,
    /// For each set how many were not evaluated yet.
    left: Vec<usize>,
}

/// The value of a sub-expression.
#[derive(Debug)]
struct Known {
    steps: Steps,
    histogram_use: HistogramUse,
    series: Vec<StepSeries>,
    weight: Weight,
}

impl Shared {
    /// Looks for equal sub-expressions.
    pub(super) fn of(expr: &Expr) -> Self {
        let mut readers = Readers::default();
        if count_readers(expr) > 1 {
            readers.count(expr);
            if readers.printed <= MAX_PRINTED {
                readers.place(expr);
            }
        }
        let mut shared = Shared::default();
        for spans in readers.places.into_values().filter(|spans| spans.len() > 1) {
            shared.same.extend(spans.iter().map(|span| (*span, shared.counts.len())));
            shared.counts.push(spans.len());
        }
        shared.forget();
        shared
    }

    /// Whether the expression is there more than once.
    pub(super) fn has(&self, expr: &Expr) -> bool {
        !self.same.is_empty() && self.same.contains_key(&expr.span)
    }

    /// Begins anew.
    fn forget(&mut self) {
        self.known = self.counts.iter().map(|_| None).collect();
        self.left = self.counts.clone();
    }
}

impl Evaluation<'_> {
    /// The value of an expression that may be there more than once.
    pub(super) fn evaluate_shared(&mut self, expr: &Expr, steps: Steps) -> Result<Evaluated, QueryError> {
        let Some(&set) = self.shared.same.get(&expr.span) else { return self.evaluate_node(expr, steps) };
        let histogram_use = self.histogram_use;
        self.shared.left[set] = self.shared.left[set].saturating_sub(1);
        let is_last = self.shared.left[set] == 0;
        if let Some(known) = &self.shared.known[set]
            && known.steps == steps
            && known.histogram_use == histogram_use
        {
            if !is_last {
                return Ok(Evaluated::Vector(known.series.clone()));
            }
            if let Some(known) = self.shared.known[set].take() {
                self.budget.unpin(known.weight);
                return Ok(Evaluated::Vector(known.series));
            }
        }
        let around = std::mem::take(&mut self.annotations);
        let value = self.evaluate_node(expr, steps);
        let own = std::mem::replace(&mut self.annotations, around);
        // An annotation names the place of its expression, so that each of the equal ones has to make its own.
        let is_silent = own.is_empty();
        self.annotations.merge(own);
        let value = value?;
        if let Evaluated::Vector(series) = &value
            && is_silent
            && !is_last
            && self.shared.known[set].is_none()
        {
            let weight = value.weight();
            if self.budget.pin(weight).is_ok() {
                let known = Known { steps, histogram_use, series: series.clone(), weight };
                self.shared.known[set] = Some(known);
            }
        }
        Ok(value)
    }

    /// Forgets what is known of sub-expressions: other steps come.
    pub(super) fn forget_shared(&mut self) {
        let known = self.shared.known.iter().flatten().map(|known| known.weight);
        let pinned = known.fold(Weight::default(), Weight::add);
        self.budget.unpin(pinned);
        self.shared.forget();
    }
}

/// How much text is printed to find equal sub-expressions. Each is printed with all that is in it, so that a long query of many
/// levels would take time and memory out of proportion; its parts are evaluated one by one.
const MAX_PRINTED: usize = 4 << 20;

/// The expressions that read series or sum them up.
#[derive(Default)]
struct Readers {
    /// Bytes of text that were printed.
    printed: usize,
    counts: HashMap<String, usize, foldhash::fast::RandomState>,
    places: HashMap<String, Vec<Span>, foldhash::fast::RandomState>,
}

impl Readers {
    fn count(&mut self, expr: &Expr) {
        if self.printed > MAX_PRINTED {
            return;
        }
        if is_reader(expr) {
            let text = expr.to_string();
            self.printed += text.len();
            *self.counts.entry(text).or_default() += 1;
        }
        expr.children().into_iter().for_each(|child| self.count(child));
    }

    /// Notes where the expressions are. What is inside a repeated one is evaluated with the first of them only.
    fn place(&mut self, expr: &Expr) {
        if is_reader(expr) {
            let text = expr.to_string();
            let is_repeated = self.counts.get(&text).is_some_and(|count| *count > 1);
            let places = self.places.entry(text).or_default();
            places.push(expr.span);
            if is_repeated && places.len() > 1 {
                return;
            }
        }
        expr.children().into_iter().for_each(|child| self.place(child));
    }
}

fn count_readers(expr: &Expr) -> usize {
    usize::from(is_reader(expr)) + expr.children().into_iter().map(count_readers).sum::<usize>()
}

fn is_reader(expr: &Expr) -> bool {
    let is_range = |arg: &Expr| matches!(arg.unparenthesised().kind, ExprKind::Matrix(_) | ExprKind::Subquery(_));
    match &expr.kind {
        ExprKind::Vector(_) | ExprKind::Aggregate(_) => true,
        ExprKind::Call(call) => call.args.iter().any(is_range),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_bounded() {
        let sums = |levels: usize, inner: &str| format!("{}{inner}{}", "sum(".repeat(levels), ")".repeat(levels));
        let tree = (0..8).fold(vec!["a"; 60].join("+"), |tree, _| format!("({tree}+{tree})"));
        let shared = |text: &str| Shared::of(&crate::parse(text).expect("valid"));
        assert!(!shared(&sums(3, &tree)).same.is_empty());
        let deep = crate::parse(&sums(90, &tree)).expect("valid");
        let mut readers = Readers::default();
        readers.count(&deep);
        assert!(readers.printed < MAX_PRINTED + 2 * tree.len(), "{}", readers.printed);
        assert!(Shared::of(&deep).same.is_empty());
    }
}
