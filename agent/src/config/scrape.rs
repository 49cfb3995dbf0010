//! Which `/metrics` pages are read.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sonde_runtime::config::{ByteSize, Duration};

use super::{InvalidConfig, at_least, in_range, invalid};

/// A group of pages that are read alike.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ScrapeConfig {
    /// The label `job` of what is read.
    pub job: String,
    /// The pages, as `http://HOST:PORT/metrics`. HOST:PORT becomes the label `instance`.
    pub urls: Vec<String>,
    /// How often.
    #[serde(default = "default_interval")]
    pub interval: Duration,
    /// How long an answer may take.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// Labels that are added to every sample.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Whether a time that stands behind a sample is kept; else the time of the reading is taken.
    #[serde(default = "yes")]
    pub honor_timestamps: bool,
    /// The largest page, decompressed.
    #[serde(default = "default_max_body")]
    pub max_body: ByteSize,
    /// The most samples on a page.
    #[serde(default = "default_max_samples")]
    pub max_samples: usize,
}

fn default_interval() -> Duration {
    Duration::from_secs(15)
}

fn default_timeout() -> Duration {
    Duration::from_secs(10)
}

fn default_max_body() -> ByteSize {
    ByteSize::mib(16)
}

fn default_max_samples() -> usize {
    200_000
}

fn yes() -> bool {
    true
}

pub(super) fn check_all(scrapes: &[ScrapeConfig]) -> Result<(), InvalidConfig> {
    let mut seen: Vec<(&str, &str)> = Vec::new();
    for (index, scrape) in scrapes.iter().enumerate() {
        let key = |name: &str| format!("scrape[{index}].{name}");
        if scrape.job.is_empty() {
            return Err(invalid(key("job"), "is empty; it becomes the label `job`"));
        }
        at_least(key("interval"), scrape.interval, Duration::from_millis(100))?;
        at_least(key("timeout"), scrape.timeout, Duration::from_millis(10))?;
        if scrape.timeout > scrape.interval {
            let message = format!("{} is longer than the interval of {}", scrape.timeout, scrape.interval);
            return Err(invalid(key("timeout"), message));
        }
        in_range(&key("max_body (in bytes)"), scrape.max_body.0, 1, 256 << 20)?;
        in_range(&key("max_samples"), scrape.max_samples, 1, 5_000_000)?;
        for url in &scrape.urls {
            let authority = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            if authority.is_none_or(str::is_empty) {
                return Err(invalid(key("urls"), format!("`{url}` is no URL; write http://HOST:PORT/metrics")));
            }
            if seen.contains(&(scrape.job.as_str(), url.as_str())) {
                return Err(invalid(key("urls"), format!("`{url}` stands there twice for job `{}`", scrape.job)));
            }
            seen.push((&scrape.job, url));
        }
        if let Some(name) = scrape.labels.keys().find(|name| !is_label_name(name)) {
            return Err(invalid(key("labels"), format!("`{name}` is no label name that a sample may be given")));
        }
    }
    Ok(())
}

/// A label of a person's own: not the name, nor what this configuration sets otherwise.
fn is_label_name(name: &str) -> bool {
    let well_formed = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    well_formed && !name.starts_with("__") && name != "job" && name != "instance"
}
