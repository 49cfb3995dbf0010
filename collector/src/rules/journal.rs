//! What the state database knows of a group, to tell it what has changed.

use std::collections::BTreeMap;

use sonde_alerting::{AlertInstance, AlertState, GroupState};
use sonde_model::{Labels, TimestampMs};

use crate::state::{Change, GroupChange, StoredAlert, Transition};

/// The alerts of a group by the place of their rule and their labels.
type Known = BTreeMap<(usize, Labels), AlertInstance>;

/// The alerts of a group as the database has them.
#[derive(Debug, Default)]
pub(super) struct Journal {
    known: Known,
    /// The places of rules in the database may be others: everything is written anew.
    whole: bool,
}

impl Journal {
    /// Of a group that was restored or changed: its alerts are known, but perhaps under other rules.
    pub(super) fn of_restored(state: &GroupState) -> Self {
        Journal { known: known(state), whole: true }
    }

    /// What has to be written after an evaluation.
    pub(super) fn changes(&self, state: &GroupState, at: TimestampMs) -> Vec<Change> {
        let group = state.group();
        let now = known(state);
        let stored = |(index, _): &(usize, Labels), alert: &AlertInstance| StoredAlert {
            index: *index,
            rule: group.rules[*index].name().to_owned(),
            rule_labels: group.rules[*index].label_sources(),
            alert: alert.clone(),
        };
        let is_new = |key, alert: &AlertInstance| self.whole || self.known.get(key).is_none_or(|old| !same(old, alert));
        let change = GroupChange {
            file: group.origin.clone(),
            name: group.name.clone(),
            last_evaluation: at,
            whole: self.whole,
            active: now.iter().filter(|(key, alert)| is_new(key, alert)).map(|(k, a)| stored(k, a)).collect(),
            gone: self.known.keys().filter(|key| !now.contains_key(key)).cloned().collect(),
        };
        let state_of = |alert: Option<&AlertInstance>| alert.map_or(AlertState::Inactive, |alert| alert.state);
        let begun = now.iter().map(|(key, alert)| (alert, state_of(self.known.get(key)), alert.state));
        let ended = self.known.iter().filter(|(key, _)| !now.contains_key(key));
        let ended = ended.map(|(_, alert)| (alert, alert.state, AlertState::Inactive));
        let line = |(alert, from, to): (&AlertInstance, _, _)| {
            Change::Transition(transition(&group.origin, &group.name, alert, from, to, at))
        };
        let lines = begun.chain(ended).filter(|(_, from, to)| from != to).map(line);
        [Change::Group(change)].into_iter().chain(lines).collect()
    }

    /// The changes are in the database.
    pub(super) fn committed(&mut self, state: &GroupState) {
        *self = Journal { known: known(state), whole: false };
    }
}

/// A line of the history.
pub(super) fn transition(
    file: &str,
    group: &str,
    alert: &AlertInstance,
    from: AlertState,
    to: AlertState,
    at: TimestampMs,
) -> Transition {
    let (labels, value) = (alert.labels.clone(), alert.value);
    Transition { at, file: file.to_owned(), group: group.to_owned(), labels, from, to, value }
}

fn known(state: &GroupState) -> Known {
    let alerts = state.rules().enumerate().flat_map(|(index, (_, rule))| rule.alerts().map(move |a| (index, a)));
    alerts.map(|(index, alert)| ((index, alert.labels.clone()), alert.clone())).collect()
}

/// As equality, but a value that is not a number equals itself.
fn same(old: &AlertInstance, new: &AlertInstance) -> bool {
    let value = |alert: &AlertInstance| alert.value.to_bits();
    value(old) == value(new)
        && (&old.annotations, old.state, old.active_at, old.fired_at, old.keep_firing_since)
            == (&new.annotations, new.state, new.active_at, new.fired_at, new.keep_firing_since)
}
