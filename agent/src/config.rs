//! The configuration file of the agent. `docs/config-agent.md` is its reference: every key, its default, its unit.
//!
//! Every key has a default; an unknown key is an error. What was read is proven by [`Config::check`] before anything
//! is opened or bound.

mod host;
mod otlp;
mod pattern;
mod scrape;
mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sonde_runtime::LogFormat;
use sonde_runtime::config::{ByteSize, ConfigError, Duration, load_file};
use thiserror::Error;

pub use host::{HostConfig, HostReceiver};
pub use otlp::{Listen, OtlpConfig};
pub use pattern::Patterns;
pub use scrape::ScrapeConfig;
pub use tls::{CollectorTlsConfig, ListenTlsConfig, TlsVersion};

/// The whole file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of the program's data; the agent keeps its own below `agent` in it.
    pub data_dir: PathBuf,
    /// Where batches are sent.
    pub collector: CollectorConfig,
    /// What waits on disk.
    pub queue: QueueConfig,
    /// What is measured of this host.
    pub host: HostConfig,
    /// What local applications may send.
    pub otlp: OtlpConfig,
    /// `/metrics` pages to read.
    pub scrape: Vec<ScrapeConfig>,
    /// Attributes of the resource of what the agent measures; they overrule what it detected.
    pub resource_attributes: BTreeMap<String, String>,
    /// What the agent tells about itself.
    pub telemetry: TelemetryConfig,
    /// How long a stop may take to send what waits; what is not sent stays on disk.
    pub shutdown_drain: Duration,
}

/// Where batches are sent, and how.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CollectorConfig {
    /// The OTLP/gRPC endpoint of the collector, or of any OTLP backend.
    pub endpoint: String,
    /// Whom to trust and what to show there.
    pub tls: CollectorTlsConfig,
    /// Headers of every request.
    pub headers: BTreeMap<String, String>,
    /// The file with the token to show; empty is none. It is read again while the agent runs.
    pub token_file: PathBuf,
    /// The file with a token for enrolment, by which the agent gets a token of its own; empty is none.
    pub enrol_token_file: PathBuf,
    /// Whether requests are compressed with zstd.
    pub compress: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How many batches may be under way at once.
    pub max_in_flight: usize,
    /// The wait after the first failure; it doubles with each further one.
    pub retry_initial: Duration,
    /// The longest wait between two attempts.
    pub retry_max: Duration,
}

/// What waits on disk until the collector has taken it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// How many bytes of metrics may wait. Beyond it OTLP clients are pushed back and host metrics leave a gap record.
    pub max_bytes: ByteSize,
    /// How many bytes of spans may wait. Beyond it OTLP clients are pushed back.
    pub max_trace_bytes: ByteSize,
    /// How much space the queue leaves free on its disk.
    pub min_free: ByteSize,
}

/// What the agent tells about itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How often the agent reads its own metrics.
    pub interval: Duration,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Which log lines are written, as `info` or `info,sonde_agent=debug`.
    pub log_filter: String,
}

/// A value that cannot work, or values that contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{key}: {message}")]
pub struct InvalidConfig {
    /// The key.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Why a configuration file is refused.
#[derive(Debug, Error)]
pub enum LoadError {
    /// It is not in the right form.
    #[error(transparent)]
    Form(#[from] ConfigError),
    /// It says something that cannot work.
    #[error("{origin}: {error}")]
    Value {
        /// The path of the file.
        origin: String,
        /// What is wrong.
        error: InvalidConfig,
    },
}

impl Config {
    /// Loads and checks a file.
    pub fn load(path: &Path) -> Result<Self, LoadError> {
        let mut config: Config = load_file(path)?;
        let directory = path.parent().unwrap_or(Path::new("."));
        config.collector.tls.relative_to(directory);
        config.otlp.tls.relative_to(directory);
        let value = |error| LoadError::Value { origin: path.display().to_string(), error };
        config.check().map_err(value)?;
        Ok(config)
    }

    /// Where the agent keeps its own data.
    pub fn agent_dir(&self) -> PathBuf {
        self.data_dir.join("agent")
    }

