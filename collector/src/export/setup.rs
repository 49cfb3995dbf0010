//! The one place where the configuration becomes targets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use sonde_disk::checksum::crc32;
use sonde_model::Labels;
use sonde_model::LabelsBuilder;
use sonde_proto::remote_write::Version;
use sonde_tls::ClientOptions;
use sonde_translate::relabel::Relabel;

use crate::config::{ProtobufMessage, RemoteWriteConfig};

/// Targets at most: each reads the log for itself.
const MAX_TARGETS: usize = 32;
/// Requests of one target at one time, at most.
const MAX_SHARDS: usize = 64;
/// Samples of a request at most: more would be refused by receivers, or take them too long.
const MAX_SAMPLES: usize = 100_000;

/// A receiver and what it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) version: Version,
    pub(super) timeout: Duration,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) auth: Auth,
    pub(super) tls: Option<ClientOptions>,
    pub(super) labels: LabelRules,
    pub(super) exemplars: bool,
    pub(super) histograms: bool,
    pub(super) shards: usize,
    pub(super) max_samples: usize,
    pub(super) deadline: Duration,
    pub(super) min_backoff: Duration,
    pub(super) max_backoff: Duration,
    pub(super) retry_429: bool,
    pub(super) max_age: Option<Duration>,
    /// Whether type, help and unit are told.
    pub(super) metadata: bool,
    pub(super) metadata_interval: Duration,
    pub(super) max_metadata: usize,
    /// What it was made of, to see whether it changed.
    pub(super) config: RemoteWriteConfig,
}

/// What becomes of labels.
#[derive(Clone, Debug, Default)]
pub(super) struct LabelRules {
    external: BTreeMap<String, String>,
    relabel: Relabel,
}

/// How the target is told who sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Auth {
    /// Not at all.
    #[default]
    None,
    /// A user and a password.
    Basic(String, SecretSource),
    /// A word and a token.
    Token(String, SecretSource),
}

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SecretSource {
    /// In the configuration.
    Text(crate::config::Secret),
    /// In a file.
    File(PathBuf),
}

/// A key of the configuration and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} {reason}")]
pub(crate) struct SetupError {
    /// The key, with dots.
    pub(crate) key: String,
    /// What is wrong with its value.
    pub(crate) reason: String,
}

impl Target {
    /// The name in metrics and logs.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The message that is to be sent.
    pub(crate) fn message(&self) -> ProtobufMessage {
        self.config.protobuf_message
    }

    /// The targets of a configuration.
    pub(crate) fn all(configs: &[RemoteWriteConfig]) -> Result<Vec<Target>, SetupError> {
        if configs.len() > MAX_TARGETS {
            return Err(wrong("remote_write", format!("has more than {MAX_TARGETS} receivers")));
        }
        let mut names = BTreeSet::new();
        let mut targets = Vec::new();
        for (i, config) in configs.iter().enumerate() {
            let key = format!("remote_write[{i}]");
            let target = Target::new(&key, config)?;
            if !names.insert(target.name.clone()) {
                let reason = format!("{:?} is used twice; give each its own", target.name);
                return Err(wrong(&format!("{key}.name"), reason));
            }
            targets.push(target);
        }
        Ok(targets)
    }

