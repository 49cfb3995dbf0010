//! Samples put together into batches for the store, a few of them on their way at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, sync_channel};

use sonde_collector::config::IngestConfig;
use sonde_collector::normalise;
use sonde_model::{Exemplar, Labels, METRIC_NAME, TimestampMs};
use sonde_runtime::Clock;
use sonde_tsdb::{
    AppendError, Batch, BatchExemplar, BatchSample, BatchValue, Db, Metadata, RejectReason, SeriesRef, Source,
};

use crate::problem::Problem;
use crate::process::problem;

/// Samples of a batch.
const BATCH_SAMPLES: usize = 10_000;
/// Batches on their way to the disk.
const ON_THE_WAY: usize = 4;

/// A sample of a series.
pub(super) struct OneSample {
    pub(super) timestamp: TimestampMs,
    /// Since when it is counted; 0 where that is not known.
    pub(super) start: TimestampMs,
    pub(super) value: BatchValue,
    pub(super) exemplar: Option<Exemplar>,
}

/// What became of the samples.
pub(super) struct Done {
    pub(super) stored: u64,
    /// Samples that were there already.
    pub(super) known: u64,
    /// What was refused, in words.
    pub(super) refused: Option<String>,
}

/// Hands samples to the store.
pub(super) struct Batches<'d> {
    db: &'d Db,
    limits: &'d IngestConfig,
    added: Vec<(String, String)>,
    clock: Clock,
    head_bytes: usize,
    /// The series of the sample before: samples come series by series as a rule.
    last: Option<(Vec<(String, String)>, SeriesRef)>,
    samples: Vec<BatchSample>,
    /// Since when each sample is counted; 0 where that is not known.
    starts: Vec<TimestampMs>,
    exemplars: Vec<BatchExemplar>,
    metadata: Vec<(String, Metadata)>,
    on_the_way: VecDeque<Receiver<Result<(), sonde_tsdb::Error>>>,
    stored: u64,
    known: u64,
    refused: BTreeMap<String, u64>,
    first_refused: Option<String>,
}

impl<'d> Batches<'d> {
    pub(super) fn new(db: &'d Db, limits: &'d IngestConfig, added: Vec<(String, String)>, clock: Clock) -> Self {
        Batches {
            db,
            limits,
            added,
            clock,
            head_bytes: 128 << 20,
            last: None,
            samples: Vec::with_capacity(BATCH_SAMPLES),
            starts: Vec::new(),
            exemplars: Vec::new(),
            metadata: Vec::new(),
            on_the_way: VecDeque::new(),
            stored: 0,
            known: 0,
            refused: BTreeMap::new(),
            first_refused: None,
        }
    }

