//! The configuration file: what may change while the collector runs. `docs/config-collector.md` is its reference.
//!
//! Every key has a default. Keys that say "restart" in the reference are read at the start; a reload that changes one
//! says so. An unknown key is an error.

mod anomaly;
mod auth;
mod derive;
mod notify;
mod remote_write;
mod retention;
mod tier;
mod tls;
mod traces;

use std::path::Path;

use serde::{Deserialize, Serialize};
use sonde_runtime::config::{ByteSize, Duration};

pub use anomaly::{AnomalyConfig, WatchConfig};
pub use auth::{AuthConfig, Required};
pub use derive::{DeriveConfig, ServiceGraphConfig, SpanMetricsConfig};
pub use notify::{
    InhibitRuleConfig, NamedIntervalConfig, NotifyConfig, ReceiverConfig, ReceiverTlsConfig, ReceiverWebhookConfig,
    RouteConfig, TimeIntervalConfig, TimeRangeConfig, WebhookConfig,
};
pub use remote_write::{
    AuthorizationConfig, BasicAuthConfig, MetadataConfig, ProtobufMessage, QueueConfig, RelabelConfig,
    RemoteWriteConfig, Secret,
};
pub use retention::{RetentionClassConfig, Selector};
pub use tier::TierConfig;
pub use tls::{ClientAuth, ClientRole, TlsConfig, TlsVersion};
pub use traces::TracesConfig;

use crate::consumer::DECODED_FACTOR;
use crate::export::Target;
use crate::notify::Setup;
use crate::rules::BUILTIN;

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The metrics store.
    pub storage: StorageConfig,
    /// The span store.
    pub traces: TracesConfig,
    /// What is derived from spans.
    pub derive: DeriveConfig,
    /// What is taken from outside, and how much of it.
    pub ingest: IngestConfig,
    /// How OTLP metrics become series.
    pub otlp: OtlpConfig,
    /// What a query may cost.
    pub query: QueryConfig,
    /// TLS on all listeners.
    pub tls: TlsConfig,
    /// The HTTP API.
    pub api: ApiConfig,
    /// Who is asked who they are.
    pub auth: AuthConfig,
    /// Recording and alerting rules.
    pub rules: RulesConfig,
    /// Where alerts go.
    pub notify: NotifyConfig,
    /// Where samples are sent on to.
    pub remote_write: Vec<RemoteWriteConfig>,
    /// What is watched for anomalies.
    pub anomaly: AnomalyConfig,
    /// What the collector tells about itself.
    pub telemetry: TelemetryConfig,
}

/// The metrics store. All keys but those of retention by age need a restart.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StorageConfig {
    /// How long samples are kept.
    pub retention: Duration,
    /// Series that are kept for another time than `retention`; the first that selects a series counts.
    pub retention_classes: Vec<RetentionClassConfig>,
    /// Downsampled tiers, which keep a few samples of each step for longer.
    pub tiers: Vec<TierConfig>,
    /// How large the blocks may grow before the oldest are dropped; 0 is without limit.
    pub retention_size: ByteSize,
    /// How much older than the newest sample of its series a pushed sample may be.
    pub lateness: Duration,
    /// How far ahead of the clock a sample may be.
    pub max_ahead: Duration,
    /// How many series the head takes before new ones are refused.
    pub max_series: u64,
    /// How many series of one metric the head takes before new ones are refused; 0 is without limit.
    pub max_series_per_metric: u64,
    /// How many series the head takes from one agent before new ones are refused; 0 is without limit.
    pub max_series_per_agent: u64,
    /// How many exemplars are kept before the oldest go; 0 keeps none.
    pub max_exemplars: usize,
    /// How large the log may be for the sake of receivers of remote write that are behind.
    pub max_wal_hold: ByteSize,
    /// How long the log is kept for their sake.
    pub max_wal_hold_age: Duration,
}

