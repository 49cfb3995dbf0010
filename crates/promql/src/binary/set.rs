//! `and`, `or` and `unless`.

use crate::ast::{Binary, BinaryOp};
use crate::column::{Points, StepSeries, Steps};

use super::matching::{Group, groups};

/// The set operation: series stay as they are, at the steps at which they are part of the result.
pub(super) fn evaluate(
    operation: &Binary,
    left: Vec<StepSeries>,
    right: Vec<StepSeries>,
    steps: Steps,
) -> Vec<StepSeries> {
    let groups = groups(&operation.matching, &left, &right);
    let mut left = left;
    let mut right = right;
    for group in &groups {
        match operation.op {
            BinaryOp::And => {
                let present = presence(&group.right, &right, steps);
                keep(group.left.iter(), &mut left, |step| present[step as usize]);
            }
            BinaryOp::Unless => {
                let present = presence(&group.right, &right, steps);
                keep(group.left.iter(), &mut left, |step| !present[step as usize]);
            }
            _ => keep_unmatched_right(group, &left, &mut right, steps),
        }
    }
    if operation.op == BinaryOp::Or {
        left.append(&mut right);
    }
    left.retain(|series| !series.is_empty());
    left
}

fn keep_unmatched_right(group: &Group, left: &[StepSeries], right: &mut [StepSeries], steps: Steps) {
    if !group.left.is_empty() && !group.right.is_empty() {
        let present = presence(&group.left, left, steps);
        keep(group.right.iter(), right, |step| !present[step as usize]);
    }
}

/// At which steps any of the series has a value.
fn presence(members: &[usize], side: &[StepSeries], steps: Steps) -> Vec<bool> {
    let mut present = vec![false; steps.count];
    for series in members.iter().map(|i| &side[*i]) {
        series.floats.steps.iter().chain(&series.histograms.steps).for_each(|step| present[*step as usize] = true);
    }
    present
}

fn keep<'a>(members: impl Iterator<Item = &'a usize>, side: &mut [StepSeries], wanted: impl Fn(u32) -> bool) {
    for i in members {
        retain(&mut side[*i].floats, &wanted);
        retain(&mut side[*i].histograms, &wanted);
    }
}

fn retain<T>(points: &mut Points<T>, wanted: impl Fn(u32) -> bool) {
    if points.steps.iter().all(|step| wanted(*step)) {
        return;
    }
    let mut flags = points.steps.iter().map(|step| wanted(*step)).collect::<Vec<_>>().into_iter();
    points.values.retain(|_| flags.next().unwrap_or(false));
    points.steps.retain(|step| wanted(*step));
}
