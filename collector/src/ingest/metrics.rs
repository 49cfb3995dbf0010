//! OTLP metrics: from the encoded request to the store, exactly once where the sender numbers its batches.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::checksum::crc32;
use sonde_model::CursorVerdict;
use sonde_otlp::{Accepted, Export};
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};
use sonde_translate::{Options, Promotion, Report, Row, RowValue, Strategy, Translator};
use sonde_tsdb::{Batch, BatchSample, BatchValue, MetricKind, Source};

use super::labels::{self, LabelProblem};
use super::metadata::News;
use super::refusals::{Refusals, describe};
use super::{Domain, Found, Ingest, IngestError, Pending, Resolution};
use crate::config::{Config, OtlpConfig, TranslationStrategy};

/// Why a batch was not stored at all.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsumeError {
    /// It is no OTLP metrics request.
    #[error("{0}")]
    Invalid(String),
    /// The store did not take it.
    #[error(transparent)]
    Store(#[from] IngestError),
}

/// A batch that was judged and is on its way to the disk.
#[derive(Debug)]
pub(crate) struct Consumed {
    /// To be waited for before the sender is answered.
    pub(crate) pending: Pending,
    /// The answer.
    pub(crate) accepted: Accepted,
    /// Whether the batch was there already.
    pub(crate) duplicate: bool,
}

/// A batch put together for the store.
#[derive(Debug, Default)]
struct Prepared {
    samples: Vec<BatchSample>,
    refused: BTreeMap<LabelProblem, u64>,
    /// The first series that was refused, cut where it is long.
    example: Option<String>,
    report: Report,
}

impl Prepared {
    /// Counts a row whose series is refused; the first is kept as an example.
    fn refuse(&mut self, problem: LabelProblem, labels: &[(&str, &str)]) {
        *self.refused.entry(problem).or_default() += 1;
        self.example.get_or_insert_with(|| labels::excerpt(labels));
    }
}

impl Ingest {
    /// Stores a batch. Blocks for as long as decoding takes, not for the disk.
    pub(crate) fn consume(&self, export: &Export) -> Result<Consumed, ConsumeError> {
        let request = ExportMetricsServiceRequest::decode(export.body.as_ref())
            .map_err(|e| ConsumeError::Invalid(format!("the body is no ExportMetricsServiceRequest: {e}")))?;
        let config = self.config.load();
        if let Some(batch) = export.batch {
            self.agents.saw(batch, self.clock.now_ms());
        }

        let cursor = export.batch.map(|id| (id, crc32(&export.body)));
        let source = if cursor.is_some() { Source::AgentLink } else { Source::Push };
        let (mut prepared, mut news) = (Prepared::default(), News::default());
        let (outcome, pending) = self.append(|resolution| {
            prepared = self.translate(&request, &config, resolution);
            news = self.new_metadata_of(&prepared.report);
            Batch {
                source,
                cursor,
                samples: std::mem::take(&mut prepared.samples),
                metadata: news.entries.clone(),
                exemplars: Vec::new(),
            }
        })?;
        let pending = pending.with_news(news);

        self.stats.otlp_points.fetch_add(prepared.report.points + prepared.report.rejected_points(), Relaxed);
        if outcome.verdict == CursorVerdict::Duplicate {
            return Ok(Consumed { pending, accepted: Accepted::default(), duplicate: true });
        }
        let mut refusals = Refusals::default();
        for (reason, points) in &prepared.report.rejected {
            self.stats.otlp_untranslated.fetch_add(*points, Relaxed);
            refusals.add(format!("not translated ({})", reason.as_str()), *points, String::new);
        }
        let example = prepared.example.unwrap_or_default();
        for (problem, rows) in prepared.refused {
            self.stats.refuse(problem, rows);
            refusals.add(problem.to_string(), rows, || example.clone());
        }
        for rejected in &outcome.rejected {
            refusals.add(describe(rejected.reason), 1, String::new);
        }
        let rejected = refusals.count();
        let message = if rejected > 0 { refusals.to_string() } else { String::new() };
        Ok(Consumed { pending, accepted: Accepted { rejected, message }, duplicate: false })
    }

