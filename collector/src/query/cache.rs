//! Results of range queries, kept so that a dashboard that is drawn again asks the engine for the new steps only.
//!
//! A result is kept for the steps that lie a lookback in the past, and only where the value of a step depends on nothing
//! but samples up to it. The store says from which time on samples have changed since: steps from there on are dropped,
//! whatever changed them, a late sample, a delete or the retention. Rules do not come by here.

mod merge;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use parking_lot::Mutex;
use sonde_model::{Series, TimestampMs};
use sonde_promql::{QueryError, QueryResult, Value};
use sonde_tsdb::{Db, Mark};

/// More entries than this are not kept: finding the one to drop looks at all.
const MAX_ENTRIES: usize = 10_000;
/// One result may take this part of the cache.
const LARGEST_PART: usize = 4;

/// The results that are kept.
#[derive(Debug)]
pub(crate) struct ResultCache {
    max_bytes: AtomicUsize,
    entries: Mutex<Entries>,
    stats: CacheStats,
}

/// What the cache counts. Each query that may be answered from it is a hit, a partial hit or a miss.
#[derive(Debug, Default)]
pub(crate) struct CacheStats {
    /// Queries answered without the engine.
    pub(crate) hits: AtomicU64,
    /// Queries for which the engine evaluated some of the steps.
    pub(crate) partial: AtomicU64,
    /// Queries that found nothing.
    pub(crate) misses: AtomicU64,
    /// Results that lost steps because samples had changed.
    pub(crate) invalidations: AtomicU64,
    /// Results that made room for others.
    pub(crate) evictions: AtomicU64,
}

/// What tells one query from another, but for the range of time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CacheKey {
    /// The expression, printed, so that blanks do not matter.
    pub(crate) expr: String,
    /// The distance of the steps in milliseconds.
    pub(crate) step: i64,
    /// The first step, modulo the distance.
    pub(crate) phase: i64,
    /// How far back selectors look, in milliseconds.
    pub(crate) lookback: i64,
}

/// Steps of a query: from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) from: TimestampMs,
    pub(crate) to: TimestampMs,
}

#[derive(Debug, Default)]
struct Entries {
    by_key: HashMap<CacheKey, Entry, foldhash::fast::RandomState>,
    bytes: usize,
    /// Counts the uses, to tell which entry was used longest ago.
    uses: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    extent: Extent,
    /// Up to here changes of the store were looked at.
    mark: Mark,
    series: Arc<Vec<Series>>,
    bytes: usize,
    used: u64,
}

impl ResultCache {
    /// A cache that holds so many bytes; with 0 nothing is kept.
    pub(crate) fn new(max_bytes: usize) -> Self {
        ResultCache { max_bytes: AtomicUsize::new(max_bytes), entries: Mutex::default(), stats: CacheStats::default() }
    }

    /// Changes how much it holds.
    pub(crate) fn set_max_bytes(&self, max_bytes: usize) {
        self.max_bytes.store(max_bytes, Relaxed);
        self.entries.lock().shrink_to(max_bytes, &self.stats);
    }

    /// The answer for the steps of `asked`, whose end is a step. `evaluate` is asked for those that are not known. Steps
    /// after `keep_until` are not kept.
    pub(crate) fn range(
        &self,
        db: &Db,
        key: CacheKey,
        asked: Extent,
        keep_until: TimestampMs,
        evaluate: &mut dyn FnMut(Extent) -> Result<QueryResult, QueryError>,
    ) -> Result<QueryResult, QueryError> {
        // Whatever is evaluated from here on holds all changes up to this mark.
        let mark = db.mark();
        let known = self.known(db, &key, mark);
        let shared = known.as_ref().and_then(|entry| entry.extent.intersection(asked));
        let (Some(entry), Some(shared)) = (known.as_ref(), shared) else {
            self.stats.misses.fetch_add(1, Relaxed);
            let result = evaluate(asked)?;
            self.keep(key, asked, keep_until, mark, &result);
            return Ok(result);
        };
        let step = key.step;
        let before = Extent { from: asked.from, to: shared.from - step };
        let after = Extent { from: shared.to + step, to: asked.to };
        let missing = [before, after].map(|extent| (extent.from <= extent.to).then_some(extent));
        let counter = if missing == [None, None] { &self.stats.hits } else { &self.stats.partial };
        counter.fetch_add(1, Relaxed);
        let mut result = merge::slice(&entry.series, shared);
        for (missing, is_before) in missing.into_iter().zip([true, false]) {
            if let Some(missing) = missing {
                let more = evaluate(missing)?;
                result = if is_before { merge::joined(more, result)? } else { merge::joined(result, more)? };
            }
        }
        if !entry.extent.covers(asked, keep_until, step) {
            self.keep(key, asked, keep_until, mark, &result);
        }
        Ok(result)
    }