    /// Adds a sample of the series with this metric name, where it is not among the labels, and these labels.
    pub(super) fn sample<'a>(
        &mut self,
        metric: &'a str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        sample: OneSample,
    ) -> Result<(), Problem> {
        let labels: Vec<(&str, &str)> = labels.collect();
        let Some(series) = self.series(metric, labels) else { return Ok(()) };
        let OneSample { timestamp, start, value, exemplar } = sample;
        self.samples.push(BatchSample { series, timestamp, value });
        self.starts.push(start);
        self.exemplars.extend(exemplar.map(|exemplar| BatchExemplar { series, exemplar }));
        if self.samples.len() >= BATCH_SAMPLES { self.send() } else { Ok(()) }
    }

    /// Adds exemplars of a series.
    pub(super) fn exemplars<'a>(
        &mut self,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        exemplars: impl Iterator<Item = Exemplar>,
    ) {
        if let Some(series) = self.series("", labels.collect()) {
            self.exemplars.extend(exemplars.map(|exemplar| BatchExemplar { series, exemplar }));
        }
    }

    /// Says what is known of a metric.
    pub(super) fn metadata(&mut self, metric: &str, metadata: &Metadata) {
        self.metadata.push((metric.to_owned(), metadata.clone()));
    }

    /// Sends what is left, and makes blocks of all.
    pub(super) fn finish(mut self) -> Result<Done, Problem> {
        self.send()?;
        self.wait(0)?;
        let now = self.clock.now_ms();
        self.db.flush(now).map_err(|e| problem(&e))?;
        self.db.compact(now).map_err(|e| problem(&e))?;
        let refused: u64 = self.refused.values().sum();
        let words = (refused > 0).then(|| {
            let reasons: Vec<String> = self.refused.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
            let first = self.first_refused.as_deref().unwrap_or_default();
            let samples = if refused == 1 { "sample was" } else { "samples were" };
            format!("{refused} {samples} refused: {}; the first is {first}", reasons.join(", "))
        });
        Ok(Done { stored: self.stored, known: self.known, refused: words })
    }

    /// The series of the store; `None` if it is refused.
    fn series<'a>(&mut self, metric: &'a str, labels: Vec<(&'a str, &'a str)>) -> Option<SeriesRef> {
        let added = std::mem::take(&mut self.added);
        let found = self.find(&mut with_added(metric, labels, &added));
        self.added = added;
        found
    }

    fn find(&mut self, labels: &mut Vec<(&str, &str)>) -> Option<SeriesRef> {
        if let Err(problem) = normalise(labels, self.limits) {
            self.refuse(&problem.to_string(), || Labels::from_pairs(labels.iter().copied()).to_string());
            return None;
        }
        let same = |last: &[(String, String)]| {
            last.len() == labels.len() && last.iter().zip(&*labels).all(|(a, b)| (a.0.as_str(), a.1.as_str()) == *b)
        };
        if let Some((_, series)) = self.last.as_ref().filter(|(last, _)| same(last)) {
            return Some(*series);
        }
        match self.db.series_ref(labels) {
            Ok(series) => {
                let owned = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
                self.last = Some((owned, series));
                Some(series)
            }
            Err(limit) => {
                self.refuse(&format!("of new series ({limit})"), || {
                    Labels::from_pairs(labels.iter().copied()).to_string()
                });
                None
            }
        }
    }

    fn refuse(&mut self, reason: &str, example: impl FnOnce() -> String) {
        *self.refused.entry(reason.to_owned()).or_default() += 1;
        self.first_refused.get_or_insert_with(|| example().chars().take(200).collect());
    }

    fn send(&mut self) -> Result<(), Problem> {
        if self.samples.is_empty() && self.metadata.is_empty() && self.exemplars.is_empty() {
            return Ok(());
        }
        let samples = std::mem::replace(&mut self.samples, Vec::with_capacity(BATCH_SAMPLES));
        let times: Vec<TimestampMs> = samples.iter().map(|sample| sample.timestamp).collect();
        let batch = Batch {
            // Judged against the retention only.
            source: Source::AgentLink,
            cursor: None,
            samples,
            starts: Some(std::mem::take(&mut self.starts)).filter(|s| s.iter().any(|s| *s != 0)).unwrap_or_default(),
            metadata: std::mem::take(&mut self.metadata),
            exemplars: std::mem::take(&mut self.exemplars),
        };
        // Nothing else appends, so that there is room when what is on its way has arrived.
        self.wait(ON_THE_WAY - 1)?;
        let (sender, durable) = sync_channel(1);
        let told = move |result| {
            // Nobody waits any more where an error has ended the import.
            let _ = sender.send(result);
        };
        let outcome = self.db.append(batch, self.clock.now_ms(), told).map_err(|error: AppendError| problem(&error))?;
        self.on_the_way.push_back(durable);
        self.stored += outcome.accepted;
        self.known += outcome.duplicates;
        for rejected in &outcome.rejected {
            let at = times.get(rejected.index as usize).copied().unwrap_or_default();
            self.refuse(describe(rejected.reason), || format!("at {}", crate::query::show_time(at)));
        }
        if self.db.status().bytes >= self.head_bytes {
            self.wait(0)?;
            self.db.flush(self.clock.now_ms()).map_err(|e| problem(&e))?;
            // Series leave the head with a flush.
            self.last = None;
        }
        Ok(())
    }

    /// Waits until no more than so many batches are on their way.
    fn wait(&mut self, most: usize) -> Result<(), Problem> {
        while self.on_the_way.len() > most {
            let Some(durable) = self.on_the_way.pop_front() else { return Ok(()) };
            match durable.recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(problem(&error)),
                Err(_) => return Err(Problem::new("the store was closed")),
            }
        }
        Ok(())
    }
}

/// The labels with the name of the metric, unless it is empty, and those that every series gets.
fn with_added<'a>(
    metric: &'a str,
    mut labels: Vec<(&'a str, &'a str)>,
    added: &'a [(String, String)],
) -> Vec<(&'a str, &'a str)> {
    if !metric.is_empty() {
        labels.push((METRIC_NAME, metric));
    }
    labels.retain(|(name, _)| !added.iter().any(|(n, _)| n == name));
    labels.extend(added.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    labels
}

fn describe(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::TooLate => "older than the retention (storage.retention)",
        RejectReason::TooFarAhead => "in the future (storage.max_ahead)",
        RejectReason::OutOfOrder => "out of order",
        RejectReason::DuplicateTimestamp => "with another value than one before of the same series and time",
        RejectReason::InvalidHistogram => "with a histogram that contradicts itself",
    }
}
