//! The store: opening, appending, reading, maintenance.

use sonde_model::{BatchId, Cursor, Labels, Matcher, Series, TimestampMs};

use crate::{
    AppendError, Batch, Error, HeadStatus, Metadata, Outcome, SelectError, SelectLimits, SeriesLimit, SeriesRef, Stats,
};

/// An open store. All methods may be called from any thread.
#[derive(Debug, Default)]
pub struct Db {
    stats: Stats,
}

impl Db {
    /// The series with these labels, which must be sorted by name, unique and without empty values. A new series is
    /// made if there is none; it becomes visible to reads with its first durable sample.
    pub fn series_ref(&self, sorted_labels: &[(&str, &str)]) -> Result<SeriesRef, SeriesLimit> {
        let _ = sorted_labels;
        Err(SeriesLimit { limit: 0 })
    }

    /// Judges a batch, writes what was accepted as one WAL record, and calls `on_durable` once it is on disk and
    /// visible to reads. Does not wait for the disk. After an error nothing was written and `on_durable` is dropped.
    ///
    /// `on_durable` runs on the WAL's thread, or on this one when there is nothing to wait for: it must be short.
    pub fn append(
        &self,
        batch: Batch,
        now: TimestampMs,
        on_durable: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) -> Result<Outcome, AppendError> {
        drop((batch, now, on_durable));
        Err(AppendError::Closed)
    }

    /// The series that match all matchers, with their samples from `from` to `to` inclusive, sorted by labels. Stale
    /// markers are included. Series without samples in the range are left out.
    pub fn select(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Vec<Series>, SelectError> {
        let _ = (matchers, from, to, limits);
        Err(SelectError::Storage(Error::Closed))
    }

    /// The label sets of the series that match all matchers and may have samples in the range, sorted, at most
    /// `limit`.
    pub fn series(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limit: usize,
    ) -> Result<Vec<Labels>, SelectError> {
        let _ = (matchers, from, to, limit);
        Err(SelectError::Storage(Error::Closed))
    }

    /// The label names of those series, sorted, at most `limit`.
    pub fn label_names(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        let _ = (matchers, from, to, limit);
        Err(SelectError::Storage(Error::Closed))
    }

    /// The values that label `name` has in those series, sorted, at most `limit`.
    pub fn label_values(
        &self,
        name: &str,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limit: usize,
    ) -> Result<Vec<String>, SelectError> {
        let _ = (name, matchers, from, to, limit);
        Err(SelectError::Storage(Error::Closed))
    }

    /// What is known of one metric, or of all, sorted by metric name, at most `limit`.
    pub fn metadata(&self, metric: Option<&str>, limit: usize) -> Vec<(String, Metadata)> {
        let _ = (metric, limit);
        Vec::new()
    }

    /// Writes the head into blocks and frees its part of the WAL.
    pub fn flush(&self, now: TimestampMs) -> Result<(), Error> {
        let _ = now;
        Err(Error::Closed)
    }

    /// Merges small blocks until the plan has nothing more to do.
    pub fn compact(&self, now: TimestampMs) -> Result<(), Error> {
        let _ = now;
        Err(Error::Closed)
    }

    /// What the owner calls every few seconds: flush when it is due, retention, one merge of small blocks.
    pub fn maintain(&self, now: TimestampMs) -> Result<(), Error> {
        let _ = now;
        Err(Error::Closed)
    }

    /// The counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The state at this moment.
    pub fn status(&self) -> HeadStatus {
        HeadStatus::default()
    }

    /// The cursors of all streams, for people to look at. The `seq` of the key is the contiguous mark.
    pub fn cursors(&self) -> Vec<(BatchId, Cursor)> {
        Vec::new()
    }

    /// Stops appends, waits for what is pending and closes the WAL. The head stays in the WAL for the next opening.
    pub fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
