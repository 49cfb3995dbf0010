//! The part of the configuration file that says where alerts go.

use serde::{Deserialize, Serialize};
use sonde_runtime::config::Duration;

/// Where alerts go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyConfig {
    /// The webhooks: each gets every alert, as Alertmanager's payload of version 4.
    pub webhooks: Vec<WebhookConfig>,
}

/// One webhook.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The name of the receiver, in logs, metrics and the payload.
    #[serde(default = "default_name")]
    pub name: String,
    /// Where to POST: `http://` or `https://`.
    pub url: String,
    /// Whether alerts that are no longer firing are sent, too.
    #[serde(default = "default_send_resolved")]
    pub send_resolved: bool,
    /// How long one attempt may take.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// The labels by which alerts are grouped into one notification; `...` makes every alert its own group.
    #[serde(default = "default_group_by")]
    pub group_by: Vec<String>,
    /// From the first alert of a group to its notification, so that what fires together is sent together.
    #[serde(default = "default_group_wait")]
    pub group_wait: Duration,
    /// How often a group is looked at for changes: alerts that joined it, alerts that are resolved.
    #[serde(default = "default_group_interval")]
    pub group_interval: Duration,
    /// How often a group in which nothing changes is sent again.
    #[serde(default = "default_repeat_interval")]
    pub repeat_interval: Duration,
    /// How many alerts one payload holds; 0 is without limit.
    #[serde(default)]
    pub max_alerts: usize,
}

fn default_name() -> String {
    "webhook".into()
}

fn default_send_resolved() -> bool {
    true
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_group_by() -> Vec<String> {
    vec!["alertname".into()]
}

fn default_group_wait() -> Duration {
    Duration::from_secs(5)
}

fn default_group_interval() -> Duration {
    Duration::from_secs(10)
}

fn default_repeat_interval() -> Duration {
    Duration::from_secs(4 * 3_600)
}

impl NotifyConfig {
    /// What must hold beyond the type of each key; else the key and what is wrong with it.
    pub(super) fn check(&self) -> Result<(), (String, String)> {
        for (i, webhook) in self.webhooks.iter().enumerate() {
            let wrong = |key: &str, reason: &str| Err((format!("notify.webhooks[{i}].{key}"), reason.to_owned()));
            let is_http = webhook.url.starts_with("http://") || webhook.url.starts_with("https://");
            if !is_http || webhook.url.parse::<http::Uri>().is_err() {
                return wrong("url", "must be an http:// or https:// address");
            }
            if webhook.name.is_empty() {
                return wrong("name", "must not be empty");
            }
            for (key, value) in [
                ("timeout", webhook.timeout),
                ("group_interval", webhook.group_interval),
                ("repeat_interval", webhook.repeat_interval),
            ] {
                if value.0.is_zero() {
                    return wrong(key, "must be greater than 0");
                }
            }
            if self.webhooks[..i].iter().any(|other| other.name == webhook.name) {
                return wrong("name", "is used twice; give each webhook its own");
            }
        }
        Ok(())
    }
}
