//! Series, label names and label values out of head and blocks, without decoding samples.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use sonde_model::{Labels, Matcher, TimestampMs};

use crate::block::{Block, BlockIndex};
use crate::data::Data;
use crate::db::Db;
use crate::head::Registry;
use crate::head::slots::SlotSet;
use crate::index::resolve::resolve_within;
use crate::limits::Patience;
use crate::{ListLimits, SelectError};

impl Db {
    /// The label sets of the series that match all matchers and may have samples in the range, sorted, at most
    /// `limit`.
    pub fn series<'l>(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: impl Into<ListLimits<'l>>,
    ) -> Result<Vec<Labels>, SelectError> {
        let ListLimits { limit, expired } = limits.into();
        let patience = Patience::new(expired);
        let mut found = First::new(limit, &patience);
        let blocks =
            self.visit_head(matchers, (from, to), &patience, &mut |registry, slot| found.put(registry.labels(slot)))?;
        for block in blocks.iter().filter(|b| b.overlaps(from, to)) {
            self.visit_block(block, matchers, (from, to), &patience, &mut |index, entry| {
                found.put(index.labels(&entry.pairs)?)
            })?;
        }
        Ok(found.into_vec())
    }

    /// The label names of the series that match all matchers and may have samples in the range, sorted, at most
    /// `limit`. Without matchers a block answers by its range as a whole.
    pub fn label_names<'l>(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: impl Into<ListLimits<'l>>,
    ) -> Result<Vec<String>, SelectError> {
        let ListLimits { limit, expired } = limits.into();
        let patience = Patience::new(expired);
        let mut found = First::new(limit, &patience);
        if matchers.is_empty() {
            let blocks = {
                let registry = self.shared.registry.read();
                let data = self.shared.data.read();
                let seen = |name: &&str| registry.values(name).any(|(_, slots)| any_overlaps(&data, slots, from, to));
                if data.head_overlaps(from, to) {
                    registry.names().filter(seen).try_for_each(|name| found.put(name.to_owned()))?;
                }
                Arc::clone(&data.blocks)
            };
            for block in blocks.iter().filter(|b| b.overlaps(from, to)) {
                if !block.hidden().is_empty() {
                    self.names_of(block, matchers, from, to, &mut found)?;
                    continue;
                }
                let names = self.noting_damage(block, BlockIndex::new(block).names())?;
                names.iter().try_for_each(|name| found.put(name.clone()))?;
            }
            return Ok(found.into_vec());
        }
        let mut symbols = BTreeSet::new();
        let blocks = self.visit_head(matchers, (from, to), &patience, &mut |registry, slot| {
            let new = registry.pairs(slot).iter().filter(|(name, _)| symbols.insert(*name));
            new.map(|(name, _)| registry.text(*name).to_owned()).try_for_each(|name| found.put(name))?;
            found.step()
        })?;
        for block in blocks.iter().filter(|b| b.overlaps(from, to)) {
            self.names_of(block, matchers, from, to, &mut found)?;
        }
        Ok(found.into_vec())
    }

    /// The values that label `name` has in the series that match all matchers and may have samples in the range,
    /// sorted, at most `limit`. Without matchers a block answers by its range as a whole.
    pub fn label_values<'l>(
        &self,
        name: &str,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: impl Into<ListLimits<'l>>,
    ) -> Result<Vec<String>, SelectError> {
        let ListLimits { limit, expired } = limits.into();
        let patience = Patience::new(expired);
        let mut found = First::new(limit, &patience);
        if matchers.is_empty() {
            let blocks = {
                let registry = self.shared.registry.read();
                let data = self.shared.data.read();
                let seen = registry.values(name).filter(|(_, slots)| any_overlaps(&data, slots, from, to));
                if data.head_overlaps(from, to) {
                    seen.map(|(value, _)| value.to_owned()).try_for_each(|value| found.put(value))?;
                }
                Arc::clone(&data.blocks)
            };
            for block in blocks.iter().filter(|b| b.overlaps(from, to)) {
                if !block.hidden().is_empty() {
                    self.values_of(block, name, matchers, from, to, &mut found)?;
                    continue;
                }
                let mut stopped = Ok(());
                let visited = BlockIndex::new(block).values(name, &mut |value| {
                    stopped = found.put(value.to_owned());
                    Ok(if stopped.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
                });
                self.noting_damage(block, visited)?;
                stopped?;
            }
            return Ok(found.into_vec());
        }
        let mut symbols = BTreeSet::new();
        let blocks = self.visit_head(matchers, (from, to), &patience, &mut |registry, slot| {
            let pair = registry.pairs(slot).iter().find(|(n, _)| registry.text(*n) == name);
            if let Some((_, value)) = pair.filter(|(_, value)| symbols.insert(*value)) {
                found.put(registry.text(*value).to_owned())?;
            }
            found.step()
        })?;
        for block in blocks.iter().filter(|b| b.overlaps(from, to)) {
            self.values_of(block, name, matchers, from, to, &mut found)?;
        }
        Ok(found.into_vec())
    }

    /// The label names of the matching series of a block that may have samples in the range.
    fn names_of(
        &self,
        block: &Block,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        found: &mut First<'_, String>,
    ) -> Result<(), SelectError> {
        let mut symbols = BTreeSet::new();
        let patience = found.patience;
        self.visit_block(block, matchers, (from, to), patience, &mut |index, entry| {
            for (name, _) in &entry.pairs {
                if symbols.insert(*name) {
                    found.put(index.text(*name)?.to_owned())?;
                }
            }
            found.step()
        })
    }

    /// The values of a label in the matching series of a block that may have samples in the range.
    fn values_of(
        &self,
        block: &Block,
        name: &str,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        found: &mut First<'_, String>,
    ) -> Result<(), SelectError> {
        let mut symbols = BTreeSet::new();
        let label = self.noting_damage(block, BlockIndex::new(block).find(name))?;
        let patience = found.patience;
        self.visit_block(block, matchers, (from, to), patience, &mut |index, entry| {
            let pair = entry.pairs.iter().find(|(n, _)| Some(*n) == label);
            if let Some((_, value)) = pair.filter(|(_, value)| symbols.insert(*value)) {
                found.put(index.text(*value)?.to_owned())?;
            }
            found.step()
        })
    }

    /// Visits the matching series of the head that may have samples in the range, and gives the blocks of the same
    /// moment.
    fn visit_head(
        &self,
        matchers: &[Matcher],
        (from, to): (TimestampMs, TimestampMs),
        patience: &Patience<'_>,
        visit: &mut dyn FnMut(&Registry, u32) -> Result<(), SelectError>,
    ) -> Result<Arc<Vec<Arc<Block>>>, SelectError> {
        if let Some(blocks) = self.blocks_without_head(from, to) {
            return Ok(blocks);
        }
        let registry = self.shared.registry.read();
        let Ok(slots) = resolve_within(&*registry, matchers, patience);
        patience.check()?;
        let data = self.shared.data.read();
        let mut seen = slots.into_iter().filter(|slot| data.overlaps(*slot, from, to));
        seen.try_for_each(|slot| visit(&registry, slot))?;
        Ok(Arc::clone(&data.blocks))
    }

    /// The blocks, where the head has no samples of the range: its series need not be looked at then.
    pub(crate) fn blocks_without_head(&self, from: TimestampMs, to: TimestampMs) -> Option<Arc<Vec<Arc<Block>>>> {
        let data = self.shared.data.read();
        (!data.head_overlaps(from, to)).then(|| Arc::clone(&data.blocks))
    }
}

