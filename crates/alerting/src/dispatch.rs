//! When which alerts are sent to a receiver: grouping, waiting, repeating. Pure in time.
//!
//! The decisions are those of Alertmanager's dispatcher and notification log for one route: a group is sent for the first time
//! `group_wait` after its first alert, then every `group_interval` if something has changed, and else after `repeat_interval`.

mod memory;

use std::collections::{BTreeMap, BTreeSet};

use sonde_model::{Labels, TimestampMs};

use crate::alert::{ALERT_NAME, AlertInstance, AlertState};
use crate::webhook::{GroupKey, Payload, PayloadAlert, Status};

pub use memory::{GroupMemory, SentMemory};

/// Alerts that one receiver may have at a time; more are dropped and counted.
pub const MAX_ALERTS: usize = 100_000;

/// The labels that make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Alerts that agree in these labels are one group; no label: all alerts are one group.
    Labels(Vec<String>),
    /// Every alert is its own group, Alertmanager's `...`.
    All,
}

impl Default for GroupBy {
    fn default() -> Self {
        GroupBy::Labels(vec![ALERT_NAME.to_owned()])
    }
}

/// How a receiver wants its notifications.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DispatchOptions {
    /// The name of the receiver, in payloads.
    pub receiver: String,
    /// What makes a group.
    pub group_by: GroupBy,
    /// From the first alert of a group to its first notification.
    pub group_wait_ms: i64,
    /// Between two looks at whether a group has changed, and between two attempts.
    pub group_interval_ms: i64,
    /// Between two notifications of a group in which nothing changes.
    pub repeat_interval_ms: i64,
    /// Whether the receiver hears that an alert has been resolved.
    pub send_resolved: bool,
    /// Alerts in one payload; 0 for no limit.
    pub max_alerts: usize,
    /// Where a browser finds the sender.
    pub external_url: String,
}

/// A payload that is due, and what has to be told once it has been delivered or given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// What to send.
    pub payload: Payload,
    firing: BTreeSet<Labels>,
    resolved: BTreeSet<Labels>,
}

/// The groups of one receiver.
#[derive(Debug)]
pub struct Dispatcher {
    options: DispatchOptions,
    groups: BTreeMap<GroupKey, AlertGroup>,
    alerts: usize,
    /// Groups of which something changed that has to survive a restart.
    changed: BTreeSet<GroupKey>,
}

#[derive(Debug)]
struct AlertGroup {
    alerts: BTreeMap<Labels, PayloadAlert>,
    /// When the group is looked at next.
    next: TimestampMs,
    /// What the receiver knows.
    sent: Option<Sent>,
    in_flight: bool,
}

#[derive(Debug)]
struct Sent {
    at: TimestampMs,
    firing: BTreeSet<Labels>,
    resolved: BTreeSet<Labels>,
}

impl Dispatcher {
    /// A receiver that has not heard of any alert.
    pub fn new(options: DispatchOptions) -> Self {
        Dispatcher { options, groups: BTreeMap::new(), alerts: 0, changed: BTreeSet::new() }
    }

    /// The settings.
    pub fn options(&self) -> &DispatchOptions {
        &self.options
    }

    /// Alerts that are kept now.
    pub fn alerts(&self) -> usize {
        self.alerts
    }

    /// Takes the news about an alert: it fires, or it has been resolved. An empty link leaves the one that is known.
    ///
    /// `false` says that the alert was dropped, because there are [`MAX_ALERTS`] already.
    pub fn take(&mut self, alert: &AlertInstance, generator_url: &str, now: TimestampMs) -> bool {
        let key = GroupKey(group_labels(&self.options.group_by, &alert.labels));
        let known = self.groups.get(&key).is_some_and(|group| group.alerts.contains_key(&alert.labels));
        if !known {
            // Nobody needs to hear of the end of something of whose beginning nobody heard.
            if alert.state == AlertState::Inactive {
                return true;
            }
            if self.alerts >= MAX_ALERTS {
                return false;
            }
            self.alerts += 1;
        }
        let next = now + self.options.group_wait_ms;
        let group = self.groups.entry(key.clone()).or_insert_with(|| AlertGroup {
            alerts: BTreeMap::new(),
            next,
            sent: None,
            in_flight: false,
        });
        let mut new = PayloadAlert::new(alert, generator_url);
        let old = group.alerts.get(&alert.labels);
        if let Some(known) = old.filter(|_| generator_url.is_empty()) {
            new.generator_url.clone_from(&known.generator_url);
        }
        // Other annotations alone come again with the next evaluation.
        if old.is_none_or(|old| (old.status, old.starts_at) != (new.status, new.starts_at)) {
            self.changed.insert(key);
        }
        group.alerts.insert(alert.labels.clone(), new);
        true
    }

