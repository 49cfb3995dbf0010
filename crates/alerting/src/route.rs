//! The routing tree: which receiver hears of an alert, and how alerts are grouped and waited for on the way. Pure.
//!
//! Alertmanager's semantics: an alert goes down depth first; the deepest node that matches takes it, and its siblings after it
//! are asked only where it says `continue`. What a node does not say it has from its parent, matchers and times apart.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use sonde_model::Labels;
use thiserror::Error;

use crate::matcher::Matchers;

/// Nodes of all trees together.
pub const MAX_ROUTES: usize = 2_000;
/// Nodes from a root down to a leaf.
pub const MAX_DEPTH: usize = 10;

/// The labels that make a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// Alerts that agree in these labels are one group; no label: all alerts are one group.
    Labels(Vec<String>),
    /// Every alert is its own group, Alertmanager's `...`.
    All,
}

impl GroupBy {
    /// The labels of the group of an alert.
    pub fn group_labels(&self, labels: &Labels) -> Labels {
        match self {
            GroupBy::All => labels.clone(),
            GroupBy::Labels(names) => labels.without(|name| !names.iter().any(|n| n == name)),
        }
    }
}

/// When a group of alerts is told. All in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From the first alert of a group to its first notification.
    pub group_wait_ms: i64,
    /// Between two looks at whether a group has changed.
    pub group_interval_ms: i64,
    /// Between two notifications of a group in which nothing changes.
    pub repeat_interval_ms: i64,
}

impl Default for Timing {
    /// Alertmanager's: 30 seconds, 5 minutes, 4 hours.
    fn default() -> Self {
        Timing { group_wait_ms: 30_000, group_interval_ms: 300_000, repeat_interval_ms: 4 * 3_600_000 }
    }
}

/// A node as it is written: what is `None` comes from the parent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSpec {
    /// Who hears of the alerts; the root has to say.
    pub receiver: Option<String>,
    /// Which alerts the node takes; all without any.
    pub matchers: Matchers,
    /// What makes a group; of a root that does not say, all alerts are one.
    pub group_by: Option<GroupBy>,
    /// From the first alert of a group to its first notification, in milliseconds.
    pub group_wait_ms: Option<i64>,
    /// Between two looks at whether a group has changed, in milliseconds.
    pub group_interval_ms: Option<i64>,
    /// Between two notifications of a group in which nothing changes, in milliseconds.
    pub repeat_interval_ms: Option<i64>,
    /// Whether siblings after this node are asked although it has taken the alert.
    pub continue_matching: bool,
    /// Names of time intervals during which nobody is told.
    pub mute_time_intervals: Vec<String>,
    /// Names of time intervals outside of which nobody is told; always where there are none.
    pub active_time_intervals: Vec<String>,
    /// The nodes below.
    pub routes: Vec<RouteSpec>,
}

/// A node with everything that holds for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Alertmanager's key: the matchers from the root down, as in `{}/{severity="page"}`. Siblings may have the same.
    pub key: Arc<str>,
    /// The key, with a number behind it where an earlier node has the same: what is remembered of the node has this name.
    pub id: Arc<str>,
    /// Which tree, from 0, and the way down from its root, as in `routes[1].routes[0].`; for messages.
    pub place: (usize, String),
    /// Who hears of the alerts.
    pub receiver: Arc<str>,
    /// Which alerts of its parent the node takes.
    pub matchers: Matchers,
    /// What makes a group.
    pub group_by: GroupBy,
    /// When a group is told.
    pub timing: Timing,
    /// Whether siblings after this node are asked, too.
    pub continue_matching: bool,
    /// Names of time intervals during which nobody is told.
    pub mute_time_intervals: Vec<String>,
    /// Names of time intervals outside of which nobody is told.
    pub active_time_intervals: Vec<String>,
    children: Vec<usize>,
}

/// One or more trees; every alert goes through each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes {
    /// All nodes, parents before their children.
    nodes: Vec<Route>,
    roots: Vec<usize>,
}

/// What is wrong with a node.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{path}{fault}")]
pub struct RouteError {
    /// Which tree, from 0.
    pub root: usize,
    /// From its root down, as in `routes[1].routes[0].`; empty for the root.
    pub path: String,
    /// What is wrong.
    pub fault: RouteFault,
}

/// What can be wrong with a node.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteFault {
    /// A root has to say who is told.
    #[error("receiver is missing: the root route must name one")]
    NoReceiver,
    /// The root takes every alert.
    #[error("matchers must not stand at the root route, which takes every alert")]
    RootMatchers,
    /// There is nothing to go on with after the root.
    #[error("continue must not stand at the root route, which has no siblings")]
    RootContinue,
    /// What is muted at the root would be lost for everybody.
    #[error("{key} must not stand at the root route; put it on a route below")]
    RootTimes {
        /// The key.
        key: &'static str,
    },
    /// An interval of no time would send without end.
    #[error("{key} must be greater than 0")]
    Zero {
        /// The key.
        key: &'static str,
    },
    /// There are too many nodes.
    #[error("routes must not be more than {MAX_ROUTES} in all")]
    TooMany,
    /// The tree is too deep.
    #[error("routes must not be nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

