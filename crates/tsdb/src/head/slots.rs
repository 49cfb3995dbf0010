//! The series of the head that have a label: a short list as long as they are few, a bitmap when they are many.

use roaring::RoaringBitmap;
use smallvec::SmallVec;

use crate::index::postings::Postings;

/// More than this become a bitmap. A list is smaller as long as it is short, and moves when a number comes into its
/// middle or leaves it.
const FEW: usize = 256;

/// A set of slots.
#[derive(Debug)]
pub(crate) enum SlotSet {
    /// Sorted.
    Few(SmallVec<[u32; 4]>),
    Many(Box<RoaringBitmap>),
}

impl Default for SlotSet {
    fn default() -> Self {
        SlotSet::Few(SmallVec::new())
    }
}

impl SlotSet {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            SlotSet::Few(list) => list.len(),
            SlotSet::Many(bits) => bits.len() as usize,
        }
    }

    /// Adds a slot that is not there.
    pub(crate) fn insert(&mut self, slot: u32) {
        match self {
            SlotSet::Few(list) if list.len() >= FEW => {
                let mut bits: RoaringBitmap = list.iter().copied().collect();
                bits.insert(slot);
                *self = SlotSet::Many(Box::new(bits));
            }
            SlotSet::Few(list) => match list.last() {
                Some(last) if *last > slot => list.insert(list.partition_point(|s| *s < slot), slot),
                _ => list.push(slot),
            },
            SlotSet::Many(bits) => {
                bits.insert(slot);
            }
        }
    }

    /// Takes a slot out.
    pub(crate) fn remove(&mut self, slot: u32) {
        match self {
            SlotSet::Few(list) => {
                if let Ok(at) = list.binary_search(&slot) {
                    list.remove(at);
                }
            }
            SlotSet::Many(bits) => {
                bits.remove(slot);
                if bits.len() as usize <= FEW / 2 {
                    *self = SlotSet::Few(bits.iter().collect());
                }
            }
        }
    }

    /// The slots, for a query.
    pub(crate) fn postings(&self) -> Postings<'_> {
        match self {
            SlotSet::Few(list) => Postings::List(list.as_slice().into()),
            SlotSet::Many(bits) => Postings::Bits(bits),
        }
    }

    /// Whether any of them is one that is asked for.
    pub(crate) fn any(&self, is_it: impl FnMut(u32) -> bool) -> bool {
        match self {
            SlotSet::Few(list) => list.iter().copied().any(is_it),
            SlotSet::Many(bits) => bits.iter().any(is_it),
        }
    }

    /// An estimate of the memory behind it.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            SlotSet::Few(list) if list.spilled() => list.capacity() * size_of::<u32>(),
            SlotSet::Few(_) => 0,
            SlotSet::Many(bits) => bits.serialized_size(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn it_is_a_set(changes in prop::collection::vec((0u32..700, prop::bool::weighted(0.6)), 0..2500)) {
            let mut set = SlotSet::default();
            let mut expected = BTreeSet::new();
            for (slot, adds) in changes {
                match (adds, expected.contains(&slot)) {
                    (true, false) => {
                        set.insert(slot);
                        expected.insert(slot);
                    }
                    (false, _) => {
                        set.remove(slot);
                        expected.remove(&slot);
                    }
                    _ => {}
                }
                prop_assert_eq!(set.len(), expected.len());
            }
            prop_assert_eq!(set.postings().into_list(), expected.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.any(|slot| slot == 77), expected.contains(&77));
        }
    }
}
