//! What a group remembers over a restart.

use std::collections::BTreeSet;
use std::sync::Arc;

use sonde_model::{Labels, TimestampMs};

use super::{GroupState, RuleOutput, RuleState};
use crate::alert::{AlertInstance, Alerts};
use crate::rules::{Group, Rule};

/// The alerts of one rule, and what tells the rule from others of its group.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleMemory {
    /// Its place in the group, from 0.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Its labels as they are written: see [`Rule::label_sources`].
    pub labels: Labels,
    /// Its pending and firing alerts.
    pub alerts: Vec<AlertInstance>,
}

impl GroupState {
    /// What must not be forgotten: the rules that have alerts.
    pub fn memory(&self) -> Vec<RuleMemory> {
        let rules = self.rules().enumerate().map(|(index, (rule, state))| RuleMemory {
            index,
            name: rule.name().to_owned(),
            labels: rule.label_sources(),
            alerts: state.alerts().cloned().collect(),
        });
        rules.filter(|rule| !rule.alerts.is_empty()).collect()
    }

    /// The state of a group that was evaluated before a restart, and what ends at `at` because its rule is not there any more.
    ///
    /// A rule takes what was remembered at its place, or else what was remembered of a rule of its name and labels.
    pub fn restore(
        group: Arc<Group>,
        memory: Vec<RuleMemory>,
        last_evaluation: Option<TimestampMs>,
        at: TimestampMs,
    ) -> (Self, RuleOutput) {
        let offset_ms = group.query_offset_ms.unwrap_or(0);
        let mut memory: Vec<Option<RuleMemory>> = memory.into_iter().map(Some).collect();
        let mut rules: Vec<Option<RuleState>> = vec![None; group.rules.len()];
        for same_place in [true, false] {
            for (index, rule) in group.rules.iter().enumerate().filter(|(_, rule)| matches!(rule, Rule::Alerting(_))) {
                if rules[index].is_some() {
                    continue;
                }
                let fits = |m: &RuleMemory| {
                    (!same_place || m.index == index) && m.name == rule.name() && m.labels == rule.label_sources()
                };
                let found = memory.iter_mut().find(|m| m.as_ref().is_some_and(fits)).and_then(Option::take);
                rules[index] = found.map(|m| RuleState::restore(m.alerts, at));
            }
        }
        let mut state = GroupState { group, rules: rules.into_iter().map(Option::unwrap_or_default).collect() };
        for rule in &mut state.rules {
            rule.last_evaluation = last_evaluation;
        }
        let mut ended = RuleOutput::default();
        for gone in memory.into_iter().flatten() {
            RuleState::restore(gone.alerts, at).end(at, at - offset_ms, &BTreeSet::new(), &mut ended);
        }
        (state, ended)
    }
}

impl RuleState {
    fn restore(alerts: Vec<AlertInstance>, at: TimestampMs) -> Self {
        // The series that were written last, so that they end where the alert does.
        let yielded = alerts.iter().flat_map(|alert| alert.samples(at)).map(|sample| sample.labels).collect();
        RuleState { alerts: Alerts::restore(alerts), yielded, ..RuleState::default() }
    }
}
