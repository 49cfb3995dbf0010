//! The one place where the configuration becomes routes, receivers and the rest of what notifications go by.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use sonde_alerting::matcher::Matchers;
use sonde_alerting::{Endpoint, GroupBy, InhibitRule, Plan, PlanError, PlanSpec, RouteSpec, Target, TimeInterval};
use sonde_runtime::config;
use sonde_tls::ClientOptions;

use crate::config::{
    InhibitRuleConfig, NamedIntervalConfig, NotifyConfig, ReceiverWebhookConfig, RouteConfig, TimeIntervalConfig,
    WebhookConfig,
};

/// The name in `group_by` that makes every alert a group of its own, as in Alertmanager.
const GROUP_BY_ALL: &str = "...";

/// Who is told of what, and where they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Who is told of what, and when.
    pub plan: Plan,
    /// Where the webhooks are.
    pub webhooks: BTreeMap<Target, Webhook>,
}

/// Where a webhook is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// Where to post.
    pub url: String,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// Whom to trust and what to show, where the configuration says so.
    pub tls: Option<ClientOptions>,
}

/// A key of the configuration and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {reason}")]
pub struct SetupError {
    /// The key, with dots.
    pub key: String,
    /// What is wrong with its value.
    pub reason: String,
}

impl Setup {
    /// What the configuration says. `external_url` is where people find this collector.
    pub fn new(config: &NotifyConfig, external_url: &str) -> Result<Self, SetupError> {
        let mut setup = Receivers::default();
        for (i, receiver) in config.receivers.iter().enumerate() {
            let key = format!("notify.receivers[{i}]");
            setup.add(&key, &receiver.name, &receiver.webhooks)?;
        }
        for (i, webhook) in config.webhooks.iter().enumerate() {
            setup.add_webhook(&format!("notify.webhooks[{i}]"), webhook)?;
        }
        let mut routes = Vec::new();
        match &config.route {
            Some(route) => routes.push(route_spec("notify.route", route)?),
            None if !config.receivers.is_empty() => {
                return Err(wrong("notify.route", "is missing: without it nobody in notify.receivers is told"));
            }
            None => {}
        }
        // Each of the simple webhooks is a tree of one node.
        for (i, webhook) in config.webhooks.iter().enumerate() {
            routes.push(webhook_route(&format!("notify.webhooks[{i}]"), webhook)?);
        }
        let spec = PlanSpec {
            routes,
            receivers: setup.receivers,
            inhibit_rules: (config.inhibit_rules.iter().enumerate())
                .map(|(i, rule)| inhibit_rule(&format!("notify.inhibit_rules[{i}]"), rule))
                .collect::<Result<_, _>>()?,
            time_intervals: time_intervals(&config.time_intervals)?,
            external_url: external_url.to_owned(),
        };
        let plan = Plan::new(spec).map_err(|error| locate(config, &error))?;
        Ok(Setup { plan, webhooks: setup.webhooks })
    }
}

#[derive(Default)]
struct Receivers {
    receivers: BTreeMap<Arc<str>, Vec<Endpoint>>,
    webhooks: BTreeMap<Target, Webhook>,
}

impl Receivers {
    fn add_webhook(&mut self, key: &str, config: &WebhookConfig) -> Result<(), SetupError> {
        let WebhookConfig { url, tls_config, send_resolved, timeout, max_alerts, .. } = config.clone();
        let webhook = ReceiverWebhookConfig { url, tls_config, send_resolved, timeout, max_alerts };
        self.add_named(key, &config.name, &[webhook], |_| key.to_owned())
    }

    fn add(&mut self, key: &str, name: &str, webhooks: &[ReceiverWebhookConfig]) -> Result<(), SetupError> {
        self.add_named(key, name, webhooks, |i| format!("{key}.webhooks[{i}]"))
    }

    fn add_named(
        &mut self,
        key: &str,
        name: &str,
        webhooks: &[ReceiverWebhookConfig],
        key_of: impl Fn(usize) -> String,
    ) -> Result<(), SetupError> {
        let receiver: Arc<str> = name.into();
        if name.is_empty() {
            return Err(wrong(&format!("{key}.name"), "must not be empty"));
        }
        if self.receivers.contains_key(&receiver) {
            return Err(wrong(&format!("{key}.name"), format!("{name:?} is used twice; give each its own")));
        }
        let mut endpoints = Vec::new();
        for (i, config) in webhooks.iter().enumerate() {
            let key = key_of(i);
            let is_http = config.url.starts_with("http://") || config.url.starts_with("https://");
            if !is_http || config.url.parse::<http::Uri>().is_err() {
                return Err(wrong(&format!("{key}.url"), "must be an http:// or https:// address"));
            }
            if config.timeout.0.is_zero() {
                return Err(wrong(&format!("{key}.timeout"), "must be greater than 0"));
            }
            if let Some(fault) = config.tls_config.fault() {
                return Err(wrong(&format!("{key}.tls_config"), fault));
            }
            let target = Target { receiver: Arc::clone(&receiver), webhook: i as u32 };
            let (url, timeout, tls) = (config.url.clone(), config.timeout.0, config.tls_config.options());
            self.webhooks.insert(target, Webhook { url, timeout, tls });
            endpoints.push(Endpoint { send_resolved: config.send_resolved, max_alerts: config.max_alerts });
        }
        self.receivers.insert(receiver, endpoints);
        Ok(())
    }
}

