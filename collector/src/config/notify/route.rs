//! Routes, receivers, inhibitions and time intervals, in the words of Alertmanager's configuration.

use serde::{Deserialize, Serialize};
use sonde_runtime::config::Duration;

/// A node of the routing tree. What it does not say comes from its parent.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RouteConfig {
    /// Who hears of the alerts.
    pub receiver: Option<String>,
    /// Which alerts the node takes: all of these have to hold, as `severity="page"` or `team=~"a|b"`.
    pub matchers: Vec<String>,
    /// The labels by which alerts are grouped into one notification; `...` makes every alert its own group.
    pub group_by: Option<Vec<String>>,
    /// From the first alert of a group to its notification.
    pub group_wait: Option<Duration>,
    /// How often a group is looked at for changes.
    pub group_interval: Option<Duration>,
    /// How often a group in which nothing changes is sent again.
    pub repeat_interval: Option<Duration>,
    /// Whether siblings after this node are asked although it has taken the alert.
    #[serde(rename = "continue")]
    pub continue_matching: bool,
    /// Time intervals during which nobody is told.
    pub mute_time_intervals: Vec<String>,
    /// Time intervals outside of which nobody is told.
    pub active_time_intervals: Vec<String>,
    /// The nodes below.
    pub routes: Vec<RouteConfig>,
}

/// Somebody who hears of alerts.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverConfig {
    /// The name, in routes, logs, metrics and the payload.
    pub name: String,
    /// Where to; one without webhooks hears nothing, on purpose.
    #[serde(default, alias = "webhook_configs")]
    pub webhooks: Vec<ReceiverWebhookConfig>,
}

/// One webhook of a receiver.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiverWebhookConfig {
    /// Where to POST: `http://` or `https://`.
    pub url: String,
    /// TLS to the receiver, for `https://`.
    #[serde(default)]
    pub tls_config: super::ReceiverTlsConfig,
    /// Whether alerts that are no longer firing are sent, too.
    #[serde(default = "super::default_send_resolved")]
    pub send_resolved: bool,
    /// How long one attempt may take.
    #[serde(default = "super::default_timeout")]
    pub timeout: Duration,
    /// How many alerts one payload holds; 0 is without limit.
    #[serde(default)]
    pub max_alerts: usize,
}

/// Alerts that keep others quiet while they fire.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct InhibitRuleConfig {
    /// For people.
    pub name: String,
    /// The alerts that keep others quiet.
    pub source_matchers: Vec<String>,
    /// The alerts that are kept quiet.
    pub target_matchers: Vec<String>,
    /// The labels in which both must agree.
    pub equal: Vec<String>,
}

/// A recurring time with a name.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct NamedIntervalConfig {
    /// The name, in routes.
    pub name: String,
    /// One of these has to hold.
    pub time_intervals: Vec<TimeIntervalConfig>,
}

/// A recurring time: every part that is written has to hold, and of each part one range.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeIntervalConfig {
    /// Parts of a day.
    pub times: Vec<TimeRangeConfig>,
    /// Days of the week, as `monday:friday`.
    pub weekdays: Vec<String>,
    /// Days of the month, as `1:5`, or `-3:-1` for the last three.
    pub days_of_month: Vec<String>,
    /// Months, as `january:march` or `1:3`.
    pub months: Vec<String>,
    /// Years, as `2027:2030`.
    pub years: Vec<String>,
    /// The time zone, by its IANA name; UTC where it is not said.
    pub location: Option<String>,
}

/// A part of a day.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TimeRangeConfig {
    /// When it begins, as `09:00`.
    pub start_time: String,
    /// When it is over, as `17:00` or `24:00`.
    pub end_time: String,
}
