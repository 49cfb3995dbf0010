//! How many samples a query holds, and that neither it nor all queries together hold more than they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::error::QueryError;

/// A query takes from the samples of all in steps of so many; what is smaller is not counted among them.
const GRAIN: usize = 1 << 16;

/// The samples that all queries of a process may hold at one time.
#[derive(Debug)]
pub struct SamplePool {
    limit: usize,
    held: AtomicUsize,
}

/// The samples that a query holds: those read and those of intermediate results.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    held: usize,
    /// What is held beside the expression that is being evaluated.
    pinned: usize,
    peak: usize,
    pool: Arc<SamplePool>,
    /// What was taken from the pool.
    taken: usize,
}

impl SamplePool {
    /// So many samples for all.
    pub fn new(limit: usize) -> Self {
        SamplePool { limit, held: AtomicUsize::new(0) }
    }

    /// What queries hold now, small ones apart.
    pub fn held(&self) -> usize {
        self.held.load(Relaxed)
    }

    fn take(&self, samples: usize) -> Result<(), QueryError> {
        let more = |held: usize| held.checked_add(samples).filter(|held| *held <= self.limit);
        let taken = self.held.fetch_update(Relaxed, Relaxed, more);
        taken.map(drop).map_err(|held| QueryError::Overloaded { held, limit: self.limit })
    }
}

impl Budget {
    /// A budget of `limit` samples, out of those of all queries.
    pub(crate) fn new(limit: usize, pool: Arc<SamplePool>) -> Self {
        Budget { limit, held: 0, pinned: 0, peak: 0, pool, taken: 0 }
    }

    /// What is held now for the expression that is being evaluated.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// The most that was held at one time.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// How much more may be held.
    pub(crate) fn left(&self) -> usize {
        self.limit.saturating_sub(self.held).saturating_sub(self.pinned)
    }

    /// Takes `samples` more.
    pub(crate) fn acquire(&mut self, samples: usize) -> Result<(), QueryError> {
        self.change(self.held.saturating_add(samples), self.pinned)
    }

    /// Replaces all that was taken since `held` by `samples`: the operands are gone, the result is left.
    pub(crate) fn settle(&mut self, held: usize, samples: usize) -> Result<(), QueryError> {
        self.change(held.saturating_add(samples), self.pinned)
    }

    /// Takes samples that stay when the expression has its value.
    pub(crate) fn pin(&mut self, samples: usize) -> Result<(), QueryError> {
        self.change(self.held, self.pinned.saturating_add(samples))
    }

    /// Gives back samples that stayed.
    pub(crate) fn unpin(&mut self, samples: usize) {
        self.pinned -= samples;
    }

    fn change(&mut self, held: usize, pinned: usize) -> Result<(), QueryError> {
        let total = held.saturating_add(pinned);
        if total > self.limit {
            return Err(QueryError::TooManySamples { limit: self.limit });
        }
        let wanted = total / GRAIN * GRAIN;
        if wanted > self.taken {
            self.pool.take(wanted - self.taken)?;
        } else {
            self.pool.held.fetch_sub(self.taken - wanted, Relaxed);
        }
        self.taken = wanted;
        (self.held, self.pinned) = (held, pinned);
        self.peak = self.peak.max(total);
        Ok(())
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.pool.held.fetch_sub(self.taken, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_share_what_there_is() {
        let pool = Arc::new(SamplePool::new(4 * GRAIN));
        let mut a = Budget::new(3 * GRAIN, Arc::clone(&pool));
        let mut b = Budget::new(3 * GRAIN, Arc::clone(&pool));
        assert_eq!(a.acquire(3 * GRAIN + 1), Err(QueryError::TooManySamples { limit: 3 * GRAIN }));
        assert_eq!((a.acquire(3 * GRAIN), pool.held()), (Ok(()), 3 * GRAIN));
        let overloaded = QueryError::Overloaded { held: 4 * GRAIN, limit: 4 * GRAIN };
        assert_eq!((b.acquire(2 * GRAIN - 1), b.acquire(GRAIN)), (Ok(()), Err(overloaded)));
        // What was refused is not held.
        assert_eq!((b.held(), pool.held()), (2 * GRAIN - 1, 4 * GRAIN));
        assert_eq!((a.settle(0, GRAIN), b.acquire(GRAIN), pool.held()), (Ok(()), Ok(()), 3 * GRAIN));
        drop(a);
        assert_eq!((b.pin(GRAIN), b.left()), (Err(QueryError::TooManySamples { limit: 3 * GRAIN }), 1));
        drop(b);
        assert_eq!(pool.held(), 0);
    }

    #[test]
    fn what_is_pinned_stays() {
        let mut budget = Budget::new(100, Arc::new(SamplePool::new(usize::MAX)));
        assert_eq!((budget.acquire(50), budget.pin(20), budget.settle(0, 10)), (Ok(()), Ok(()), Ok(())));
        assert_eq!((budget.left(), budget.peak()), (70, 70));
        budget.unpin(20);
        assert_eq!(budget.left(), 90);
    }
}
