//! Samples of an imported page: from rows to the store, a batch at a time.

use std::sync::atomic::Ordering::Relaxed;

use sonde_model::{Exemplar, METRIC_NAME, TimestampMs};
use sonde_tsdb::{Batch, BatchExemplar, BatchSample, BatchValue, Metadata, Outcome, SeriesRef, Source};

use super::refusals::{Refusals, describe};
use super::{Ingest, IngestError, LabelProblem, Pending, labels};
use crate::config::IngestConfig;

/// A row of a page, with labels of its own.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) labels: Vec<(String, String)>,
    pub(crate) timestamp: TimestampMs,
    /// Since when it is counted; 0 where that is not known.
    pub(crate) start: TimestampMs,
    pub(crate) value: BatchValue,
    pub(crate) exemplar: Option<Exemplar>,
}

/// What became of rows.
#[derive(Debug, Default)]
pub(crate) struct Imported {
    /// Samples that are in the store now, those that were there included.
    pub(crate) stored: u64,
    pub(crate) refusals: Refusals,
}

impl Ingest {
    /// Stores rows; gives what is to be waited for. By `source` they are judged.
    pub(crate) fn import(
        &self,
        rows: &[Row],
        metadata: Vec<(String, Metadata)>,
        source: Source,
        imported: &mut Imported,
    ) -> Result<Pending, IngestError> {
        let config = self.config.load();
        let mut refused: Vec<(usize, LabelProblem)> = Vec::new();
        let mut origins: Vec<usize> = Vec::new();
        let (outcome, pending) = self.append(|_| {
            (refused, origins) = (Vec::new(), Vec::new());
            let (mut samples, mut starts, mut exemplars) = (Vec::with_capacity(rows.len()), Vec::new(), Vec::new());
            let mut last: Option<(&Row, SeriesRef)> = None;
            for (index, row) in rows.iter().enumerate() {
                // Samples come series by series as a rule.
                let known = last.filter(|(before, _)| before.labels == row.labels).map(|(_, series)| Ok(series));
                match known.unwrap_or_else(|| self.find(row, &config.ingest)) {
                    Ok(series) => {
                        last = Some((row, series));
                        origins.push(index);
                        exemplars.extend(row.exemplar.clone().map(|exemplar| BatchExemplar { series, exemplar }));
                        starts.push(row.start);
                        samples.push(BatchSample { series, timestamp: row.timestamp, value: row.value.clone() });
                    }
                    Err(problem) => refused.push((index, problem)),
                }
            }
            if starts.iter().all(|start| *start == 0) {
                starts.clear();
            }
            Batch { source, cursor: None, samples, starts, metadata: metadata.clone(), exemplars }
        })?;
        self.stats.import_samples.fetch_add(rows.len() as u64, Relaxed);
        self.stats.exemplars.fetch_add(rows.iter().filter(|row| row.exemplar.is_some()).count() as u64, Relaxed);
        for (index, problem) in refused {
            self.stats.refuse(problem, 1);
            imported.refusals.add(problem.to_string(), 1, || text_of(&rows[index]));
        }
        self.refused_by_store(rows, &origins, &outcome, imported);
        imported.stored += outcome.accepted + outcome.duplicates;
        Ok(pending)
    }

    fn refused_by_store(&self, rows: &[Row], origins: &[usize], outcome: &Outcome, imported: &mut Imported) {
        for rejected in &outcome.rejected {
            let row = origins.get(rejected.index as usize).and_then(|index| rows.get(*index));
            imported.refusals.add(describe(rejected.reason), 1, || row.map(text_of).unwrap_or_default());
        }
    }

    fn find(&self, row: &Row, limits: &IngestConfig) -> Result<SeriesRef, LabelProblem> {
        let mut sorted: Vec<(&str, &str)> = row.labels.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        labels::normalise(&mut sorted, limits)?;
        self.db.series_ref(&sorted).map_err(|_| LabelProblem::SeriesLimit)
    }
}

/// A row in a message.
fn text_of(row: &Row) -> String {
    let name = row.labels.iter().find(|(name, _)| name == METRIC_NAME).into_iter();
    let others = row.labels.iter().filter(|(name, _)| name != METRIC_NAME);
    let labels: Vec<(&str, &str)> = name.chain(others).map(|(n, v)| (n.as_str(), v.as_str())).collect();
    format!("{} at {}", labels::excerpt(&labels), row.timestamp as f64 / 1e3)
}