fn webhook_route(key: &str, config: &WebhookConfig) -> Result<RouteSpec, SetupError> {
    Ok(RouteSpec {
        receiver: Some(config.name.clone()),
        group_by: Some(group_by(key, &config.group_by)?),
        group_wait_ms: Some(millis(config.group_wait)),
        group_interval_ms: Some(millis(config.group_interval)),
        repeat_interval_ms: Some(millis(config.repeat_interval)),
        ..RouteSpec::default()
    })
}

fn route_spec(key: &str, config: &RouteConfig) -> Result<RouteSpec, SetupError> {
    Ok(RouteSpec {
        receiver: config.receiver.clone(),
        matchers: matchers(&format!("{key}.matchers"), &config.matchers)?,
        group_by: config.group_by.as_ref().map(|names| group_by(key, names)).transpose()?,
        group_wait_ms: config.group_wait.map(millis),
        group_interval_ms: config.group_interval.map(millis),
        repeat_interval_ms: config.repeat_interval.map(millis),
        continue_matching: config.continue_matching,
        mute_time_intervals: config.mute_time_intervals.clone(),
        active_time_intervals: config.active_time_intervals.clone(),
        // The file cannot be nested so deep that this recursion is a danger.
        routes: (config.routes.iter().enumerate())
            .map(|(i, route)| route_spec(&format!("{key}.routes[{i}]"), route))
            .collect::<Result<_, _>>()?,
    })
}

fn group_by(key: &str, names: &[String]) -> Result<GroupBy, SetupError> {
    let key = format!("{key}.group_by");
    if names.iter().any(|name| name == GROUP_BY_ALL) {
        return match names {
            [_] => Ok(GroupBy::All),
            _ => Err(wrong(&key, "must hold '...' alone: it stands for all labels")),
        };
    }
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            return Err(wrong(&key, "must not hold an empty name"));
        }
        if !seen.insert(name) {
            return Err(wrong(&key, format!("holds {name:?} twice")));
        }
    }
    Ok(GroupBy::Labels(names.to_vec()))
}

fn inhibit_rule(key: &str, config: &InhibitRuleConfig) -> Result<InhibitRule, SetupError> {
    let side = |name: &str, texts: &[String]| {
        let key = format!("{key}.{name}");
        let matchers = matchers(&key, texts)?;
        if matchers.is_empty() {
            return Err(wrong(&key, "is missing: without matchers it would hold for every alert"));
        }
        Ok(matchers)
    };
    Ok(InhibitRule {
        name: config.name.clone(),
        source: side("source_matchers", &config.source_matchers)?,
        target: side("target_matchers", &config.target_matchers)?,
        equal: config.equal.clone(),
    })
}

fn time_intervals(configs: &[NamedIntervalConfig]) -> Result<BTreeMap<String, Vec<TimeInterval>>, SetupError> {
    let mut named = BTreeMap::new();
    for (i, config) in configs.iter().enumerate() {
        let key = format!("notify.time_intervals[{i}]");
        if config.name.is_empty() {
            return Err(wrong(&format!("{key}.name"), "must not be empty"));
        }
        let intervals = (config.time_intervals.iter().enumerate())
            .map(|(j, interval)| time_interval(&format!("{key}.time_intervals[{j}]"), interval))
            .collect::<Result<_, _>>()?;
        if named.insert(config.name.clone(), intervals).is_some() {
            return Err(wrong(&format!("{key}.name"), format!("{:?} is used twice", config.name)));
        }
    }
    Ok(named)
}

