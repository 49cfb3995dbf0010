//! The settings of a dispatcher, checked as a whole: names that are used are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sonde_model::{Labels, TimestampMs};
use thiserror::Error;

use super::lane::LaneOptions;
use super::{LaneId, Target};
use crate::inhibit::{self, InhibitRule};
use crate::interval::TimeInterval;
use crate::route::{Route, RouteError, RouteSpec, Routes};

/// Receivers and time intervals at most, and webhooks of one receiver.
const MAX_NAMED: usize = 1_000;
const MAX_WEBHOOKS: usize = 16;

/// What one webhook of a receiver wants to hear. Where it is, the sender knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether it hears that an alert has been resolved.
    pub send_resolved: bool,
    /// Alerts in one payload; 0 for no limit.
    pub max_alerts: usize,
}

/// What a plan is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanSpec {
    /// The routing trees: every alert goes through each.
    pub routes: Vec<RouteSpec>,
    /// The webhooks of each receiver by its name. One without any hears nothing, on purpose.
    pub receivers: BTreeMap<Arc<str>, Vec<Endpoint>>,
    /// Who keeps whom quiet.
    pub inhibit_rules: Vec<InhibitRule>,
    /// Time intervals by name: one of the list has to hold.
    pub time_intervals: BTreeMap<String, Vec<TimeInterval>>,
    /// Where a browser finds the sender.
    pub external_url: String,
}

/// Who is told of what, and when; proven.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    routes: Routes,
    spec: PlanSpec,
}

