//! `/rules` and `/alerts`: the pictures that rule groups leave after each evaluation.

use std::sync::Arc;

use axum::extract::State;
use sonde_alerting::{AlertInstance, AlertState, Health, Rule};
use sonde_model::{Labels, Matcher, TimestampMs};

use super::status::rfc3339;
use super::{parameters, result};
use crate::api::answer::{Answer, ApiError};
use crate::api::form::Form;
use crate::api::json::{JsonWriter, write_scientific};
use crate::rules::{GroupSnapshot, RuleSnapshot};
use crate::server::Server;

/// Which rules are asked for.
struct Filter {
    alerting: bool,
    recording: bool,
    names: Vec<String>,
    groups: Vec<String>,
    files: Vec<String>,
    selectors: Vec<Vec<Matcher>>,
    exclude_alerts: bool,
}

/// `/rules`
pub(super) async fn rules(State(server): State<Arc<Server>>, form: Form) -> Result<Answer, ApiError> {
    let core = server.core().ok_or_else(ApiError::starting)?;
    let filter = Filter::new(&form)?;
    let limit = parameters::count(&form, "group_limit")?;
    let after = form.get("group_next_token");
    if after.is_some() && limit.is_none() {
        return Err(ApiError::bad_data("group_limit needs to be present in order to paginate over the groups"));
    }

    let mut groups: Vec<_> = core.rules.snapshot().into_iter().filter(|g| filter.takes_group(g)).collect();
    if let Some(token) = after {
        let at = groups.iter().position(|g| group_token(g) == token);
        let at = at.ok_or_else(|| ApiError::bad_data("invalid group_next_token: no group has it any more"))?;
        groups.drain(..at);
    }
    let next = limit.and_then(|limit| groups.get(limit)).map(|group| group_token(group));
    groups.truncate(limit.unwrap_or(usize::MAX));
    Ok(Answer::new(|json| {
        json.raw("{").key("groups");
        result::write_list(json, &groups, |json, group| write_group(json, group, &filter));
        if let Some(token) = next {
            json.raw(",").key("groupNextToken").string(&token);
        }
        json.raw("}");
    }))
}

/// `/alerts`: what is pending or fires.
pub(super) async fn alerts(State(server): State<Arc<Server>>) -> Result<Answer, ApiError> {
    let core = server.core().ok_or_else(ApiError::starting)?;
    let groups = core.rules.snapshot();
    let (now, silences) = (server.clock.now_ms(), server.notifier.silences().current());
    let alerts = groups.iter().flat_map(|g| &g.rules).flat_map(|rule| &rule.alerts);
    let alerts: Vec<(&AlertInstance, Quiet)> = server.notifier.look(|dispatcher| {
        let quiet = |alert: &AlertInstance| Quiet {
            silenced_by: silences.mutes(&alert.labels, now).iter().map(ToString::to_string).collect(),
            inhibited_by: dispatcher.inhibited_by(&alert.labels).map(|by| format!("{by:016x}")).into_iter().collect(),
            muted_by: dispatcher.plan().muted_names(&alert.labels, now),
        };
        alerts.map(|alert| (alert, quiet(alert))).collect()
    });
    Ok(Answer::new(|json| {
        json.raw("{").key("alerts");
        result::write_list(json, &alerts, |json, (alert, quiet)| write_alert(json, alert, quiet));
        json.raw("}");
    }))
}

impl Filter {
    fn new(form: &Form) -> Result<Self, ApiError> {
        let (alerting, recording) = match form.get("type") {
            None => (true, true),
            Some("alert") => (true, false),
            Some("record") => (false, true),
            Some(other) => return Err(ApiError::parameter("type", format!("not supported value {other:?}"))),
        };
        let exclude_alerts = match form.get("exclude_alerts").map(str::to_ascii_lowercase).as_deref() {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(other) => {
                return Err(ApiError::parameter("exclude_alerts", format!("{other:?} is neither true nor false")));
            }
        };
        let all = |name| form.all(name).map(str::to_owned).collect();
        Ok(Filter {
            alerting,
            recording,
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            selectors: parameters::plain_selectors(form)?,
            exclude_alerts,
        })
    }

    fn takes_group(&self, group: &GroupSnapshot) -> bool {
        (self.groups.is_empty() || self.groups.contains(&group.group.name))
            && (self.files.is_empty() || self.files.contains(&group.group.origin))
            && group.rules().any(|(rule, _)| self.takes(rule))
    }

    fn takes(&self, rule: &Rule) -> bool {
        let kind = match rule {
            Rule::Alerting(_) => self.alerting,
            Rule::Recording(_) => self.recording,
        };
        kind && (self.names.is_empty() || self.names.iter().any(|name| name == rule.name()))
            && (self.selectors.is_empty() || {
                let labels = rule.label_sources();
                let holds = |m: &Matcher| m.matches(labels.get(m.name()).unwrap_or_default());
                self.selectors.iter().any(|matchers| matchers.iter().all(holds))
            })
    }
}