fn time_interval(key: &str, config: &TimeIntervalConfig) -> Result<TimeInterval, SetupError> {
    let mut interval = TimeInterval::default();
    for (i, range) in config.times.iter().enumerate() {
        let added = interval.add_times(&range.start_time, &range.end_time);
        added.map_err(|e| wrong(&format!("{key}.times[{i}]"), format!("is no good: {e}")))?;
    }
    type Add = fn(&mut TimeInterval, &str) -> Result<(), sonde_alerting::interval::IntervalError>;
    let parts: [(&str, &[String], Add); 4] = [
        ("weekdays", &config.weekdays, TimeInterval::add_weekdays),
        ("days_of_month", &config.days_of_month, TimeInterval::add_days_of_month),
        ("months", &config.months, TimeInterval::add_months),
        ("years", &config.years, TimeInterval::add_years),
    ];
    for (name, texts, add) in parts {
        for (i, text) in texts.iter().enumerate() {
            let added = add(&mut interval, text);
            added.map_err(|e| wrong(&format!("{key}.{name}[{i}]"), format!("is no good: {e}")))?;
        }
    }
    if let Some(name) = &config.location {
        let set = interval.set_location(name);
        set.map_err(|e| wrong(&format!("{key}.location"), format!("is no good: {e}")))?;
    }
    Ok(interval)
}

/// Each text may hold one or several matchers, as in Alertmanager.
fn matchers(key: &str, texts: &[String]) -> Result<Matchers, SetupError> {
    let mut all = Matchers::default();
    for (i, text) in texts.iter().enumerate() {
        let read = text.parse::<Matchers>().and_then(|more| all.clone().and(more));
        all = read.map_err(|e| wrong(&format!("{key}[{i}]"), format!("is no good: {e}")))?;
    }
    Ok(all)
}

/// Names the key in the file that a fault of the plan comes from.
fn locate(config: &NotifyConfig, error: &PlanError) -> SetupError {
    let (root, text) = match error {
        PlanError::Route(error) => (error.root, error.to_string()),
        PlanError::NoReceiver { place, .. } | PlanError::NoInterval { place, .. } => (place.0, error.to_string()),
        PlanError::TooMany { .. } => return wrong("notify", format!("is too large: {error}")),
    };
    let trees = usize::from(config.route.is_some());
    let tree = if root < trees { "notify.route".to_owned() } else { format!("notify.webhooks[{}]", root - trees) };
    // The text begins with the rest of the key.
    let (key, reason) = text.split_once(' ').unwrap_or((&text, "is no good"));
    wrong(&format!("{tree}.{key}"), reason)
}

fn wrong(key: &str, reason: impl Display) -> SetupError {
    SetupError { key: key.to_owned(), reason: reason.to_string() }
}

