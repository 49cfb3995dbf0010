//! Which series of the two sides belong together: found once, for all steps.

use std::collections::HashMap;

use sonde_model::{Labels, METRIC_NAME};

use crate::ast::VectorMatching;
use crate::column::StepSeries;

/// Series of both sides whose matching labels are equal, as indices into the sides.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) left: Vec<usize>,
    pub(super) right: Vec<usize>,
}

/// The groups in the order in which their first series come, left side first.
pub(super) fn groups(matching: &VectorMatching, left: &[StepSeries], right: &[StepSeries]) -> Vec<Group> {
    let hasher = foldhash::fast::RandomState::default();
    let mut index: HashMap<Labels, usize, _> = HashMap::with_capacity_and_hasher(left.len().max(right.len()), hasher);
    let mut groups: Vec<Group> = Vec::new();
    let mut group_of = |series: &StepSeries, groups: &mut Vec<Group>| {
        *index.entry(matching_labels(matching, &series.labels)).or_insert_with(|| {
            groups.push(Group::default());
            groups.len() - 1
        })
    };
    for (i, series) in left.iter().enumerate() {
        let group = group_of(series, &mut groups);
        groups[group].left.push(i);
    }
    for (i, series) in right.iter().enumerate() {
        let group = group_of(series, &mut groups);
        groups[group].right.push(i);
    }
    groups
}

/// The labels by which a series finds its partner.
pub(super) fn matching_labels(matching: &VectorMatching, labels: &Labels) -> Labels {
    let is_listed = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on {
        labels.without(|name| !is_listed(name))
    } else {
        labels.without(|name| name == METRIC_NAME || is_listed(name))
    }
}
