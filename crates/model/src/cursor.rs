//! Which batches of a stream have been taken: the memory that makes delivery exactly-once.
//!
//! A cursor belongs to one (agent, epoch, signal). It is a contiguous mark, what came ahead of it and a checksum per
//! remembered batch. The store writes each change in the same WAL record as the data of the batch.

use std::collections::BTreeMap;

/// How many numbers behind the newest one the contiguous mark may stay: what is further behind counts as settled. An
/// agent sends a handful of batches at once.
pub const SETTLED_BEHIND: u64 = 4096;
/// How many checksums below the mark are kept, to tell a retry from another batch under the same number: some 40 minutes
/// of an agent that sends every ten seconds. Each checkpoint of a store repeats them, five bytes each.
pub const REMEMBERED: u64 = 256;

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorVerdict {
    /// It is new: store it and record it.
    New,
    /// It was taken before: answer with success and store nothing.
    Duplicate,
    /// Its number was taken by a batch of other content: two senders share an id, or one is broken. Refuse it.
    Conflict,
}

/// The batches of one stream that have been taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// All numbers up to this one were taken; numbers start at 1.
    mark: u64,
    /// Checksums of numbers above the mark (all of those taken) and of the last ones below it.
    checksums: BTreeMap<u64, u32>,
}

impl Cursor {
    /// Builds a cursor again from what `mark` and `checksums` gave.
    pub fn restore(mark: u64, checksums: impl IntoIterator<Item = (u64, u32)>) -> Self {
        Cursor { mark, checksums: checksums.into_iter().collect() }
    }

    /// All numbers up to this one were taken.
    pub fn mark(&self) -> u64 {
        self.mark
    }

    /// The remembered checksums in the order of the numbers.
    pub fn checksums(&self) -> impl Iterator<Item = (u64, u32)> + '_ {
        self.checksums.iter().map(|(seq, sum)| (*seq, *sum))
    }

    /// How many checksums are remembered.
    pub fn remembered(&self) -> usize {
        self.checksums.len()
    }

    /// What is to be done with batch `seq` whose body has this checksum. Changes nothing.
    pub fn judge(&self, seq: u64, checksum: u32) -> CursorVerdict {
        match self.checksums.get(&seq) {
            Some(known) if *known == checksum => CursorVerdict::Duplicate,
            Some(_) => CursorVerdict::Conflict,
            None if seq <= self.mark => CursorVerdict::Duplicate,
            None => CursorVerdict::New,
        }
    }

    /// Records batch `seq` as taken.
    pub fn record(&mut self, seq: u64, checksum: u32) {
        self.checksums.insert(seq, checksum);
        // What is so far behind will not come any more: it was lost here, or was taken by a store that is no more. The
        // mark must not wait for it for ever.
        self.mark = self.mark.max(seq.saturating_sub(SETTLED_BEHIND));
        while self.checksums.contains_key(&(self.mark + 1)) {
            self.mark += 1;
        }
        let oldest = self.mark.saturating_sub(REMEMBERED);
        self.checksums = self.checksums.split_off(&(oldest + 1));
    }

    /// Takes a batch back that could not be made durable. Its number is free again.
    pub fn forget(&mut self, seq: u64) {
        self.checksums.remove(&seq);
        self.mark = self.mark.min(seq.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_taken_once() {
        let mut cursor = Cursor::default();
        for (seq, sum, verdict) in [
            (1, 10, CursorVerdict::New),
            (1, 10, CursorVerdict::Duplicate),
            (1, 11, CursorVerdict::Conflict),
            (3, 30, CursorVerdict::New),
            (3, 30, CursorVerdict::Duplicate),
            (2, 20, CursorVerdict::New),
        ] {
            assert_eq!(cursor.judge(seq, sum), verdict, "{seq}");
            if verdict == CursorVerdict::New {
                cursor.record(seq, sum);
            }
        }
        assert_eq!(cursor.mark(), 3);
        cursor.forget(2);
        assert_eq!(
            (cursor.mark(), cursor.judge(2, 20), cursor.judge(3, 30)),
            (1, CursorVerdict::New, CursorVerdict::Duplicate)
        );
    }

    #[test]
    fn a_number_that_never_comes_does_not_hold_up_the_stream() {
        let mut cursor = Cursor::default();
        cursor.record(1, 0);
        for seq in 3..=3 * SETTLED_BEHIND {
            assert_eq!(cursor.judge(seq, 0), CursorVerdict::New, "{seq}");
            cursor.record(seq, 0);
        }
        assert_eq!((cursor.mark(), cursor.judge(2, 0)), (3 * SETTLED_BEHIND, CursorVerdict::Duplicate));
        assert!(cursor.checksums().count() as u64 <= SETTLED_BEHIND + REMEMBERED);
        // An agent may know a collector that has lost its data.
        let mut wiped = Cursor::default();
        wiped.record(1_000_000, 0);
        assert_eq!((wiped.mark(), wiped.judge(1_000_001, 0)), (1_000_000 - SETTLED_BEHIND, CursorVerdict::New));
    }

    #[test]
    fn memory_is_bounded() {
        let mut cursor = Cursor::default();
        for seq in 1..5_000 {
            cursor.record(seq, 0);
        }
        assert_eq!((cursor.mark(), cursor.checksums().count()), (4_999, REMEMBERED as usize));
        assert_eq!(cursor.judge(7, 1), CursorVerdict::Duplicate);
    }
}
