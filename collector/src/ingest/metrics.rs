//! OTLP metrics: from the encoded request to the store, exactly once where the sender numbers its batches.

use std::borrow::Cow;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::checksum::crc32;
use sonde_model::{AgentId, CursorVerdict, Signal};
use sonde_otlp::receiver::Limits;
use sonde_otlp::{Accepted, Export};
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message, MetricsRequestView, ScanLimits, ViewError, scan};
use sonde_tsdb::{Batch, Source};

use super::otlp_sink::{OtlpSink, Prepared};
use super::refusals::{Refusals, describe};
use super::{Ingest, IngestError, Pending, Resolution, starts};
use crate::config::Config;

/// What a message takes in memory once it is decoded, apart from the text that the body has too.
const DECODED_MESSAGE_BYTES: usize = 64;

/// About as little as a point with attributes takes in a request.
const POINT_BYTES: usize = 64;

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

impl Ingest {
    /// Stores a batch. Blocks for as long as decoding takes, not for the disk.
    pub(crate) fn consume(&self, export: &Export) -> Result<Consumed, ConsumeError> {
        let salt = self.salt();
        let config = self.config.load();
        let agent = export.batch.map(|batch| batch.agent);
        let (body, mut prepared) = self.translate_any(&export.body, &config, salt, agent)?;
        if let Some(batch) = export.batch {
            self.agents.saw(batch, self.clock.now_ms());
        }

        let cursor = export.batch.map(|id| (id, crc32(&export.body)));
        let source = if cursor.is_some() { Source::AgentLink } else { Source::Push };
        let news = std::mem::take(&mut prepared.news);
        let mut first = true;
        let (outcome, pending) = self.append(|resolution| {
            if !std::mem::take(&mut first) {
                // The request was translated before, so that it can be translated again.
                prepared = self.translate(&body, &config, salt, resolution, agent).unwrap_or_default();
            }
            let samples = std::mem::take(&mut prepared.samples);
            let starts = starts::finish(std::mem::take(&mut prepared.starts), samples.len());
            let exemplars = std::mem::take(&mut prepared.exemplars);
            Batch { source, cursor, samples, starts, metadata: news.entries.clone(), exemplars }
        })?;
        let pending = pending.with_news(news);

        self.stats.otlp_points.fetch_add(prepared.report.points + prepared.report.rejected_points(), Relaxed);
        if outcome.verdict == CursorVerdict::Duplicate {
            return Ok(Consumed { pending, accepted: Accepted::default(), duplicate: true });
        }
        self.count_exemplars(&prepared);
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

    fn count_exemplars(&self, prepared: &Prepared) {
        let report = &prepared.report;
        self.stats.exemplars.fetch_add(report.exemplars + report.exemplars_without_value, Relaxed);
        self.stats.exemplars_trimmed.fetch_add(report.trimmed_exemplars, Relaxed);
        self.stats.exemplars_without_value.fetch_add(report.exemplars_without_value, Relaxed);
        let without_series = prepared.exemplars_without_series + report.exemplars_without_point;
        self.stats.exemplars_without_series.fetch_add(without_series, Relaxed);
    }

    /// Translates a request; one that is written as no encoder writes it is first written anew.
    fn translate_any<'a>(
        &self,
        body: &'a [u8],
        config: &Config,
        salt: u128,
        agent: Option<AgentId>,
    ) -> Result<(Cow<'a, [u8]>, Prepared), ConsumeError> {
        match self.translate(body, config, salt, Resolution::Memoised, agent) {
            Ok(prepared) => Ok((Cow::Borrowed(body), prepared)),
            Err(ViewError::Unusual { .. }) => {
                let body = self.written_anew(body)?;
                let prepared =
                    self.translate(&body, config, salt, Resolution::Memoised, agent).map_err(|e| broken(&e))?;
                Ok((Cow::Owned(body), prepared))
            }
            Err(error) => Err(broken(&error)),
        }
    }

    /// A request as the generated messages write it. Two bytes can become a hundred as such messages, so that they are
    /// counted first and their memory is taken out of the budget.
    fn written_anew(&self, body: &[u8]) -> Result<Vec<u8>, ConsumeError> {
        let Limits { max_items, max_messages, max_depth, .. } = Limits::default();
        let limits = ScanLimits { max_items, max_messages, max_depth };
        let scanned = scan(Signal::Metrics, body, &limits).map_err(|e| broken(&e))?;
        let bytes = usize::try_from(scanned.messages).unwrap_or(usize::MAX).saturating_mul(DECODED_MESSAGE_BYTES);
        let busy = || IngestError::Busy("too many bytes of requests are being worked on (ingest.max_inflight)".into());
        let _memory = self.budget.reserve(bytes).ok_or_else(busy)?;
        let request = ExportMetricsServiceRequest::decode(body).map_err(|e| broken(&e))?;
        Ok(request.encode_to_vec())
    }

    /// Translates a request and resolves the series of its rows.
    fn translate(
        &self,
        body: &[u8],
        config: &Config,
        salt: u128,
        resolution: Resolution,
        agent: Option<AgentId>,
    ) -> Result<Prepared, ViewError> {
        let mut translator = self.translators.take(config);
        let mut sink = OtlpSink::new(self, &config.ingest, resolution, translator.salt() ^ salt)
            .of(agent)
            .with_room(body.len() / POINT_BYTES);
        let report = translator.translate(MetricsRequestView::new(body), &mut sink);
        self.translators.put_back(translator);
        let report = report?;
        Ok(sink.finish(report))
    }
}

fn broken(error: &(dyn std::error::Error + 'static)) -> ConsumeError {
    let why = sonde_runtime::stage::with_causes(error);
    ConsumeError::Invalid(format!("the body is no ExportMetricsServiceRequest: {why}"))
}
