//! The groups of one route as one webhook hears of them: what it is to be told, what it has been told, when it is told next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sonde_model::{Labels, TimestampMs};

use super::plan::Endpoint;
use super::{Failure, MAX_ALERTS, MAX_BUSY_MS, MAX_HELD_MS, RETRY_MS};
use crate::alert::{AlertInstance, AlertState};
use crate::route::{GroupBy, Timing};
use crate::webhook::{GroupKey, Payload, PayloadAlert, Status};

/// What is asked whether an alert is mute now.
type MutedFn<'a> = &'a dyn Fn(&Labels) -> bool;

/// The alerts of a notification that fire, and those that do not any more.
type FiringAndResolved = (BTreeSet<Labels>, BTreeSet<Labels>);

/// How a webhook is told of the alerts of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LaneOptions {
    pub(super) route_key: Arc<str>,
    pub(super) receiver: String,
    pub(super) group_by: GroupBy,
    pub(super) timing: Timing,
    pub(super) endpoint: Endpoint,
    pub(super) external_url: String,
}

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) options: LaneOptions,
    /// By their labels.
    pub(super) groups: BTreeMap<Labels, Group>,
    pub(super) alerts: usize,
    /// Groups of which something changed that has to survive a restart.
    pub(super) changed: BTreeSet<Labels>,
}

#[derive(Debug)]
pub(super) struct Group {
    pub(super) alerts: BTreeMap<Labels, PayloadAlert>,
    /// When the group is looked at next.
    pub(super) next: TimestampMs,
    /// What the webhook has taken last.
    pub(super) sent: Option<Sent>,
    /// Alerts besides those that the webhook may take for firing: it was told so and we do not know whether it heard, or it
    /// was told so before they were muted.
    pub(super) believed: BTreeSet<Labels>,
    /// Whether the last attempt has not been taken, or not yet.
    pub(super) is_behind: bool,
    /// Since when the notification that is under way was due.
    pub(super) in_flight: Option<TimestampMs>,
}

#[derive(Clone, Debug)]
pub(super) struct Sent {
    pub(super) at: TimestampMs,
    pub(super) firing: BTreeSet<Labels>,
    pub(super) resolved: BTreeSet<Labels>,
}

/// What a look at the groups yields.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) due: Vec<Told>,
    /// Alerts that were dropped, because for too long nobody could be told of their end.
    pub(super) expired: u64,
}

/// A payload and the alerts of which the webhook knows after it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) payload: Payload,
    pub(super) firing: BTreeSet<Labels>,
    pub(super) resolved: BTreeSet<Labels>,
}

impl Lane {
    pub(super) fn new(options: LaneOptions) -> Self {
        Lane { options, groups: BTreeMap::new(), alerts: 0, changed: BTreeSet::new() }
    }

    pub(super) fn alerts(&self) -> usize {
        self.alerts
    }

    pub(super) fn groups(&self) -> impl Iterator<Item = (GroupKey, Vec<&PayloadAlert>)> {
        self.groups.iter().map(|(labels, group)| (self.key(labels), group.alerts.values().collect()))
    }

    fn key(&self, labels: &Labels) -> GroupKey {
        GroupKey { route: Arc::clone(&self.options.route_key), labels: labels.clone() }
    }

    /// `false` says that there is no room.
    pub(super) fn take(&mut self, alert: &AlertInstance, generator_url: &str, now: TimestampMs) -> bool {
        let labels = self.options.group_by.group_labels(&alert.labels);
        let known = self.groups.get(&labels).is_some_and(|group| group.alerts.contains_key(&alert.labels));
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
        let first = now + self.options.timing.group_wait_ms;
        let group = self.groups.entry(labels.clone()).or_insert_with(|| Group::new(first));
        let mut new = PayloadAlert::new(alert, generator_url);
        let old = group.alerts.get(&alert.labels);
        if let Some(known) = old.filter(|_| generator_url.is_empty()) {
            new.generator_url.clone_from(&known.generator_url);
        }
        // The webhook should have heard of it by now, and did not because it, or this process, was away: then of its end.
        let unheard = old.is_some_and(|old| old.status == Status::Firing) && new.status == Status::Resolved;
        if unheard && (group.next <= now || group.is_behind) {
            group.believed.insert(alert.labels.clone());
        }
        // Other annotations alone come again with the next evaluation.
        if old.is_none_or(|old| (old.status, old.starts_at) != (new.status, new.starts_at)) {
            self.changed.insert(labels);
        }
        group.alerts.insert(alert.labels.clone(), new);
        true
    }

