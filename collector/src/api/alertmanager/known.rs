//! The alerts that fire, wherever they come from, and what keeps them quiet.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use sonde_alerting::fingerprint::fingerprint;
use sonde_alerting::matcher::Matchers;
use sonde_alerting::silence::{SilenceId, SilenceSet};
use sonde_alerting::template::table_link;
use sonde_alerting::{AlertState, Dispatcher};
use sonde_model::{Labels, TimestampMs};

use super::answer;
use super::parameters;
use crate::api::form::Form;
use crate::api::prometheus::shown_url::without_user;
use crate::server::{Core, Server};

/// A rule's alert is shown as lasting this many evaluations beyond the last: what Prometheus tells an Alertmanager.
const EVALUATIONS_AHEAD: i64 = 4;
/// Evaluations that are closer count as this far apart.
const MIN_INTERVAL_MS: i64 = 60_000;

/// An alert that fires.
#[derive(Clone, Debug)]
pub(super) struct Known {
    labels: Labels,
    annotations: Labels,
    starts_at: TimestampMs,
    ends_at: TimestampMs,
    updated_at: TimestampMs,
    generator_url: String,
}

/// An alert as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    annotations: Map<String, Value>,
    ends_at: String,
    pub(super) fingerprint: String,
    receivers: Vec<ShownReceiver>,
    starts_at: String,
    status: Status,
    updated_at: String,
    #[serde(rename = "generatorURL", skip_serializing_if = "String::is_empty")]
    generator_url: String,
    labels: Map<String, Value>,
}

/// The name of a receiver.
#[derive(Debug, Serialize)]
pub(super) struct ShownReceiver {
    pub(super) name: String,
}

/// Whether somebody is told of an alert.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
    silenced_by: Vec<String>,
    state: &'static str,
}

/// Which alerts are asked for.
#[derive(Debug)]
pub(super) struct Filter {
    matchers: Matchers,
    active: bool,
    silenced: bool,
    inhibited: bool,
}

/// What the dispatcher says of an alert.
#[derive(Debug)]
pub(super) struct Sight {
    inhibited_by: Option<u64>,
    /// Who hears of it.
    pub(super) receivers: Vec<Arc<str>>,
}

impl Sight {
    /// Looks at an alert.
    pub(super) fn of(labels: &Labels, dispatcher: &Dispatcher) -> Self {
        Sight { inhibited_by: dispatcher.inhibited_by(labels), receivers: dispatcher.plan().receivers_for(labels) }
    }
}

/// All alerts that fire: those of rules, and those of other senders, which win where both have one.
pub(super) fn firing(server: &Server, core: &Core) -> BTreeMap<Labels, Known> {
    let now = server.clock.now_ms();
    let url = without_user(&crate::settings::external_url(&server.config.load(), &server.flags));
    let mut all = BTreeMap::new();
    for group in core.rules.snapshot() {
        let interval = i64::try_from(group.interval.as_millis()).unwrap_or(i64::MAX / 8).max(MIN_INTERVAL_MS);
        for (rule, state) in group.rules() {
            let firing = state.alerts.iter().filter(|alert| alert.state == AlertState::Firing);
            for alert in firing {
                let updated_at = state.last_evaluation.unwrap_or(alert.active_at);
                let known = Known {
                    labels: alert.labels.clone(),
                    annotations: alert.annotations.clone(),
                    starts_at: alert.fired_at.unwrap_or(alert.active_at),
                    ends_at: updated_at + EVALUATIONS_AHEAD * interval,
                    updated_at,
                    generator_url: format!("{url}{}", table_link(&rule.expr().expr.to_string())),
                };
                all.insert(alert.labels.clone(), known);
            }
        }
    }
    for alert in server.inbox.current().iter().filter(|alert| alert.ends_at > now) {
        let known = Known {
            labels: alert.labels.clone(),
            annotations: alert.annotations.clone(),
            starts_at: alert.starts_at,
            ends_at: alert.ends_at,
            updated_at: alert.updated_at,
            generator_url: alert.generator_url.clone(),
        };
        all.insert(alert.labels.clone(), known);
    }
    all
}

impl Known {
    /// What it is.
    pub(super) fn labels(&self) -> &Labels {
        &self.labels
    }
}

impl Filter {
    /// What the parameters of a request ask for.
    pub(super) fn new(form: &Form) -> Result<Self, answer::Refusal> {
        Ok(Filter {
            matchers: parameters::filter(form)?,
            active: parameters::switch(form, "active"),
            silenced: parameters::switch(form, "silenced"),
            inhibited: parameters::switch(form, "inhibited"),
        })
    }

    /// Whether an alert of these labels may be asked for.
    pub(super) fn takes(&self, labels: &Labels) -> bool {
        self.matchers.matches(labels)
    }

    /// The alert as it is shown, where it is asked for.
    pub(super) fn show(
        &self,
        alert: &Known,
        sight: &Sight,
        (silences, now): (&SilenceSet, TimestampMs),
        muted_by: &[String],
    ) -> Option<Shown> {
        if !self.takes(&alert.labels) {
            return None;
        }
        let silenced_by = silences.mutes(&alert.labels, now);
        let inhibited_by = sight.inhibited_by;
        let active = silenced_by.is_empty() && inhibited_by.is_none();
        let wanted = (self.active || !active)
            && (self.silenced || silenced_by.is_empty())
            && (self.inhibited || inhibited_by.is_none());
        wanted.then(|| Shown {
            annotations: object(&alert.annotations),
            ends_at: answer::time(alert.ends_at),
            fingerprint: hex(fingerprint(&alert.labels)),
            receivers: sight.receivers.iter().map(|name| ShownReceiver { name: name.to_string() }).collect(),
            starts_at: answer::time(alert.starts_at),
            status: Status {
                inhibited_by: inhibited_by.into_iter().map(hex).collect(),
                muted_by: muted_by.to_vec(),
                silenced_by: silenced_by.iter().map(SilenceId::to_string).collect(),
                state: if active && muted_by.is_empty() { "active" } else { "suppressed" },
            },
            updated_at: answer::time(alert.updated_at),
            generator_url: alert.generator_url.clone(),
            labels: object(&alert.labels),
        })
    }
}

/// A label set as a JSON object.
pub(super) fn object(labels: &Labels) -> Map<String, Value> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

fn hex(fingerprint: u64) -> String {
    format!("{fingerprint:016x}")
}
