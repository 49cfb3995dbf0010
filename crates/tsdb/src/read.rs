//! Samples out of head and blocks.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use smallvec::SmallVec;
use sonde_model::{Matcher, Series, TimestampMs};

use crate::block::{Block, BlockIndex, Caching, HeldPage, SeriesEntry};
use crate::db::Db;
use crate::head::registry::SymbolPair;
use crate::index::resolve::resolve;
use crate::open::TRIES;
use crate::record::Value;
use crate::runs::{Gathered, HeadRun, Run, Runs};
use crate::{Error, SelectError, SelectLimits};

impl Db {
    /// The series that match all matchers, with their samples from `from` to `to` inclusive, sorted by labels. Stale
    /// markers are included. Series without samples in the range are left out.
    pub fn select(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Vec<Series>, SelectError> {
        let mut budget = Budget { limits: *limits, samples: 0 };
        let mut of_head = HeadRun::default();
        let blocks = {
            let registry = self.shared.registry.read();
            let Ok(slots) = resolve(&*registry, matchers);
            let data = self.shared.data.read();
            for slot in slots {
                let columns = data.read(slot, from, to);
                if !columns.is_empty() {
                    budget.spend(of_head.len() + 1, columns.len())?;
                    of_head.push(&registry, slot, columns);
                }
            }
            Arc::clone(&data.blocks)
        };
        let mut runs = Runs::default();
        for block in blocks.iter().filter(|b| b.overlaps(from, to)) {
            runs.lay_over(self.read_block(block, matchers, (from, to), &mut budget)?);
            budget.spend(runs.len(), 0)?;
        }
        runs.lay_over(of_head.sorted());
        budget.spend(runs.len(), 0)?;
        Ok(runs.into_series())
    }

    /// The matching series of a block with their samples of the range.
    fn read_block<'b>(
        &self,
        block: &'b Block,
        matchers: &[Matcher],
        (from, to): (TimestampMs, TimestampMs),
        budget: &mut Budget,
    ) -> Result<Run<'b>, SelectError> {
        let index = BlockIndex::new(block);
        let mut gathered = Gathered::default();
        let mut held = HeldPage::default();
        let mut named: SmallVec<[SymbolPair; 16]> = SmallVec::new();
        self.visit_matching(block, &index, matchers, from, to, &mut |entry| {
            let columns = block.samples(entry, from, to, Caching::Keep, &mut held)?;
            if columns.is_empty() {
                return Ok(());
            }
            budget.spend(gathered.len() + 1, columns.len())?;
            index.load(&entry.pairs, &mut named)?;
            if !gathered.push(&entry.pairs, columns) {
                return Err(SelectError::Storage(block.damage("series that are not sorted")));
            }
            Ok(())
        })?;
        Ok(Run::of_block(index, gathered))
    }

    /// The newest sample of a series of the head in any block. What cannot be read is taken for nothing: the series
    /// then begins anew, as a counter does after a reset.
    pub(crate) fn last_in_blocks(&self, slot: u32) -> Option<(TimestampMs, Value)> {
        let (labels, blocks) = {
            let registry = self.shared.registry.read();
            registry.generation(slot)?;
            (registry.labels(slot), Arc::clone(&self.shared.data.read().blocks))
        };
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
            let mut visit = || self.visit_block(block, &matchers, after, TimestampMs::MAX, &mut take);
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
        from: TimestampMs,
        to: TimestampMs,
        visit: &mut dyn FnMut(&BlockIndex<'_>, &SeriesEntry) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        let index = BlockIndex::new(block);
        self.visit_matching(block, &index, matchers, from, to, &mut |entry| visit(&index, entry))
    }

    fn visit_matching(
        &self,
        block: &Block,
        index: &BlockIndex<'_>,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        visit: &mut dyn FnMut(&SeriesEntry) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        let numbers = self.noting_damage(block, resolve(index, matchers))?;
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

struct Budget {
    limits: SelectLimits,
    samples: usize,
}

impl Budget {
    fn spend(&mut self, series: usize, samples: usize) -> Result<(), SelectError> {
        self.samples += samples;
        if series > self.limits.max_series {
            return Err(SelectError::TooManySeries { limit: self.limits.max_series });
        }
        if self.samples > self.limits.max_samples {
            return Err(SelectError::TooManySamples { limit: self.limits.max_samples });
        }
        Ok(())
    }
}
