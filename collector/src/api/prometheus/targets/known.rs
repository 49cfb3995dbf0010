//! What the store knows of targets.

use std::collections::HashMap;

use sonde_model::{Labels, METRIC_NAME, Matcher, Series, TimestampMs, is_stale};
use sonde_tsdb::{Db, SelectError, SelectLimits};

use crate::ingest::AgentSeen;

/// How many samples are read at most for the list of targets: a sample a second of a hundred thousand targets.
const MAX_SAMPLES: usize = 30_000_000;
/// The labels of `scrape_target_info` that are not those of the target: `agent/src/receivers/scrape/about.rs`.
const INFO_LABELS: [&str; 4] = ["scrape_url", "scrape_interval", "scrape_timeout", "scrape_error"];

/// Something that is scraped.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Target {
    /// The labels that all its series have.
    pub(super) labels: Labels,
    /// Whether the last scrape worked.
    pub(super) is_up: bool,
    /// When that was.
    pub(super) last_scrape: TimestampMs,
    /// How many seconds it took.
    pub(super) took: f64,
    /// Where it is scraped; empty where that is not known, as are the other texts.
    pub(super) url: String,
    /// How often, as a duration.
    pub(super) interval: String,
    /// How long an answer may take, as a duration.
    pub(super) timeout: String,
    /// Why the last scrape failed.
    pub(super) error: String,
}

impl Target {
    /// An agent, which measures its host: it sends, so that its last batch is what a last scrape is elsewhere.
    pub(super) fn of_agent(agent: &AgentSeen, is_up: bool) -> Self {
        let id = agent.last_batch.agent.to_string();
        let labels = Labels::from_pairs([("agent", id.as_str()), ("job", "sonde-agent")]);
        let error = if is_up { String::new() } else { "no batch has come of late".to_owned() };
        Target { labels, is_up, last_scrape: agent.last_time, error, ..Target::default() }
    }

    /// The job.
    pub(super) fn pool(&self) -> &str {
        self.labels.get("job").unwrap_or_default()
    }

    /// The labels that a Prometheus would have before relabelling, as far as they can be told.
    pub(super) fn discovered(&self) -> Vec<(&'static str, String)> {
        let mut labels = Vec::new();
        if let Some((scheme, rest)) = self.url.split_once("://") {
            let at = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            labels.push(("__address__", rest[..at].to_owned()));
            labels.push(("__metrics_path__", rest[at..].to_owned()));
            labels.push(("__scheme__", scheme.to_owned()));
            labels.push(("__scrape_interval__", self.interval.clone()));
            labels.push(("__scrape_timeout__", self.timeout.clone()));
        }
        labels.push(("job", self.pool().to_owned()));
        labels
    }
}

/// The targets that were scraped in a range of time, sorted by their labels. One that was removed is not among them.
pub(super) fn read(db: &Db, from: TimestampMs, to: TimestampMs, max_series: usize) -> Result<Vec<Target>, SelectError> {
    let limits = SelectLimits { max_series, max_samples: MAX_SAMPLES };
    let select = |name: &str| db.select(&[Matcher::equal(METRIC_NAME, name)], from, to, &limits);
    let took: HashMap<Labels, f64> = select("scrape_duration_seconds")?
        .iter()
        .filter_map(|series| Some((series.labels.without(|name| name == METRIC_NAME), last(series)?.1)))
        .collect();
    let mut infos = HashMap::new();
    for series in select("scrape_target_info")? {
        if last(&series).is_some() {
            let own = series.labels.without(|name| name == METRIC_NAME || INFO_LABELS.contains(&name));
            infos.insert(own, series.labels);
        }
    }
    let mut targets: Vec<Target> = select("up")?
        .iter()
        .filter_map(|series| {
            let labels = series.labels.without(|name| name == METRIC_NAME);
            let (last_scrape, value) = last(series)?;
            let info = infos.get(&labels);
            let text = |name| info.and_then(|info| info.get(name)).unwrap_or_default().to_owned();
            let [url, interval, timeout, error] = INFO_LABELS.map(text);
            let is_up = value != 0.0;
            let took = took.get(&labels).copied().unwrap_or_default();
            Some(Target { is_up, last_scrape, took, url, interval, timeout, error, labels })
        })
        .collect();
    targets.sort_by(|a, b| (a.pool(), &a.labels).cmp(&(b.pool(), &b.labels)));
    Ok(targets)
}

/// The last sample, unless the series has ended.
fn last(series: &Series) -> Option<(TimestampMs, f64)> {
    let (at, value) = (series.floats.timestamps.last()?, series.floats.values.last()?);
    (!is_stale(*value)).then_some((*at, *value))
}
