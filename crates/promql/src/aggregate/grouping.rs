//! Which series are aggregated together: `by` and `without`.

use std::collections::HashMap;

use sonde_model::{Labels, METRIC_NAME};

use crate::ast::Aggregate;
use crate::column::StepSeries;

/// The clause of an aggregation.
pub(super) struct Grouping<'a> {
    labels: &'a [String],
    without: bool,
}

/// Series that are aggregated together, as indices.
pub(super) struct Group {
    /// The labels of the result.
    pub(super) labels: Labels,
    /// The series in their order.
    pub(super) members: Vec<usize>,
}

impl<'a> Grouping<'a> {
    pub(super) fn new(node: &'a Aggregate) -> Self {
        Grouping { labels: &node.grouping, without: node.without }
    }

    /// The labels that a series is grouped by.
    pub(super) fn labels_of(&self, labels: &Labels) -> Labels {
        let is_listed = |name: &str| self.labels.iter().any(|label| label == name);
        if self.without {
            labels.without(|name| name == METRIC_NAME || is_listed(name))
        } else {
            labels.without(|name| !is_listed(name))
        }
    }

    /// The groups in the order of their first series.
    pub(super) fn groups(&self, series: &[StepSeries]) -> Vec<Group> {
        if self.labels.is_empty() && !self.without {
            let members: Vec<usize> = (0..series.len()).collect();
            return if members.is_empty() { Vec::new() } else { vec![Group { labels: Labels::empty(), members }] };
        }
        let mut index: HashMap<Labels, usize, foldhash::fast::RandomState> = HashMap::default();
        let mut groups: Vec<Group> = Vec::new();
        for (i, one) in series.iter().enumerate() {
            let group = *index.entry(self.labels_of(&one.labels)).or_insert_with_key(|labels| {
                groups.push(Group { labels: labels.clone(), members: Vec::new() });
                groups.len() - 1
            });
            groups[group].members.push(i);
        }
        groups
    }
}
