//! The state machine of an alerting rule: inactive, pending, firing, resolved.
//!
//! The same decisions as Prometheus's `AlertingRule.Eval`. An alert is identified by its labels after templating.

use std::collections::{BTreeMap, BTreeSet};

use sonde_model::{Labels, LabelsBuilder, METRIC_NAME, TimestampMs};
use sonde_promql::{SampleValue, VectorSample};

use crate::fingerprint::fingerprint;
use crate::group::{EvaluationError, OutputSample};
use crate::rules::AlertingRule;
use crate::template::{AskQuery, External, TemplateData};

/// The label that holds the name of the alert.
pub const ALERT_NAME: &str = "alertname";
const ALERT_STATE: &str = "alertstate";
const ALERTS: &str = "ALERTS";
const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";

/// Where an alert stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertState {
    /// It has been resolved. Instances in this state are reported once and then forgotten.
    Inactive,
    /// Its series is there, but not yet for as long as the rule asks.
    Pending,
    /// It fires.
    Firing,
}

impl AlertState {
    /// The state that a word names.
    pub fn from_word(word: &str) -> Option<Self> {
        [AlertState::Inactive, AlertState::Pending, AlertState::Firing].into_iter().find(|state| state.as_str() == word)
    }

    /// The word of Prometheus's API and of the label `alertstate`.
    pub fn as_str(self) -> &'static str {
        match self {
            AlertState::Inactive => "inactive",
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
        }
    }
}

/// One alert of a rule. Times are timestamps of evaluations.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertInstance {
    /// The labels after templating, `alertname` included: the identity.
    pub labels: Labels,
    /// The annotations after templating, of the last evaluation that yielded the series.
    pub annotations: Labels,
    /// Where it stands.
    pub state: AlertState,
    /// When its series appeared.
    pub active_at: TimestampMs,
    /// When it began to fire.
    pub fired_at: Option<TimestampMs>,
    /// When it was resolved.
    pub resolved_at: Option<TimestampMs>,
    /// Since when it fires only because of `keep_firing_for`.
    pub keep_firing_since: Option<TimestampMs>,
    /// The value of its series at the last evaluation that yielded it; 0 for a histogram, as in Prometheus.
    pub value: f64,
}

impl AlertInstance {
    /// What Alertmanager calls the alert.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(&self.labels)
    }

    fn resolve(&mut self, at: TimestampMs) {
        self.state = AlertState::Inactive;
        self.resolved_at = Some(at);
    }

    /// `ALERTS{alertstate=...}` and `ALERTS_FOR_STATE`.
    pub(crate) fn samples(&self, timestamp: TimestampMs) -> [OutputSample; 2] {
        let mut builder = LabelsBuilder::from(&self.labels);
        let for_state = builder.set(METRIC_NAME, ALERTS_FOR_STATE).build();
        let alerts = builder.set(METRIC_NAME, ALERTS).set(ALERT_STATE, self.state.as_str()).build();
        let since = self.active_at.div_euclid(1000) as f64;
        [OutputSample::float(alerts, timestamp, 1.0), OutputSample::float(for_state, timestamp, since)]
    }
}

/// The alerts of one rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alerts {
    active: BTreeMap<Labels, AlertInstance>,
    /// Alerts that are known from before a restart, and of whose data nothing has been seen since.
    restored: BTreeSet<Labels>,
}

/// What one evaluation of an alerting rule yields.
#[derive(Debug, Default)]
pub(crate) struct Evaluated {
    pub(crate) samples: Vec<OutputSample>,
    /// Alerts that fire, and alerts that have just been resolved.
    pub(crate) notify: Vec<AlertInstance>,
}

/// The circumstances of an evaluation.
pub(crate) struct Circumstances<'a, 'q> {
    pub(crate) at: TimestampMs,
    pub(crate) offset_ms: i64,
    pub(crate) limit: usize,
    pub(crate) external: &'a External,
    pub(crate) ask: &'a mut AskQuery<'q>,
    /// Whether the data of an alert that was restored can be seen by now.
    pub(crate) seen: &'a mut dyn FnMut(&AlertInstance) -> bool,
}

