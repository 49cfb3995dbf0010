//! The metrics store as a source of series for the query engine.

use std::sync::Arc;

use sonde_model::{Matcher, Series, TimestampMs};
use sonde_promql::{Queryable, SelectError, SelectLimits, Selection};
use sonde_tsdb::Db;

/// The series of the store, with at most so many in one selection.
#[derive(Clone, Debug)]
pub(crate) struct StoreSource {
    db: Arc<Db>,
    max_series: usize,
}

impl StoreSource {
    /// A source over `db`.
    pub(crate) fn new(db: Arc<Db>, max_series: usize) -> Self {
        StoreSource { db, max_series }
    }
}

impl StoreSource {
    /// The store.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// The series for which every matcher holds with their samples of `from..=to`, sorted by labels.
    pub(crate) fn series(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Vec<Series>, SelectError> {
        let limits = sonde_tsdb::SelectLimits {
            max_series: limits.max_series.min(self.max_series),
            max_samples: limits.max_samples,
        };
        self.db.select(matchers, from, to, &limits).map_err(|error| match error {
            sonde_tsdb::SelectError::TooManySeries { limit } => SelectError::TooManySeries { limit },
            sonde_tsdb::SelectError::TooManySamples { limit } => SelectError::TooManySamples { limit },
            expired @ sonde_tsdb::SelectError::Expired => SelectError::Storage(expired.to_string()),
            sonde_tsdb::SelectError::Storage(e) => SelectError::Storage(sonde_runtime::stage::with_causes(&e)),
        })
    }
}

impl Queryable for StoreSource {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        Ok(Box::new(self.series(matchers, from, to, limits)?))
    }
}