impl Default for StorageConfig {
    fn default() -> Self {
        StorageConfig {
            retention: Duration::from_secs(15 * 86_400),
            retention_classes: Vec::new(),
            tiers: Vec::new(),
            retention_size: ByteSize(0),
            lateness: Duration::from_secs(3_600),
            max_ahead: Duration::from_secs(600),
            max_series: 5_000_000,
            max_series_per_metric: 0,
            max_series_per_agent: 0,
            max_exemplars: 100_000,
            max_wal_hold: ByteSize(2 << 30),
            max_wal_hold_age: Duration::from_secs(86_400),
        }
    }
}

/// What is taken from outside, and how much of it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// The largest body as it comes over the wire.
    pub max_body: ByteSize,
    /// The largest body after decompression.
    pub max_decoded_body: ByteSize,
    /// How many samples one request may hold.
    pub max_samples: usize,
    /// How many labels a series may have.
    pub max_labels: usize,
    /// The longest label name.
    pub max_label_name: ByteSize,
    /// The longest label value.
    pub max_label_value: ByteSize,
    /// How many series the memo of known series remembers; each costs about 50 bytes. Restart.
    pub memo_series: usize,
    /// How many bytes of bodies are worked on at once; what comes beyond is asked to come again. Restart.
    pub max_inflight: ByteSize,
}

impl Default for IngestConfig {
    fn default() -> Self {
        IngestConfig {
            max_body: ByteSize::mib(32),
            max_decoded_body: ByteSize::mib(64),
            max_samples: 500_000,
            max_labels: 64,
            max_label_name: ByteSize(512),
            max_label_value: ByteSize(4096),
            memo_series: 4_000_000,
            max_inflight: ByteSize::mib(512),
        }
    }
}

/// How OTLP metrics become series.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// How metric and label names are written.
    pub translation_strategy: TranslationStrategy,
    /// Resource attributes that become labels of every series of the resource.
    pub promote_resource_attributes: Vec<String>,
    /// Whether all resource attributes become labels.
    pub promote_all_resource_attributes: bool,
    /// Resource attributes that do not, where all do.
    pub ignore_resource_attributes: Vec<String>,
    /// Whether `service.name`, `service.namespace` and `service.instance.id` stay on `target_info`.
    pub keep_identifying_resource_attributes: bool,
    /// Whether the instrumentation scope becomes labels (`otel_scope_name` and so on).
    pub promote_scope_metadata: bool,
}

/// How names of OTLP metrics are written, in the words of Prometheus.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum TranslationStrategy {
    /// Invalid characters become underscores; unit and type are appended.
    #[default]
    UnderscoreEscapingWithSuffixes,
    /// Invalid characters become underscores; nothing is appended.
    UnderscoreEscapingWithoutSuffixes,
    /// Names stay; unit and type are appended.
    NoUTF8EscapingWithSuffixes,
    /// Names stay.
    NoTranslation,
}

/// What a query may cost.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueryConfig {
    /// How long a query may take; a request may ask for less.
    pub timeout: Duration,
    /// How many queries run at once. Restart.
    pub concurrency: usize,
    /// How many queries may wait for their turn; more are refused. Restart.
    pub queue: usize,
    /// How many samples one query may hold in memory.
    pub max_samples: u64,
    /// How much memory one query may take, about, for samples, labels and intermediate results.
    pub max_memory: ByteSize,
    /// How many samples all queries together may hold in memory. Restart.
    pub max_samples_total: u64,
    /// How many series one query may read.
    pub max_series: usize,
    /// How far back an instant looks for the newest sample of a series.
    pub lookback: Duration,
    /// How much memory results of range queries may take that are kept; 0 keeps none.
    pub cache: ByteSize,
}

impl Default for QueryConfig {
    fn default() -> Self {
        QueryConfig {
            timeout: Duration::from_secs(120),
            concurrency: 20,
            queue: 200,
            max_samples: 50_000_000,
            max_memory: ByteSize::mib(2048),
            max_samples_total: 100_000_000,
            max_series: 2_000_000,
            lookback: Duration::from_secs(300),
            cache: ByteSize::mib(64),
        }
    }
}

/// The HTTP API.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApiConfig {
    /// From which web origins browsers may read: `*` is all of them, empty is none.
    pub cors_origin: String,
    /// The address under which people reach this collector, for links in notifications; empty is the listen address.
    pub external_url: String,
}