impl Routes {
    /// Builds trees; what nodes do not say comes from their parents.
    pub fn new(roots: &[RouteSpec]) -> Result<Self, RouteError> {
        let mut routes = Routes::default();
        for (root, spec) in roots.iter().enumerate() {
            let add = routes.check_root(spec).and_then(|()| routes.add(spec, None, 1, ""));
            let index = add.map_err(|(path, fault)| RouteError { root, path, fault })?;
            routes.roots.push(index);
        }
        Ok(routes)
    }

    /// All nodes, parents before their children.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.nodes.iter()
    }

    /// The nodes that take an alert, in the order in which they are asked; at least one of every tree.
    pub fn matching(&self, labels: &Labels) -> Vec<&Route> {
        let mut found = Vec::new();
        for root in &self.roots {
            self.descend(*root, labels, &mut found);
        }
        found.into_iter().map(|index| &self.nodes[index]).collect()
    }

    /// Says whether the node takes the alert.
    fn descend(&self, index: usize, labels: &Labels, found: &mut Vec<usize>) -> bool {
        let node = &self.nodes[index];
        if !node.matchers.matches(labels) {
            return false;
        }
        let before = found.len();
        for child in &node.children {
            if self.descend(*child, labels, found) && !self.nodes[*child].continue_matching {
                break;
            }
        }
        if found.len() == before {
            found.push(index);
        }
        true
    }

    fn check_root(&self, spec: &RouteSpec) -> Result<(), (String, RouteFault)> {
        let fault = if !spec.matchers.is_empty() {
            RouteFault::RootMatchers
        } else if spec.continue_matching {
            RouteFault::RootContinue
        } else if !spec.mute_time_intervals.is_empty() {
            RouteFault::RootTimes { key: "mute_time_intervals" }
        } else if !spec.active_time_intervals.is_empty() {
            RouteFault::RootTimes { key: "active_time_intervals" }
        } else {
            return Ok(());
        };
        Err((String::new(), fault))
    }

    fn add(
        &mut self,
        spec: &RouteSpec,
        parent: Option<usize>,
        depth: usize,
        path: &str,
    ) -> Result<usize, (String, RouteFault)> {
        let fault = |fault| Err((path.to_owned(), fault));
        if depth > MAX_DEPTH {
            return fault(RouteFault::TooDeep);
        }
        if self.nodes.len() >= MAX_ROUTES {
            return fault(RouteFault::TooMany);
        }
        for (key, value) in [("group_interval", spec.group_interval_ms), ("repeat_interval", spec.repeat_interval_ms)] {
            if value.is_some_and(|value| value <= 0) {
                return fault(RouteFault::Zero { key });
            }
        }
        let parent = parent.map(|index| &self.nodes[index]);
        let Some(receiver) =
            spec.receiver.as_deref().map(Arc::from).or_else(|| parent.map(|p| Arc::clone(&p.receiver)))
        else {
            return fault(RouteFault::NoReceiver);
        };
        let matchers = spec.matchers.clone().sorted();
        let key: Arc<str> = match parent {
            Some(parent) => format!("{}/{matchers}", parent.key).into(),
            None => matchers.to_string().into(),
        };
        let timing = parent.map(|p| p.timing).unwrap_or_default();
        let route = Route {
            id: self.free_id(&key, &receiver),
            place: (self.roots.len(), path.to_owned()),
            key,
            receiver,
            matchers,
            group_by: (spec.group_by.clone().or_else(|| parent.map(|p| p.group_by.clone())))
                .unwrap_or(GroupBy::Labels(Vec::new())),
            timing: Timing {
                group_wait_ms: spec.group_wait_ms.unwrap_or(timing.group_wait_ms),
                group_interval_ms: spec.group_interval_ms.unwrap_or(timing.group_interval_ms),
                repeat_interval_ms: spec.repeat_interval_ms.unwrap_or(timing.repeat_interval_ms),
            },
            continue_matching: spec.continue_matching,
            mute_time_intervals: spec.mute_time_intervals.clone(),
            active_time_intervals: spec.active_time_intervals.clone(),
            children: Vec::new(),
        };
        let index = self.nodes.len();
        self.nodes.push(route);
        for (i, child) in spec.routes.iter().enumerate() {
            let child = self.add(child, Some(index), depth + 1, &format!("{path}routes[{i}]."))?;
            self.nodes[index].children.push(child);
        }
        Ok(index)
    }

    /// The key, and a number where a node for the same receiver has it already: other nodes may come and go beside it.
    fn free_id(&self, key: &Arc<str>, receiver: &str) -> Arc<str> {
        match self.nodes.iter().filter(|node| node.key == *key && *node.receiver == *receiver).count() {
            0 => Arc::clone(key),
            n => format!("{key}#{n}").into(),
        }
    }
}
