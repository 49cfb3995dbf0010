//! Which receiver is told of which alerts, and when: routing, grouping, waiting, muting, repeating. Pure in time.
//!
//! The decisions are those of Alertmanager's dispatcher and notification log: a group is told for the first time `group_wait`
//! after its first alert, then every `group_interval` if something has changed, and else after `repeat_interval`. An alert that
//! is silenced or inhibited, or on a route that is muted now, is neither told nor forgotten: once that ends, the receiver is
//! told what it should know.

mod lane;
mod memory;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sonde_model::{Labels, TimestampMs};

use crate::alert::{AlertInstance, AlertState};
use crate::inhibit::Inhibitor;
use crate::webhook::{GroupKey, Payload, PayloadAlert};
use lane::Lane;

pub use memory::{GroupMemory, OutboxChange, SentMemory};
pub use plan::{Endpoint, Plan, PlanError, PlanSpec};

/// Alerts that are kept for one route and webhook at a time; more are dropped and counted.
pub const MAX_ALERTS: usize = 100_000;
/// Notifications that are under way to one webhook at a time: one that is away does not hold up others.
pub const MAX_IN_FLIGHT: usize = 8;
/// So long after its end an alert is kept for a receiver that does not take it, or whose silence does not end.
pub const MAX_HELD_MS: i64 = 5 * 24 * 3_600_000;
/// A clock that goes back by more has been set; less is the time between two who look at it.
const MIN_CLOCK_STEP_MS: i64 = 60_000;
/// A receiver that asks for peace has it for an hour at most.
const MAX_BUSY_MS: i64 = 3_600_000;
/// A notification that failed for now is due again after this long, where the group's interval is longer.
pub const RETRY_MS: i64 = 15_000;

/// A webhook of a receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// The name of the receiver.
    pub receiver: Arc<str>,
    /// The place of the webhook in the receiver, from 0.
    pub webhook: u32,
}

/// The groups of one route as one webhook hears of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LaneId {
    /// The id of the route.
    pub route: Arc<str>,
    /// Who is told.
    pub target: Target,
}

/// A payload that is due, and what has to be told once it has been delivered or given up.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// On which way.
    pub lane: LaneId,
    /// What to send.
    pub payload: Payload,
    firing: BTreeSet<Labels>,
    resolved: BTreeSet<Labels>,
}

/// Why a notification was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may work later.
    Away,
    /// It may work later, and the receiver has said that it wants peace for so many milliseconds.
    Busy(i64),
    /// The receiver does not want it as it is: it is tried again when the group's interval is over.
    Refused,
}

/// A group of alerts, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertGroup<'a> {
    /// Route and labels.
    pub key: GroupKey,
    /// Who hears of it.
    pub receiver: &'a str,
    /// Alerts that fire, and alerts whose end has not been told.
    pub alerts: Vec<&'a PayloadAlert>,
}

/// All groups of all receivers.
#[derive(Debug)]
pub struct Dispatcher {
    plan: Plan,
    lanes: BTreeMap<LaneId, Lane>,
    inhibitor: Inhibitor,
    in_flight: BTreeMap<Target, usize>,
    /// Groups of lanes that are not there any more: what is remembered of them has to go.
    gone: BTreeSet<(LaneId, Labels)>,
    expired: u64,
    /// When it was asked last what is due.
    asked_at: TimestampMs,
}

impl Dispatcher {
    /// Receivers that have not heard of any alert.
    pub fn new(plan: Plan) -> Self {
        let inhibitor = Inhibitor::new(plan.inhibit_rules().to_vec());
        Dispatcher {
            lanes: lanes(&plan),
            plan,
            inhibitor,
            in_flight: BTreeMap::new(),
            gone: BTreeSet::new(),
            expired: 0,
            asked_at: TimestampMs::MIN,
        }
    }

    /// Routes, receivers and the rest of the settings.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Alerts that are kept now, by receiver; one that several routes or webhooks are told of counts for each.
    pub fn alerts(&self) -> BTreeMap<Arc<str>, usize> {
        let mut counts = BTreeMap::new();
        for (id, lane) in &self.lanes {
            *counts.entry(Arc::clone(&id.target.receiver)).or_insert(0) += lane.alerts();
        }
        counts
    }

    /// Alerts that were dropped because for too long after their end they could not be told.
    pub fn expired(&self) -> u64 {
        self.expired
    }

    /// Takes the news about an alert: it fires, or it has been resolved. An empty link leaves the one that is known.
    ///
    /// Gives the receivers that do not hear of it, because there are [`MAX_ALERTS`] for them already.
    pub fn take(&mut self, alert: &AlertInstance, generator_url: &str, now: TimestampMs) -> Vec<Arc<str>> {
        match alert.state {
            AlertState::Inactive => self.inhibitor.ends(&alert.labels),
            _ if self.inhibitor.firing() < MAX_ALERTS => self.inhibitor.fires(&alert.labels),
            _ => {}
        }
        let mut dropped = Vec::new();
        for id in self.plan.lanes_for(&alert.labels) {
            let taken = self.lanes.get_mut(&id).is_none_or(|lane| lane.take(alert, generator_url, now));
            if !taken {
                dropped.push(id.target.receiver);
            }
        }
        dropped
    }