/// What names a group when a client asks for the next ones.
fn group_token(group: &GroupSnapshot) -> String {
    format!("{};{}", group.group.origin, group.group.name)
}

fn write_group(json: &mut JsonWriter, snapshot: &GroupSnapshot, filter: &Filter) {
    json.raw("{").key("name").string(&snapshot.group.name).raw(",");
    json.key("file").string(&snapshot.group.origin).raw(",").key("rules");
    let rules: Vec<_> = snapshot.rules().filter(|(rule, _)| filter.takes(rule)).collect();
    result::write_list(json, &rules, |json, (rule, state)| write_rule(json, rule, state, filter));
    json.raw(",").key("interval").number(snapshot.interval.as_secs_f64());
    json.raw(",").key("limit").integer(snapshot.group.limit as i64);
    json.raw(",").key("evaluationTime").number(snapshot.evaluation_time.as_secs_f64());
    json.raw(",").key("lastEvaluation").string(&evaluated(snapshot.last_evaluation));
    // Ours: Prometheus has it as a metric only.
    json.raw(",").key("missedEvaluations").integer(snapshot.missed as i64).raw("}");
}

fn write_rule(json: &mut JsonWriter, rule: &Rule, state: &RuleSnapshot, filter: &Filter) {
    json.raw("{");
    if matches!(rule, Rule::Alerting(_)) {
        json.key("state").string(state.state.as_str()).raw(",");
    }
    json.key("name").string(rule.name()).raw(",").key("query").string(&rule.expr().expr.to_string()).raw(",");
    if let Rule::Alerting(alerting) = rule {
        json.key("duration").number(alerting.for_ms as f64 / 1e3).raw(",");
        json.key("keepFiringFor").number(alerting.keep_firing_for_ms as f64 / 1e3).raw(",");
    }
    json.key("labels");
    result::write_labels(json, &rule.label_sources());
    if let Rule::Alerting(alerting) = rule {
        let annotations = alerting.annotations.iter().map(|(name, template)| (name.as_str(), template.source()));
        json.raw(",").key("annotations");
        result::write_labels(json, &Labels::from_pairs(annotations));
        json.raw(",").key("alerts");
        let alerts = if filter.exclude_alerts { &[][..] } else { &state.alerts };
        result::write_list(json, alerts, |json, alert| write_alert(json, alert, &Quiet::default()));
    }
    json.raw(",");
    let (health, error) = match &state.health {
        Health::Unknown => ("unknown", None),
        Health::Good => ("ok", None),
        Health::Bad(reason) => ("err", Some(reason)),
    };
    json.key("health").string(health).raw(",");
    if let Some(error) = error {
        json.key("lastError").string(error).raw(",");
    }
    json.key("evaluationTime").number(state.evaluation_time.as_secs_f64()).raw(",");
    json.key("lastEvaluation").string(&evaluated(state.last_evaluation)).raw(",");
    json.key("type").string(match rule {
        Rule::Alerting(_) => "alerting",
        Rule::Recording(_) => "recording",
    });
    json.raw("}");
}

/// What keeps an alert from being told: ids of silences, fingerprints of alerts, names of time intervals.
#[derive(Default)]
struct Quiet {
    silenced_by: Vec<String>,
    inhibited_by: Vec<String>,
    muted_by: Vec<String>,
}

/// Ours beyond Prometheus's fields: what keeps the alert quiet, where something does.
fn write_alert(json: &mut JsonWriter, alert: &AlertInstance, quiet: &Quiet) {
    json.raw("{").key("labels");
    result::write_labels(json, &alert.labels);
    json.raw(",").key("annotations");
    result::write_labels(json, &alert.annotations);
    json.raw(",").key("state").string(alert.state.as_str());
    json.raw(",").key("activeAt").string(&rfc3339(alert.active_at));
    if let Some(since) = alert.keep_firing_since {
        json.raw(",").key("keepFiringSince").string(&rfc3339(since));
    }
    let Quiet { silenced_by, inhibited_by, muted_by } = quiet;
    for (key, names) in [("silencedBy", silenced_by), ("inhibitedBy", inhibited_by), ("mutedBy", muted_by)] {
        if !names.is_empty() {
            json.raw(",").key(key).strings(names);
        }
    }
    let mut value = Vec::new();
    write_scientific(&mut value, alert.value);
    json.raw(",").key("value").string(&String::from_utf8_lossy(&value)).raw("}");
}

/// The time of an evaluation; Go's zero time where there was none.
fn evaluated(at: Option<TimestampMs>) -> String {
    at.map_or_else(|| "0001-01-01T00:00:00Z".into(), rfc3339)
}

/// How many alerts fire, for the page.
pub(crate) fn firing(groups: &[Arc<GroupSnapshot>]) -> usize {
    let alerts = groups.iter().flat_map(|g| &g.rules).flat_map(|rule| &rule.alerts);
    alerts.filter(|alert| alert.state == AlertState::Firing).count()
}
