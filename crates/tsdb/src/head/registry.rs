//! The series of the head: labels, the way from labels to series, and the inverted index.

use std::borrow::Cow;
use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;
use smallvec::SmallVec;
use sonde_model::Labels;

use super::probe::ProbeTable;
use super::symbols::Symbols;
use crate::batch::SeriesRef;
use crate::index::postings::{Postings, union};
use crate::index::resolve::InvertedIndex;

/// A label as two symbols: name, value.
pub(crate) type SymbolPair = (u32, u32);

/// The series of the head. A series is a slot; a slot that is used again has another generation.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    symbols: Symbols,
    series: Vec<Entry>,
    /// The labels of all series one after the other, in the order of their names.
    pairs: Vec<SymbolPair>,
    table: ProbeTable,
    hashing: RandomState,
    free: Vec<u32>,
    live: usize,
    postings: HashMap<SymbolPair, SmallVec<[u32; 4]>, foldhash::fast::RandomState>,
    /// The values of each label name, in the order of their coming.
    values: HashMap<u32, Vec<u32>, foldhash::fast::RandomState>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    hash: u32,
    generation: u32,
    labels: u32,
    live: bool,
}

impl Registry {
    /// The series with these labels.
    pub(crate) fn find(&self, labels: &[(&str, &str)]) -> Option<SeriesRef> {
        let hash = self.hash(labels);
        let slot = self.table.find(hash, |slot| self.has_labels(slot, labels))?;
        Some(SeriesRef { slot, generation: self.series[slot as usize].generation })
    }

    /// Makes a series with these labels, of which there is none yet.
    pub(crate) fn insert(&mut self, labels: &[(&str, &str)]) -> SeriesRef {
        debug_assert!(self.find(labels).is_none(), "BUG: a series is made twice");
        let start = self.pairs.len() as u64;
        for (name, value) in labels {
            let pair = (self.symbols.intern(name), self.symbols.intern(value));
            self.pairs.push(pair);
        }
        let hash = self.hash(labels);
        let mut entry = Entry { start, hash, generation: 0, labels: labels.len() as u32, live: true };
        let slot = match self.free.pop() {
            Some(slot) => {
                entry.generation = self.series[slot as usize].generation;
                self.series[slot as usize] = entry;
                slot
            }
            None => {
                self.series.push(entry);
                (self.series.len() - 1) as u32
            }
        };
        self.live += 1;
        self.table.insert(hash, slot);
        self.index(slot);
        SeriesRef { slot, generation: entry.generation }
    }

    /// Removes series. Refs to them are stale from now on; refs to all others stay good.
    pub(crate) fn remove(&mut self, slots: &[u32]) {
        if slots.is_empty() {
            return;
        }
        for slot in slots {
            let entry = &mut self.series[*slot as usize];
            debug_assert!(entry.live, "BUG: a series is removed twice");
            entry.live = false;
            entry.generation = entry.generation.wrapping_add(1);
            self.live -= 1;
        }
        self.rebuild();
    }

    /// Builds strings, labels and index anew from the series that live, so that nothing of the dead stays.
    fn rebuild(&mut self) {
        let old_symbols = std::mem::take(&mut self.symbols);
        let old_pairs = std::mem::take(&mut self.pairs);
        let mut renamed = vec![u32::MAX; old_symbols.len()];
        self.table = ProbeTable::with_capacity(self.live);
        self.postings = HashMap::default();
        self.values = HashMap::default();
        self.free.clear();
        for slot in (0..self.series.len() as u32).rev() {
            if !self.series[slot as usize].live {
                self.free.push(slot);
            }
        }
        for slot in 0..self.series.len() as u32 {
            let entry = self.series[slot as usize];
            if !entry.live {
                continue;
            }
            let mut rename = |symbol: u32| {
                let new = &mut renamed[symbol as usize];
                if *new == u32::MAX {
                    *new = self.symbols.intern(old_symbols.get(symbol));
                }
                *new
            };
            let start = self.pairs.len() as u64;
            for (name, value) in &old_pairs[range(&entry)] {
                self.pairs.push((rename(*name), rename(*value)));
            }
            self.series[slot as usize].start = start;
            self.series[slot as usize].hash =
                hash_labels(&self.hashing, text_of(&self.symbols, &self.pairs[start as usize..]));
            self.table.insert(self.series[slot as usize].hash, slot);
            self.index(slot);
        }
    }