    pub(super) fn next_due(&self) -> Option<TimestampMs> {
        self.groups.values().filter(|group| group.in_flight.is_none()).map(|group| group.next).min()
    }

    /// Makes all times earlier.
    pub(super) fn set_back(&mut self, by_ms: i64) {
        for group in self.groups.values_mut() {
            group.next -= by_ms;
            group.in_flight = group.in_flight.map(|due| due - by_ms);
            if let Some(sent) = &mut group.sent {
                sent.at -= by_ms;
            }
        }
        self.changed.extend(self.groups.keys().cloned());
    }

    /// The alerts of the groups whose time has come.
    pub(super) fn due_alerts(&self, now: TimestampMs) -> impl Iterator<Item = &Labels> {
        self.groups.values().filter(move |group| group.is_due(now)).flat_map(|group| group.alerts.keys())
    }

    /// Looks at the groups whose time has come; at most `room` of them are told. Those that have waited longest come first, so
    /// that groups that the webhook never takes do not keep it from hearing of others.
    pub(super) fn due(&mut self, now: TimestampMs, room: usize, muted: MutedFn<'_>) -> Looked {
        let mut looked = Looked::default();
        if room == 0 {
            return looked;
        }
        let due = self.groups.iter().filter(|(_, group)| group.is_due(now));
        let mut due: Vec<(TimestampMs, Labels)> = due.map(|(labels, group)| (group.next, labels.clone())).collect();
        due.sort_by_key(|(next, _)| *next);
        for (_, labels) in &due {
            if looked.due.len() >= room {
                break;
            }
            let Some(group) = self.groups.get_mut(labels) else { continue };
            let before = group.alerts.len();
            let (told, expired) = group.look(&self.options, now, muted);
            looked.expired += expired;
            if before != group.alerts.len() {
                self.changed.insert(labels.clone());
            }
            self.alerts -= before - group.alerts.len();
            if let Some((firing, resolved)) = told {
                self.changed.insert(labels.clone());
                let wanted = |alert: &&PayloadAlert| {
                    firing.contains(&alert.labels)
                        || (self.options.endpoint.send_resolved && resolved.contains(&alert.labels))
                };
                let alerts = group.alerts.values().filter(wanted).cloned().collect();
                let LaneOptions { route_key, receiver, external_url, endpoint, .. } = &self.options;
                let key = GroupKey { route: Arc::clone(route_key), labels: labels.clone() };
                let payload = Payload::new(&key, receiver, external_url, alerts, endpoint.max_alerts);
                looked.due.push(Told { payload, firing, resolved });
            }
        }
        self.groups.retain(|_, group| !group.alerts.is_empty());
        looked
    }

    pub(super) fn delivered(
        &mut self,
        labels: &Labels,
        firing: &BTreeSet<Labels>,
        resolved: &BTreeSet<Labels>,
        now: TimestampMs,
    ) {
        let Some(group) = self.groups.get_mut(labels) else { return };
        group.in_flight = None;
        let before = group.alerts.len();
        group.delivered(firing, resolved, now);
        self.alerts -= before - group.alerts.len();
        self.changed.insert(labels.clone());
        if group.alerts.is_empty() {
            self.groups.remove(labels);
        }
    }

    /// The group is looked at again when its interval is over; earlier where the webhook was away, later where it wants peace.
    /// Says how many alerts were dropped because nobody could be told of their end for too long.
    pub(super) fn failed(&mut self, labels: &Labels, failure: Failure, now: TimestampMs) -> u64 {
        let Some(group) = self.groups.get_mut(labels) else { return 0 };
        group.in_flight = None;
        match failure {
            Failure::Away => group.next = group.next.min(now + RETRY_MS),
            Failure::Busy(ms) => group.next = group.next.max(now + ms.clamp(0, MAX_BUSY_MS)),
            Failure::Refused => {}
        }
        let old: Vec<Labels> =
            group.alerts.values().filter(|alert| is_no_news(alert, now)).map(|alert| alert.labels.clone()).collect();
        group.drop_alerts(&old);
        self.alerts -= old.len();
        if !old.is_empty() {
            self.changed.insert(labels.clone());
        }
        if group.alerts.is_empty() {
            self.groups.remove(labels);
        }
        old.len() as u64
    }
}

impl Group {
    pub(super) fn new(next: TimestampMs) -> Self {
        Group {
            alerts: BTreeMap::new(),
            next,
            sent: None,
            believed: BTreeSet::new(),
            is_behind: false,
            in_flight: None,
        }
    }

