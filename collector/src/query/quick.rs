//! Which questions were answered in next to no time when they were asked last: dashboards and rules ask the same again and again.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use foldhash::fast::RandomState;

/// Questions that are remembered; one that is new takes the place of another.
const SLOTS: usize = 4_096;

/// What took no longer than this was quick.
const QUICK: Duration = Duration::from_micros(500);

/// The questions that were quick.
#[derive(Debug)]
pub(crate) struct Quick {
    slots: Box<[AtomicU64]>,
    hashing: RandomState,
}

/// A question, as far as it is told from others: two of them may be taken for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Likeness(u64);

impl Default for Quick {
    fn default() -> Self {
        let slots = std::iter::repeat_with(AtomicU64::default).take(SLOTS).collect();
        Quick { slots, hashing: RandomState::default() }
    }
}

impl Quick {
    /// The likeness of a question.
    pub(crate) fn likeness(&self, question: &impl Hash) -> Likeness {
        Likeness(self.hashing.hash_one(question))
    }

    /// Whether it was quick.
    pub(crate) fn was(&self, question: Likeness) -> bool {
        self.slot(question).load(Relaxed) == question.0
    }

    /// Remembers how long it took.
    pub(crate) fn note(&self, question: Likeness, took: Duration) {
        let is_quick = took <= QUICK;
        if is_quick != self.was(question) {
            self.slot(question).store(if is_quick { question.0 } else { 0 }, Relaxed);
        }
    }

    fn slot(&self, question: Likeness) -> &AtomicU64 {
        &self.slots[question.0 as usize % SLOTS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_time_counts() {
        let quick = Quick::default();
        let question = quick.likeness(&"up");
        assert!(!quick.was(question), "nobody asked it yet");
        for (took, is_quick) in [(QUICK, true), (QUICK * 2, false), (QUICK / 2, true)] {
            quick.note(question, took);
            assert_eq!(quick.was(question), is_quick);
        }
        quick.note(quick.likeness(&"down"), QUICK * 2);
        assert!(quick.was(question), "what is slow takes nobody's place");
    }
}
