//! Prometheus remote write, 1.0 and 2.0: from the decompressed body to the store.

use std::sync::atomic::Ordering::Relaxed;

use sonde_model::{Exemplar, Labels, TimestampMs};
use sonde_proto::remote_write::{
    DecodeError, ExemplarView, HistogramView, Limits, MetadataView, SampleView, SeriesMetadata, SeriesView, Version,
    WireError, WriteRequestView,
};
use sonde_tsdb::{Batch, BatchExemplar, BatchSample, BatchValue, MetricKind, Outcome, RejectReason, SeriesRef, Source};

use super::metadata::News;
use super::refusals::{Refusals, describe};
use super::series_key::SeriesKeys;
use super::{Found, Ingest, IngestError, LabelProblem, Pending, Resolution, labels, starts};
use crate::config::IngestConfig;

/// Why a request was not stored at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    /// It is no remote write request, or over a limit.
    #[error("{0}")]
    Invalid(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] IngestError),
}

/// A request that was judged and is on its way to the disk.
#[derive(Debug)]
pub(crate) struct Written {
    /// To be waited for before the sender is answered.
    pub(crate) pending: Pending,
    /// What was refused of it, in words; `None` where all was taken.
    pub(crate) refused: Option<String>,
    /// What will be stored of it, or is already.
    pub(crate) stored: Stored,
}

/// How much of a request is in the store: what is there already was written too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Float samples.
    pub(crate) samples: u64,
    /// Native histograms.
    pub(crate) histograms: u64,
    /// Exemplars.
    pub(crate) exemplars: u64,
}

/// A request put together for the store.
#[derive(Debug, Default)]
struct Prepared<'a> {
    samples: Vec<BatchSample>,
    /// Their start timestamps, from the first known one on; see [`starts`].
    starts: Vec<TimestampMs>,
    /// Which of the samples are histograms.
    histograms: Vec<u32>,
    /// What series of 2.0 say of their metrics, each once.
    metadata: Vec<MetadataView<'a>>,
    exemplars: Vec<BatchExemplar>,
    /// Where the samples of each taken series begin in `samples`, with the index of the series in the request.
    origins: Vec<(u32, u32)>,
    /// Series that were refused, by their index in the request.
    refused: Vec<(usize, LabelProblem)>,
    /// Series with histograms that contradict themselves, and how many.
    bad_histograms: Vec<(usize, u64)>,
    /// Exemplars whose labels cannot be such.
    bad_exemplars: u64,
    /// Exemplars of series that were refused.
    exemplars_without_series: u64,
    /// Series of 2.0 with neither samples nor histograms.
    empty_series: u64,
    /// Metrics whose series say something by symbols that are not there or not UTF-8, in 2.0.
    bad_metadata: u64,
}

/// Series whose keys are looked up together: enough for the memory to be kept busy, few enough for what was read of them to
/// stay at hand.
const BLOCK: usize = 64;

/// About as much as a series with one sample takes in a request: short ones in 2.0, long ones in 1.0.
const SERIES_BYTES: usize = 128;

impl<'a> Prepared<'a> {
    /// Has room for about as many samples as the request has.
    fn with_room(view: &WriteRequestView<'_>) -> Self {
        let series = view.len_bytes() / SERIES_BYTES;
        Prepared { samples: Vec::with_capacity(series), origins: Vec::with_capacity(series), ..Prepared::default() }
    }

    /// Notes what a taken series of 2.0 says of its metric.
    fn describe(&mut self, series: &SeriesView<'a>, metadata: &mut SeriesMetadata<'a>) -> Result<(), DecodeError> {
        match metadata.read(series) {
            Ok(said) => self.metadata.extend(said.map(|said| {
                let is_family = series.histogram_count() > 0;
                MetadataView { family: if is_family { said.family } else { family_of(&said) }, ..said }
            })),
            Err(DecodeError::Symbol { .. } | DecodeError::Wire(WireError::Utf8 { .. })) => self.bad_metadata += 1,
            Err(other) => return Err(other),
        }
        Ok(())
    }
}

