//! The state of a rule group, and its evaluation at one time.
//!
//! Rules of a group see each other's output: the caller evaluates rule after rule and appends what each yields before it
//! evaluates the next one.

mod restore;

use std::collections::BTreeSet;
use std::sync::Arc;

use sonde_model::{Labels, TimestampMs, stale_nan};
use sonde_promql::{Expr, QueryError, QueryResult, SampleValue, Value, VectorSample};
use thiserror::Error;

use crate::alert::{AlertInstance, AlertState, Alerts, Circumstances};
use crate::recording::record;
use crate::rules::{Group, Rule};
use crate::template::{External, TemplateSample};

/// Evaluates an expression at a time.
pub type QueryFn<'a> = dyn FnMut(&Expr, TimestampMs) -> Result<QueryResult, QueryError> + 'a;

/// Whether the data behind an alert of a rule can be seen: asked of alerts that were restored, until it says yes.
pub type SeenFn<'a> = dyn FnMut(&Rule, &AlertInstance) -> bool + 'a;

pub use restore::RuleMemory;

/// A sample to append.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputSample {
    /// The series, `__name__` included.
    pub labels: Labels,
    /// The time of the evaluation, less the query offset.
    pub timestamp: TimestampMs,
    /// The value; the stale marker where the series ends.
    pub value: SampleValue,
}

impl OutputSample {
    pub(crate) fn float(labels: Labels, timestamp: TimestampMs, value: f64) -> Self {
        OutputSample { labels, timestamp, value: SampleValue::Float(value) }
    }
}

/// What the evaluation of one rule yields.
#[derive(Debug, Default)]
pub struct RuleOutput {
    /// What is to be appended: results, `ALERTS`, `ALERTS_FOR_STATE` and stale markers of series that ended.
    pub samples: Vec<OutputSample>,
    /// Every alert that fires, because its annotations may have changed, and every alert that has just been resolved.
    pub notify: Vec<AlertInstance>,
    /// Warnings of the evaluation, as texts.
    pub warnings: Vec<String>,
    /// Why there is no output; the state is then what it was before.
    pub error: Option<EvaluationError>,
}

/// Why a rule has no result.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EvaluationError {
    /// The query failed.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// The expression yields a string or a range vector.
    #[error("rule result is not a vector or scalar but a {kind}")]
    ResultType {
        /// What it yields.
        kind: &'static str,
    },
    /// Two series of the result become one.
    #[error("vector contains metrics with the same labelset after applying {what} labels")]
    DuplicateLabels {
        /// `alert` or `rule`.
        what: &'static str,
    },
    /// More series or alerts than the group allows one rule: all of them are dropped.
    #[error("exceeded limit of {limit} with {got} {what}")]
    LimitExceeded {
        /// The limit of the group.
        limit: usize,
        /// How many there were.
        got: usize,
        /// `series` or `alerts`.
        what: &'static str,
    },
    /// There is no rule of this number.
    #[error("the group has no rule number {index}")]
    NoSuchRule {
        /// What was asked for, from 0.
        index: usize,
    },
}

/// Whether a rule works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// It has not been evaluated yet.
    #[default]
    Unknown,
    /// The last evaluation succeeded.
    Good,
    /// The last evaluation failed, for this reason.
    Bad(String),
}

/// The state of one rule.
#[derive(Clone, Debug, Default)]
pub struct RuleState {
    alerts: Alerts,
    /// The series that the last successful evaluation yielded.
    yielded: BTreeSet<Labels>,
    health: Health,
    last_evaluation: Option<TimestampMs>,
}

impl RuleState {
    /// Whether the rule works.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// The time of the last evaluation, failed ones included.
    pub fn last_evaluation(&self) -> Option<TimestampMs> {
        self.last_evaluation
    }

    /// The pending and firing alerts, sorted by labels.
    pub fn alerts(&self) -> impl Iterator<Item = &AlertInstance> {
        self.alerts.iter()
    }

    /// The worst state of its alerts.
    pub fn alert_state(&self) -> AlertState {
        self.alerts().map(|alert| alert.state).max().unwrap_or(AlertState::Inactive)
    }
}

/// The settings of the system that groups fall back to and templates see.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// External labels and URL.
    pub external: External,
    /// The query offset of groups that do not say.
    pub query_offset_ms: i64,
}

/// A rule group with what it remembers between evaluations.
#[derive(Clone, Debug)]
pub struct GroupState {
    group: Arc<Group>,
    rules: Vec<RuleState>,
}

impl GroupState {
    /// The state of a group that has never been evaluated.
    pub fn new(group: Arc<Group>) -> Self {
        let rules = vec![RuleState::default(); group.rules.len()];
        GroupState { group, rules }
    }

    /// The rules as they were written.
    pub fn group(&self) -> &Arc<Group> {
        &self.group
    }

