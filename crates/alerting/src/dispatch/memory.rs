//! What a dispatcher remembers over a restart and over a change of its settings: the alerts that a webhook is to be told,
//! and what it has been told.

use std::collections::BTreeSet;

use sonde_model::{Labels, TimestampMs};

use super::lane::{Group, Lane, Sent};
use super::{Dispatcher, LaneId, Plan, lanes};
use crate::webhook::{PayloadAlert, Status};

/// One group of alerts of one lane.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupMemory {
    /// The labels of the group.
    pub labels: Labels,
    /// When it is looked at next.
    pub next: TimestampMs,
    /// Alerts that fire, and alerts whose end has not been told.
    pub alerts: Vec<PayloadAlert>,
    /// What the webhook has taken last; `None` before the first time.
    pub sent: Option<SentMemory>,
    /// Alerts besides those that the webhook may take for firing.
    pub believed: BTreeSet<Labels>,
}

/// A notification that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentMemory {
    /// When.
    pub at: TimestampMs,
    /// The alerts that fired in it.
    pub firing: BTreeSet<Labels>,
    /// The alerts that were resolved in it.
    pub resolved: BTreeSet<Labels>,
}

/// What is to be remembered of a group from now on.
#[derive(Clone, Debug, PartialEq)]
pub struct OutboxChange {
    /// Route and webhook.
    pub lane: LaneId,
    /// The labels of the group.
    pub group: Labels,
    /// What is to be remembered; `None` where there is nothing left.
    pub memory: Option<GroupMemory>,
}

impl Dispatcher {
    /// What has changed since the last call and has to survive a restart.
    ///
    /// That a look was taken or an attempt failed is not part of it: whoever restores an older memory looks again.
    pub fn changes(&mut self) -> Vec<OutboxChange> {
        let gone = std::mem::take(&mut self.gone);
        let mut changes: Vec<_> =
            gone.into_iter().map(|(lane, group)| OutboxChange { lane, group, memory: None }).collect();
        for (id, lane) in &mut self.lanes {
            for group in std::mem::take(&mut lane.changed) {
                let memory = lane.groups.get(&group).map(|state| memory(&group, state));
                changes.push(OutboxChange { lane: id.clone(), group, memory });
            }
        }
        changes
    }

    /// All groups. Nothing counts as changed after it.
    pub fn memory(&mut self) -> Vec<(LaneId, GroupMemory)> {
        self.gone.clear();
        self.lanes.values_mut().for_each(|lane| lane.changed.clear());
        let all = self
            .lanes
            .iter()
            .flat_map(|(id, lane)| lane.groups.iter().map(move |(labels, group)| (id.clone(), memory(labels, group))));
        all.collect()
    }

    /// Takes up what was remembered before a restart. Groups that are known already stay as they are.
    ///
    /// Alerts are routed and grouped as the settings are now. Where that makes other groups, the webhook is told anew, also of
    /// the end of what it was told in the old ones.
    pub fn restore(&mut self, groups: Vec<(LaneId, GroupMemory)>) {
        for (lane, memory) in groups {
            self.adopt(&lane, &memory.labels.clone(), Group::from(memory));
        }
    }

    /// Goes on with other settings, as after a restart with them. What is under way for a group that stays counts.
    pub fn reconfigure(&mut self, plan: Plan) {
        self.inhibitor.replace_rules(plan.inhibit_rules().to_vec());
        let old = std::mem::replace(&mut self.lanes, lanes(&plan));
        self.plan = plan;
        for (id, lane) in old {
            for (labels, group) in lane.groups {
                self.gone.insert((id.clone(), labels.clone()));
                self.adopt(&id, &labels, group);
            }
            self.gone.extend(lane.changed.into_iter().map(|labels| (id.clone(), labels)));
        }
        for lane in self.lanes.values_mut() {
            lane.changed = lane.groups.keys().cloned().collect();
        }
    }

    /// Gives the alerts of a group to the groups of the same webhook in which they belong now.
    fn adopt(&mut self, from: &LaneId, from_group: &Labels, group: Group) {
        let mut told_goes_on = false;
        for alert in group.alerts.values() {
            let lanes = self.plan.lanes_for(&alert.labels).into_iter().filter(|id| id.target == from.target);
            let place = |id: LaneId| {
                let labels = self.lanes.get(&id)?.options.group_by.group_labels(&alert.labels);
                Some((id, labels))
            };
            let places: Vec<(LaneId, Labels)> = lanes.filter_map(place).collect();
            if places.iter().any(|(id, labels)| id == from && labels == from_group) {
                // Other routes to the webhook, if there are any, had the alert themselves or hear of it by the next evaluation.
                let Some(lane) = self.lanes.get_mut(from) else { continue };
                lane.adopt(from_group, alert, group.next);
                if !told_goes_on {
                    lane.go_on(from_group, &group);
                    told_goes_on = true;
                }
                continue;
            }
            let may_be_known = group.may_be_known(&alert.labels);
            if alert.status == Status::Resolved && !may_be_known {
                continue;
            }
            for (id, labels) in places {
                let Some(lane) = self.lanes.get_mut(&id) else { continue };
                lane.adopt(&labels, alert, group.next);
                if let Some(group) = lane.groups.get_mut(&labels).filter(|_| may_be_known) {
                    group.believed.insert(alert.labels.clone());
                }
            }
        }
    }
}

impl Lane {
    /// Takes an alert that was in another group, or in this one before.
    fn adopt(&mut self, labels: &Labels, alert: &PayloadAlert, next: TimestampMs) {
        let group = self.groups.entry(labels.clone()).or_insert_with(|| Group::new(next));
        group.next = group.next.min(next);
        if !group.alerts.contains_key(&alert.labels) {
            group.alerts.insert(alert.labels.clone(), alert.clone());
            self.alerts += 1;
        }
    }

    /// What was told of a group holds for the group that is the same.
    fn go_on(&mut self, labels: &Labels, from: &Group) {
        let Some(group) = self.groups.get_mut(labels) else { return };
        if group.sent.is_none() {
            group.sent.clone_from(&from.sent);
        }
        group.believed.extend(from.believed.iter().cloned());
        group.is_behind |= from.is_behind;
        group.in_flight = group.in_flight.or(from.in_flight);
    }
}

impl From<GroupMemory> for Group {
    fn from(memory: GroupMemory) -> Self {
        Group {
            alerts: memory.alerts.into_iter().map(|alert| (alert.labels.clone(), alert)).collect(),
            next: memory.next,
            sent: memory.sent.map(|s| Sent { at: s.at, firing: s.firing, resolved: s.resolved }),
            // Attempts are not remembered: an end too many is better than one too few.
            is_behind: !memory.believed.is_empty(),
            believed: memory.believed,
            in_flight: None,
        }
    }
}

fn memory(labels: &Labels, group: &Group) -> GroupMemory {
    let sent = group.sent.as_ref().map(|sent| SentMemory {
        at: sent.at,
        firing: sent.firing.clone(),
        resolved: sent.resolved.clone(),
    });
    GroupMemory {
        labels: labels.clone(),
        // What is under way may not arrive: after a restart it is due as it was.
        next: group.in_flight.unwrap_or(group.next),
        alerts: group.alerts.values().cloned().collect(),
        sent,
        believed: group.believed.clone(),
    }
}