    /// Translates a request and resolves the series of its rows.
    fn translate(&self, request: &ExportMetricsServiceRequest, config: &Config, resolution: Resolution) -> Prepared {
        let mut prepared = Prepared::default();
        let (mut learned, mut key) = (Vec::new(), Vec::new());
        let mut translator = Translator::new(options(&config.otlp, config.query.lookback.0.as_millis() as i64));
        let mut lookup = Some(self.series.lookup());
        let report = translator.translate(request, &mut |row: Row<'_>| {
            // Before anything is copied: the labels of a resource come again with each of its points.
            if let Err(problem) = labels::check(row.labels, &config.ingest) {
                return prepared.refuse(problem, row.labels);
            }
            key.clear();
            for (name, value) in row.labels {
                for part in [name, value] {
                    key.extend_from_slice(&(part.len() as u32).to_le_bytes());
                    key.extend_from_slice(part.as_bytes());
                }
            }
            let hash = self.hasher.hash(Domain::Pairs, &key);
            let found = match resolution {
                Resolution::Memoised => lookup.get_or_insert_with(|| self.series.lookup()).get(hash),
                Resolution::Fresh => Found::No,
            };
            let resolved = match found {
                Found::Young(series) | Found::Old(series) => Ok(series),
                Found::No => {
                    // The store takes its own locks: the memo's is not held meanwhile.
                    lookup = None;
                    self.db.series_ref(row.labels).map_err(|_| LabelProblem::SeriesLimit)
                }
            };
            match resolved {
                Ok(series) => {
                    if !matches!(found, Found::Young(_)) {
                        learned.push((hash, series));
                    }
                    let value = batch_value(row.value);
                    prepared.samples.push(BatchSample { series, timestamp: row.timestamp, value });
                }
                Err(problem) => prepared.refuse(problem, row.labels),
            }
        });
        drop(lookup);
        if !learned.is_empty() {
            self.series.insert(learned);
        }
        prepared.report = report;
        prepared
    }

    /// The metadata that the store may not know yet.
    fn new_metadata_of(&self, report: &Report) -> News {
        let mut news = News::default();
        for item in &report.metadata {
            let kind = match item.kind {
                sonde_translate::MetricKind::Counter => MetricKind::Counter,
                sonde_translate::MetricKind::Gauge => MetricKind::Gauge,
                sonde_translate::MetricKind::Histogram => MetricKind::Histogram,
                sonde_translate::MetricKind::Summary => MetricKind::Summary,
                sonde_translate::MetricKind::Info => MetricKind::Info,
            };
            self.metadata.judge(&self.hasher, &item.family, kind, &item.help, &item.unit, &mut news);
        }
        news
    }
}

fn batch_value(value: RowValue) -> BatchValue {
    match value {
        RowValue::Float(v) => BatchValue::Float(v),
        RowValue::FloatDelta(v) => BatchValue::FloatDelta(v),
        RowValue::Histogram(h) => BatchValue::Histogram(Box::new(h)),
        RowValue::HistogramDelta(h) => BatchValue::HistogramDelta(Box::new(h)),
    }
}

/// The options of the translation. `target_info` must be found by every instant query: half of the lookback apart.
fn options(config: &OtlpConfig, lookback_ms: i64) -> Options {
    let promote_resource_attributes = if config.promote_all_resource_attributes {
        Promotion::AllExcept(config.ignore_resource_attributes.clone())
    } else if config.promote_resource_attributes.is_empty() {
        Promotion::None
    } else {
        Promotion::Only(config.promote_resource_attributes.clone())
    };
    Options {
        strategy: match config.translation_strategy {
            TranslationStrategy::UnderscoreEscapingWithSuffixes => Strategy::UnderscoreEscapingWithSuffixes,
            TranslationStrategy::UnderscoreEscapingWithoutSuffixes => Strategy::UnderscoreEscapingWithoutSuffixes,
            TranslationStrategy::NoUTF8EscapingWithSuffixes => Strategy::NoUtf8EscapingWithSuffixes,
            TranslationStrategy::NoTranslation => Strategy::NoTranslation,
        },
        promote_resource_attributes,
        promote_scope: config.promote_scope_metadata,
        keep_identifying_resource_attributes: config.keep_identifying_resource_attributes,
        target_info_interval_ms: lookback_ms / 2,
        ..Options::default()
    }
}