fn millis(duration: config::Duration) -> i64 {
    i64::try_from(duration.0.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    /// What Alertmanager's users write, with webhooks for receivers.
    const TREE: &str = r#"
notify:
  route:
    receiver: default
    group_by: [alertname, cluster]
    group_wait: 30s
    routes:
    - matchers: [severity="page", 'team=~"db|cache"']
      receiver: pager
      group_by: ['...']
      repeat_interval: 1h
      continue: true
    - matchers: ['{severity=~"info|none"}']
      receiver: "null"
      mute_time_intervals: [night]
      active_time_intervals: [night]
  receivers:
  - name: default
    webhooks:
    - url: http://127.0.0.1:5001/
    - {url: 'https://example.org/hook', send_resolved: false, timeout: 5s, max_alerts: 7}
  - name: pager
    webhook_configs: [{url: 'http://127.0.0.1:5002/'}]
  - name: "null"
  inhibit_rules:
  - name: down
    source_matchers: [alertname=HostDown]
    target_matchers: [severity!=page]
    equal: [host]
  time_intervals:
  - name: night
    time_intervals:
    - times: [{start_time: 00:00, end_time: '06:00'}]
      weekdays: [monday:friday]
      days_of_month: ['1:15', -3:-1]
      months: [january, 7:12]
      years: [2026, 2027:2030]
      location: Europe/Berlin
  webhooks:
  - {name: audit, url: 'http://127.0.0.1:5003/', group_wait: 0s}
"#;

    fn setup(text: &str) -> Setup {
        let config = Config::parse(text, "test.yml").expect("a configuration");
        Setup::new(&config.notify, "http://sonde").expect("a setup")
    }

    #[test]
    fn a_tree_and_simple_webhooks_are_one_plan() {
        let setup = setup(TREE);
        let who = |pairs: &[(&str, &str)]| {
            let routes = setup.plan.routes_for(&sonde_model::Labels::from_pairs(pairs.iter().copied()));
            routes.iter().map(|route| format!("{} {}", route.receiver, route.key)).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(who(&[("severity", "warning")]), "default {}, audit {}");
        assert_eq!(
            who(&[("severity", "page"), ("team", "db")]),
            r#"pager {}/{severity="page",team=~"db|cache"}, audit {}"#
        );
        assert_eq!(who(&[("severity", "info")]), r#"null {}/{severity=~"info|none"}, audit {}"#);
        let pages = setup.plan.routes_for(&sonde_model::Labels::from_pairs([("severity", "page"), ("team", "db")]));
        assert_eq!((&pages[0].group_by, pages[0].timing.repeat_interval_ms), (&GroupBy::All, 3_600_000));
        assert_eq!((pages[0].timing.group_wait_ms, pages[0].timing.group_interval_ms), (30_000, 300_000));
        assert_eq!((pages[1].timing.group_wait_ms, pages[1].timing.group_interval_ms), (0, 10_000));
        let webhooks =
            setup.webhooks.iter().map(|(target, hook)| format!("{}{} {}", target.receiver, target.webhook, hook.url));
        assert_eq!(
            webhooks.collect::<Vec<_>>(),
            [
                "audit0 http://127.0.0.1:5003/",
                "default0 http://127.0.0.1:5001/",
                "default1 https://example.org/hook",
                "pager0 http://127.0.0.1:5002/",
            ]
        );
        assert_eq!(setup.plan.receivers()[&Arc::from("default")][1], Endpoint { send_resolved: false, max_alerts: 7 });
    }

    #[test]
    fn nothing_configured_tells_nobody() {
        assert_eq!(setup(""), setup("notify: {webhooks: []}"));
        assert!(setup("").plan.routes_for(&sonde_model::Labels::empty()).is_empty());
    }

    #[test]
    fn mistakes_name_their_key() {
        let route = |route: &str| format!("notify: {{receivers: [{{name: a}}], route: {route}}}");
        let times = |interval: &str| format!("notify: {{time_intervals: [{{name: x, time_intervals: [{interval}]}}]}}");
        for (text, expected) in [
            (route("{}"), "notify.route.receiver is missing: the root route must name one"),
            (route("{receiver: b}"), r#"notify.route.receiver must be one that there is, not "b": "a""#),
            (route("{receiver: a, matchers: [x=y]}"), "notify.route.matchers must not stand at the root route"),
            (
                route("{receiver: a, routes: [{}, {routes: [{receiver: c}]}]}"),
                r#"notify.route.routes[1].routes[0].receiver must be one that there is, not "c""#,
            ),
            (
                route("{receiver: a, routes: [{mute_time_intervals: [x]}]}"),
                r#"notify.route.routes[0].mute_time_intervals must be among those that there are, not "x": none"#,
            ),
            (route("{receiver: a, group_interval: 0s}"), "notify.route.group_interval must be greater than 0"),
            (route("{receiver: a, group_by: [x, '...']}"), "notify.route.group_by must hold '...' alone"),
            (route("{receiver: a, group_by: [x, x]}"), r#"notify.route.group_by holds "x" twice"#),
            (route("{receiver: a, routes: [{matchers: ['x']}]}"), "notify.route.routes[0].matchers[0] is no good: "),
            (
                route("{receiver: a, routes: [{matchers: ['x=~\"(\"']}]}"),
                "notify.route.routes[0].matchers[0] is no good",
            ),
            (route("{receiver: a, recevier: b}"), "receiver"),
            ("notify: {receivers: [{name: a}]}".into(), "notify.route is missing"),
            ("notify: {receivers: [{name: ''}]}".into(), "notify.receivers[0].name must not be empty"),
            ("notify: {receivers: [{name: a}, {name: a}]}".into(), "notify.receivers[1].name \"a\" is used twice"),
            (
                "notify: {receivers: [{name: a, webhooks: [{url: 'http://x'}, {url: x}]}]}".into(),
                "notify.receivers[0].webhooks[1].url must be an http://",
            ),
            (
                "notify: {webhooks: [{url: 'http://x', repeat_interval: 0s}]}".into(),
                "notify.webhooks[0].repeat_interval",
            ),
            ("notify: {webhooks: [{url: 'http://x', timeout: 0s}]}".into(), "notify.webhooks[0].timeout must be"),
            (
                "notify: {inhibit_rules: [{source_matchers: [a=b]}]}".into(),
                "notify.inhibit_rules[0].target_matchers is missing",
            ),
            (times("{weekdays: [mon]}"), "notify.time_intervals[0].time_intervals[0].weekdays[0] is no good: \"mon\""),
            (times("{times: [{start_time: '9', end_time: '10:00'}]}"), "time_intervals[0].times[0] is no good: \"9\""),
            (times("{location: Nowhere}"), "time_intervals[0].location is no good: no time zone \"Nowhere\""),
        ] {
            let error = Config::parse(&text, "test.yml").expect_err(&text).to_string();
            assert!(error.starts_with("test.yml:") && error.contains(expected), "{text}: {error}");
        }
    }
}
