//! Each string once, known by a number.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::RandomState;

use super::probe::ProbeTable;

/// The strings of the head. Strings are only added; a registry that has shrunk builds a new table.
#[derive(Debug, Default)]
pub(crate) struct Symbols {
    text: String,
    /// Where each string ends in `text`; 64 bits, because a head may outgrow 4 GiB of text.
    ends: Vec<u64>,
    table: ProbeTable,
    hashing: RandomState,
}

impl Symbols {
    pub(crate) fn get(&self, symbol: u32) -> &str {
        let symbol = symbol as usize;
        let start = if symbol == 0 { 0 } else { self.ends[symbol - 1] as usize };
        &self.text[start..self.ends[symbol] as usize]
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.table.find(self.hash(text), |symbol| self.get(symbol) == text)
    }

    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        let hash = self.hash(text);
        if let Some(symbol) = self.table.find(hash, |symbol| self.get(symbol) == text) {
            return symbol;
        }
        let symbol = self.ends.len() as u32;
        self.text.push_str(text);
        self.ends.push(self.text.len() as u64);
        self.table.insert(hash, symbol);
        symbol
    }

    /// How many strings there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 20
    }

    fn hash(&self, text: &str) -> u32 {
        let mut hasher = self.hashing.build_hasher();
        hasher.write(text.as_bytes());
        hasher.finish() as u32
    }
}
