//! A hash table from 32-bit hashes to 32-bit numbers; what the numbers stand for is compared by the caller.

/// An empty place.
const EMPTY: u32 = u32::MAX;

/// Open addressing with linear probing. Entries are only added: what shrinks is built anew.
#[derive(Debug, Default)]
pub(crate) struct ProbeTable {
    /// (hash, number) pairs; the length is a power of two, or zero.
    places: Vec<(u32, u32)>,
    len: usize,
}

impl ProbeTable {
    /// A table with room for `n` entries.
    pub(crate) fn with_capacity(n: usize) -> Self {
        let places = if n == 0 { Vec::new() } else { vec![(0, EMPTY); (n * 4 / 3 + 1).next_power_of_two()] };
        ProbeTable { places, len: 0 }
    }

    /// The number with this hash for which `is_it` says yes.
    #[inline]
    pub(crate) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mask = self.places.len().checked_sub(1)?;
        let mut at = hash as usize & mask;
        loop {
            let (h, number) = self.places[at];
            if number == EMPTY {
                return None;
            }
            if h == hash && is_it(number) {
                return Some(number);
            }
            at = (at + 1) & mask;
        }
    }

    /// Adds a number that is not there.
    pub(crate) fn insert(&mut self, hash: u32, number: u32) {
        debug_assert!(number != EMPTY, "BUG: the number is reserved");
        if (self.len + 1) * 4 > self.places.len() * 3 {
            self.grow();
        }
        self.place(hash, number);
        self.len += 1;
    }

    fn grow(&mut self) {
        let size = (self.places.len() * 2).max(16);
        let old = std::mem::replace(&mut self.places, vec![(0, EMPTY); size]);
        for (hash, number) in old.into_iter().filter(|(_, number)| *number != EMPTY) {
            self.place(hash, number);
        }
    }

    fn place(&mut self, hash: u32, number: u32) {
        let mask = self.places.len() - 1;
        let mut at = hash as usize & mask;
        while self.places[at].1 != EMPTY {
            at = (at + 1) & mask;
        }
        self.places[at] = (hash, number);
    }
}
