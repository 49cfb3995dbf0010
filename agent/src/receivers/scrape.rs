//! Reads `/metrics` pages at an interval, as Prometheus does: `up`, how long it took, stale markers where a series ends.
//!
//! What is read keeps its names: each metric carries the name that stands on the page in its OTLP metadata.

mod about;
mod exemplar;
mod fetch;
mod labels;
mod page;
mod series;
mod shape;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use sonde_proto::exposition::Limits;
use sonde_proto::otlp::metrics::{Metric, ResourceMetrics, ScopeMetrics};
use sonde_proto::otlp::resource::Resource;
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};
use sonde_runtime::Clock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::config::ScrapeConfig;
use crate::origin::Origin;
use crate::payload::{Encoded, attribute, count_points};
use crate::queue::{Queue, Source};
use crate::schedule::Ticks;
use about::About;
use fetch::{FetchError, Fetcher};
use labels::TargetLabels;
use page::Page;
use series::Tracker;

/// Points of a batch. A page with more becomes several, so that none comes near the limits of a request.
const MAX_POINTS: usize = 10_000;
/// The first readings of targets are spread over so much time at most.
const SPREAD: Duration = Duration::from_secs(2);

/// What the receiver counts.
#[derive(Debug, Default)]
pub struct ScrapeStats {
    /// Pages that were read.
    pub scrapes: AtomicU64,
    /// Samples on them.
    pub samples: AtomicU64,
    /// Exemplars on them.
    pub exemplars: AtomicU64,
    /// Exemplars whose labels are longer than OpenMetrics allows; they are left out.
    pub long_exemplars: AtomicU64,
    /// Samples that stood on a page twice; the first counts.
    pub duplicates: AtomicU64,
    failed: [AtomicU64; Failure::ALL.len()],
}

/// Why a page could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No connection, or it broke.
    Connection,
    /// No answer in time.
    Timeout,
    /// An answer other than 200.
    Status,
    /// A page beyond the limits.
    TooLarge,
    /// A page that is not in the format.
    Malformed,
}

impl Failure {
    /// All failures.
    pub const ALL: [Failure; 5] =
        [Failure::Connection, Failure::Timeout, Failure::Status, Failure::TooLarge, Failure::Malformed];

    /// The failure as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            Failure::Connection => "connection",
            Failure::Timeout => "timeout",
            Failure::Status => "status",
            Failure::TooLarge => "too_large",
            Failure::Malformed => "malformed",
        }
    }
}

impl ScrapeStats {
    /// Readings that failed for this reason.
    pub fn failed(&self, failure: Failure) -> u64 {
        self.failed[failure as usize].load(Relaxed)
    }
}

/// What every target task needs.
#[derive(Clone, Debug)]
struct Shared {
    queue: Arc<Queue>,
    origin: Arc<Origin>,
    clock: Clock,
    stats: Arc<ScrapeStats>,
}

/// One target: a URL and how it is read.
#[derive(Clone, Debug, PartialEq)]
struct Target {
    url: String,
    config: ScrapeConfig,
}

/// Scrapes until `stop` is cancelled; follows changes of the configuration, targets that did not change go on.
pub async fn run(
    queue: Arc<Queue>,
    origin: Arc<Origin>,
    clock: Clock,
    stats: Arc<ScrapeStats>,
    mut config: watch::Receiver<Vec<ScrapeConfig>>,
    stop: CancellationToken,
) -> Result<(), FetchError> {
    let shared = Shared { queue, origin, clock, stats };
    let mut tasks = JoinSet::new();
    let mut running: BTreeMap<(String, String), (Target, CancellationToken)> = BTreeMap::new();
    let mut fetcher = None;
    while !stop.is_cancelled() {
        let wanted = targets(&config.borrow_and_update());
        // The client costs memory: an agent that scrapes nothing has none.
        if fetcher.is_none() && !wanted.is_empty() {
            fetcher = Some(Fetcher::new()?);
        }
        running.retain(|key, (target, removed)| {
            let stays = wanted.get(key) == Some(target);
            if !stays {
                removed.cancel();
            }
            stays
        });
        for (key, target) in wanted {
            if let (false, Some(fetcher)) = (running.contains_key(&key), &fetcher) {
                let removed = CancellationToken::new();
                let scraper = Scraper::new(shared.clone(), target.clone(), fetcher.clone());
                tasks.spawn(scraper.run(removed.clone(), stop.clone()));
                running.insert(key, (target, removed));
            }
        }
        tokio::select! {
            changed = config.changed() => if changed.is_err() { break },
            () = stop.cancelled() => {}
        }
    }
    while tasks.join_next().await.is_some() {}
    Ok(())
}

fn targets(configs: &[ScrapeConfig]) -> BTreeMap<(String, String), Target> {
    let mut targets = BTreeMap::new();
    for config in configs {
        for url in &config.urls {
            let target = Target { url: url.clone(), config: ScrapeConfig { urls: Vec::new(), ..config.clone() } };
            targets.insert((config.job.clone(), url.clone()), target);
        }
    }
    targets
}

