//! What a query holds, and that neither it nor all queries together hold more than they may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crate::error::QueryError;
use crate::weight::Weight;

/// A query takes from the samples of all in steps of so many; what is smaller is not counted among them.
const GRAIN: usize = 1 << 16;

/// The samples that all queries of a process may hold at one time.
#[derive(Debug)]
pub struct SamplePool {
    limit: usize,
    held: AtomicUsize,
}

/// What a query holds: samples that were read and those of intermediate results, and the memory of both.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: Weight,
    held: Weight,
    /// What is held beside the expression that is being evaluated.
    pinned: Weight,
    /// The most samples that were held.
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
    /// A budget of at most `limit`, its samples out of those of all queries.
    pub(crate) fn new(limit: Weight, pool: Arc<SamplePool>) -> Self {
        let (held, pinned) = (Weight::default(), Weight::default());
        Budget { limit, held, pinned, peak: 0, pool, taken: 0 }
    }

    /// What is held now for the expression that is being evaluated.
    pub(crate) fn held(&self) -> Weight {
        self.held
    }

    /// The most samples that were held at one time.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// The most that may be held.
    pub(crate) fn limit(&self) -> Weight {
        self.limit
    }

    /// How much more may be held.
    pub(crate) fn left(&self) -> Weight {
        let held = self.held + self.pinned;
        Weight { samples: self.samples_left(), bytes: self.limit.bytes.saturating_sub(held.bytes) }
    }

    /// How many samples more may be held.
    pub(crate) fn samples_left(&self) -> usize {
        self.limit.samples.saturating_sub(self.held.samples).saturating_sub(self.pinned.samples)
    }

    /// Takes `weight` more.
    pub(crate) fn acquire(&mut self, weight: Weight) -> Result<(), QueryError> {
        self.change(self.held + weight, self.pinned)
    }

    /// Replaces all that was taken since `held` by `weight`: the operands are gone, the result is left.
    pub(crate) fn settle(&mut self, held: Weight, weight: Weight) -> Result<(), QueryError> {
        self.change(held + weight, self.pinned)
    }

    /// Takes what stays when the expression has its value.
    pub(crate) fn pin(&mut self, weight: Weight) -> Result<(), QueryError> {
        self.change(self.held, self.pinned + weight)
    }

    /// Gives back what stayed.
    pub(crate) fn unpin(&mut self, weight: Weight) {
        self.pinned.samples -= weight.samples;
        self.pinned.bytes -= weight.bytes;
    }

    fn change(&mut self, held: Weight, pinned: Weight) -> Result<(), QueryError> {
        let total = held + pinned;
        if total.samples > self.limit.samples {
            return Err(QueryError::TooManySamples { limit: self.limit.samples });
        }
        if total.bytes > self.limit.bytes {
            return Err(QueryError::TooManyBytes { needed: total.bytes, limit: self.limit.bytes });
        }
        let wanted = total.samples / GRAIN * GRAIN;
        if wanted > self.taken {
            self.pool.take(wanted - self.taken)?;
        } else {
            self.pool.held.fetch_sub(self.taken - wanted, Relaxed);
        }
        self.taken = wanted;
        (self.held, self.pinned) = (held, pinned);
        self.peak = self.peak.max(total.samples);
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

    fn samples(samples: usize) -> Weight {
        Weight { samples, bytes: 0 }
    }

    fn limit(samples: usize) -> Weight {
        Weight { samples, bytes: usize::MAX }
    }

    #[test]
    fn queries_share_what_there_is() {
        let pool = Arc::new(SamplePool::new(4 * GRAIN));
        let mut a = Budget::new(limit(3 * GRAIN), Arc::clone(&pool));
        let mut b = Budget::new(limit(3 * GRAIN), Arc::clone(&pool));
        let too_many = Err(QueryError::TooManySamples { limit: 3 * GRAIN });
        assert_eq!(a.acquire(samples(3 * GRAIN + 1)), too_many);
        assert_eq!((a.acquire(samples(3 * GRAIN)), pool.held()), (Ok(()), 3 * GRAIN));
        let overloaded = QueryError::Overloaded { held: 4 * GRAIN, limit: 4 * GRAIN };
        assert_eq!((b.acquire(samples(2 * GRAIN - 1)), b.acquire(samples(GRAIN))), (Ok(()), Err(overloaded)));
        // What was refused is not held.
        assert_eq!((b.held(), pool.held()), (samples(2 * GRAIN - 1), 4 * GRAIN));
        let settled = a.settle(Weight::default(), samples(GRAIN));
        assert_eq!((settled, b.acquire(samples(GRAIN)), pool.held()), (Ok(()), Ok(()), 3 * GRAIN));
        drop(a);
        assert_eq!((b.pin(samples(GRAIN)), b.samples_left()), (too_many, 1));
        drop(b);
        assert_eq!(pool.held(), 0);
    }

    #[test]
    fn what_is_pinned_stays() {
        let mut budget = Budget::new(limit(100), Arc::new(SamplePool::new(usize::MAX)));
        let taken = (budget.acquire(samples(50)), budget.pin(samples(20)));
        assert_eq!((taken, budget.settle(Weight::default(), samples(10))), ((Ok(()), Ok(())), Ok(())));
        assert_eq!((budget.samples_left(), budget.peak()), (70, 70));
        budget.unpin(samples(20));
        assert_eq!(budget.samples_left(), 90);
    }

    #[test]
    fn memory_has_a_limit_of_its_own() {
        let limit = Weight { samples: 100, bytes: 1_000 };
        let mut budget = Budget::new(limit, Arc::new(SamplePool::new(usize::MAX)));
        assert_eq!(
            (budget.acquire(Weight::floats(40)), budget.pin(Weight { samples: 0, bytes: 300 })),
            (Ok(()), Ok(()))
        );
        let too_many = QueryError::TooManyBytes { needed: 1_020, limit: 1_000 };
        assert_eq!(budget.acquire(Weight::floats(5)), Err(too_many));
        assert_eq!(budget.held(), Weight::floats(40));
    }
}
