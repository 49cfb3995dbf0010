//! Takes what the translation of an OTLP request yields: finds the series of each sample, by its key where it is known.

use std::collections::BTreeMap;

use sonde_model::{AgentId, Exemplar, TimestampMs};
use sonde_translate::{MetricMetadata, Piece, Report, Row, RowValue, SeriesKey, Sink, Times};
use sonde_tsdb::{BatchExemplar, BatchSample, BatchValue, MetricKind, SeriesRef};

use super::label_hash::Domain;
use super::labels::{self, LabelProblem};
use super::memo::Lookup;
use super::metadata::News;
use super::{Found, Ingest, Resolution, starts};
use crate::config::IngestConfig;

/// A batch put together for the store.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    pub(super) samples: Vec<BatchSample>,
    /// Their start timestamps, from the first known one on.
    pub(super) starts: Vec<TimestampMs>,
    pub(super) exemplars: Vec<BatchExemplar>,
    /// Exemplars of rows whose series are refused.
    pub(super) exemplars_without_series: u64,
    pub(super) news: News,
    /// Rows whose series are refused.
    pub(super) refused: BTreeMap<LabelProblem, u64>,
    /// The first series that was refused, cut where it is long.
    pub(super) example: Option<String>,
    pub(super) report: Report,
}

/// Samples whose series are looked up together, once all of a resource are there: probes of a table that is larger than
/// the caches are waited for at one time then, and not one after the other.
#[derive(Debug, Default)]
struct Held {
    samples: Vec<(u128, Times, BatchValue)>,
    series: Vec<SeriesRef>,
    /// With the sample that each belongs to.
    exemplars: Vec<(usize, Exemplar)>,
    /// Something came that cannot be held.
    is_spoiled: bool,
}

/// The sink of one request.
pub(super) struct OtlpSink<'a> {
    ingest: &'a Ingest,
    limits: &'a IngestConfig,
    resolution: Resolution,
    salt: u128,
    /// Who brings the series, where it is an agent.
    agent: Option<AgentId>,
    /// The look into the memo; closed while the store is asked, which takes its own locks.
    lookup: Option<Lookup<'a, SeriesRef>>,
    learned: Vec<(u128, SeriesRef)>,
    is_holding: bool,
    held: Held,
    /// The series of the last sample, unless it was refused.
    last: Option<SeriesRef>,
    prepared: Prepared,
}

impl<'a> OtlpSink<'a> {
    pub(super) fn new(ingest: &'a Ingest, limits: &'a IngestConfig, resolution: Resolution, salt: u128) -> Self {
        OtlpSink {
            ingest,
            limits,
            resolution,
            salt,
            agent: None,
            lookup: None,
            learned: Vec::new(),
            is_holding: false,
            held: Held::default(),
            last: None,
            prepared: Prepared::default(),
        }
    }

    /// Makes room for so many samples.
    pub(super) fn with_room(mut self, samples: usize) -> Self {
        self.prepared.samples.reserve(samples);
        self
    }

    /// Puts new series down to an agent.
    pub(super) fn of(self, agent: Option<AgentId>) -> Self {
        OtlpSink { agent, ..self }
    }

    /// Remembers what was learned, and hands over what was collected.
    pub(super) fn finish(mut self, report: Report) -> Prepared {
        drop(self.lookup.take());
        if !self.learned.is_empty() {
            self.ingest.series.insert(self.learned);
        }
        Prepared { report, ..self.prepared }
    }

    /// The series of a key, if it is known.
    fn known(&mut self, key: SeriesKey) -> Option<SeriesRef> {
        if self.resolution == Resolution::Fresh {
            return None;
        }
        match self.lookup.get_or_insert_with(|| self.ingest.series.lookup()).get(key.0) {
            Found::Young(series) => Some(series),
            Found::Old(series) => {
                self.learned.push((key.0, series));
                Some(series)
            }
            Found::No => None,
        }
    }

    /// The series of labels, from the store.
    fn resolve(&mut self, row: &Row<'_>) -> Result<SeriesRef, LabelProblem> {
        labels::check(row.labels, self.limits)?;
        self.lookup = None;
        let series = self.ingest.db.series_ref_of(self.agent, row.labels)?;
        if let Some(key) = row.key {
            self.learned.push((key.0, series));
        }
        Ok(series)
    }

    /// Finds the series of what is held; `false` where one is not known.
    fn find_held(&mut self) -> bool {
        let lookup = self.lookup.get_or_insert_with(|| self.ingest.series.lookup());
        self.held.series.clear();
        for (key, ..) in &self.held.samples {
            match lookup.get(*key) {
                Found::Young(series) => self.held.series.push(series),
                Found::Old(series) => {
                    self.learned.push((*key, series));
                    self.held.series.push(series);
                }
                Found::No => return false,
            }
        }
        true
    }

