//! The evaluations of one group that were missed, and when that is worth a line in the log.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// So many looks in a row without a miss end a series of misses: the next one is told again.
const CALM: u32 = 10;

#[derive(Debug)]
pub(super) struct Misses {
    count: AtomicU64,
    /// Looks without a miss since the last one.
    calm: AtomicU32,
}

impl Misses {
    /// So many were missed before.
    pub(super) fn new(count: u64) -> Self {
        Misses { count: AtomicU64::new(count), calm: AtomicU32::new(CALM) }
    }

    /// How many were missed in all.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Counts what a look at the clock has found, which may be nothing. Says whether a series of misses begins with it.
    pub(super) fn add(&self, slots: u64) -> bool {
        if slots == 0 {
            // One thread looks at the clock. A group that is calm for years stays so.
            let calm = self.calm.load(Ordering::Relaxed);
            self.calm.store(calm.saturating_add(1), Ordering::Relaxed);
            return false;
        }
        self.count.fetch_add(slots, Ordering::Relaxed);
        self.calm.swap(0, Ordering::Relaxed) >= CALM
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_of_misses_is_told_once() {
        let misses = Misses::new(5);
        assert!(!misses.add(0) && misses.add(2), "the first");
        assert!(!misses.add(0) && !misses.add(1) && !misses.add(1));
        assert!((0..CALM).all(|_| !misses.add(0)));
        assert!(misses.add(1), "the first of another series");
        assert_eq!(misses.count(), 10);
    }
}