    /// When [`Dispatcher::due`] should be asked again; `None` while there is nothing to wait for.
    pub fn next_due(&self) -> Option<TimestampMs> {
        self.groups.values().filter(|group| !group.in_flight).map(|group| group.next).min()
    }

    /// The notifications that are due, at most `room` of them; the others stay due.
    ///
    /// Each must be answered with [`Dispatcher::delivered`] or [`Dispatcher::failed`].
    pub fn due(&mut self, now: TimestampMs, room: usize) -> Vec<Notification> {
        let mut due = Vec::new();
        for (key, group) in &mut self.groups {
            if group.in_flight || group.next > now {
                continue;
            }
            if due.len() >= room {
                break;
            }
            group.next = now + self.options.group_interval_ms;
            let labels_of = |status: Status| -> BTreeSet<Labels> {
                let of_status = group.alerts.values().filter(|alert| alert.status == status);
                of_status.map(|alert| alert.labels.clone()).collect()
            };
            let (firing, resolved) = (labels_of(Status::Firing), labels_of(Status::Resolved));
            if !needs_sending(&self.options, group.sent.as_ref(), &firing, &resolved, now) {
                if forget(group, &resolved, &mut self.alerts) {
                    self.changed.insert(key.clone());
                }
                continue;
            }
            let wanted = |alert: &&PayloadAlert| self.options.send_resolved || alert.status == Status::Firing;
            let alerts: Vec<_> = group.alerts.values().filter(wanted).cloned().collect();
            let options = &self.options;
            let payload = Payload::new(key, &options.receiver, &options.external_url, alerts, options.max_alerts);
            group.in_flight = true;
            due.push(Notification { payload, firing, resolved });
        }
        self.groups.retain(|_, group| !group.alerts.is_empty());
        due
    }

    /// The receiver has taken a notification.
    pub fn delivered(&mut self, notification: &Notification, now: TimestampMs) {
        let Some(group) = self.groups.get_mut(&notification.payload.group_key) else { return };
        group.in_flight = false;
        let (firing, resolved) = (notification.firing.clone(), notification.resolved.clone());
        group.sent = Some(Sent { at: now, firing, resolved });
        self.changed.insert(notification.payload.group_key.clone());
        forget(group, &notification.resolved, &mut self.alerts);
        if group.alerts.is_empty() {
            self.groups.remove(&notification.payload.group_key);
        }
    }

    /// A notification was given up: the group is looked at again when its interval is over.
    pub fn failed(&mut self, notification: &Notification) {
        if let Some(group) = self.groups.get_mut(&notification.payload.group_key) {
            group.in_flight = false;
        }
    }
}

fn group_labels(group_by: &GroupBy, labels: &Labels) -> Labels {
    match group_by {
        GroupBy::All => labels.clone(),
        GroupBy::Labels(names) => labels.without(|name| !names.iter().any(|n| n == name)),
    }
}

/// Alertmanager's `needsUpdate`: whether the receiver knows something else than what is.
fn needs_sending(
    options: &DispatchOptions,
    sent: Option<&Sent>,
    firing: &BTreeSet<Labels>,
    resolved: &BTreeSet<Labels>,
    now: TimestampMs,
) -> bool {
    let Some(sent) = sent else { return !firing.is_empty() };
    if !firing.is_subset(&sent.firing) {
        return true;
    }
    if firing.is_empty() {
        return options.send_resolved && !sent.firing.is_empty();
    }
    if options.send_resolved && !resolved.is_subset(&sent.resolved) {
        return true;
    }
    now - sent.at >= options.repeat_interval_ms
}

/// Drops alerts that are resolved and of which the receiver has heard, unless they fire again by now. Says whether there were any.
fn forget(group: &mut AlertGroup, resolved: &BTreeSet<Labels>, count: &mut usize) -> bool {
    let before = group.alerts.len();
    group.alerts.retain(|labels, alert| alert.status == Status::Firing || !resolved.contains(labels));
    *count -= before - group.alerts.len();
    before != group.alerts.len()
}
