//! The series of the head: labels, the way from labels to series, and the inverted index.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;
use smallvec::SmallVec;
use sonde_model::Labels;

use super::owners::Owners;
use super::probe::ProbeTable;
use super::slots::SlotSet;
use super::symbols::Symbols;
use crate::batch::SeriesRef;
use crate::index::postings::Postings;
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
    /// Labels of series that live.
    live_pairs: usize,
    table: ProbeTable,
    hashing: RandomState,
    free: Vec<u32>,
    live: usize,
    postings: HashMap<SymbolPair, Posting, foldhash::fast::RandomState>,
    /// The values of each label name, in no order.
    values: HashMap<u32, Vec<u32>, foldhash::fast::RandomState>,
    /// Label pairs that have gone since symbols were looked through.
    gone_pairs: usize,
    owners: Owners,
}

/// The series with a label.
#[derive(Debug, Default)]
struct Posting {
    slots: SlotSet,
    /// Where the value stands among those of its name.
    at: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u64,
    hash: u32,
    generation: u32,
    labels: u32,
    /// Labels that have room at `start`: a series that comes into the slot may need fewer.
    room: u16,
    live: bool,
}

/// What a label pair takes in the index.
const POSTING_BYTES: usize = (size_of::<(SymbolPair, Posting)>() + 1) * 8 / 7;