/// Why a plan is none.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// A routing tree is no good.
    #[error(transparent)]
    Route(#[from] RouteError),
    /// A route names a receiver that is not there.
    #[error("{}receiver must be one that there is, not {name:?}: {known}", place.1)]
    NoReceiver {
        /// Which tree, and the way down from its root.
        place: (usize, String),
        /// The name.
        name: Arc<str>,
        /// The names that there are.
        known: String,
    },
    /// A route names a time interval that is not there.
    #[error("{}{key} must be among those that there are, not {name:?}: {known}", place.1)]
    NoInterval {
        /// Which tree, and the way down from its root.
        place: (usize, String),
        /// The key of the route.
        key: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// There are too many of something.
    #[error("there are more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
}

impl Plan {
    /// Proves that every name is there and that nothing is beyond its limit.
    pub fn new(spec: PlanSpec) -> Result<Self, PlanError> {
        let webhooks = spec.receivers.values().map(Vec::len).max().unwrap_or_default();
        for (what, count, limit) in [
            ("receivers", spec.receivers.len(), MAX_NAMED),
            ("webhooks of one receiver", webhooks, MAX_WEBHOOKS),
            ("time intervals", spec.time_intervals.len(), MAX_NAMED),
            ("inhibition rules", spec.inhibit_rules.len(), inhibit::MAX_RULES),
        ] {
            if count > limit {
                return Err(PlanError::TooMany { what, limit });
            }
        }
        let routes = Routes::new(&spec.routes)?;
        for route in routes.iter() {
            let place = route.place.clone();
            if !spec.receivers.contains_key(&route.receiver) {
                let known = list(spec.receivers.keys().map(|name| &**name));
                return Err(PlanError::NoReceiver { place, name: Arc::clone(&route.receiver), known });
            }
            let muting = route.mute_time_intervals.iter().map(|name| ("mute_time_intervals", name));
            let active = route.active_time_intervals.iter().map(|name| ("active_time_intervals", name));
            if let Some((key, name)) = muting.chain(active).find(|(_, name)| !spec.time_intervals.contains_key(*name)) {
                let known = list(spec.time_intervals.keys().map(String::as_str));
                return Err(PlanError::NoInterval { place, key, name: name.clone(), known });
            }
        }
        Ok(Plan { routes, spec })
    }

    /// The routes that take an alert, in the order in which they are asked.
    pub fn routes_for(&self, labels: &Labels) -> Vec<&Route> {
        self.routes.matching(labels)
    }

    /// The names of the receivers that hear of an alert, each once.
    pub fn receivers_for(&self, labels: &Labels) -> Vec<Arc<str>> {
        let mut names = Vec::new();
        for route in self.routes.matching(labels) {
            if !names.contains(&route.receiver) {
                names.push(Arc::clone(&route.receiver));
            }
        }
        names
    }

    /// All receivers with their webhooks.
    pub fn receivers(&self) -> &BTreeMap<Arc<str>, Vec<Endpoint>> {
        &self.spec.receivers
    }

    /// The names of the time intervals for which a route is mute at a time; `None` where it speaks. Where no interval in which
    /// it is active holds, all of these are named.
    pub fn muted_by<'a>(&self, route: &'a Route, now: TimestampMs) -> Option<Vec<&'a str>> {
        let holds = |name: &&String| {
            self.spec.time_intervals.get(*name).is_some_and(|interval| interval.iter().any(|i| i.contains(now)))
        };
        let muting: Vec<&str> = route.mute_time_intervals.iter().filter(holds).map(String::as_str).collect();
        if !muting.is_empty() {
            return Some(muting);
        }
        let active = &route.active_time_intervals;
        let outside = !active.is_empty() && !active.iter().any(|name| holds(&name));
        outside.then(|| active.iter().map(String::as_str).collect())
    }

    /// The names of all time intervals for which routes of an alert are mute at a time.
    pub fn muted_names(&self, labels: &Labels, now: TimestampMs) -> Vec<String> {
        let routes = self.routes.matching(labels).into_iter();
        let names: BTreeSet<&str> = routes.filter_map(|route| self.muted_by(route, now)).flatten().collect();
        names.into_iter().map(str::to_owned).collect()
    }

    pub(super) fn inhibit_rules(&self) -> &[InhibitRule] {
        &self.spec.inhibit_rules
    }

    /// The routes that are mute at a time, by id and receiver.
    pub(super) fn muted_routes(&self, now: TimestampMs) -> BTreeSet<(Arc<str>, Arc<str>)> {
        let muted = self.routes.iter().filter(|route| self.muted_by(route, now).is_some());
        muted.map(|route| (Arc::clone(&route.id), Arc::clone(&route.receiver))).collect()
    }

    /// The lanes of an alert.
    pub(super) fn lanes_for(&self, labels: &Labels) -> Vec<LaneId> {
        self.routes.matching(labels).into_iter().flat_map(|route| self.lanes_of(route)).collect()
    }

    /// All lanes there are.
    pub(super) fn lanes(&self) -> impl Iterator<Item = (LaneId, LaneOptions)> {
        self.routes.iter().flat_map(|route| {
            self.lanes_of(route).map(|id| {
                let endpoint = self.spec.receivers[&route.receiver][id.target.webhook as usize].clone();
                let options = LaneOptions {
                    route_key: Arc::clone(&route.key),
                    receiver: route.receiver.to_string(),
                    group_by: route.group_by.clone(),
                    timing: route.timing,
                    endpoint,
                    external_url: self.spec.external_url.clone(),
                };
                (id, options)
            })
        })
    }

    fn lanes_of(&self, route: &Route) -> impl Iterator<Item = LaneId> {
        let (id, receiver) = (Arc::clone(&route.id), Arc::clone(&route.receiver));
        let count = self.spec.receivers.get(&receiver).map_or(0, Vec::len) as u32;
        (0..count).map(move |webhook| LaneId {
            route: Arc::clone(&id),
            target: Target { receiver: Arc::clone(&receiver), webhook },
        })
    }
}

/// Names for an error, as many as a line holds.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    const SHOWN: usize = 10;
    let mut names: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => {
            names.truncate(SHOWN);
            format!("{} and {} more", names.join(", "), count - SHOWN)
        }
        _ => names.join(", "),
    }
}