    fn push(&mut self, series: SeriesRef, times: Times, value: RowValue) {
        self.last = Some(series);
        self.prepared.push(series, times, batch_value(value));
    }
}

impl Prepared {
    fn push(&mut self, series: SeriesRef, Times { timestamp, start }: Times, value: BatchValue) {
        starts::push(&mut self.starts, self.samples.len(), start);
        self.samples.push(BatchSample { series, timestamp, value });
    }
}

fn batch_value(value: RowValue) -> BatchValue {
    match value {
        RowValue::Float(v) => BatchValue::Float(v),
        RowValue::FloatDelta(v) => BatchValue::FloatDelta(v),
        RowValue::Histogram(h) => BatchValue::Histogram(h),
        RowValue::HistogramDelta(h) => BatchValue::HistogramDelta(h),
    }
}

impl Sink for OtlpSink<'_> {
    fn hash(&mut self, piece: Piece, bytes: &[u8]) -> Option<u128> {
        let domain = match piece {
            Piece::TargetInfo => Domain::OtlpTargetInfo,
            Piece::Resource => Domain::OtlpResource,
            Piece::Scope => Domain::OtlpScope,
            Piece::Metric => Domain::OtlpMetric,
            Piece::Attributes => Domain::OtlpAttributes,
            Piece::Bounds => Domain::OtlpBounds,
        };
        let hash = self.ingest.hasher.hash(domain, bytes);
        // Every key has one of these two in it.
        Some(if matches!(piece, Piece::TargetInfo | Piece::Metric) { hash ^ self.salt } else { hash })
    }

    fn hold(&mut self) {
        self.is_holding = self.resolution == Resolution::Memoised;
    }

    fn settle(&mut self) -> bool {
        if !std::mem::take(&mut self.is_holding) {
            return true;
        }
        let is_known = !self.held.is_spoiled && self.find_held();
        if is_known {
            for ((_, times, value), series) in self.held.samples.drain(..).zip(&self.held.series) {
                self.prepared.push(*series, times, value);
            }
            let series = &self.held.series;
            let exemplars = self.held.exemplars.drain(..);
            self.prepared.exemplars.extend(
                exemplars.filter_map(|(at, exemplar)| Some(BatchExemplar { series: *series.get(at)?, exemplar })),
            );
        }
        self.held.samples.clear();
        self.held.exemplars.clear();
        self.held.is_spoiled = false;
        is_known
    }

    fn take(&mut self, key: SeriesKey, times: Times, value: RowValue) -> Option<RowValue> {
        if self.is_holding {
            self.held.samples.push((key.0, times, batch_value(value)));
            return None;
        }
        let Some(series) = self.known(key) else { return Some(value) };
        self.push(series, times, value);
        None
    }

    fn row(&mut self, row: Row<'_>) {
        if self.is_holding {
            self.held.is_spoiled = true;
            return;
        }
        // Other rows of the same point may be known.
        let known = row.key.and_then(|key| self.known(key));
        match known.map_or_else(|| self.resolve(&row), Ok) {
            Ok(series) => self.push(series, row.times, row.value),
            Err(problem) => {
                self.last = None;
                *self.prepared.refused.entry(problem).or_default() += 1;
                self.prepared.example.get_or_insert_with(|| labels::excerpt(row.labels));
            }
        }
    }

    fn exemplar(&mut self, exemplar: Exemplar) {
        if self.is_holding {
            // Without a sample before it, it follows a row, and all of this comes again.
            self.held.exemplars.push((self.held.samples.len().wrapping_sub(1), exemplar));
            return;
        }
        match self.last {
            Some(series) => self.prepared.exemplars.push(BatchExemplar { series, exemplar }),
            None => self.prepared.exemplars_without_series += 1,
        }
    }

    fn describe(&mut self, metric: MetricMetadata<'_>) {
        let kind = match metric.kind {
            sonde_translate::MetricKind::Counter => MetricKind::Counter,
            sonde_translate::MetricKind::Gauge => MetricKind::Gauge,
            sonde_translate::MetricKind::Histogram => MetricKind::Histogram,
            sonde_translate::MetricKind::Summary => MetricKind::Summary,
            sonde_translate::MetricKind::Info => MetricKind::Info,
        };
        let (known, news) = (&self.ingest.metadata, &mut self.prepared.news);
        known.judge(&self.ingest.hasher, metric.family, kind, metric.help, metric.unit, news);
    }
}
