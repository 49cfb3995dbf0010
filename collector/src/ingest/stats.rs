//! What ingest counts. The counters of the store itself are the store's.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::LabelProblem;

/// Counters since the start.
#[derive(Debug, Default)]
pub(crate) struct IngestStats {
    /// Remote write requests that were stored, in whole or in part.
    pub(crate) remote_write_requests: AtomicU64,
    /// Remote write requests that could not be decoded or were over a limit.
    pub(crate) remote_write_invalid: AtomicU64,
    /// Remote write requests that were asked to come again.
    pub(crate) remote_write_busy: AtomicU64,
    /// Remote write requests that the store could not write.
    pub(crate) remote_write_failed: AtomicU64,
    /// Samples that came by remote write, whatever became of them.
    pub(crate) remote_write_samples: AtomicU64,
    /// Bytes of remote write bodies after decompression.
    pub(crate) remote_write_bytes: AtomicU64,
    /// Exemplars that came, by either road, whatever became of them.
    pub(crate) exemplars: AtomicU64,
    /// Exemplars whose series was refused.
    pub(crate) exemplars_without_series: AtomicU64,
    /// Exemplars whose labels are not UTF-8, repeat a name or have an empty one.
    pub(crate) exemplars_with_bad_labels: AtomicU64,
    /// OTLP exemplars without a value.
    pub(crate) exemplars_without_value: AtomicU64,
    /// OTLP exemplars whose attributes were left out because they are too long; the rest is kept.
    pub(crate) exemplars_trimmed: AtomicU64,
    /// Remote write 2.0 series with neither samples nor histograms.
    pub(crate) remote_write_empty_series: AtomicU64,
    /// Metrics of remote write 2.0 requests whose metadata refers to symbols that are not there or not UTF-8.
    pub(crate) remote_write_bad_metadata: AtomicU64,
    /// Native histograms of remote write that contradict themselves.
    pub(crate) invalid_histograms: AtomicU64,
    /// Imported pages that were stored, in whole or in part.
    pub(crate) import_requests: AtomicU64,
    /// Pages that could not be read to their end or were over a limit.
    pub(crate) import_invalid: AtomicU64,
    /// Pages that were asked to come again.
    pub(crate) import_busy: AtomicU64,
    /// Pages that the store could not write.
    pub(crate) import_failed: AtomicU64,
    /// Samples of imported pages, whatever became of them.
    pub(crate) import_samples: AtomicU64,
    /// OTLP metric batches that were stored, in whole or in part.
    pub(crate) otlp_batches: AtomicU64,
    /// OTLP metric batches that were there already.
    pub(crate) otlp_duplicate_batches: AtomicU64,
    /// OTLP metric batches that could not be decoded or were over a limit.
    pub(crate) otlp_invalid: AtomicU64,
    /// OTLP metric batches that were asked to come again.
    pub(crate) otlp_busy: AtomicU64,
    /// OTLP metric batches refused because their number was taken by another content.
    pub(crate) otlp_conflicts: AtomicU64,
    /// OTLP metric batches that the store could not write.
    pub(crate) otlp_failed: AtomicU64,
    /// Data points that came by OTLP, whatever became of them.
    pub(crate) otlp_points: AtomicU64,
    /// OTLP data points that could not be translated.
    pub(crate) otlp_untranslated: AtomicU64,
    labels: [AtomicU64; LabelProblem::ALL.len()],
}

/// Where requests of one signal are counted, by what became of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtlpResults<'a> {
    pub(crate) stored: &'a AtomicU64,
    pub(crate) duplicate: &'a AtomicU64,
    pub(crate) invalid: &'a AtomicU64,
    pub(crate) busy: &'a AtomicU64,
    pub(crate) conflict: &'a AtomicU64,
    pub(crate) failed: &'a AtomicU64,
}

impl IngestStats {
    /// The counters of OTLP requests with metrics.
    pub(crate) fn otlp_results(&self) -> OtlpResults<'_> {
        OtlpResults {
            stored: &self.otlp_batches,
            duplicate: &self.otlp_duplicate_batches,
            invalid: &self.otlp_invalid,
            busy: &self.otlp_busy,
            conflict: &self.otlp_conflicts,
            failed: &self.otlp_failed,
        }
    }

    /// Counts samples whose series was refused.
    pub(crate) fn refuse(&self, problem: LabelProblem, samples: u64) {
        self.labels[problem as usize].fetch_add(samples, Relaxed);
    }

    /// Samples whose series was refused for this reason.
    pub(crate) fn refused(&self, problem: LabelProblem) -> u64 {
        self.labels[problem as usize].load(Relaxed)
    }
}
