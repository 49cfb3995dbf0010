//! The part of the configuration file that says where alerts go.

mod route;
mod tls;

use std::path::Path;

use serde::{Deserialize, Serialize};
use sonde_runtime::config::Duration;

pub use route::{
    InhibitRuleConfig, NamedIntervalConfig, ReceiverConfig, ReceiverWebhookConfig, RouteConfig, TimeIntervalConfig,
    TimeRangeConfig,
};
pub use tls::ReceiverTlsConfig;

/// Where alerts go. What it means as a whole is made of it in [`crate::notify::Setup`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NotifyConfig {
    /// The simple form: each of these webhooks gets every alert, as Alertmanager's payload of version 4.
    pub webhooks: Vec<WebhookConfig>,
    /// The root of the routing tree, in the words of Alertmanager.
    pub route: Option<RouteConfig>,
    /// The receivers that routes name.
    pub receivers: Vec<ReceiverConfig>,
    /// Which alerts keep which others quiet.
    pub inhibit_rules: Vec<InhibitRuleConfig>,
    /// The recurring times that routes name.
    pub time_intervals: Vec<NamedIntervalConfig>,
}

/// One webhook that gets every alert.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// The name of the receiver, in logs, metrics and the payload.
    #[serde(default = "default_name")]
    pub name: String,
    /// Where to POST: `http://` or `https://`.
    pub url: String,
    /// TLS to the receiver, for `https://`.
    #[serde(default)]
    pub tls_config: ReceiverTlsConfig,
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

impl NotifyConfig {
    /// Makes the paths relative to `directory`.
    pub(crate) fn relative_to(&mut self, directory: &Path) {
        let simple = self.webhooks.iter_mut().map(|webhook| &mut webhook.tls_config);
        let routed = self.receivers.iter_mut().flat_map(|receiver| &mut receiver.webhooks);
        simple.chain(routed.map(|webhook| &mut webhook.tls_config)).for_each(|tls| tls.relative_to(directory));
    }
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
