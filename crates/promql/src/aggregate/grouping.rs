//! Which series are aggregated together: `by` and `without`.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use smallvec::SmallVec;
use sonde_model::{Labels, METRIC_NAME};

use crate::ast::Aggregate;
use crate::column::StepSeries;

/// The clause of an aggregation.
#[derive(Clone, Copy)]
pub(super) struct Grouping<'a> {
    labels: &'a [String],
    without: bool,
}

/// Series that are aggregated together, as indices.
pub(super) struct Group {
    /// The series in their order.
    pub(super) members: Vec<usize>,
}

/// The groups that were met, by the labels that their series share.
pub(super) struct GroupIndex<'a> {
    grouping: Grouping<'a>,
    /// The groups whose labels have this hash; hardly ever more than one.
    places: HashMap<u64, SmallVec<[u32; 2]>, foldhash::fast::RandomState>,
    /// The labels of each group, in the order of their first series.
    labels: Vec<Labels>,
}

impl<'a> Grouping<'a> {
    pub(super) fn new(node: &'a Aggregate) -> Self {
        Grouping { labels: &node.grouping, without: node.without }
    }

    /// The labels that a series is grouped by.
    pub(super) fn labels_of(&self, labels: &Labels) -> Labels {
        labels.without(|name| !self.keeps(name))
    }

    /// The groups in the order of their first series.
    pub(super) fn groups(&self, series: &[StepSeries]) -> Vec<Group> {
        let mut index = GroupIndex::new(*self);
        let mut groups: Vec<Group> = Vec::new();
        for (i, one) in series.iter().enumerate() {
            let place = index.place(&one.labels);
            if place == groups.len() {
                groups.push(Group { members: Vec::new() });
            }
            groups[place].members.push(i);
        }
        groups
    }

    /// Whether series are grouped by a label.
    fn keeps(&self, name: &str) -> bool {
        let is_listed = self.labels.iter().any(|label| label == name);
        if self.without { !is_listed && name != METRIC_NAME } else { is_listed }
    }
}

impl<'a> GroupIndex<'a> {
    pub(super) fn new(grouping: Grouping<'a>) -> Self {
        GroupIndex { grouping, places: HashMap::default(), labels: Vec::new() }
    }

    /// The number of the group of a series; a new group has the next number.
    pub(super) fn place(&mut self, labels: &Labels) -> usize {
        let grouping = self.grouping;
        let kept = || labels.iter().filter(|(name, _)| grouping.keeps(name));
        let mut hasher = self.places.hasher().build_hasher();
        kept().for_each(|pair| pair.hash(&mut hasher));
        let known = self.places.entry(hasher.finish()).or_default();
        for place in known.iter() {
            if self.labels[*place as usize].iter().eq(kept()) {
                return *place as usize;
            }
        }
        known.push(self.labels.len() as u32);
        self.labels.push(grouping.labels_of(labels));
        self.labels.len() - 1
    }

    /// The labels of a group.
    pub(super) fn labels(&self, place: usize) -> &Labels {
        &self.labels[place]
    }
}
