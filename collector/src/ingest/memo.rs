//! The memo of known series: from the hash of what a sender wrote to the series it means.
//!
//! The same series come every few seconds, byte for byte; what was resolved once is found again with one probe. The memo
//! is bounded: entries live in two generations, the older of which is dropped when the younger has filled its half.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use parking_lot::{RwLock, RwLockReadGuard};

/// A bounded map from a 128-bit hash to something small.
#[derive(Debug)]
pub(crate) struct Memo<T> {
    tables: RwLock<Tables<T>>,
    half: usize,
    stats: MemoStats,
}

/// What a memo counts.
#[derive(Debug, Default)]
pub(crate) struct MemoStats {
    /// Lookups that found nothing.
    pub(crate) misses: AtomicU64,
    /// Entries dropped because the memo was full.
    pub(crate) evicted: AtomicU64,
}

#[derive(Debug)]
struct Tables<T> {
    young: Table<T>,
    old: Table<T>,
}

type Table<T> = HashMap<Key, T, BuildHasherDefault<HighBits>>;

/// A hash in two halves: a number of 128 bits would be padded to 16 bytes beside a value of 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    high: u64,
    low: u64,
}

impl From<u128> for Key {
    fn from(hash: u128) -> Self {
        Key { high: (hash >> 64) as u64, low: hash as u64 }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.high);
    }
}

/// The keys are hashes already: half of their bits are as good as any other hash of them.
#[derive(Debug, Default)]
struct HighBits(u64);

impl Hasher for HighBits {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = n;
    }
}

/// A look into the memo that stays open for many lookups.
#[derive(Debug)]
pub(crate) struct Lookup<'a, T>(RwLockReadGuard<'a, Tables<T>>);

impl<T: Copy> Memo<T> {
    /// A memo that remembers at most `capacity` entries.
    pub(crate) fn new(capacity: usize) -> Self {
        let tables = Tables { young: HashMap::default(), old: HashMap::default() };
        Memo { tables: RwLock::new(tables), half: capacity.div_ceil(2), stats: MemoStats::default() }
    }

    /// Opens the memo for lookups. Writers wait until it is dropped.
    pub(crate) fn lookup(&self) -> Lookup<'_, T> {
        Lookup(self.tables.read())
    }

    /// Remembers entries, also ones that are known already under another value.
    pub(crate) fn insert(&self, entries: impl IntoIterator<Item = (u128, T)>) {
        let mut tables = self.tables.write();
        for (hash, value) in entries {
            let key = Key::from(hash);
            if tables.young.len() >= self.half && !tables.young.contains_key(&key) {
                let young = std::mem::take(&mut tables.young);
                let dropped = std::mem::replace(&mut tables.old, young);
                self.stats.evicted.fetch_add(dropped.len() as u64, Relaxed);
            }
            tables.young.insert(key, value);
            self.stats.misses.fetch_add(1, Relaxed);
        }
    }

    /// How many entries there are; one that is in both generations counts twice.
    pub(crate) fn len(&self) -> usize {
        let tables = self.tables.read();
        tables.young.len() + tables.old.len()
    }

    /// Forgets what is not worth keeping, and gives its memory back.
    pub(crate) fn retain(&self, keep: impl Fn(&T) -> bool) {
        let mut tables = self.tables.write();
        let Tables { young, old } = &mut *tables;
        for table in [young, old] {
            table.retain(|_, value| keep(value));
            table.shrink_to_fit();
        }
    }

    /// Forgets everything, as when limits change.
    pub(crate) fn clear(&self) {
        let mut tables = self.tables.write();
        tables.young = HashMap::default();
        tables.old = HashMap::default();
    }

    /// What it counts.
    pub(crate) fn stats(&self) -> &MemoStats {
        &self.stats
    }
}

/// What was found, and whether it should be inserted again to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    /// It is remembered.
    Young(T),
    /// It would be forgotten soon: insert it again.
    Old(T),
    /// It is not known.
    No,
}

impl<T: Copy> Lookup<'_, T> {
    /// Looks one hash up.
    pub(crate) fn get(&self, hash: u128) -> Found<T> {
        let key = Key::from(hash);
        if let Some(value) = self.0.young.get(&key) {
            return Found::Young(*value);
        }
        self.0.old.get(&key).map_or(Found::No, |value| Found::Old(*value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> u128 {
        u128::from(n) << 64
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let memo = Memo::new(100);
        for n in 0..10_000 {
            memo.insert([(key(n), n)]);
            if let Found::Old(value) = memo.lookup().get(key(0)) {
                assert_eq!(value, 0);
            }
            if matches!(memo.lookup().get(key(0)), Found::Old(_)) {
                memo.insert([(key(0), 0)]);
            }
        }
        assert!(memo.len() <= 100, "{}", memo.len());
        assert!(memo.stats().evicted.load(Relaxed) > 9_000);
        assert_ne!(memo.lookup().get(key(0)), Found::No, "it was used all the time");
        assert_eq!(memo.lookup().get(key(5)), Found::No);
        assert_eq!(memo.lookup().get(key(9_999)), Found::Young(9_999));
    }

    #[test]
    fn what_is_not_worth_keeping_goes() {
        let memo = Memo::new(100);
        memo.insert((0..80).map(|n| (key(n), n)));
        memo.retain(|n| n % 10 == 0);
        assert_eq!((memo.len(), memo.lookup().get(key(11))), (8, Found::No));
        assert_eq!(memo.lookup().get(key(70)), Found::Young(70));
    }

    #[test]
    fn the_last_value_wins_and_clear_forgets() {
        let memo = Memo::new(10);
        memo.insert([(key(1), 1), (key(1), 2)]);
        assert_eq!(memo.lookup().get(key(1)), Found::Young(2));
        memo.clear();
        assert_eq!((memo.lookup().get(key(1)), memo.len()), (Found::No, 0));
    }
}