    /// Proves what types cannot: ranges, and values that contradict each other.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        let endpoint = &self.collector.endpoint;
        let authority = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
        let Some(authority) = authority.filter(|authority| !authority.is_empty()) else {
            return Err(invalid("collector.endpoint", format!("`{endpoint}` is no URL; write http://HOST:4317")));
        };
        self.collector.tls.check(endpoint)?;
        for (key, listen) in [("otlp.grpc_listen", self.otlp.grpc_listen), ("otlp.http_listen", self.otlp.http_listen)]
        {
            if listen.address().is_some_and(|address| authority == address.to_string()) {
                let message = format!(
                    "{authority} is also collector.endpoint: the agent would send to itself; give it another address"
                );
                return Err(invalid(key, message));
            }
        }
        self.collector.check_token()?;
        in_range("collector.max_in_flight", self.collector.max_in_flight, 1, 64)?;
        in_range("queue.max_bytes (in bytes)", self.queue.max_bytes.0, 1 << 20, 1 << 44)?;
        in_range("queue.max_trace_bytes (in bytes)", self.queue.max_trace_bytes.0, 1 << 20, 1 << 44)?;
        for (key, duration) in [
            ("collector.timeout", self.collector.timeout),
            ("collector.connect_timeout", self.collector.connect_timeout),
            ("collector.retry_initial", self.collector.retry_initial),
            ("collector.retry_max", self.collector.retry_max),
            ("telemetry.interval", self.telemetry.interval),
        ] {
            at_least(key, duration, Duration::from_millis(10))?;
        }
        self.host.check()?;
        self.otlp.check()?;
        scrape::check_all(&self.scrape)
    }
}

impl CollectorConfig {
    /// There is one source of a token at most.
    fn check_token(&self) -> Result<(), InvalidConfig> {
        let has_header = self.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"));
        let (has_file, enrols) =
            (!self.token_file.as_os_str().is_empty(), !self.enrol_token_file.as_os_str().is_empty());
        if u8::from(has_header) + u8::from(has_file) + u8::from(enrols) > 1 {
            let message =
                "only one of token_file, enrol_token_file and a header `authorization` can say who this agent is";
            return Err(invalid("collector", message));
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            data_dir: PathBuf::from("./sonde-data"),
            collector: CollectorConfig::default(),
            queue: QueueConfig::default(),
            host: HostConfig::default(),
            otlp: OtlpConfig::default(),
            scrape: Vec::new(),
            resource_attributes: BTreeMap::new(),
            telemetry: TelemetryConfig::default(),
            shutdown_drain: Duration::from_secs(5),
        }
    }
}

impl Default for CollectorConfig {
    fn default() -> Self {
        CollectorConfig {
            endpoint: "http://127.0.0.1:4317".to_owned(),
            tls: CollectorTlsConfig::default(),
            headers: BTreeMap::new(),
            token_file: PathBuf::new(),
            enrol_token_file: PathBuf::new(),
            compress: true,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            max_in_flight: 4,
            retry_initial: Duration::from_millis(500),
            retry_max: Duration::from_secs(30),
        }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        QueueConfig {
            max_bytes: ByteSize::mib(1024),
            max_trace_bytes: ByteSize::mib(1024),
            min_free: ByteSize::mib(256),
        }
    }
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        TelemetryConfig {
            interval: Duration::from_secs(10),
            log_format: LogFormat::default(),
            log_filter: "info".to_owned(),
        }
    }
}

fn invalid(key: impl Into<String>, message: impl Into<String>) -> InvalidConfig {
    InvalidConfig { key: key.into(), message: message.into() }
}

fn in_range<T: PartialOrd + std::fmt::Display>(key: &str, value: T, least: T, most: T) -> Result<(), InvalidConfig> {
    if value < least || value > most {
        return Err(invalid(key, format!("{value} is not between {least} and {most}")));
    }
    Ok(())
}

fn at_least(key: impl Into<String>, value: Duration, least: Duration) -> Result<(), InvalidConfig> {
    if value < least {
        return Err(invalid(key, format!("{value} is shorter than {least}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