    /// Whether it is to be looked at.
    fn is_due(&self, now: TimestampMs) -> bool {
        self.in_flight.is_none() && self.next <= now
    }

    /// Whether the webhook may take an alert for firing.
    pub(super) fn may_be_known(&self, labels: &Labels) -> bool {
        self.believed.contains(labels) || self.sent.as_ref().is_some_and(|sent| sent.firing.contains(labels))
    }

    /// Decides what to tell now: the alerts that fire and those that are resolved. Where nothing is told, alerts are dropped of
    /// whose end nobody needs to hear; also says how many of them were held for too long.
    fn look(
        &mut self,
        options: &LaneOptions,
        now: TimestampMs,
        muted: MutedFn<'_>,
    ) -> (Option<FiringAndResolved>, u64) {
        let Timing { group_interval_ms, repeat_interval_ms, .. } = options.timing;
        let was_due = std::mem::replace(&mut self.next, now + group_interval_ms);
        let (mut firing, mut resolved, mut held) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (labels, alert) in &self.alerts {
            match alert.status {
                Status::Firing if muted(labels) => {}
                Status::Firing => drop(firing.insert(labels.clone())),
                Status::Resolved if muted(labels) => drop(held.insert(labels.clone())),
                Status::Resolved => drop(resolved.insert(labels.clone())),
            }
        }
        let send_resolved = options.endpoint.send_resolved;
        if self.needs_telling(&firing, &resolved, send_resolved, now, repeat_interval_ms) {
            self.in_flight = Some(was_due);
            self.is_behind = true;
            // Whether it arrives or not, from now on the webhook may know.
            self.believed.extend(firing.iter().cloned());
            return (Some((firing, resolved)), 0);
        }
        if let Some(sent) = self.sent.as_ref().filter(|_| !firing.is_empty()) {
            self.next = self.next.min(sent.at + repeat_interval_ms);
        }
        // An end that is mute now is told later to whom it concerns; of the others nobody needs to hear.
        let mut expired = 0;
        let mut unneeded: Vec<Labels> = resolved.into_iter().collect();
        for labels in held {
            let concerns = send_resolved && self.may_be_known(&labels);
            let is_old = self.alerts.get(&labels).is_some_and(|alert| is_no_news(alert, now));
            if !concerns || is_old {
                expired += u64::from(concerns);
                unneeded.push(labels);
            }
        }
        self.drop_alerts(&unneeded);
        (None, expired)
    }

    fn drop_alerts(&mut self, gone: &[Labels]) {
        for labels in gone {
            self.alerts.remove(labels);
            self.believed.remove(labels);
        }
    }

    /// Alertmanager's `needsUpdate`: whether the webhook knows something else than what is. Beyond that it hears of the end of
    /// whatever it may take for firing.
    fn needs_telling(
        &self,
        firing: &BTreeSet<Labels>,
        resolved: &BTreeSet<Labels>,
        send_resolved: bool,
        now: TimestampMs,
        repeat_interval_ms: i64,
    ) -> bool {
        if send_resolved && resolved.iter().any(|labels| self.may_be_known(labels)) {
            return true;
        }
        if firing.is_empty() {
            return false;
        }
        let Some(sent) = &self.sent else { return true };
        !firing.is_subset(&sent.firing)
            || (send_resolved && !resolved.is_subset(&sent.resolved))
            || now - sent.at >= repeat_interval_ms
    }

    /// The webhook knows these alerts now; those that have ended are forgotten, unless they fire again by now.
    fn delivered(&mut self, firing: &BTreeSet<Labels>, resolved: &BTreeSet<Labels>, now: TimestampMs) {
        self.is_behind = false;
        if let Some(old) = self.sent.take() {
            self.believed.extend(old.firing);
        }
        self.alerts.retain(|labels, alert| alert.status == Status::Firing || !resolved.contains(labels));
        let alerts = &self.alerts;
        let still_open = |labels: &Labels| alerts.contains_key(labels);
        self.believed.retain(|labels| still_open(labels) && !firing.contains(labels) && !resolved.contains(labels));
        self.sent = Some(Sent { at: now, firing: firing.clone(), resolved: resolved.clone() });
    }
}

/// Whether an alert has ended so long ago that nobody needs to hear of it any more.
fn is_no_news(alert: &PayloadAlert, now: TimestampMs) -> bool {
    alert.status == Status::Resolved && alert.ends_at.is_some_and(|ended| now - ended >= MAX_HELD_MS)
}