    fn new(key: &str, config: &RemoteWriteConfig) -> Result<Self, SetupError> {
        let at = |name: &str| format!("{key}.{name}");
        let is_http = config.url.starts_with("http://") || config.url.starts_with("https://");
        if !is_http || config.url.parse::<http::Uri>().is_err() {
            return Err(wrong(&at("url"), "must be an http:// or https:// address"));
        }
        if let Some(fault) = config.tls_config.fault() {
            return Err(wrong(&at("tls_config"), fault));
        }
        let name = match config.name.as_str() {
            "" => format!("{:08x}", crc32(config.url.as_bytes())),
            name => name.to_owned(),
        };
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if name.len() > 64 || !name.bytes().all(is_plain) {
            return Err(wrong(&at("name"), "must be up to 64 letters, digits, '-' and '_': it names a file"));
        }
        let queue = &config.queue_config;
        let ranges = [
            ("queue_config.max_shards", queue.max_shards, MAX_SHARDS),
            ("queue_config.max_samples_per_send", queue.max_samples_per_send, MAX_SAMPLES),
            ("metadata_config.max_samples_per_send", config.metadata_config.max_samples_per_send, MAX_SAMPLES),
        ];
        if let Some((name, _, most)) = ranges.iter().find(|(_, value, most)| !(1..=*most).contains(value)) {
            return Err(wrong(&at(name), format!("must be from 1 to {most}")));
        }
        let positive = [
            ("remote_timeout", config.remote_timeout),
            ("queue_config.batch_send_deadline", queue.batch_send_deadline),
            ("queue_config.min_backoff", queue.min_backoff),
            ("queue_config.max_backoff", queue.max_backoff),
            ("metadata_config.send_interval", config.metadata_config.send_interval),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| value.0.is_zero()) {
            return Err(wrong(&at(name), "must be greater than 0"));
        }
        let relabel = Relabel::new(config.write_relabel_configs.iter().map(Into::into));
        let relabel = relabel
            .map_err(|(i, error)| wrong(&at(&format!("write_relabel_configs[{i}]")), format!("is no rule: {error}")))?;
        Ok(Target {
            name,
            url: config.url.clone(),
            version: match config.protobuf_message {
                ProtobufMessage::V1 => Version::V1,
                ProtobufMessage::V2 => Version::V2,
            },
            timeout: config.remote_timeout.0,
            headers: headers(&at("headers"), config)?,
            auth: auth(key, config)?,
            tls: config.tls_config.options(),
            labels: LabelRules { external: config.external_labels.clone(), relabel },
            exemplars: config.send_exemplars,
            histograms: config.send_native_histograms,
            shards: queue.max_shards,
            max_samples: queue.max_samples_per_send,
            deadline: queue.batch_send_deadline.0,
            min_backoff: queue.min_backoff.0,
            max_backoff: queue.max_backoff.0,
            retry_429: queue.retry_on_http_429,
            max_age: Some(queue.sample_age_limit.0).filter(|age| !age.is_zero()),
            metadata: config.metadata_config.send,
            metadata_interval: config.metadata_config.send_interval.0,
            max_metadata: config.metadata_config.max_samples_per_send,
            config: config.clone(),
        })
    }
}

impl LabelRules {
    /// The labels under which a series is sent; `None` where it is not.
    pub(super) fn apply(&self, pairs: &[(&str, &str)]) -> Option<Labels> {
        let labels = Labels::from_sorted(pairs);
        if self.external.is_empty() {
            return self.relabel.apply(&labels);
        }
        let mut builder = LabelsBuilder::from(&labels);
        for (name, value) in &self.external {
            if builder.get(name).is_none() {
                builder.set(name, value);
            }
        }
        self.relabel.apply(&builder.build())
    }
}

fn headers(key: &str, config: &RemoteWriteConfig) -> Result<Vec<(HeaderName, HeaderValue)>, SetupError> {
    let mut headers = Vec::new();
    for (name, value) in &config.headers {
        let parsed = name.parse::<HeaderName>();
        let parsed = parsed.map_err(|_| wrong(key, format!("{name:?} is no name of a header")))?;
        let ours = ["authorization", "content-encoding", "content-type", "host", "user-agent", "content-length"];
        if ours.contains(&parsed.as_str()) || parsed.as_str().starts_with("x-prometheus-remote-write") {
            return Err(wrong(key, format!("must not have {name:?}: it is set by the sender, or by other keys")));
        }
        let mut value: HeaderValue =
            value.reveal().parse().map_err(|_| wrong(key, format!("the value of {name:?} is none of a header")))?;
        value.set_sensitive(true);
        headers.push((parsed, value));
    }
    Ok(headers)
}

fn auth(key: &str, config: &RemoteWriteConfig) -> Result<Auth, SetupError> {
    let source = |name: &str, text: &crate::config::Secret, file: &PathBuf| {
        let has_file = !file.as_os_str().is_empty();
        if has_file != text.reveal().is_empty() {
            let reason = format!("needs either {name} or {name}_file");
            return Err(reason);
        }
        Ok(if has_file { SecretSource::File(file.clone()) } else { SecretSource::Text(text.clone()) })
    };
    match (&config.basic_auth, &config.authorization) {
        (Some(_), Some(_)) => Err(wrong(key, "must not have both basic_auth and authorization")),
        (Some(basic), None) => match source("password", &basic.password, &basic.password_file) {
            Ok(password) => Ok(Auth::Basic(basic.username.clone(), password)),
            Err(reason) => Err(wrong(&format!("{key}.basic_auth"), reason)),
        },
        (None, Some(token)) => match source("credentials", &token.credentials, &token.credentials_file) {
            Ok(credentials) => Ok(Auth::Token(token.kind.clone(), credentials)),
            Err(reason) => Err(wrong(&format!("{key}.authorization"), reason)),
        },
        (None, None) => Ok(Auth::None),
    }
}

fn wrong(key: &str, reason: impl Into<String>) -> SetupError {
    SetupError { key: key.to_owned(), reason: reason.into() }
}
