//! What is written to the state database, and what is read from it at the start. Plain data.

use std::sync::Arc;

use sonde_alerting::received::Received;
use sonde_alerting::silence::{Silence, SilenceId};
use sonde_alerting::{AlertInstance, AlertState, GroupMemory, LaneId, OutboxChange, RuleMemory};
use sonde_model::{Labels, TimestampMs};

use crate::auth::{TokenHash, TokenRecord};

/// One thing that changed.
#[derive(Clone, Debug)]
pub enum Change {
    /// A rule group was evaluated.
    Group(GroupChange),
    /// A rule group is not loaded any more; its history stays.
    GroupGone {
        /// The file of the group.
        file: String,
        /// The name of the group.
        name: String,
    },
    /// Something happened to an alert.
    Transition(Transition),
    /// What a webhook is to be told and has been told of one group of alerts.
    OutboxGroup(OutboxChange),
    /// The same of all webhooks and groups: what was stored before goes.
    Outbox(Vec<(LaneId, GroupMemory)>),
    /// A silence was made or has changed.
    Silence(Arc<Silence>),
    /// A silence is so old that nobody needs it any more.
    SilenceGone(SilenceId),
    /// An alert of another sender came, or came again.
    Received(Received),
    /// An alert of another sender has ended.
    ReceivedGone(Labels),
    /// A token is new, or something about it changed.
    Token(TokenRecord),
    /// A token was used.
    TokenUsed {
        /// Which one.
        hash: TokenHash,
        /// When, roughly.
        at: TimestampMs,
    },
    /// A token is void.
    TokenGone(TokenHash),
}

/// What an evaluation of a rule group changed.
#[derive(Clone, Debug)]
pub struct GroupChange {
    /// The file of the group.
    pub file: String,
    /// The name of the group.
    pub name: String,
    /// The timestamp of the evaluation.
    pub last_evaluation: TimestampMs,
    /// Whether `active` is everything there is: what was stored before goes.
    pub whole: bool,
    /// Alerts that are new or have changed.
    pub active: Vec<StoredAlert>,
    /// Alerts that have ended, by the place of their rule and their labels.
    pub gone: Vec<(usize, Labels)>,
}

/// An alert and what tells its rule from others of the group.
#[derive(Clone, Debug)]
pub struct StoredAlert {
    /// The place of the rule in the group, from 0.
    pub index: usize,
    /// The name of the rule.
    pub rule: String,
    /// The labels of the rule as written.
    pub rule_labels: Labels,
    /// The alert.
    pub alert: AlertInstance,
}

/// A line of the history of alerts.
#[derive(Clone, Debug, PartialEq)]
pub struct Transition {
    /// When: the timestamp of the evaluation.
    pub at: TimestampMs,
    /// The file of the group.
    pub file: String,
    /// The name of the group.
    pub group: String,
    /// The labels of the alert, `alertname` among them.
    pub labels: Labels,
    /// Where it stood.
    pub from: AlertState,
    /// Where it stands.
    pub to: AlertState,
    /// The value of its series.
    pub value: f64,
}

/// What was remembered when the database was opened.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Rule groups, sorted by file and name.
    pub groups: Vec<StoredGroup>,
    /// The outbox.
    pub outbox: Vec<(LaneId, GroupMemory)>,
    /// Silences.
    pub silences: Vec<Silence>,
    /// Alerts of other senders.
    pub received: Vec<Received>,
    /// The tokens of the API.
    pub tokens: Vec<TokenRecord>,
}

impl Memory {
    /// The labels of the alerts that fired, those of other senders among them.
    pub fn firing(&self) -> Vec<Labels> {
        let alerts = self.groups.iter().flat_map(|group| &group.rules).flat_map(|rule| &rule.alerts);
        let firing = alerts.filter(|alert| alert.state == AlertState::Firing).map(|alert| &alert.labels);
        firing.chain(self.received.iter().map(|alert| &alert.labels)).cloned().collect()
    }
}

/// A rule group as it was after its last evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredGroup {
    /// The file of the group.
    pub file: String,
    /// The name of the group.
    pub name: String,
    /// The timestamp of the last evaluation.
    pub last_evaluation: TimestampMs,
    /// The rules that had alerts.
    pub rules: Vec<RuleMemory>,
}
