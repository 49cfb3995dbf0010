//! Since when and from which time on the samples have changed: whoever keeps what it read asks what of it still holds.

use std::collections::VecDeque;

use sonde_model::TimestampMs;

use crate::db::Db;

/// Changes whose times are at most so far apart may be told as one. What is kept is older than that anyway.
const MERGED_MS: i64 = 15_000;
/// Changes that are told apart. Samples that come in the order of time need one in [`MERGED_MS`].
const MAX_TOLD_APART: usize = 4_096;

/// How far a store had changed at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

impl Db {
    /// How far the store has changed by now. What is read from here on holds at least that.
    pub fn mark(&self) -> Mark {
        self.shared.data.read().changes.mark()
    }

    /// The earliest time from which on samples may have changed since `mark`: were appended, replaced, deleted or dropped.
    /// Earlier ones are as they were. It may name an earlier time than it was, never a later one.
    pub fn changed_since(&self, mark: Mark) -> Option<TimestampMs> {
        self.shared.data.read().changes.since(mark)
    }
}

/// The changes of a store: numbered, with the earliest time that each touched.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    count: u64,
    /// Numbers and times grow: a change that was followed by one of an earlier time says nothing more.
    told: VecDeque<(u64, TimestampMs)>,
}

impl Changes {
    /// Takes down a change of samples at `earliest` or later.
    pub(crate) fn note(&mut self, earliest: TimestampMs) {
        self.count += 1;
        while self.told.back().is_some_and(|(_, time)| *time >= earliest) {
            self.told.pop_back();
        }
        match self.told.back_mut() {
            Some((number, time)) if earliest.saturating_sub(*time) < MERGED_MS => *number = self.count,
            _ => self.told.push_back((self.count, earliest)),
        }
        if self.told.len() > MAX_TOLD_APART
            && let Some((_, earliest)) = self.told.pop_front()
            && let Some((_, time)) = self.told.front_mut()
        {
            *time = earliest;
        }
    }

    fn mark(&self) -> Mark {
        Mark(self.count)
    }

    fn since(&self, mark: Mark) -> Option<TimestampMs> {
        let first = self.told.partition_point(|(number, _)| *number <= mark.0);
        self.told.get(first).map(|(_, time)| *time)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_change_is_told_too_late(times in prop::collection::vec(-100_000i64..400_000, 0..200), at in any::<prop::sample::Index>()) {
            let mut changes = Changes::default();
            let mut marks = vec![changes.mark()];
            for time in &times {
                changes.note(*time);
                marks.push(changes.mark());
                prop_assert_eq!(changes.since(changes.mark()), None);
            }
            let at = at.index(marks.len());
            let earliest = times[at..].iter().min().copied();
            let told = changes.since(marks[at]);
            prop_assert_eq!(told.is_some(), earliest.is_some());
            if let (Some(told), Some(earliest)) = (told, earliest) {
                prop_assert!(told <= earliest && told > earliest - MERGED_MS, "{} for {}", told, earliest);
            }
        }
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut changes = Changes::default();
        changes.note(7);
        let mark = changes.mark();
        (0..20_000).for_each(|i| changes.note(i * 20_000));
        assert!(changes.told.len() <= MAX_TOLD_APART);
        // Long ago is told as longer ago than it was.
        assert_eq!(changes.since(mark), Some(0));
        changes.note(TimestampMs::MIN);
        assert_eq!((changes.since(mark), changes.told.len()), (Some(TimestampMs::MIN), 1));
    }
}
