//! Each string once, known by a number.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use super::probe::ProbeTable;

/// The strings of the head. A number is used again when its string has been removed.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    text: String,
    places: Vec<Place>,
    table: ProbeTable,
    free: Vec<u32>,
    /// Bytes of `text` that belong to no string.
    garbage: usize,
    hashing: RandomState,
}

/// Where a string lies in `text`: 64 bits in two halves, because a head may outgrow 4 GiB of text, and its length.
#[derive(Clone, Copy, Debug)]
struct Place {
    low: u32,
    high: u32,
    len: u32,
}

impl Place {
    fn range(self) -> std::ops::Range<usize> {
        let start = (u64::from(self.high) << 32 | u64::from(self.low)) as usize;
        start..start + self.len as usize
    }
}

impl Symbols {
    /// What a string takes beside its text, roughly.
    pub(crate) const BYTES_EACH: usize = size_of::<Place>() + 12;

    pub(crate) fn get(&self, symbol: u32) -> &str {
        &self.text[self.places[symbol as usize].range()]
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.table.find(self.hash(text), |symbol| self.get(symbol) == text)
    }

    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hash(text);
        if let Some(symbol) = self.table.find(hash, |symbol| self.get(symbol) == text) {
            return symbol;
        }
        let place = self.append(text);
        let symbol = match self.free.pop() {
            Some(symbol) => {
                self.places[symbol as usize] = place;
                symbol
            }
            None => {
                self.places.push(place);
                (self.places.len() - 1) as u32
            }
        };
        self.table.insert(hash, symbol);
        symbol
    }

    /// Removes the strings that nobody uses.
    pub(crate) fn retain(&mut self, is_used: impl Fn(u32) -> bool) {
        let mut is_free = vec![false; self.places.len()];
        self.free.iter().for_each(|symbol| is_free[*symbol as usize] = true);
        for symbol in (0..self.places.len() as u32).filter(|symbol| !is_free[*symbol as usize]) {
            if !is_used(symbol) {
                self.table.remove(self.hash(self.get(symbol)), symbol);
                let place = &mut self.places[symbol as usize];
                self.garbage += place.len as usize;
                place.len = 0;
                self.free.push(symbol);
            }
        }
        self.table.shrink();
        if self.garbage > self.text.len() / 2 {
            self.collect();
        }
    }

    /// How many numbers there are, free ones included.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// How many strings there are.
    pub(crate) fn used(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.places.len() * 12 + self.table.bytes() + self.free.len() * 4
    }

    fn append(&mut self, text: &str) -> Place {
        let start = self.text.len() as u64;
        self.text.push_str(text);
        Place { low: start as u32, high: (start >> 32) as u32, len: text.len() as u32 }
    }

    /// Copies the text without what belongs to no string.
    fn collect(&mut self) {
        let old = std::mem::take(&mut self.text);
        self.text.reserve(old.len() - self.garbage);
        for symbol in 0..self.places.len() {
            let range = self.places[symbol].range();
            self.places[symbol] =
                if range.is_empty() { Place { low: 0, high: 0, len: 0 } } else { self.append(&old[range]) };
        }
        self.garbage = 0;
    }

    fn hash(&self, text: &str) -> u32 {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(text.as_bytes());
        hasher.finish() as u32
    }
}
