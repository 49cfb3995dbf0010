//! The part of the configuration file that says where samples are sent on to, in the words of Prometheus.

mod relabel;
mod secret;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sonde_runtime::config::Duration;

pub use relabel::RelabelConfig;
pub use secret::Secret;

use super::ReceiverTlsConfig;

/// One receiver of remote write.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteWriteConfig {
    /// Where to POST: `http://` or `https://`.
    pub url: String,
    /// The name in metrics and logs, and of the file of its position; empty is one that is made of the address.
    #[serde(default)]
    pub name: String,
    /// How long one attempt may take.
    #[serde(default = "default_remote_timeout")]
    pub remote_timeout: Duration,
    /// The message: remote write 1.0 or 2.0.
    #[serde(default)]
    pub protobuf_message: ProtobufMessage,
    /// Headers of each request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// Labels of each series that does not have them. Prometheus has them under `global`.
    #[serde(default)]
    pub external_labels: BTreeMap<String, String>,
    /// What becomes of series before they are sent.
    #[serde(default)]
    pub write_relabel_configs: Vec<RelabelConfig>,
    /// Whether exemplars are sent.
    #[serde(default)]
    pub send_exemplars: bool,
    /// Whether native histograms are sent.
    #[serde(default)]
    pub send_native_histograms: bool,
    /// A user and a password.
    #[serde(default)]
    pub basic_auth: Option<BasicAuthConfig>,
    /// A token.
    #[serde(default)]
    pub authorization: Option<AuthorizationConfig>,
    /// TLS, for `https://`.
    #[serde(default)]
    pub tls_config: ReceiverTlsConfig,
    /// How much at once, and when again.
    #[serde(default)]
    pub queue_config: QueueConfig,
    /// What is told of metrics.
    #[serde(default)]
    pub metadata_config: MetadataConfig,
}

/// Which message is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum ProtobufMessage {
    /// Remote write 1.0.
    #[default]
    #[serde(rename = "prometheus.WriteRequest")]
    V1,
    /// Remote write 2.0; 1.0 from the moment on when the receiver turns out not to know it.
    #[serde(rename = "io.prometheus.write.v2.Request")]
    V2,
}

/// A user and a password.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicAuthConfig {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
    /// A file with the password in it, read again for each attempt.
    pub password_file: PathBuf,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorizationConfig {
    /// The word before it.
    #[serde(rename = "type")]
    pub kind: String,
    /// The token.
    pub credentials: Secret,
    /// A file with the token in it, read again for each attempt.
    pub credentials_file: PathBuf,
}

/// How much is sent at once, and when again.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// Requests at one time; a series is always in the same of them.
    pub max_shards: usize,
    /// Samples of a request.
    pub max_samples_per_send: usize,
    /// How long samples wait for others to fill a request.
    pub batch_send_deadline: Duration,
    /// The pause after the first failure; it doubles with each further one.
    pub min_backoff: Duration,
    /// The longest pause.
    pub max_backoff: Duration,
    /// Whether 429 is tried again, like 5xx.
    pub retry_on_http_429: bool,
    /// Samples older than this are not sent any more; 0 is never.
    pub sample_age_limit: Duration,
}

/// What is told of metrics: type, help, unit.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetadataConfig {
    /// Whether it is told.
    pub send: bool,
    /// How often, in remote write 1.0; in 2.0 each series says it.
    pub send_interval: Duration,
    /// Metrics of a request.
    pub max_samples_per_send: usize,
}

impl RemoteWriteConfig {
    /// Makes the paths relative to `directory`.
    pub(super) fn relative_to(&mut self, directory: &Path) {
        self.tls_config.relative_to(directory);
        let files = [
            self.basic_auth.as_mut().map(|auth| &mut auth.password_file),
            self.authorization.as_mut().map(|auth| &mut auth.credentials_file),
        ];
        for file in files.into_iter().flatten().filter(|file| !file.as_os_str().is_empty()) {
            *file = directory.join(&*file);
        }
    }
}

impl Default for AuthorizationConfig {
    fn default() -> Self {
        AuthorizationConfig {
            kind: "Bearer".to_owned(),
            credentials: Secret::default(),
            credentials_file: PathBuf::new(),
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            max_shards: 4,
            max_samples_per_send: 2_000,
            batch_send_deadline: Duration::from_secs(5),
            min_backoff: Duration(std::time::Duration::from_millis(30)),
            max_backoff: Duration::from_secs(5),
            retry_on_http_429: true,
            sample_age_limit: Duration::from_secs(0),
        }
    }
}

impl Default for MetadataConfig {
    fn default() -> Self {
        MetadataConfig { send: true, send_interval: Duration::from_secs(60), max_samples_per_send: 2_000 }
    }
}

fn default_remote_timeout() -> Duration {
    Duration::from_secs(30)
}