impl Ingest {
    /// Stores a request, judged by its source; the body is decompressed. Blocks for as long as decoding takes, not for the disk.
    pub(crate) fn write(&self, version: Version, source: Source, body: &[u8]) -> Result<Written, WriteError> {
        let salt = self.salt();
        let config = self.config.load();
        let limits = wire_limits(&config.ingest);
        let view = WriteRequestView::new(version, body, &limits).map_err(invalid)?;
        let mut prepared = self.prepare(&view, &config.ingest, salt, Resolution::Memoised).map_err(invalid)?;
        let news = self.new_metadata(&view, &prepared.metadata).map_err(invalid)?;

        let mut refusals = Refusals::default();
        self.count(body, &prepared);
        if !prepared.refused.is_empty() || !prepared.bad_histograms.is_empty() {
            self.describe_series(&view, &prepared, &mut refusals);
        }
        let (mut first, mut floats) = (true, 0);
        let (outcome, pending) = self.append(|resolution| {
            if !std::mem::take(&mut first) {
                // The request was decoded before, so that it can be decoded again.
                prepared = self.prepare(&view, &config.ingest, salt, resolution).unwrap_or_default();
            }
            let samples = std::mem::take(&mut prepared.samples);
            floats = samples.len() - prepared.histograms.len();
            let starts = starts::finish(std::mem::take(&mut prepared.starts), samples.len());
            let exemplars = std::mem::take(&mut prepared.exemplars);
            Batch { source, cursor: None, samples, starts, metadata: news.entries.clone(), exemplars }
        })?;
        describe_samples(&view, &prepared.origins, &outcome, &mut refusals);
        let stored = stored(floats, &prepared.histograms, &outcome);
        let refused = describe_all(&refusals, &prepared, &outcome);
        Ok(Written { pending: pending.with_news(news), refused, stored })
    }

    /// Resolves the series of a request and collects its samples. In the steady state this is one hash and one probe
    /// a series; labels are not even looked at. Series are probed by the block: the table is larger than the caches, and
    /// the probes of a block are waited for at one time.
    fn prepare<'a>(
        &self,
        view: &'a WriteRequestView<'_>,
        limits: &IngestConfig,
        salt: u128,
        resolution: Resolution,
    ) -> Result<Prepared<'a>, DecodeError> {
        let mut prepared = Prepared::with_room(view);
        let mut learned = Vec::new();
        let mut block = Vec::with_capacity(BLOCK);
        let mut founds = Vec::with_capacity(BLOCK);
        let mut scratch = Vec::new();
        let mut keys = SeriesKeys::new(&self.hasher, view.symbols());
        let mut metadata = view.series_metadata();
        let mut lookup = self.series.lookup();
        let mut all = view.series().enumerate();
        loop {
            block.clear();
            while block.len() < BLOCK
                && let Some((index, series)) = all.next()
            {
                let series = series?;
                if view.version() == Version::V2 && series.sample_count() + series.histogram_count() == 0 {
                    // 1.0 has such series for exemplars that come behind their samples; 2.0 forbids them.
                    prepared.empty_series += 1;
                    prepared.exemplars_without_series += series.exemplar_count() as u64;
                    continue;
                }
                let hash = keys.of(&series).map(|hash| hash ^ salt);
                block.push((index, series, hash));
            }
            if block.is_empty() {
                break;
            }
            founds.clear();
            founds.extend(block.iter().map(|(.., hash)| match (hash, resolution) {
                (Some(hash), Resolution::Memoised) => lookup.get(*hash),
                _ => Found::No,
            }));
            for ((index, series, hash), found) in block.iter().zip(&founds) {
                let resolved = match found {
                    Found::Young(series) | Found::Old(series) => Ok(*series),
                    Found::No => {
                        // The store takes its own locks: the memo's is not held meanwhile.
                        drop(lookup);
                        let resolved = self.resolve(series, limits, &mut scratch)?;
                        lookup = self.series.lookup();
                        resolved
                    }
                };
                match resolved {
                    Ok(reference) => {
                        if let (Some(hash), Found::Old(_) | Found::No) = (hash, found) {
                            learned.push((*hash, reference));
                        }
                        prepared.origins.push((prepared.samples.len() as u32, *index as u32));
                        collect(*index, series, reference, &mut prepared)?;
                        prepared.describe(series, &mut metadata)?;
                    }
                    Err(problem) => {
                        prepared.exemplars_without_series += series.exemplar_count() as u64;
                        prepared.refused.push((*index, problem));
                    }
                }
            }
        }
        drop(lookup);
        if !learned.is_empty() {
            self.series.insert(learned);
        }
        Ok(prepared)
    }

    /// Finds the series in the store by its labels.
    fn resolve<'a>(
        &self,
        series: &SeriesView<'a>,
        limits: &IngestConfig,
        scratch: &mut Vec<(&'a str, &'a str)>,
    ) -> Result<Result<SeriesRef, LabelProblem>, DecodeError> {
        scratch.clear();
        for label in series.labels() {
            match label {
                Ok(label) => scratch.push(label),
                Err(DecodeError::Wire(WireError::Utf8 { .. })) => return Ok(Err(LabelProblem::NotUtf8)),
                Err(DecodeError::Symbol { .. }) => return Ok(Err(LabelProblem::BadReference)),
                Err(other) => return Err(other),
            }
        }
        let checked = labels::normalise(scratch, limits);
        Ok(checked.and_then(|()| self.db.series_ref(scratch).map_err(LabelProblem::from)))
    }

    /// The metadata that the store may not know yet: that of the request, and that of its series.
    fn new_metadata(&self, view: &WriteRequestView<'_>, of_series: &[MetadataView<'_>]) -> Result<News, DecodeError> {
        let mut news = News::default();
        for item in view.metadata().chain(of_series.iter().copied().map(Ok)) {
            let item = item?;
            self.metadata.judge(&self.hasher, item.family, kind(&item), item.help, item.unit, &mut news);
        }
        Ok(news)
    }

    fn count(&self, body: &[u8], prepared: &Prepared<'_>) {
        self.stats.remote_write_bytes.fetch_add(body.len() as u64, Relaxed);
        self.stats.remote_write_samples.fetch_add(prepared.samples.len() as u64, Relaxed);
        let refused = prepared.bad_exemplars + prepared.exemplars_without_series;
        self.stats.exemplars.fetch_add(prepared.exemplars.len() as u64 + refused, Relaxed);
        self.stats.exemplars_with_bad_labels.fetch_add(prepared.bad_exemplars, Relaxed);
        self.stats.exemplars_without_series.fetch_add(prepared.exemplars_without_series, Relaxed);
        self.stats.remote_write_empty_series.fetch_add(prepared.empty_series, Relaxed);
        self.stats.remote_write_bad_metadata.fetch_add(prepared.bad_metadata, Relaxed);
    }

    /// Says which series were refused, and counts their samples. Walks the request again: this is the rare case.
    fn describe_series(&self, view: &WriteRequestView<'_>, prepared: &Prepared<'_>, into: &mut Refusals) {
        let mut refused = prepared.refused.iter().peekable();
        let mut bad = prepared.bad_histograms.iter().peekable();
        for (index, series) in view.series().enumerate() {
            let Ok(series) = series else { return };
            if let Some((_, problem)) = refused.next_if(|(i, _)| *i == index) {
                let samples = (series.sample_count() + series.histogram_count()) as u64;
                self.stats.refuse(*problem, samples);
                self.stats.remote_write_samples.fetch_add(samples, Relaxed);
                into.add(problem.to_string(), samples, || text_of(&series));
            }
            if let Some((_, histograms)) = bad.next_if(|(i, _)| *i == index) {
                self.stats.invalid_histograms.fetch_add(*histograms, Relaxed);
                self.stats.remote_write_samples.fetch_add(*histograms, Relaxed);
                into.add(describe(RejectReason::InvalidHistogram), *histograms, || text_of(&series));
            }
        }
    }
}