    /// What is kept of a query and still holds.
    fn known(&self, db: &Db, key: &CacheKey, mark: Mark) -> Option<Entry> {
        let mut entries = self.entries.lock();
        entries.uses += 1;
        let uses = entries.uses;
        let entry = entries.by_key.get_mut(key)?;
        entry.used = uses;
        // Changes between the two looks at the store are seen again the next time.
        let changed = db.changed_since(entry.mark);
        entry.mark = entry.mark.max(mark);
        let Some(changed) = changed.filter(|time| *time <= entry.extent.to) else { return Some(entry.clone()) };
        self.stats.invalidations.fetch_add(1, Relaxed);
        let steps = (changed - 1).saturating_sub(entry.extent.from).div_euclid(key.step);
        if changed <= entry.extent.from {
            entries.remove(key);
            return None;
        }
        entry.extent.to = entry.extent.from + steps * key.step;
        Some(entry.clone())
    }

    fn keep(&self, key: CacheKey, asked: Extent, keep_until: TimestampMs, mark: Mark, result: &QueryResult) {
        // An annotation may be about any of the steps.
        let Value::Matrix(series) = &result.value else { return };
        if !result.annotations.is_empty() || keep_until < asked.from {
            return;
        }
        let to = asked.from + (keep_until.min(asked.to) - asked.from).div_euclid(key.step) * key.step;
        let extent = Extent { from: asked.from, to };
        let bytes = merge::bytes(series, extent) + key.expr.len();
        let max_bytes = self.max_bytes.load(Relaxed);
        if bytes > max_bytes / LARGEST_PART {
            return;
        }
        let Value::Matrix(series) = merge::slice(series, extent).value else { return };
        let mut entries = self.entries.lock();
        entries.remove(&key);
        entries.bytes += bytes;
        let used = entries.uses;
        entries.by_key.insert(key, Entry { extent, mark, series: Arc::new(series), bytes, used });
        entries.shrink_to(max_bytes, &self.stats);
    }

    /// What it counts.
    pub(crate) fn stats(&self) -> &CacheStats {
        &self.stats
    }

    /// How many bytes the results take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.lock().bytes
    }
}

impl Extent {
    fn intersection(self, other: Extent) -> Option<Extent> {
        let both = Extent { from: self.from.max(other.from), to: self.to.min(other.to) };
        (both.from <= both.to).then_some(both)
    }

    /// Whether keeping the answer to `asked` would keep no step more.
    fn covers(self, asked: Extent, keep_until: TimestampMs, step: i64) -> bool {
        self.from <= asked.from && self.to.saturating_add(step) > asked.to.min(keep_until)
    }
}

impl Entries {
    fn remove(&mut self, key: &CacheKey) {
        if let Some(entry) = self.by_key.remove(key) {
            self.bytes -= entry.bytes;
        }
    }

    /// Drops what was used longest ago until the rest fits.
    fn shrink_to(&mut self, max_bytes: usize, stats: &CacheStats) {
        while self.bytes > max_bytes || self.by_key.len() > MAX_ENTRIES {
            let oldest = self.by_key.iter().min_by_key(|(_, entry)| entry.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
            stats.evictions.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
