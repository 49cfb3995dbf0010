//! The metrics store as a source of series for the query engine.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use sonde_model::{Labels, Matcher, Series, TimestampMs};
use sonde_promql::engine::needs_all_samples;
use sonde_promql::{
    Annotation, Expr, QueryError, QueryResult, Queryable, SelectError, SelectLimits, Selection, Thinned,
};
use sonde_runtime::config::Duration;
use sonde_tsdb::{Db, Resolution, TimedLimits};

use super::pool::Expired;

/// The series of the store, with at most so many in one selection.
#[derive(Clone, Debug)]
pub(crate) struct StoreSource {
    db: Arc<Db>,
    max_series: usize,
    resolution: Resolution,
    /// Where samples may come out of a tier.
    thinned: Vec<Thinned>,
    /// The tiers that samples came out of: the length of their steps, and the newest such sample.
    tiers_used: Arc<Mutex<BTreeMap<i64, TimestampMs>>>,
}

impl StoreSource {
    /// A source over `db`, without its tiers.
    pub(crate) fn new(db: Arc<Db>, max_series: usize) -> Self {
        let (resolution, thinned, tiers_used) = (Resolution::Raw, Vec::new(), Arc::default());
        StoreSource { db, max_series, resolution, thinned, tiers_used }
    }

    /// The same with the tiers of the store.
    pub(crate) fn with_tiers(self, resolution: Resolution) -> Self {
        let parts = self.db.tier_parts(resolution);
        let thinned = parts.iter().map(|part| Thinned { before: part.before, step_ms: part.step_ms }).collect();
        StoreSource { resolution, thinned, tiers_used: Arc::default(), ..self }
    }
}

impl StoreSource {
    /// The store.
    pub(crate) fn db(&self) -> &Db {
        &self.db
    }

    /// Says in the result which tiers were read for it.
    pub(crate) fn note_tiers(
        &self,
        expr: &Expr,
        result: Result<QueryResult, QueryError>,
    ) -> Result<QueryResult, QueryError> {
        let mut result = result?;
        let used = self.tiers_used.lock();
        for (step_ms, until) in used.iter() {
            let step = Duration(std::time::Duration::from_millis(step_ms.unsigned_abs())).to_string();
            result.annotations.add(Annotation::thinned(&step, *until));
        }
        if !used.is_empty() {
            let functions = needs_all_samples(expr);
            functions.into_iter().for_each(|name| result.annotations.add(Annotation::thinned_function(name)));
        }
        Ok(result)
    }

    /// The store as one query sees it, which has to stop when `expired` says so.
    pub(crate) fn within<'q>(&'q self, expired: Expired<'q>) -> TimedSource<'q> {
        TimedSource { source: self, expired }
    }
}

/// The store as one query sees it, as long as it has time.
#[derive(Clone, Copy)]
pub(crate) struct TimedSource<'q> {
    source: &'q StoreSource,
    expired: Expired<'q>,
}

impl TimedSource<'_> {
    /// The series for which every matcher holds with their samples of `from..=to`, sorted by labels.
    pub(crate) fn series(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Vec<Series>, SelectError> {
        let source = self.source;
        let timed = TimedLimits { limits: source.limits(limits), expired: &|| (self.expired)().is_some() };
        let joined = source.db.select_joined(matchers, (from, to), source.resolution, timed).map_err(told)?;
        if !joined.tiers.is_empty() {
            let mut used = source.tiers_used.lock();
            for (step_ms, until) in joined.tiers {
                let newest = used.entry(step_ms).or_insert(until);
                *newest = until.max(*newest);
            }
        }
        Ok(joined.series)
    }

    /// What was selected, or all of it read and joined with the tiers where the range reaches into them.
    fn with_older<'a>(
        &'a self,
        stored: sonde_tsdb::Selection<'a>,
        matchers: &[Matcher],
        (from, to): (TimestampMs, TimestampMs),
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        if self.source.reaches_tiers(from) {
            return Ok(Box::new(self.series(matchers, from, to, limits)?));
        }
        Ok(Box::new(Stored(stored)))
    }
}

impl StoreSource {
    /// Whether samples from a time on may lie in a tier only. Asked once the store has been looked at: what it has dropped
    /// until then is known to be gone.
    fn reaches_tiers(&self, from: TimestampMs) -> bool {
        self.db.tier_parts(self.resolution).iter().any(|part| part.before > from)
    }

    fn limits(&self, limits: &SelectLimits) -> sonde_tsdb::SelectLimits {
        let max_series = limits.max_series.min(self.max_series);
        sonde_tsdb::SelectLimits { max_series, max_samples: limits.max_samples }
    }
}

fn told(error: sonde_tsdb::SelectError) -> SelectError {
    match error {
        sonde_tsdb::SelectError::TooManySeries { limit } => SelectError::TooManySeries { limit },
        sonde_tsdb::SelectError::TooManySamples { limit } => SelectError::TooManySamples { limit },
        sonde_tsdb::SelectError::Expired => SelectError::Expired,
        sonde_tsdb::SelectError::Storage(e) => SelectError::Storage(sonde_runtime::stage::with_causes(&e)),
    }
}

/// A selection of the store, as the engine wants to see it.
struct Stored<'a>(sonde_tsdb::Selection<'a>);

impl Selection for Stored<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn labels(&self, index: usize) -> &Labels {
        self.0.labels(index)
    }

    fn read(&self, index: usize, series: &mut Series) -> Result<(), SelectError> {
        self.0.read(index, series).map_err(told)
    }
}

impl Queryable for TimedSource<'_> {
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        let timed = TimedLimits { limits: self.source.limits(limits), expired: &|| (self.expired)().is_some() };
        let stored = self.source.db.selection(matchers, from, to, timed).map_err(told)?;
        self.with_older(stored, matchers, (from, to), limits)
    }

    fn thinned(&self) -> &[Thinned] {
        &self.source.thinned
    }

    fn select_newest<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        let timed = TimedLimits { limits: self.source.limits(limits), expired: &|| (self.expired)().is_some() };
        let stored = self.source.db.newest_selection(matchers, from, to, timed).map_err(told)?;
        self.with_older(stored, matchers, (from, to), limits)
    }
}
