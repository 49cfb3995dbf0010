//! Samples out of head and blocks.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_model::{Matcher, Series, TimestampMs};

use crate::block::{Block, BlockIndex, Caching, HeldPage, SeriesEntry};
use crate::db::Db;
use crate::index::resolve::resolve_within;
use crate::limits::Patience;
use crate::open::TRIES;
use crate::record::Value;
use crate::{Error, SelectError, TimedLimits};

/// Series that are read between two looks at the clock.
const SERIES_BETWEEN_LOOKS: usize = 64;

impl Db {
    /// The series that match all matchers, with their samples from `from` to `to` inclusive, sorted by labels. Stale
    /// markers are included. Series without samples in the range are left out.
    pub fn select<'l>(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: impl Into<TimedLimits<'l>>,
    ) -> Result<Vec<Series>, SelectError> {
        let timed @ TimedLimits { limits, expired } = limits.into();
        let selection = self.selection(matchers, from, to, timed)?;
        let (mut all, mut samples) = (Vec::with_capacity(selection.len()), 0);
        for index in 0..selection.len() {
            if index % SERIES_BETWEEN_LOOKS == 0 && expired() {
                return Err(SelectError::Expired);
            }
            let mut series = Series::default();
            selection.read(index, &mut series)?;
            samples += series.floats.len() + series.histograms.len();
            if samples > limits.max_samples {
                return Err(SelectError::TooManySamples { limit: limits.max_samples });
            }
            if !(series.floats.is_empty() && series.histograms.is_empty()) {
                series.labels = selection.labels(index).clone();
                all.push(series);
            }
        }
        Ok(all)
    }

    /// The newest sample of a series of the head in any block. What cannot be read is taken for nothing: the series
    /// then begins anew, as a counter does after a reset.
    pub(crate) fn last_in_blocks(&self, slot: u32) -> Option<(TimestampMs, Value)> {
        let (labels, blocks) = {
            let registry = self.shared.registry.read();
            registry.generation(slot)?;
            (registry.labels(slot), Arc::clone(&self.shared.data.read().blocks))
        };
        let patience = Patience::endless();
        let matchers: Vec<Matcher> = labels.iter().map(|(n, v)| Matcher::equal(n, v)).collect();
        let mut newest: Option<(TimestampMs, Value)> = None;
        for block in blocks.iter() {
            let after = newest.as_ref().map_or(TimestampMs::MIN, |(t, _)| *t);
            if block.meta().max_time < after {
                continue;
            }
            let mut take = |_: &BlockIndex<'_>, entry: &SeriesEntry| {
                if entry.pairs.len() != labels.len() {
                    return Ok(());
                }
                let columns = block.samples(entry, after, TimestampMs::MAX, Caching::Keep, &mut HeldPage::default())?;
                let float = columns.floats.timestamps.last().zip(columns.floats.values.last());
                if let Some((t, v)) = float {
                    newest = Some((*t, Value::Float(v.to_bits())));
                }
                let histogram = columns.histograms.timestamps.last().zip(columns.histograms.values.last());
                if let Some((t, h)) = histogram
                    && float.is_none_or(|(f, _)| t > f)
                {
                    newest = Some((*t, Value::Histogram(Box::new(h.clone()))));
                }
                Ok(())
            };
            let mut visit = || self.visit_block(block, &matchers, (after, TimestampMs::MAX), &patience, &mut take);
            // More than once, because an error that passes would make the series begin anew.
            let mut visited = visit();
            for _ in 1..TRIES {
                visited = visited.or_else(|_| visit());
            }
            if let Err(error) = visited {
                tracing::warn!(%error, "the last value of a delta series could not be read");
            }
        }
        newest
    }

    /// Visits the matching series of a block that have chunks in the range.
    pub(crate) fn visit_block(
        &self,
        block: &Block,
        matchers: &[Matcher],
        range: (TimestampMs, TimestampMs),
        patience: &Patience<'_>,
        visit: &mut dyn FnMut(&BlockIndex<'_>, &SeriesEntry) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        let index = BlockIndex::new(block);
        self.visit_matching(block, &index, matchers, range, patience, &mut |entry| visit(&index, entry))
    }

    pub(crate) fn visit_matching(
        &self,
        block: &Block,
        index: &BlockIndex<'_>,
        matchers: &[Matcher],
        (from, to): (TimestampMs, TimestampMs),
        patience: &Patience<'_>,
        visit: &mut dyn FnMut(&SeriesEntry) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        let numbers = self.noting_damage(block, resolve_within(index, matchers, patience))?;
        patience.check()?;
        let mut refused = None;
        let visited = block.visit_series_while(numbers, Caching::Keep, &mut |entry| {
            if entry.chunks.iter().any(|c| c.min <= to && c.max >= from)
                && let Err(error) = visit(entry)
            {
                refused = Some(error);
                return Ok(ControlFlow::Break(()));
            }
            Ok(ControlFlow::Continue(()))
        });
        self.noting_damage(block, visited)?;
        match refused {
            None => Ok(()),
            Some(SelectError::Storage(error)) => Ok(self.noting_damage(block, Err(error))?),
            Some(error) => Err(error),
        }
    }

    pub(crate) fn noting_damage<T>(&self, block: &Block, result: Result<T, Error>) -> Result<T, Error> {
        if let Err(Error::DamagedBlock { .. }) = &result {
            self.shared.stats.corrupt_pages.fetch_add(1, Relaxed);
            tracing::error!(block = %block.path().display(), "a query met damage in a block");
        }
        result
    }
}
