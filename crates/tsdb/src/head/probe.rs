//! A hash table from 32-bit hashes to 32-bit numbers; what the numbers stand for is compared by the caller.

/// An empty place.
const EMPTY: u32 = u32::MAX;

/// Open addressing with linear probing.
#[derive(Debug, Default)]
pub(crate) struct ProbeTable {
    /// (hash, number) pairs; the length is a power of two, or zero.
    places: Vec<(u32, u32)>,
    len: usize,
}

impl ProbeTable {
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

    /// Removes a number that is there under this hash.
    pub(crate) fn remove(&mut self, hash: u32, number: u32) {
        let Some(mask) = self.places.len().checked_sub(1) else { return };
        let mut at = hash as usize & mask;
        while self.places[at] != (hash, number) {
            debug_assert!(self.places[at].1 != EMPTY, "BUG: the number is not there");
            if self.places[at].1 == EMPTY {
                return;
            }
            at = (at + 1) & mask;
        }
        self.len -= 1;
        // What lies behind moves up as far as it may, so that no search ends at the gap.
        let mut next = (at + 1) & mask;
        while self.places[next].1 != EMPTY {
            let home = self.places[next].0 as usize & mask;
            if next.wrapping_sub(home) & mask >= next.wrapping_sub(at) & mask {
                self.places[at] = self.places[next];
                at = next;
            }
            next = (next + 1) & mask;
        }
        self.places[at] = (0, EMPTY);
    }

    /// Gives memory back after many entries were removed.
    pub(crate) fn shrink(&mut self) {
        if self.places.len() > 64 && self.len * 8 < self.places.len() {
            self.resize((self.len * 2).next_power_of_two().max(16));
        }
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.places.len() * size_of::<(u32, u32)>()
    }

    fn grow(&mut self) {
        self.resize((self.places.len() * 2).max(16));
    }

    fn resize(&mut self, size: usize) {
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map(changes in prop::collection::vec((0u32..40, 0u32..90, any::<bool>()), 0..400)) {
            let mut table = ProbeTable::default();
            // A number has one hash, and many numbers share one.
            let mut expected: HashMap<u32, u32> = HashMap::new();
            for (hash, number, adds) in changes {
                match (adds, expected.get(&number).copied()) {
                    (true, None) => {
                        table.insert(hash, number);
                        expected.insert(number, hash);
                    }
                    (false, Some(hash)) => {
                        table.remove(hash, number);
                        expected.remove(&number);
                        table.shrink();
                    }
                    _ => {}
                }
            }
            for number in 0..90 {
                let found = (0..40).find(|hash| table.find(*hash, |n| n == number).is_some());
                prop_assert_eq!(found, expected.get(&number).copied());
            }
        }
    }
}