/// Collects the samples of a series.
fn collect(
    index: usize,
    series: &SeriesView<'_>,
    reference: SeriesRef,
    into: &mut Prepared<'_>,
) -> Result<(), DecodeError> {
    // Senders of before the samples had one say it once a series.
    let created = series.created_timestamp();
    let start = |start_timestamp| if start_timestamp == 0 { created } else { start_timestamp };
    for sample in series.samples() {
        let SampleView { timestamp, value, start_timestamp } = sample?;
        starts::push(&mut into.starts, into.samples.len(), start(start_timestamp));
        into.samples.push(BatchSample { series: reference, timestamp, value: BatchValue::Float(value) });
    }
    if series.exemplar_count() > 0 {
        for exemplar in series.exemplars() {
            match read_exemplar(&exemplar?)? {
                Some(exemplar) => into.exemplars.push(BatchExemplar { series: reference, exemplar }),
                None => into.bad_exemplars += 1,
            }
        }
    }
    if series.histogram_count() == 0 {
        return Ok(());
    }
    let mut bad_histograms = 0;
    for histogram in series.histograms() {
        match histogram {
            Ok(HistogramView { timestamp, histogram, start_timestamp }) => {
                starts::push(&mut into.starts, into.samples.len(), start(start_timestamp));
                into.histograms.push(into.samples.len() as u32);
                let value = BatchValue::Histogram(Box::new(histogram));
                into.samples.push(BatchSample { series: reference, timestamp, value });
            }
            Err(DecodeError::Histogram { .. }) => bad_histograms += 1,
            Err(other) => return Err(other),
        }
    }
    if bad_histograms > 0 {
        into.bad_histograms.push((index, bad_histograms));
    }
    Ok(())
}

