//! `and`, `or` and `unless`.

use crate::ast::{Binary, BinaryOp};
use crate::column::{Points, StepSeries, Steps};
use crate::engine::merge_equal_labels;
use crate::error::QueryError;

use super::matching::groups;

/// The set operation: series stay as they are, at the steps at which they are part of the result. What `or` takes from
/// both sides by turns, with the same labels, becomes one series.
pub(super) fn evaluate(
    operation: &Binary,
    left: Vec<StepSeries>,
    right: Vec<StepSeries>,
    steps: Steps,
) -> Result<Vec<StepSeries>, QueryError> {
    let groups = groups(&operation.matching, &left, &right);
    let mut left = left;
    let mut right = right;
    for group in &groups {
        match operation.op {
            BinaryOp::And => keep(&group.left, &mut left, &Presence::of(&group.right, &right, steps), true),
            BinaryOp::Unless => keep(&group.left, &mut left, &Presence::of(&group.right, &right, steps), false),
            _ => keep(&group.right, &mut right, &Presence::of(&group.left, &left, steps), false),
        }
    }
    left.retain(|series| !series.is_empty());
    if operation.op != BinaryOp::Or {
        return Ok(left);
    }
    left.extend(right.into_iter().filter(|series| !series.is_empty()));
    merge_equal_labels(left)
}

/// At which steps any of some series has a value.
enum Presence<'a> {
    Never,
    Of(&'a StepSeries),
    At(Vec<bool>),
}

impl<'a> Presence<'a> {
    fn of(members: &[usize], side: &'a [StepSeries], steps: Steps) -> Self {
        match members {
            [] => Presence::Never,
            [one] => Presence::Of(&side[*one]),
            members => {
                let mut present = vec![false; steps.count];
                for series in members.iter().map(|i| &side[*i]) {
                    let steps = series.floats.steps.iter().chain(&series.histograms.steps);
                    steps.for_each(|step| present[*step as usize] = true);
                }
                Presence::At(present)
            }
        }
    }

    fn has(&self, step: u32) -> bool {
        match self {
            Presence::Never => false,
            Presence::Of(series) => series.has(step),
            Presence::At(present) => present[step as usize],
        }
    }
}

/// Keeps the values of the members at the steps at which the others are present, or at which they are not.
fn keep(members: &[usize], side: &mut [StepSeries], others: &Presence<'_>, present: bool) {
    if matches!(others, Presence::Never) && !present {
        return;
    }
    for i in members {
        retain(&mut side[*i].floats, |step| others.has(step) == present);
        retain(&mut side[*i].histograms, |step| others.has(step) == present);
    }
}

fn retain<T>(points: &mut Points<T>, wanted: impl Fn(u32) -> bool) {
    let flags: Vec<bool> = points.steps.iter().map(|step| wanted(*step)).collect();
    if flags.iter().all(|flag| *flag) {
        return;
    }
    let mut of_values = flags.iter();
    points.values.retain(|_| of_values.next().is_some_and(|flag| *flag));
    let mut of_steps = flags.iter();
    points.steps.retain(|_| of_steps.next().is_some_and(|flag| *flag));
}