    fn index(&mut self, slot: u32) {
        let entry = self.series[slot as usize];
        for pair in &self.pairs[range(&entry)] {
            let list = self.postings.entry(*pair).or_default();
            if list.is_empty() {
                self.values.entry(pair.0).or_default().push(pair.1);
            }
            match list.last() {
                Some(last) if *last > slot => {
                    let at = list.partition_point(|s| *s < slot);
                    list.insert(at, slot);
                }
                _ => list.push(slot),
            }
        }
    }

    /// Series that live.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    /// Label pairs in the index.
    pub(crate) fn label_pairs(&self) -> usize {
        self.postings.len()
    }

    /// The generation of a slot.
    pub(crate) fn generation(&self, slot: u32) -> Option<u32> {
        self.series.get(slot as usize).filter(|e| e.live).map(|e| e.generation)
    }

    /// The slots that live, in order.
    pub(crate) fn live_slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.series.iter().enumerate().filter(|(_, e)| e.live).map(|(slot, _)| slot as u32)
    }

    /// The labels of a series as symbols.
    pub(crate) fn pairs(&self, slot: u32) -> &[SymbolPair] {
        &self.pairs[range(&self.series[slot as usize])]
    }

    /// How many symbols there are; their numbers are below that.
    pub(crate) fn symbols(&self) -> usize {
        self.symbols.len()
    }

    /// The text of a symbol.
    pub(crate) fn text(&self, symbol: u32) -> &str {
        self.symbols.get(symbol)
    }

    /// The labels of a series.
    pub(crate) fn labels(&self, slot: u32) -> Labels {
        let pairs: SmallVec<[(&str, &str); 16]> = text_of(&self.symbols, self.pairs(slot)).collect();
        Labels::from_sorted(&pairs)
    }

    /// All label names, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let mut names: Vec<u32> = self.values.keys().copied().collect();
        names.sort_unstable();
        names.into_iter().map(|name| self.symbols.get(name))
    }

    /// The values of a label, each with its series, in no order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = (&str, &[u32])> {
        let name = self.symbols.find(name);
        let values = name.and_then(|name| self.values.get(&name)).map_or(&[][..], Vec::as_slice);
        values.iter().filter_map(move |value| {
            let list = self.postings.get(&(name?, *value))?;
            Some((self.symbols.get(*value), list.as_slice()))
        })
    }

    /// An estimate of the memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.symbols.bytes() + self.series.len() * 36 + self.pairs.len() * 14 + self.postings.len() * 48
    }

    fn has_labels(&self, slot: u32, labels: &[(&str, &str)]) -> bool {
        let pairs = self.pairs(slot);
        pairs.len() == labels.len()
            && pairs
                .iter()
                .zip(labels)
                .all(|((n, v), (name, value))| self.symbols.get(*n) == *name && self.symbols.get(*v) == *value)
    }

    fn hash(&self, labels: &[(&str, &str)]) -> u32 {
        hash_labels(&self.hashing, labels.iter().copied())
    }
}

fn hash_labels<'a>(hashing: &RandomState, labels: impl Iterator<Item = (&'a str, &'a str)>) -> u32 {
    let mut hasher = hashing.build_hasher();
    for (name, value) in labels {
        hasher.write(name.as_bytes());
        hasher.write_u8(0xff);
        hasher.write(value.as_bytes());
        hasher.write_u8(0xff);
    }
    hasher.finish() as u32
}

fn text_of<'a>(symbols: &'a Symbols, pairs: &'a [SymbolPair]) -> impl Iterator<Item = (&'a str, &'a str)> {
    pairs.iter().map(|(n, v)| (symbols.get(*n), symbols.get(*v)))
}

fn range(entry: &Entry) -> std::ops::Range<usize> {
    entry.start as usize..entry.start as usize + entry.labels as usize
}

impl InvertedIndex for Registry {
    type Error = Infallible;