    /// The rules with their states, in order.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (&Rule, &RuleState)> {
        self.group.rules.iter().zip(&self.rules)
    }

    /// Evaluates one rule at a time. `query` is also what templates ask.
    ///
    /// An error keeps the state: alerts neither resolve nor fire because a query failed. Nor do alerts that were restored,
    /// while their series is away and `seen` says that nothing can be seen of their data yet.
    pub fn evaluate_rule(
        &mut self,
        index: usize,
        at: TimestampMs,
        environment: &Environment,
        query: &mut QueryFn<'_>,
        seen: &mut SeenFn<'_>,
    ) -> RuleOutput {
        let group = Arc::clone(&self.group);
        let (Some(rule), Some(state)) = (group.rules.get(index), self.rules.get_mut(index)) else {
            return RuleOutput { error: Some(EvaluationError::NoSuchRule { index }), ..RuleOutput::default() };
        };
        let offset_ms = group.query_offset_ms.unwrap_or(environment.query_offset_ms);
        state.last_evaluation = Some(at);
        let mut warnings = Vec::new();
        let outcome = state.evaluate(rule, at, offset_ms, group.limit, environment, query, seen, &mut warnings);
        state.health = match &outcome {
            Ok(_) => Health::Good,
            Err(e) => Health::Bad(e.to_string()),
        };
        match outcome {
            Ok((samples, notify)) => RuleOutput { samples, notify, warnings, error: None },
            Err(e) => RuleOutput { warnings, error: Some(e), ..RuleOutput::default() },
        }
    }

    /// Notes that the output of a rule could not be kept, which makes the rule as bad as a failed evaluation.
    pub fn fail(&mut self, index: usize, reason: String) {
        if let Some(state) = self.rules.get_mut(index) {
            state.health = Health::Bad(reason);
        }
    }

    /// The state of the group after its file has changed: rules that are still there keep what they remember.
    ///
    /// Rules are the same when kind, name and labels are. Of the others the series end and the alerts are resolved at `at`.
    pub fn reload(mut self, group: Arc<Group>, at: TimestampMs) -> (Self, RuleOutput) {
        let offset_ms = self.group.query_offset_ms.unwrap_or(0);
        let mut old: Vec<Option<RuleState>> = std::mem::take(&mut self.rules).into_iter().map(Some).collect();
        let mut rules = Vec::with_capacity(group.rules.len());
        for rule in &group.rules {
            let same = self.group.rules.iter().zip(&mut old).find(|(o, state)| state.is_some() && is_same(o, rule));
            rules.push(same.and_then(|(_, state)| state.take()).unwrap_or_default());
        }
        let mut ended = RuleOutput::default();
        let kept: BTreeSet<Labels> = rules.iter().flat_map(|rule: &RuleState| rule.yielded.iter().cloned()).collect();
        for state in old.into_iter().flatten() {
            state.end(at, at - offset_ms, &kept, &mut ended);
        }
        (GroupState { group, rules }, ended)
    }

    /// Ends the group: its series end and its alerts are resolved.
    pub fn end(self, at: TimestampMs) -> RuleOutput {
        let timestamp = at - self.group.query_offset_ms.unwrap_or(0);
        let mut ended = RuleOutput::default();
        for state in self.rules {
            state.end(at, timestamp, &BTreeSet::new(), &mut ended);
        }
        ended
    }
}

impl RuleState {
    #[expect(clippy::too_many_arguments, reason = "one call, and each is a different thing")]
    fn evaluate(
        &mut self,
        rule: &Rule,
        at: TimestampMs,
        offset_ms: i64,
        limit: usize,
        environment: &Environment,
        query: &mut QueryFn<'_>,
        seen: &mut SeenFn<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<(Vec<OutputSample>, Vec<AlertInstance>), EvaluationError> {
        let timestamp = at - offset_ms;
        let answer = query(&rule.expr().expr, timestamp)?;
        warnings.extend(answer.annotations.warning_texts(&rule.expr().text));
        let result = vector(answer.value)?;
        let (mut samples, notify) = match rule {
            Rule::Recording(rule) => (record(rule, result, timestamp, limit)?, Vec::new()),
            Rule::Alerting(alerting) => {
                let ask = &mut |text: &str| ask(text, at, query);
                let external = &environment.external;
                let seen = &mut |alert: &AlertInstance| seen(rule, alert);
                let mut circumstances = Circumstances { at, offset_ms, limit, external, ask, seen };
                let evaluated = self.alerts.evaluate(alerting, &result, &mut circumstances)?;
                (evaluated.samples, evaluated.notify)
            }
        };
        let yielded: BTreeSet<Labels> = samples.iter().map(|sample| sample.labels.clone()).collect();
        samples.extend(self.yielded.difference(&yielded).map(|gone| stale(gone, timestamp)));
        self.yielded = yielded;
        Ok((samples, notify))
    }

    fn end(mut self, at: TimestampMs, timestamp: TimestampMs, kept: &BTreeSet<Labels>, ended: &mut RuleOutput) {
        ended.notify.extend(self.alerts.end(at));
        ended.samples.extend(self.yielded.difference(kept).map(|gone| stale(gone, timestamp)));
    }
}

/// Whether a rule of a changed file is still the one of before, as Prometheus sees it.
fn is_same(old: &Rule, new: &Rule) -> bool {
    std::mem::discriminant(old) == std::mem::discriminant(new)
        && old.name() == new.name()
        && old.label_sources() == new.label_sources()
}

fn stale(labels: &Labels, timestamp: TimestampMs) -> OutputSample {
    OutputSample::float(labels.clone(), timestamp, stale_nan())
}

/// A scalar counts as one series without labels.
fn vector(value: Value) -> Result<Vec<VectorSample>, EvaluationError> {
    match value {
        Value::Vector(samples) => Ok(samples),
        Value::Scalar { t, v } => Ok(vec![VectorSample { labels: Labels::empty(), t, value: SampleValue::Float(v) }]),
        other => Err(EvaluationError::ResultType { kind: other.kind() }),
    }
}

/// Asks a query of a template.
fn ask(text: &str, at: TimestampMs, query: &mut QueryFn<'_>) -> Result<Vec<TemplateSample>, String> {
    let expr = sonde_promql::parse(text).map_err(|e| e.to_string())?;
    let answer = query(&expr, at).map_err(|e| e.to_string())?;
    let samples = vector(answer.value).map_err(|e| e.to_string())?;
    let plain = |s: VectorSample| TemplateSample { labels: s.labels, value: s.value.as_float().unwrap_or(0.0) };
    Ok(samples.into_iter().map(plain).collect())
}