/// So many label pairs have to go before symbols are looked through.
const SWEEP_FROM: usize = 1_000;

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
        let hash = self.hash(labels);
        let n = labels.len();
        let slot = self.free.pop();
        let before = slot.map(|slot| self.series[slot as usize]);
        let (start, room) = match before {
            // A slot without room begins nowhere, also for a series that needs none.
            Some(before) if before.room > 0 && usize::from(before.room) >= n => (before.start, before.room),
            _ => {
                let start = self.pairs.len() as u64;
                self.pairs.resize(self.pairs.len() + n, (0, 0));
                (start, u16::try_from(n).unwrap_or(0))
            }
        };
        for (i, (name, value)) in labels.iter().enumerate() {
            self.pairs[start as usize + i] = (self.symbols.intern(name), self.symbols.intern(value));
        }
        let generation = before.map_or(0, |before| before.generation);
        let entry = Entry { start, hash, generation, labels: n as u32, room, live: true };
        let slot = match slot {
            Some(slot) => {
                self.series[slot as usize] = entry;
                slot
            }
            None => {
                self.series.push(entry);
                (self.series.len() - 1) as u32
            }
        };
        self.live += 1;
        self.live_pairs += n;
        self.table.insert(hash, slot);
        self.index(slot);
        SeriesRef { slot, generation }
    }

    /// Removes series. Refs to them are stale from now on; refs to all others stay good. Costs what the series that go
    /// have cost to make, whatever the number of those that stay.
    pub(crate) fn remove(&mut self, slots: &[u32]) {
        for slot in slots {
            let entry = &mut self.series[*slot as usize];
            debug_assert!(entry.live, "BUG: a series is removed twice");
            entry.live = false;
            entry.generation = entry.generation.wrapping_add(1);
            let entry = *entry;
            self.live -= 1;
            self.live_pairs -= entry.labels as usize;
            self.table.remove(entry.hash, *slot);
            self.owners.release(*slot);
            for i in range(&entry) {
                self.take_out(self.pairs[i], *slot);
            }
            self.free.push(*slot);
        }
    }

    /// Gives the memory back that series which have gone leave behind, if it is a good part of all.
    pub(crate) fn tidy(&mut self) {
        if self.gone_pairs >= SWEEP_FROM && self.gone_pairs > self.symbols.used() / 2 {
            self.gone_pairs = 0;
            let mut used = vec![false; self.symbols.len()];
            #[expect(clippy::iter_over_hash_type, reason = "marks have no order")]
            for (name, value) in self.postings.keys() {
                (used[*name as usize], used[*value as usize]) = (true, true);
            }
            self.symbols.retain(|symbol| used[symbol as usize]);
            self.table.shrink();
            if self.postings.len() * 4 < self.postings.capacity() {
                self.postings.shrink_to_fit();
            }
        }
        if self.live_pairs * 4 < self.pairs.len() {
            let old = std::mem::take(&mut self.pairs);
            self.pairs.reserve_exact(self.live_pairs);
            for entry in &mut self.series {
                if !entry.live {
                    entry.room = 0;
                    continue;
                }
                let start = self.pairs.len() as u64;
                self.pairs.extend_from_slice(&old[range(entry)]);
                (entry.start, entry.room) = (start, u16::try_from(entry.labels).unwrap_or(0));
            }
        }
    }

    fn index(&mut self, slot: u32) {
        let entry = self.series[slot as usize];
        for pair in &self.pairs[range(&entry)] {
            let posting = self.postings.entry(*pair).or_default();
            if posting.slots.len() == 0 {
                let values = self.values.entry(pair.0).or_default();
                posting.at = values.len() as u32;
                values.push(pair.1);
            }
            posting.slots.insert(slot);
        }
    }

    /// Takes a series out of the postings of one of its labels, and the label out of the index with its last series.
    fn take_out(&mut self, pair: SymbolPair, slot: u32) {
        let Some(posting) = self.postings.get_mut(&pair) else { return };
        posting.slots.remove(slot);
        if posting.slots.len() > 0 {
            return;
        }
        let at = posting.at as usize;
        self.postings.remove(&pair);
        self.gone_pairs += 1;
        let Some(values) = self.values.get_mut(&pair.0) else { return };
        values.swap_remove(at);
        if let Some(moved) = values.get(at)
            && let Some(posting) = self.postings.get_mut(&(pair.0, *moved))
        {
            posting.at = at as u32;
        }
        if values.is_empty() {
            self.values.remove(&pair.0);
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
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = (&str, &SlotSet)> {
        let name = self.symbols.find(name);
        let values = name.and_then(|name| self.values.get(&name)).map_or(&[][..], Vec::as_slice);
        values.iter().filter_map(move |value| {
            let posting = self.postings.get(&(name?, *value))?;
            Some((self.symbols.get(*value), &posting.slots))
        })
    }

    /// How many values a label has.
    pub(crate) fn count_values(&self, name: &str) -> usize {
        self.symbols.find(name).and_then(|name| self.values.get(&name)).map_or(0, Vec::len)
    }

    /// How many series have this label.
    pub(crate) fn count(&self, name: &str, value: &str) -> usize {
        let pair = self.symbols.find(name).zip(self.symbols.find(value));
        pair.and_then(|pair| self.postings.get(&pair)).map_or(0, |posting| posting.slots.len())
    }

    /// Who brought the series.
    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// The same, to note who brought a series.
    pub(crate) fn owners_mut(&mut self) -> &mut Owners {
        &mut self.owners
    }

    /// An estimate of the memory that a label value takes with its series.
    pub(crate) fn bytes_of_value(&self, value: &str, slots: &SlotSet) -> usize {
        value.len() + Symbols::BYTES_EACH + POSTING_BYTES + slots.bytes()
    }

    /// An estimate of the memory held.
    pub(crate) fn bytes(&self) -> usize {
        let entries = self.series.len() * size_of::<Entry>() + self.table.bytes();
        let postings = self.postings.len() * POSTING_BYTES;
        self.symbols.bytes() + entries + self.pairs.len() * size_of::<SymbolPair>() + postings + self.live * 12
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

    fn all(&self) -> Result<Postings<'_>, Infallible> {
        Ok(Postings::List(self.live_slots().collect::<Vec<_>>().into()))
    }

    fn postings(&self, name: &str, value: &str) -> Result<Postings<'_>, Infallible> {
        let pair = self.symbols.find(name).zip(self.symbols.find(value));
        Ok(pair.and_then(|pair| self.postings.get(&pair)).map_or(Postings::NONE, |posting| posting.slots.postings()))
    }

    fn gather(&self, name: &str, prefix: &str, keep: &mut dyn FnMut(&str) -> bool) -> Result<Vec<u32>, Infallible> {
        let mut gathered = Vec::new();
        let kept = self.values(name).filter(|(value, _)| value.starts_with(prefix) && keep(value));
        kept.for_each(|(_, slots)| slots.postings().append_to(&mut gathered));
        Ok(gathered)
    }

    fn bound(&self) -> u32 {
        self.series.len() as u32
    }

    fn narrow(&self, found: &[u32], name: &str, keep: &mut dyn FnMut(&str) -> bool) -> Option<Vec<u32>> {
        if found.len() >= self.count_values(name) {
            return None;
        }
        let name = self.symbols.find(name)?;
        let mut last = None;
        let kept = |slot: &u32| {
            let Some((_, value)) = self.pairs(*slot).iter().find(|(n, _)| *n == name) else { return false };
            match last {
                Some((known, kept)) if known == *value => kept,
                _ => {
                    let kept = keep(self.symbols.get(*value));
                    last = Some((*value, kept));
                    kept
                }
            }
        };
        let mut kept = kept;
        Some(found.iter().copied().filter(|slot| kept(slot)).collect())
    }
}

#[cfg(test)]
mod tests;