    fn all(&self) -> Result<Cow<'_, [u32]>, Infallible> {
        Ok(self.live_slots().collect::<Vec<_>>().into())
    }

    fn postings(&self, name: &str, value: &str) -> Result<Cow<'_, [u32]>, Infallible> {
        let pair = self.symbols.find(name).zip(self.symbols.find(value));
        Ok(Cow::Borrowed(pair.and_then(|pair| self.postings.get(&pair)).map_or(&[], |list| list.as_slice())))
    }

    fn union_of(&self, name: &str, prefix: &str, keep: &mut dyn FnMut(&str) -> bool) -> Result<Postings, Infallible> {
        let lists: Vec<&[u32]> =
            self.values(name).filter(|(v, _)| v.starts_with(prefix) && keep(v)).map(|(_, list)| list).collect();
        Ok(union(&lists))
    }
}

#[cfg(test)]
mod tests {
    use sonde_model::{MatchOp, Matcher};

    use super::*;
    use crate::index::resolve::resolve;

    fn registry() -> Registry {
        let mut registry = Registry::default();
        for (i, instance) in ["a", "b", "c", "d"].iter().enumerate() {
            registry.insert(&[("__name__", "up"), ("instance", instance)]);
            if i % 2 == 0 {
                registry.insert(&[("__name__", "cpu"), ("instance", instance), ("mode", "idle")]);
            }
        }
        registry
    }

    fn check(registry: &Registry, matchers: &[(&str, MatchOp, &str)], expected: &[&str]) {
        let matchers: Vec<Matcher> = matchers.iter().map(|(n, op, v)| Matcher::new(n, *op, v).unwrap()).collect();
        let Ok(found) = resolve(registry, &matchers);
        let mut texts: Vec<String> = found.iter().map(|slot| registry.labels(*slot).to_string()).collect();
        texts.sort();
        assert_eq!(texts, expected, "{matchers:?}");
        // The index must say what asking each series says.
        let asked = registry.live_slots().filter(|slot| {
            let labels = registry.labels(*slot);
            matchers.iter().all(|m| m.matches(labels.get(m.name()).unwrap_or("")))
        });
        assert_eq!(found, asked.collect::<Vec<_>>());
    }

    #[test]
    fn matchers_select_series() {
        use MatchOp::{Equal, NotEqual, NotRegex, Regex};
        let mut registry = registry();
        let up = |i: &str| format!("up{{instance=\"{i}\"}}");
        let cpu = |i: &str| format!("cpu{{instance=\"{i}\", mode=\"idle\"}}");
        check(&registry, &[("__name__", Equal, "cpu")], &[&cpu("a"), &cpu("c")]);
        check(&registry, &[("instance", Regex, "a|c"), ("__name__", Equal, "up")], &[&up("a"), &up("c")]);
        check(&registry, &[("mode", Equal, ""), ("instance", NotRegex, "a|b.*")], &[&up("c"), &up("d")]);
        check(&registry, &[("mode", NotEqual, ""), ("instance", NotEqual, "a")], &[&cpu("c")]);
        check(&registry, &[("mode", Regex, "id.*"), ("instance", Regex, "[a-b]")], &[&cpu("a")]);
        check(&registry, &[("mode", Regex, ".*"), ("__name__", Regex, "c.+")], &[&cpu("a"), &cpu("c")]);
        check(&registry, &[("mode", NotRegex, ".+"), ("instance", Equal, "a")], &[&up("a")]);
        check(&registry, &[("nothing", Equal, "x")], &[]);
        check(&registry, &[("__name__", NotEqual, "up")], &[&cpu("a"), &cpu("c")]);

        let gone = registry.find(&[("__name__", "up"), ("instance", "c")]).unwrap();
        let stays = registry.find(&[("__name__", "up"), ("instance", "d")]).unwrap();
        registry.remove(&[gone.slot]);
        assert_eq!(registry.find(&[("__name__", "up"), ("instance", "c")]), None);
        assert_eq!(registry.find(&[("__name__", "up"), ("instance", "d")]), Some(stays));
        let again = registry.insert(&[("__name__", "up"), ("instance", "e")]);
        assert_eq!((again.slot, again.generation), (gone.slot, gone.generation + 1));
        check(&registry, &[("__name__", Equal, "up")], &[&up("a"), &up("b"), &up("d"), &up("e")]);
    }
}