    /// An alert is known to fire from before a restart: it inhibits from now on, and nobody is told of it by this.
    pub fn recall_firing(&mut self, labels: &Labels) {
        self.inhibitor.fires(labels);
    }

    /// When [`Dispatcher::due`] should be asked again; `None` while there is nothing to wait for.
    pub fn next_due(&self) -> Option<TimestampMs> {
        let open = self.lanes.iter().filter(|(id, _)| self.room(&id.target) > 0);
        open.filter_map(|(_, lane)| lane.next_due()).min()
    }

    /// The alerts about which [`Dispatcher::due`] would ask whether they are silenced.
    pub fn due_alerts(&self, now: TimestampMs) -> Vec<Labels> {
        let open = self.lanes.iter().filter(|(id, _)| self.room(&id.target) > 0);
        open.flat_map(|(_, lane)| lane.due_alerts(now)).cloned().collect()
    }

    /// The notifications that are due; `silenced` says which alerts a silence mutes.
    ///
    /// Each must be answered with [`Dispatcher::delivered`] or [`Dispatcher::failed`]. Of one webhook at most
    /// [`MAX_IN_FLIGHT`] are under way; the others stay due.
    pub fn due(&mut self, now: TimestampMs, silenced: &dyn Fn(&Labels) -> bool) -> Vec<Notification> {
        self.follow_clock(now);
        let mut due = Vec::new();
        let inhibitor = &self.inhibitor;
        let muted_routes = self.plan.muted_routes(now);
        // Routes share the places of a webhook: who has waited longest comes first.
        let mut lanes: Vec<_> = self.lanes.iter_mut().collect();
        lanes.sort_by_cached_key(|(_, lane)| lane.next_due().unwrap_or(TimestampMs::MAX));
        for (id, lane) in lanes {
            let in_flight = self.in_flight.entry(id.target.clone()).or_default();
            let route_is_muted = muted_routes.contains(&(Arc::clone(&id.route), Arc::clone(&id.target.receiver)));
            let muted =
                |labels: &Labels| route_is_muted || silenced(labels) || inhibitor.inhibited_by(labels).is_some();
            let looked = lane.due(now, MAX_IN_FLIGHT.saturating_sub(*in_flight), &muted);
            *in_flight += looked.due.len();
            self.expired += looked.expired;
            let notification = |told: lane::Told| Notification {
                lane: id.clone(),
                payload: told.payload,
                firing: told.firing,
                resolved: told.resolved,
            };
            due.extend(looked.due.into_iter().map(notification));
        }
        due
    }

    /// The receiver has taken a notification.
    pub fn delivered(&mut self, notification: &Notification, now: TimestampMs) {
        self.landed(&notification.lane.target);
        if let Some(lane) = self.lanes.get_mut(&notification.lane) {
            let group = &notification.payload.group_key.labels;
            lane.delivered(group, &notification.firing, &notification.resolved, now);
        }
    }

    /// A notification was given up: it is due again, later, with what is known then.
    pub fn failed(&mut self, notification: &Notification, failure: Failure, now: TimestampMs) {
        self.landed(&notification.lane.target);
        if let Some(lane) = self.lanes.get_mut(&notification.lane) {
            self.expired += lane.failed(&notification.payload.group_key.labels, failure, now);
        }
    }

    /// The fingerprint of an alert that keeps this one quiet.
    pub fn inhibited_by(&self, labels: &Labels) -> Option<u64> {
        self.inhibitor.inhibited_by(labels)
    }

    /// The groups, by route and receiver; of several webhooks of a receiver the first stands for all.
    pub fn groups(&self) -> impl Iterator<Item = AlertGroup<'_>> {
        let first = self.lanes.iter().filter(|(id, _)| id.target.webhook == 0);
        first.flat_map(|(id, lane)| {
            lane.groups().map(|(key, alerts)| AlertGroup { key, receiver: &id.target.receiver, alerts })
        })
    }

    /// Where the clock was set back, all that is planned comes earlier by as much: nobody waits for the time that comes twice.
    fn follow_clock(&mut self, now: TimestampMs) {
        let back = self.asked_at.saturating_sub(now);
        self.asked_at = now;
        if back > MIN_CLOCK_STEP_MS {
            self.lanes.values_mut().for_each(|lane| lane.set_back(back));
        }
    }

    fn room(&self, target: &Target) -> usize {
        MAX_IN_FLIGHT.saturating_sub(self.in_flight.get(target).copied().unwrap_or_default())
    }

    fn landed(&mut self, target: &Target) {
        if let Some(in_flight) = self.in_flight.get_mut(target) {
            *in_flight = in_flight.saturating_sub(1);
        }
    }
}

/// One lane for each route and each webhook of its receiver.
fn lanes(plan: &Plan) -> BTreeMap<LaneId, Lane> {
    plan.lanes().map(|(id, options)| (id, Lane::new(options))).collect()
}
