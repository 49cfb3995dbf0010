//! The webhook payload of Alertmanager, version 4, as plain data; whoever sends it writes the JSON.

use std::fmt;
use std::sync::Arc;

use sonde_model::labels::Quoted;
use sonde_model::{Labels, LabelsBuilder, TimestampMs};

use crate::alert::{AlertInstance, AlertState};

/// The version of the payload, a string in JSON.
pub const VERSION: &str = "4";

/// What a webhook receives: the alerts of one group.
#[derive(Clone, Debug, PartialEq)]
pub struct Payload {
    /// Names route and group: the same for every notification of the group.
    pub group_key: GroupKey,
    /// How many alerts were left out, because a receiver takes only so many.
    pub truncated_alerts: usize,
    /// `firing` as long as one of the alerts fires.
    pub status: Status,
    /// The name of the receiver.
    pub receiver: String,
    /// The labels by which the alerts are grouped.
    pub group_labels: Labels,
    /// What all alerts have in common.
    pub common_labels: Labels,
    /// What all alerts have in common.
    pub common_annotations: Labels,
    /// Where a browser finds the sender.
    pub external_url: String,
    /// The alerts: those that fire first.
    pub alerts: Vec<PayloadAlert>,
}

/// One alert of a payload.
#[derive(Clone, Debug, PartialEq)]
pub struct PayloadAlert {
    /// Whether it fires.
    pub status: Status,
    /// Its labels, `alertname` included.
    pub labels: Labels,
    /// Its annotations.
    pub annotations: Labels,
    /// When it began to fire.
    pub starts_at: TimestampMs,
    /// When it was resolved; while it fires JSON has Go's zero time, `0001-01-01T00:00:00Z`.
    pub ends_at: Option<TimestampMs>,
    /// A link to the expression of its rule.
    pub generator_url: String,
    /// Printed as 16 hexadecimal digits.
    pub fingerprint: u64,
}

/// Whether something fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Firing,
    /// It does not any more.
    Resolved,
}

impl Status {
    /// The status that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [Status::Firing, Status::Resolved].into_iter().find(|status| status.as_str() == word)
    }

    /// The word of the payload.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Firing => "firing",
            Status::Resolved => "resolved",
        }
    }
}

/// A group of alerts, named by its route and its labels as Alertmanager names it: `{}/{severity="page"}:{alertname="HighLoad"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    /// The key of the route.
    pub route: Arc<str>,
    /// The labels that the alerts of the group agree in.
    pub labels: Labels,
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{{", self.route)?;
        for (i, (name, value)) in self.labels.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{name}={}", Quoted(value))?;
        }
        f.write_str("}")
    }
}

impl PayloadAlert {
    /// The alert as a receiver sees it.
    pub fn new(alert: &AlertInstance, generator_url: &str) -> Self {
        let resolved = alert.state == AlertState::Inactive;
        PayloadAlert {
            status: if resolved { Status::Resolved } else { Status::Firing },
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: alert.fired_at.unwrap_or(alert.active_at),
            ends_at: alert.resolved_at,
            generator_url: generator_url.to_owned(),
            fingerprint: alert.fingerprint(),
        }
    }
}

impl Payload {
    /// Puts a payload together; of more than `max_alerts` alerts (0 for no limit) the last are left out.
    pub fn new(
        group: &GroupKey,
        receiver: &str,
        external_url: &str,
        mut alerts: Vec<PayloadAlert>,
        max_alerts: usize,
    ) -> Self {
        alerts.sort_by(|a, b| {
            let rank = |alert: &PayloadAlert| alert.status == Status::Resolved;
            rank(a).cmp(&rank(b)).then_with(|| a.labels.cmp(&b.labels))
        });
        let firing = alerts.iter().any(|alert| alert.status == Status::Firing);
        let common_labels = common(alerts.iter().map(|alert| &alert.labels));
        let common_annotations = common(alerts.iter().map(|alert| &alert.annotations));
        let kept = if max_alerts == 0 { alerts.len() } else { alerts.len().min(max_alerts) };
        let truncated_alerts = alerts.len() - kept;
        alerts.truncate(kept);
        Payload {
            group_key: group.clone(),
            truncated_alerts,
            status: if firing { Status::Firing } else { Status::Resolved },
            receiver: receiver.to_owned(),
            group_labels: group.labels.clone(),
            common_labels,
            common_annotations,
            external_url: external_url.to_owned(),
            alerts,
        }
    }
}

/// The pairs that are in every set.
fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else { return Labels::empty() };
    let mut builder = LabelsBuilder::from(first);
    for set in sets {
        for (name, value) in first.iter() {
            if set.get(name) != Some(value) {
                builder.remove(name);
            }
        }
    }
    builder.build()
}
