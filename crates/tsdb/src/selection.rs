//! Which series match and where their samples lie, so that these are read series by series, when they are asked for.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use smallvec::SmallVec;
use sonde_model::{Labels, Matcher, Series, TimestampMs};

use crate::block::hidden::Range;
use crate::block::{Block, BlockIndex, Caching, ChunkRef, HeldPage};
use crate::columns::{Columns, overlay};
use crate::db::Db;
use crate::head::excerpt::Excerpt;
use crate::head::registry::SymbolPair;
use crate::index::resolve::resolve_within;
use crate::limits::Patience;
use crate::runs::{Gathered, HeadRun, Layer, Layers, Run, Runs};
use crate::{Error, SelectError, TimedLimits};

/// Series with the samples of a range of time. What is written, deleted or compacted afterwards does not change it.
#[derive(Debug)]
pub struct Selection<'a> {
    db: &'a Db,
    series: Vec<(Labels, Layers)>,
    parts: Vec<Part>,
    range: (TimestampMs, TimestampMs),
    max_samples: usize,
    /// The pages of chunks that were read last, one for each thread that reads: the next series is likely to lie in one.
    held: Mutex<Vec<HeldPage>>,
}

/// Where samples lie.
#[derive(Debug)]
enum Part {
    Block {
        block: Arc<Block>,
        chunks: Vec<ChunkRef>,
        /// What is deleted of the series whose chunks begin at a place.
        deleted: HashMap<u32, Vec<Range>, foldhash::fast::RandomState>,
    },
    /// What the head had, encoded as it is there.
    Head { copy: Vec<u8>, excerpts: Vec<Excerpt> },
}

impl Db {
    /// The series that match all matchers and may have samples from `from` to `to` inclusive, sorted by labels.
    /// `limits.max_series` bounds them, and `limits.max_samples` the samples of each.
    pub fn selection<'l>(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: impl Into<TimedLimits<'l>>,
    ) -> Result<Selection<'_>, SelectError> {
        self.find(matchers, (from, to), limits.into(), false)
    }

    /// The same, where samples before the newest one of the range may be missing. That one is known of the series that
    /// live, wherever it lies.
    pub fn newest_selection<'l>(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: impl Into<TimedLimits<'l>>,
    ) -> Result<Selection<'_>, SelectError> {
        self.find(matchers, (from, to), limits.into(), true)
    }

    fn find(
        &self,
        matchers: &[Matcher],
        (from, to): (TimestampMs, TimestampMs),
        TimedLimits { limits, expired }: TimedLimits<'_>,
        newest: bool,
    ) -> Result<Selection<'_>, SelectError> {
        let patience = Patience::new(expired);
        let check = |series: usize| match series > limits.max_series {
            true => Err(SelectError::TooManySeries { limit: limits.max_series }),
            false => patience.step(),
        };
        let mut of_head = HeadRun::default();
        let (mut copy, mut excerpts) = (Vec::new(), Vec::new());
        // The newest samples of series are known without the head's, those of other times are not.
        let without_head = if newest { None } else { self.blocks_without_head(from, to) };
        let blocks = if let Some(blocks) = without_head {
            blocks
        } else {
            let registry = self.shared.registry.read();
            let Ok(slots) = resolve_within(&*registry, matchers, &patience);
            patience.check()?;
            let data = self.shared.data.read();
            for slot in slots {
                let first = excerpts.len();
                match if newest { data.newest_float(slot, from, to) } else { None } {
                    Some((timestamp, bits)) => excerpts.push(Excerpt::newest(timestamp, bits)),
                    None => data.excerpt(slot, (from, to), &mut copy, &mut excerpts),
                }
                if excerpts.len() > first {
                    check(of_head.len() + 1)?;
                    of_head.push(&registry, slot, first..excerpts.len());
                }
            }
            Arc::clone(&data.blocks)
        };
        let (mut runs, mut parts) = (Runs::default(), Vec::new());
        for block in blocks.iter().filter(|b| b.overlaps(from, to)) {
            let (run, part) = self.find_in_block(block, matchers, (from, to), &patience, &check)?;
            runs.lay_over(run);
            parts.push(part);
            check(runs.len())?;
        }
        runs.lay_over(of_head.sorted());
        parts.push(Part::Head { copy, excerpts });
        check(runs.len())?;
        let (series, max_samples) = (runs.into_series(), limits.max_samples);
        Ok(Selection { db: self, series, parts, range: (from, to), max_samples, held: Mutex::default() })
    }

    /// The matching series of a block, and where their samples of the range lie.
    fn find_in_block<'b>(
        &self,
        block: &'b Arc<Block>,
        matchers: &[Matcher],
        (from, to): (TimestampMs, TimestampMs),
        patience: &Patience<'_>,
        check: &dyn Fn(usize) -> Result<(), SelectError>,
    ) -> Result<(Run<'b>, Part), SelectError> {
        let index = BlockIndex::new(block);
        let mut gathered = Gathered::default();
        let mut named: SmallVec<[SymbolPair; 16]> = SmallVec::new();
        let (mut chunks, mut deleted) = (Vec::new(), HashMap::default());
        self.visit_matching(block, &index, matchers, (from, to), patience, &mut |entry| {
            let first = chunks.len();
            chunks.extend(entry.chunks.iter().filter(|c| c.min <= to && c.max >= from).copied());
            if !entry.hidden.is_empty() {
                deleted.insert(first as u32, entry.hidden.clone());
            }
            check(gathered.len() + 1)?;
            index.load(&entry.pairs, &mut named)?;
            if !gathered.push(&entry.pairs, first..chunks.len()) {
                return Err(SelectError::Storage(block.damage("series that are not sorted")));
            }
            Ok(())
        })?;
        Ok((Run::of_block(index, gathered), Part::Block { block: Arc::clone(block), chunks, deleted }))
    }
}