fn any_overlaps(data: &Data, slots: &SlotSet, from: TimestampMs, to: TimestampMs) -> bool {
    slots.any(|slot| data.overlaps(slot, from, to))
}

/// The first items, in their order, of all that were put. Those that are held are at most twice as many as there are
/// different ones, and as the limit.
struct First<'l, T> {
    items: Vec<T>,
    limit: usize,
    patience: &'l Patience<'l>,
    /// With so many items repetitions are looked for.
    crowded: usize,
}

impl<'l, T: Ord> First<'l, T> {
    fn new(limit: usize, patience: &'l Patience<'l>) -> Self {
        First { items: Vec::new(), limit, patience, crowded: 1_000 }
    }

    fn put(&mut self, item: T) -> Result<(), SelectError> {
        self.items.push(item);
        if self.items.len() >= self.crowded {
            self.sort();
            self.crowded = self.crowded.max(2 * self.items.len());
        }
        self.step()
    }

    /// Something was looked at: from time to time it is asked whether there is time for more.
    fn step(&self) -> Result<(), SelectError> {
        self.patience.step()
    }

    fn sort(&mut self) {
        // A sort that looks for runs: blocks give items in order.
        self.items.sort();
        self.items.dedup();
        self.items.truncate(self.limit);
    }

    fn into_vec(mut self) -> Vec<T> {
        self.sort();
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_kept_and_repetitions_are_not() {
        for (limit, expected) in [(3, 3), (0, 0), (usize::MAX, 700)] {
            let patience = Patience::endless();
            let mut first = First::new(limit, &patience);
            (0..5_000u32).for_each(|n| first.put(n * 389 % 700).unwrap());
            assert!(first.items.len() <= 2 * limit.min(700) + 1_000);
            assert_eq!(first.into_vec(), (0..expected).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_listing_ends_when_its_time_is_over() {
        let patience = Patience::new(&|| true);
        let mut first = First::new(10, &patience);
        let put = (0..10_000).try_for_each(|n| first.put(n));
        assert!(matches!(put, Err(SelectError::Expired)));
    }
}
