//! The series of one epoch of the WAL: from the numbers in its records to the slots of the head that is being filled.

use std::collections::HashMap;

/// Slots of the head by slots of the records. Numbers of a sound log are dense: they lie in a list, which takes one read
/// a sample; what lies far beyond the others cannot make the list large.
#[derive(Debug, Default)]
pub(crate) struct Renumbered {
    near: Vec<u32>,
    far: HashMap<u32, u32, foldhash::fast::RandomState>,
    defined: usize,
}

/// A number that no record has defined.
const UNKNOWN: u32 = u32::MAX;

/// The list may be so many times as long as there are series in it, and this many numbers longer.
const SPARSENESS: usize = 8;
const SLACK: usize = 1 << 20;

impl Renumbered {
    /// A record defines a series.
    pub(crate) fn insert(&mut self, number: u32, slot: u32) {
        self.defined += 1;
        let at = number as usize;
        if at < self.near.len() {
            self.near[at] = slot;
        } else if at < self.defined * SPARSENESS + SLACK {
            self.near.resize(at + 1, UNKNOWN);
            self.near[at] = slot;
            self.far.remove(&number);
        } else {
            self.far.insert(number, slot);
        }
    }

    /// The slot of a series that was defined.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<u32> {
        match self.near.get(number as usize) {
            Some(slot) if *slot != UNKNOWN => Some(*slot),
            _ if self.far.is_empty() => None,
            _ => self.far.get(&number).copied(),
        }
    }

    /// Another epoch begins.
    pub(crate) fn clear(&mut self) {
        self.near.clear();
        self.far.clear();
        self.defined = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_and_far_numbers_are_found_and_memory_is_bounded() {
        let mut slots = Renumbered::default();
        let numbers = [0, 7, u32::MAX, u32::MAX - 1, SLACK as u32 + 5_000, SLACK as u32 + 50, 3];
        numbers.iter().enumerate().for_each(|(slot, number)| slots.insert(*number, slot as u32));
        numbers.iter().enumerate().for_each(|(slot, number)| assert_eq!(slots.get(*number), Some(slot as u32)));
        assert_eq!((slots.get(1), slots.get(SLACK as u32 + 4), slots.get(u32::MAX - 2)), (None, None, None));
        assert!(slots.near.len() <= SLACK + numbers.len() * SPARSENESS);
        // A number that was far may come near, and is defined anew.
        (0..1_000).for_each(|number| slots.insert(number, number));
        slots.insert(SLACK as u32 + 5_000, 9);
        slots.insert(SLACK as u32 + 6_000, 10);
        assert_eq!((slots.get(SLACK as u32 + 5_000), slots.get(3)), (Some(9), Some(3)));
        slots.clear();
        assert_eq!((slots.get(0), slots.get(u32::MAX)), (None, None));
    }
}