impl Selection<'_> {
    /// How many series there are.
    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The labels of a series; they grow with its number.
    pub fn labels(&self, index: usize) -> &Labels {
        &self.series[index].0
    }

    /// Puts the samples of a series in the place of those in `series`, whose labels are left alone. Stale markers are
    /// included. There may be none. Several threads may read at the same time.
    pub fn read(&self, index: usize, series: &mut Series) -> Result<(), SelectError> {
        let mut columns =
            Columns { floats: std::mem::take(&mut series.floats), histograms: std::mem::take(&mut series.histograms) };
        columns.clear();
        if let Some((timestamp, value)) = self.newest(index) {
            columns.floats.push(timestamp, value);
            (series.floats, series.histograms) = (columns.floats, columns.histograms);
            return Ok(());
        }
        let mut held = self.held.lock().pop().unwrap_or_default();
        for layer in &self.series[index].1 {
            self.lay_over(*layer, &mut held, &mut columns)?;
            if columns.len() > self.max_samples {
                return Err(SelectError::TooManySamples { limit: self.max_samples });
            }
        }
        self.held.lock().push(held);
        (series.floats, series.histograms) = (columns.floats, columns.histograms);
        Ok(())
    }

    /// The newest sample of a series, if all that was taken of it is that.
    fn newest(&self, index: usize) -> Option<(TimestampMs, f64)> {
        let layer = self.series[index].1.last()?;
        let Part::Head { excerpts, .. } = &self.parts[layer.part as usize] else { return None };
        excerpts[layer.start as usize].as_newest()
    }

    fn lay_over(&self, layer: Layer, held: &mut HeldPage, columns: &mut Columns) -> Result<(), Error> {
        let places = layer.start as usize..(layer.start + layer.len) as usize;
        match &self.parts[layer.part as usize] {
            Part::Block { block, chunks, deleted } => {
                let deleted = deleted.get(&layer.start).map_or(&[][..], Vec::as_slice);
                onto(columns, |columns| {
                    let read = block.samples_of(&chunks[places], deleted, self.range, Caching::Keep, held, columns);
                    self.db.noting_damage(block, read)
                })
            }
            Part::Head { copy, excerpts } => excerpts[places].iter().try_for_each(|excerpt| {
                onto(columns, |columns| {
                    excerpt.read(copy, self.range.0, self.range.1, columns);
                    Ok(())
                })
            }),
        }
    }
}

/// Lays what `read` puts into empty columns over what is there.
fn onto(columns: &mut Columns, read: impl FnOnce(&mut Columns) -> Result<(), Error>) -> Result<(), Error> {
    if columns.is_empty() {
        return read(columns);
    }
    let mut newer = Columns::default();
    read(&mut newer)?;
    overlay(columns, newer);
    Ok(())
}

#[cfg(test)]
mod tests;