impl Default for ApiConfig {
    fn default() -> Self {
        ApiConfig { cors_origin: "*".into(), external_url: String::new() }
    }
}

/// Recording and alerting rules.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RulesConfig {
    /// Rule files in Prometheus format; `*` in the last part of a path stands for any text. Relative paths are
    /// relative to the configuration file. `builtin` names the rules that come with the program.
    pub files: Vec<String>,
    /// How often groups are evaluated that do not say so themselves.
    pub evaluation_interval: Duration,
    /// How long it is remembered what happened to alerts. Restart.
    pub history: Duration,
    /// How many lines of that are kept. Restart.
    pub history_lines: u32,
}

impl Default for RulesConfig {
    fn default() -> Self {
        RulesConfig {
            files: vec![BUILTIN.to_owned()],
            evaluation_interval: Duration::from_secs(60),
            history: Duration::from_secs(90 * 86_400),
            history_lines: 100_000,
        }
    }
}

/// What the collector tells about itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How often the collector writes its own metrics into its own store; 0 is never. Restart.
    pub interval: Duration,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        TelemetryConfig { interval: Duration::from_secs(15) }
    }
}

impl Config {
    /// Reads a file, strictly, and checks what the types cannot say.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = sonde_runtime::config::read_file(path)?;
        let config = Self::parse(&text, &path.display().to_string())?;
        Ok(config.relative_to(path.parent().unwrap_or(Path::new("."))))
    }

    /// Reads the text of a file. `origin` is what errors call it.
    pub fn parse(text: &str, origin: &str) -> Result<Self, ConfigError> {
        let config: Config = sonde_runtime::config::load(text, origin)?;
        config.check(origin)?;
        Ok(config)
    }

    /// Makes the paths in the file relative to the directory that the file is in.
    pub fn relative_to(mut self, directory: &Path) -> Self {
        for file in self.rules.files.iter_mut().filter(|file| *file != BUILTIN) {
            *file = directory.join(&*file).display().to_string();
        }
        self.tls.relative_to(directory);
        self.notify.relative_to(directory);
        self.remote_write.iter_mut().for_each(|receiver| receiver.relative_to(directory));
        self
    }

    /// What must hold beyond the type of each key.
    fn check(&self, origin: &str) -> Result<(), ConfigError> {
        let positive = [
            ("storage.retention", self.storage.retention.0.as_millis() as u64),
            ("storage.max_series", self.storage.max_series),
            ("traces.retention", self.traces.retention.0.as_millis() as u64),
            ("traces.max_trace_spans", self.traces.max_trace_spans as u64),
            ("ingest.max_body", self.ingest.max_body.0),
            ("ingest.max_decoded_body", self.ingest.max_decoded_body.0),
            ("ingest.max_samples", self.ingest.max_samples as u64),
            ("ingest.max_labels", self.ingest.max_labels as u64),
            ("ingest.max_label_name", self.ingest.max_label_name.0),
            ("ingest.max_label_value", self.ingest.max_label_value.0),
            ("ingest.memo_series", self.ingest.memo_series as u64),
            ("query.timeout", self.query.timeout.0.as_millis() as u64),
            ("query.concurrency", self.query.concurrency as u64),
            ("query.max_samples", self.query.max_samples),
            ("query.max_memory", self.query.max_memory.0),
            ("query.max_samples_total", self.query.max_samples_total),
            ("query.max_series", self.query.max_series as u64),
            ("query.lookback", self.query.lookback.0.as_millis() as u64),
            ("rules.evaluation_interval", self.rules.evaluation_interval.0.as_millis() as u64),
            ("rules.history", self.rules.history.0.as_millis() as u64),
            ("rules.history_lines", u64::from(self.rules.history_lines)),
            ("anomaly.history", self.anomaly.history.0.as_millis() as u64),
            ("anomaly.max_series", self.anomaly.max_series as u64),
        ];
        let invalid = |key: &str, reason: String| {
            Err(ConfigError::Invalid { origin: origin.to_owned(), key: key.to_owned(), reason })
        };
        if let Some((key, _)) = positive.into_iter().find(|(_, value)| *value == 0) {
            return invalid(key, "must be greater than 0".into());
        }
        if self.storage.retention_classes.iter().any(|class| class.keep.0.is_zero()) {
            return invalid("storage.retention_classes", "keep must be greater than 0".into());
        }
        if let Some(reason) = tier::fault(&self.storage.tiers, self.storage.retention) {
            return invalid("storage.tiers", reason);
        }
        let interval = self.telemetry.interval;
        if !interval.0.is_zero() && interval < Duration::from_secs(1) {
            return invalid("telemetry.interval", "must be 0 (never) or at least 1s".into());
        }
        if let Some((key, reason)) = self.derive.fault().or_else(|| self.tls.fault()) {
            return invalid(key, reason.into());
        }
        if self.ingest.max_decoded_body < self.ingest.max_body {
            return invalid("ingest.max_decoded_body", "must not be smaller than ingest.max_body".into());
        }
        let largest =
            self.ingest.max_decoded_body.0.saturating_mul(DECODED_FACTOR as u64).saturating_add(self.ingest.max_body.0);
        if self.ingest.max_inflight.0 < largest {
            let reason = "must not be smaller than ingest.max_body and four times ingest.max_decoded_body together";
            return invalid("ingest.max_inflight", reason.into());
        }
        let notify = || Setup::new(&self.notify, "").map(drop).map_err(|e| (e.key, e.reason));
        let remote_write = || Target::all(&self.remote_write).map(drop).map_err(|e| (e.key, e.reason));
        self.anomaly
            .check()
            .and_then(|()| notify())
            .and_then(|()| remote_write())
            .or_else(|(key, reason)| invalid(&key, reason))
    }

    /// What is allowed, but hardly meant; each names its key.
    pub fn warnings(&self) -> Vec<String> {
        self.anomaly.warnings()
    }

    /// The keys that differ between two configurations and need a restart to take effect.
    pub fn needs_restart(&self, new: &Config) -> Vec<&'static str> {
        let mut keys = Vec::new();
        let mut compare = |key, same: bool| {
            if !same {
                keys.push(key);
            }
        };
        let restarts = |c: &Config| StorageConfig {
            retention: Duration::default(),
            retention_classes: Vec::new(),
            ..c.storage.clone()
        };
        compare("storage (but for retention and retention_classes)", restarts(self) == restarts(new));
        compare("traces", self.traces == new.traces);
        compare("derive", self.derive == new.derive);
        compare("ingest.memo_series", self.ingest.memo_series == new.ingest.memo_series);
        compare("ingest.max_inflight", self.ingest.max_inflight == new.ingest.max_inflight);
        let limits = |c: &Config| (c.ingest.max_body, c.ingest.max_decoded_body, c.ingest.max_samples);
        compare("ingest.max_body, max_decoded_body, max_samples (for OTLP)", limits(self) == limits(new));
        compare("tls (on or off)", self.tls.is_on() == new.tls.is_on());
        compare("api.cors_origin", self.api.cors_origin == new.api.cors_origin);
        compare("query.concurrency", self.query.concurrency == new.query.concurrency);
        compare("query.queue", self.query.queue == new.query.queue);
        compare("query.max_samples_total", self.query.max_samples_total == new.query.max_samples_total);
        let history = |c: &Config| (c.rules.history, c.rules.history_lines);
        compare("rules.history, history_lines", history(self) == history(new));
        compare("telemetry.interval", self.telemetry.interval == new.telemetry.interval);
        keys
    }
}

/// Why a configuration is no good.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It cannot be read, is no YAML, has an unknown key or a value of the wrong type.
    #[error(transparent)]
    File(#[from] sonde_runtime::config::ConfigError),
    /// A value is out of its range.
    #[error("{origin}: {key} {reason}")]
    Invalid {
        /// The file.
        origin: String,
        /// The key, with dots.
        key: String,
        /// What is wrong with its value.
        reason: String,
    },
}

#[cfg(test)]
mod tests;