/// Reads one page again and again.
#[derive(Debug)]
struct Scraper {
    shared: Shared,
    target: Target,
    fetcher: Fetcher,
    labels: TargetLabels,
    about: About,
    resource: Resource,
    tracker: Tracker,
    /// Whether the last reading failed: one log line per outage.
    is_down: bool,
}

impl Scraper {
    fn new(shared: Shared, target: Target, fetcher: Fetcher) -> Self {
        let labels = TargetLabels::new(&target.config.labels);
        let attributes = vec![
            attribute("service.name", &target.config.job),
            attribute("service.instance.id", instance_of(&target.url)),
        ];
        let resource = Resource { attributes, ..Resource::default() };
        let about = About::new(&target.url, &target.config, &labels);
        Scraper { shared, target, fetcher, labels, about, resource, tracker: Tracker::default(), is_down: false }
    }

    /// Reads until the target is removed, which ends its series, or until the agent stops, which does not.
    async fn run(mut self, removed: CancellationToken, stop: CancellationToken) {
        let interval = self.target.config.interval.0;
        let delay = spread(&self.target.url, interval.min(SPREAD));
        let mut ticks = Ticks::new(self.shared.clock.clone(), interval, delay);
        loop {
            let tick = tokio::select! {
                tick = ticks.next() => tick,
                () = removed.cancelled() => {
                    let now_ns = self.shared.clock.now_ns();
                    let mut ended = self.tracker.end_all(now_ns);
                    ended.extend(self.about.end(now_ns));
                    return self.offer(ended, now_ns);
                }
                () = stop.cancelled() => return,
            };
            tokio::select! {
                () = self.scrape(tick.time_ns) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn scrape(&mut self, time_ns: i64) {
        let began = self.shared.clock.monotonic();
        let config = &self.target.config;
        let read = match self.fetcher.fetch(&self.target.url, config.timeout.0, limit(config.max_body.0)).await {
            Ok(answer) => {
                let limits = Limits {
                    max_bytes: limit(config.max_body.0),
                    max_samples: config.max_samples,
                    ..Limits::default()
                };
                Page::read(&answer.body, answer.format, &limits, &self.labels, time_ns, config.honor_timestamps)
                    .map_err(|error| FetchError::Malformed { message: error.to_string() })
            }
            Err(error) => Err(error),
        };
        let took = self.shared.clock.monotonic().saturating_sub(began);
        self.note(read.as_ref().err());
        let (page, failure) = match read {
            Ok(page) => (page, None),
            Err(error) => (Page::default(), Some(error.failure())),
        };
        let samples = page.samples;
        self.shared.stats.exemplars.fetch_add(page.exemplars, Relaxed);
        self.shared.stats.long_exemplars.fetch_add(page.long_exemplars, Relaxed);
        let mut metrics = self.tracker.follow(page, time_ns);
        metrics.extend(self.about.reading(time_ns, failure, took.as_secs_f64(), samples));
        self.shared.stats.samples.fetch_add(samples, Relaxed);
        self.shared.stats.duplicates.fetch_add(self.tracker.take_duplicates(), Relaxed);
        self.offer(metrics, time_ns);
    }

    fn note(&mut self, error: Option<&FetchError>) {
        self.shared.stats.scrapes.fetch_add(1, Relaxed);
        let url = &self.target.url;
        match error {
            None if self.is_down => {
                self.is_down = false;
                tracing::info!("{url} can be read again");
            }
            None => {}
            Some(error) => {
                self.shared.stats.failed[error.failure() as usize].fetch_add(1, Relaxed);
                if !self.is_down {
                    self.is_down = true;
                    tracing::warn!("{url} cannot be read: {error}; trying at every interval");
                }
            }
        }
    }

    fn offer(&self, metrics: Vec<Metric>, time_ns: i64) {
        for metrics in shape::batches(metrics, MAX_POINTS) {
            let scope_metrics = vec![ScopeMetrics {
                scope: Some(self.shared.origin.scope.clone()),
                metrics,
                schema_url: String::new(),
            }];
            let resource = Some(self.resource.clone());
            let resource_metrics = vec![ResourceMetrics { resource, scope_metrics, schema_url: String::new() }];
            let request = ExportMetricsServiceRequest { resource_metrics };
            let batch = Encoded { items: count_points(&request), body: request.encode_to_vec() };
            self.shared.queue.offer(Source::Scrape, &batch, time_ns / 1_000_000);
        }
    }
}

/// `HOST:PORT` of a URL, with the port of the scheme where none is written.
fn instance_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// A delay within `range` that is always the same for a URL, so that targets are not all read in the same moment.
fn spread(url: &str, range: Duration) -> Duration {
    let hash = url.bytes().fold(0u32, |hash, byte| hash.wrapping_mul(31).wrapping_add(u32::from(byte)));
    range.mul_f64(f64::from(hash % 1_000) / 1_000.0)
}

fn limit(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