/// An exemplar; `None` where its labels cannot be such.
fn read_exemplar(view: &ExemplarView<'_>) -> Result<Option<Exemplar>, DecodeError> {
    let mut labels = Vec::new();
    for label in view.labels() {
        match label {
            Ok((_, "")) => {}
            Ok(label) => labels.push(label),
            Err(DecodeError::Wire(WireError::Utf8 { .. }) | DecodeError::Symbol { .. }) => return Ok(None),
            Err(other) => return Err(other),
        }
    }
    labels.sort_unstable();
    let is_bad = labels.windows(2).any(|pair| pair[0].0 == pair[1].0) || labels.first().is_some_and(|l| l.0.is_empty());
    let exemplar = || Exemplar { labels: Labels::from_sorted(&labels), value: view.value, timestamp: view.timestamp };
    Ok((!is_bad).then(exemplar))
}

/// Says which samples the store refused. Walks the request again: this is the rare case.
fn describe_samples(view: &WriteRequestView<'_>, origins: &[(u32, u32)], outcome: &Outcome, into: &mut Refusals) {
    for rejected in &outcome.rejected {
        let after = origins.partition_point(|(first, _)| *first <= rejected.index);
        into.add(describe(rejected.reason), 1, || {
            let origin = after.checked_sub(1).and_then(|at| origins.get(at));
            let series = origin.and_then(|(_, index)| view.series().nth(*index as usize)?.ok());
            series.map(|series| text_of(&series)).unwrap_or_default()
        });
    }
}

/// What of the samples put together is in the store. Refused ones are those of the store: others were never in it.
fn stored(floats: usize, histograms: &[u32], outcome: &Outcome) -> Stored {
    let is_histogram = |index: u32| histograms.binary_search(&index).is_ok();
    let refused_histograms = outcome.rejected.iter().filter(|rejected| is_histogram(rejected.index)).count();
    let refused_floats = outcome.rejected.len() - refused_histograms;
    Stored {
        samples: floats.saturating_sub(refused_floats) as u64,
        histograms: histograms.len().saturating_sub(refused_histograms) as u64,
        exemplars: outcome.exemplars + outcome.duplicate_exemplars,
    }
}

/// All that was refused in words; `None` where nothing was. Refused exemplars fail no request: they are counted.
fn describe_all(refusals: &Refusals, prepared: &Prepared<'_>, outcome: &Outcome) -> Option<String> {
    let mut parts = Vec::new();
    if refusals.count() > 0 {
        parts.push(refusals.to_string());
    }
    if prepared.empty_series > 0 {
        parts.push(format!("{} series had neither samples nor histograms", prepared.empty_series));
    }
    if prepared.bad_metadata > 0 {
        let metrics =
            if prepared.bad_metadata == 1 { "1 metric" } else { &format!("{} metrics", prepared.bad_metadata) };
        parts.push(format!("the metadata of {metrics} refers to symbols that are not there or not UTF-8"));
    }
    (!parts.is_empty()).then(|| format!("{}; {} were stored", parts.join("; "), outcome.accepted))
}

fn text_of(series: &SeriesView<'_>) -> String {
    /// Longer label sets are cut: the text goes into an answer and a log line.
    const MAX_CHARS: usize = 500;
    let text = Labels::from_pairs(series.labels().filter_map(Result::ok)).to_string();
    match text.char_indices().nth(MAX_CHARS) {
        Some((cut, _)) => format!("{}...", &text[..cut]),
        None => text,
    }
}

/// The family of a metric by the name of one of its classic series, as the text format forms it: metadata of 2.0 stands
/// at each of them, and is that of the whole histogram or summary.
fn family_of<'a>(view: &MetadataView<'a>) -> &'a str {
    let suffixes: &[&str] = match kind(view) {
        MetricKind::Histogram => &["_bucket", "_count", "_sum"],
        MetricKind::Summary => &["_count", "_sum"],
        _ => &[],
    };
    suffixes.iter().find_map(|suffix| view.family.strip_suffix(suffix)).unwrap_or(view.family)
}

fn kind(view: &MetadataView<'_>) -> MetricKind {
    match view.kind {
        1 => MetricKind::Counter,
        2 => MetricKind::Gauge,
        3 | 4 => MetricKind::Histogram,
        5 => MetricKind::Summary,
        6 => MetricKind::Info,
        7 => MetricKind::StateSet,
        _ => MetricKind::Unknown,
    }
}

fn invalid(error: DecodeError) -> WriteError {
    WriteError::Invalid(sonde_runtime::stage::with_causes(&error))
}

/// The limits of the decoder: labels beyond ours are decoded, so that their series alone is refused.
fn wire_limits(limits: &IngestConfig) -> Limits {
    Limits {
        max_body_bytes: usize::try_from(limits.max_decoded_body.0).unwrap_or(usize::MAX),
        max_series: limits.max_samples,
        max_samples: limits.max_samples,
        max_labels: limits.max_labels.saturating_mul(4),
        ..Limits::default()
    }
}
