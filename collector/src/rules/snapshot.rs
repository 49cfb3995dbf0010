//! What the API shows of rule groups: a picture taken after each evaluation, so that looking never waits for one.

use std::sync::Arc;
use std::time::Duration;

use sonde_alerting::{AlertInstance, AlertState, Group, GroupState, Health, Rule};
use sonde_model::TimestampMs;

/// A group after its last evaluation.
#[derive(Clone, Debug)]
pub struct GroupSnapshot {
    /// The group as it is written in its file.
    pub group: Arc<Group>,
    /// The time between evaluations, the default filled in.
    pub interval: Duration,
    /// The timestamp of the last evaluation.
    pub last_evaluation: Option<TimestampMs>,
    /// How long it took.
    pub evaluation_time: Duration,
    /// Slots that passed without an evaluation, in this process and between it and the one before.
    pub missed: u64,
    /// The rules in the order of the file.
    pub rules: Vec<RuleSnapshot>,
}

/// A rule after its last evaluation; the rule itself is the one at the same place in the group.
#[derive(Clone, Debug)]
pub struct RuleSnapshot {
    /// Whether it works, and if not, why.
    pub health: Health,
    /// The worst state of its alerts; inactive for a recording rule.
    pub state: AlertState,
    /// Pending and firing alerts, sorted by labels.
    pub alerts: Vec<AlertInstance>,
    /// The timestamp of the last evaluation.
    pub last_evaluation: Option<TimestampMs>,
    /// How long it took.
    pub evaluation_time: Duration,
}

impl GroupSnapshot {
    /// The picture of a group; `times` are how long each rule took, `missed` is how many slots passed.
    pub(super) fn new(state: &GroupState, interval: Duration, times: &[Duration], missed: u64) -> Self {
        let rules: Vec<RuleSnapshot> = state
            .rules()
            .enumerate()
            .map(|(i, (_, rule))| RuleSnapshot {
                health: rule.health().clone(),
                state: rule.alert_state(),
                alerts: rule.alerts().cloned().collect(),
                last_evaluation: rule.last_evaluation(),
                evaluation_time: times.get(i).copied().unwrap_or_default(),
            })
            .collect();
        GroupSnapshot {
            group: Arc::clone(state.group()),
            interval,
            last_evaluation: rules.iter().filter_map(|rule| rule.last_evaluation).max(),
            evaluation_time: times.iter().sum(),
            missed,
            rules,
        }
    }

    /// The rules as written, each with its picture.
    pub fn rules(&self) -> impl Iterator<Item = (&Rule, &RuleSnapshot)> {
        self.group.rules.iter().zip(&self.rules)
    }
}