impl Alerts {
    /// The active alerts, sorted by labels.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &AlertInstance> {
        self.active.values()
    }

    /// The alerts as they were before a restart.
    pub(crate) fn restore(alerts: Vec<AlertInstance>) -> Self {
        let active: BTreeMap<_, _> = alerts.into_iter().map(|alert| (alert.labels.clone(), alert)).collect();
        Alerts { restored: active.keys().cloned().collect(), active }
    }

    /// Takes the result of the rule's expression at a time.
    pub(crate) fn evaluate(
        &mut self,
        rule: &AlertingRule,
        result: &[VectorSample],
        circumstances: &mut Circumstances<'_, '_>,
    ) -> Result<Evaluated, EvaluationError> {
        let at = circumstances.at;
        let found = instances(rule, result, circumstances)?;
        let mut unseen = BTreeSet::new();
        for (labels, alert) in &mut self.active {
            // That its series is there does not end the doubt: it may be a sample from before, soon out of sight.
            if self.restored.contains(labels) && (circumstances.seen)(alert) {
                self.restored.remove(labels);
            }
            if !found.contains_key(labels) {
                if self.restored.contains(labels) {
                    unseen.insert(labels.clone());
                } else {
                    vanish(rule, alert, at);
                }
            }
        }
        for (labels, new) in found {
            match self.active.get_mut(&labels) {
                Some(alert) => {
                    alert.value = new.value;
                    alert.annotations = new.annotations;
                    alert.keep_firing_since = None;
                }
                None => drop(self.active.insert(labels, new)),
            }
        }
        let still_active = self.active.values().filter(|alert| alert.state != AlertState::Inactive).count();
        if circumstances.limit > 0 && still_active > circumstances.limit {
            // All of them, so that nobody takes a part for the whole.
            self.active.clear();
            self.restored.clear();
            let limit = circumstances.limit;
            return Err(EvaluationError::LimitExceeded { limit, got: still_active, what: "alerts" });
        }
        Ok(self.settle(rule, at, at - circumstances.offset_ms, &unseen))
    }

    /// Lets pending alerts fire whose time has come, and writes down where every alert stands.
    fn settle(
        &mut self,
        rule: &AlertingRule,
        at: TimestampMs,
        timestamp: TimestampMs,
        unseen: &BTreeSet<Labels>,
    ) -> Evaluated {
        let mut evaluated = Evaluated::default();
        for (labels, alert) in &mut self.active {
            // What cannot be seen neither ends nor begins to fire.
            let waits = alert.state == AlertState::Pending && !unseen.contains(labels);
            if waits && alert.resolved_at.is_none() && at - alert.active_at >= rule.for_ms {
                alert.state = AlertState::Firing;
                alert.fired_at = Some(at);
            }
            if alert.state != AlertState::Inactive {
                evaluated.samples.extend(alert.samples(timestamp));
            }
            // A pending alert that went away was never announced, so its end is not announced either.
            if alert.state == AlertState::Firing || (alert.state == AlertState::Inactive && alert.fired_at.is_some()) {
                evaluated.notify.push(alert.clone());
            }
        }
        self.active.retain(|_, alert| alert.state != AlertState::Inactive);
        evaluated
    }

    /// Ends all alerts, because their rule has gone; yields those that fired, resolved.
    pub(crate) fn end(&mut self, at: TimestampMs) -> Vec<AlertInstance> {
        let mut ended: Vec<_> = std::mem::take(&mut self.active).into_values().collect();
        ended.retain(|alert| alert.state == AlertState::Firing);
        ended.iter_mut().for_each(|alert| alert.resolve(at));
        ended
    }
}

/// The series of an alert is not there any more.
fn vanish(rule: &AlertingRule, alert: &mut AlertInstance, at: TimestampMs) {
    if alert.state == AlertState::Firing && rule.keep_firing_for_ms > 0 {
        let since = *alert.keep_firing_since.get_or_insert(at);
        if at - since < rule.keep_firing_for_ms {
            return;
        }
    }
    alert.resolve(at);
}

/// The alerts that the series of a result make, with labels and annotations expanded.
fn instances(
    rule: &AlertingRule,
    result: &[VectorSample],
    circumstances: &mut Circumstances<'_, '_>,
) -> Result<BTreeMap<Labels, AlertInstance>, EvaluationError> {
    let mut found = BTreeMap::new();
    for sample in result {
        let value = match &sample.value {
            SampleValue::Float(value) => *value,
            SampleValue::Histogram(_) => 0.0,
        };
        let data =
            TemplateData { labels: &sample.labels, value, at: circumstances.at, external: circumstances.external };
        let mut labels = LabelsBuilder::from(&sample.labels);
        labels.remove(METRIC_NAME);
        for (name, template) in &rule.labels {
            labels.set(name, &template.expand(&data, circumstances.ask));
        }
        let labels = labels.set(ALERT_NAME, &rule.alert).build();
        let mut annotations = LabelsBuilder::default();
        for (name, template) in &rule.annotations {
            annotations.set(name, &template.expand(&data, circumstances.ask));
        }
        let alert = AlertInstance {
            labels: labels.clone(),
            annotations: annotations.build(),
            state: AlertState::Pending,
            active_at: circumstances.at,
            fired_at: None,
            resolved_at: None,
            keep_firing_since: None,
            value,
        };
        if found.insert(labels, alert).is_some() {
            return Err(EvaluationError::DuplicateLabels { what: "alert" });
        }
    }
    Ok(found)
}
