//! `sort`, `sort_desc`, `sort_by_label` and `sort_by_label_desc`: the order of an instant query's result.

use std::cmp::Ordering;

use super::arguments::{Arguments, string};
use super::{Function, FunctionCall};
use crate::column::{Evaluated, Points, StepSeries};
use crate::error::QueryError;

/// Sorts the series. A range query has no order but that of labels, so that only a single step is looked at.
pub(super) fn evaluate(call: &FunctionCall<'_>, mut args: Arguments) -> Result<Evaluated, QueryError> {
    let mut series = args.vector()?;
    match call.function {
        Function::Sort | Function::SortDesc => {
            for one in &mut series {
                one.histograms = Points::default();
            }
            series.retain(|one| !one.floats.is_empty());
            if call.steps.count == 1 {
                let descending = call.function == Function::SortDesc;
                series.sort_by(|a, b| by_value(a, b, descending));
            }
        }
        _ => {
            let mut names = Vec::new();
            for arg in &call.args[1..] {
                names.push(string(arg)?.text.as_str());
            }
            let descending = call.function == Function::SortByLabelDesc;
            series.sort_by(|a, b| {
                let order = by_labels(a, b, &names);
                if descending { order.reverse() } else { order }
            });
        }
    }
    Ok(Evaluated::Vector(series))
}

/// NaN comes last, whatever the direction.
fn by_value(a: &StepSeries, b: &StepSeries, descending: bool) -> Ordering {
    let value = |series: &StepSeries| series.floats.values.first().copied().unwrap_or(f64::NAN);
    let (a, b) = (value(a), value(b));
    match (a.is_nan(), b.is_nan()) {
        (false, false) if descending => b.total_cmp(&a),
        (false, false) => a.total_cmp(&b),
        (a, b) => a.cmp(&b),
    }
}

/// By the named labels in natural order; where these are all equal, by all labels.
fn by_labels(a: &StepSeries, b: &StepSeries, names: &[&str]) -> Ordering {
    for name in names {
        let (x, y) = (a.labels.get(name).unwrap_or_default(), b.labels.get(name).unwrap_or_default());
        let order = natural(x, y);
        if order != Ordering::Equal {
            return order;
        }
    }
    a.labels.cmp(&b.labels)
}

/// Runs of digits compare as numbers, all else as text: `item2` comes before `item10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    while !a_rest.is_empty() && !b_rest.is_empty() {
        let (x, a_tail) = split_run(a_rest);
        let (y, b_tail) = split_run(b_rest);
        let order = match (x.parse::<u64>(), y.parse::<u64>()) {
            (Ok(x), Ok(y)) => x.cmp(&y),
            _ => x.cmp(y),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a_rest, b_rest) = (a_tail, b_tail);
    }
    // Of two texts with the same numbers, written differently, one has to come first.
    a_rest.len().cmp(&b_rest.len()).then_with(|| a.cmp(b))
}

/// The digits, or the other characters, that a text begins with, and the rest.
fn split_run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_texts_are_numbers() {
        for (a, b) in [("item2", "item10"), ("", "a"), ("a", "b"), ("1", "a"), ("4m3", "4m1000"), ("9", "10")] {
            assert_eq!(natural(a, b), Ordering::Less, "{a} {b}");
            assert_eq!(natural(b, a), Ordering::Greater, "{a} {b}");
        }
        assert_eq!(natural("x1", "x1"), Ordering::Equal);
    }
}
