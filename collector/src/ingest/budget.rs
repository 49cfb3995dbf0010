//! How many bytes of requests are worked on at once. Memory is reserved before it is allocated.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes are counted in units, so that a semaphore's 32 bits reach far enough.
const UNIT: usize = 1 << 10;

/// A number of bytes that all requests share.
#[derive(Debug)]
pub(crate) struct Budget {
    units: Arc<Semaphore>,
    capacity: usize,
    refused: AtomicU64,
}

/// A part of the budget, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation(OwnedSemaphorePermit);

impl Reservation {
    /// Gives back what is over `bytes`.
    pub(crate) fn shrink_to(mut self, bytes: usize) -> Self {
        let surplus = self.0.num_permits().saturating_sub(bytes.div_ceil(UNIT));
        drop(self.0.split(surplus));
        self
    }
}

impl Budget {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        let capacity = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Budget { units: Arc::new(Semaphore::new(capacity)), capacity, refused: AtomicU64::new(0) }
    }

    /// Takes `bytes` out of the budget, or nothing where too little is left.
    pub(crate) fn reserve(&self, bytes: usize) -> Option<Reservation> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.units).try_acquire_many_owned(units).ok();
        if permit.is_none() {
            self.refused.fetch_add(1, Relaxed);
        }
        permit.map(Reservation)
    }

    /// Whether so many bytes would fit if nothing else were there: who needs more need not come again.
    pub(crate) fn could_hold(&self, bytes: usize) -> bool {
        bytes.div_ceil(UNIT) <= self.capacity
    }

    /// The bytes that are taken.
    pub(crate) fn used(&self) -> usize {
        (self.capacity - self.units.available_permits()) * UNIT
    }

    /// How often there was too little left.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reserved_is_given_back() {
        let budget = Budget::new(10 * UNIT);
        let first = budget.reserve(9 * UNIT + 1).expect("it is empty");
        assert_eq!((budget.used(), budget.refused()), (10 * UNIT, 0));
        assert!(budget.reserve(1).is_none());
        drop(first);
        assert_eq!((budget.used(), budget.refused()), (0, 1));
        assert!(budget.reserve(usize::MAX).is_none());
        let rest = budget.reserve(10 * UNIT).expect("it is empty").shrink_to(3 * UNIT - 1);
        assert_eq!(budget.used(), 3 * UNIT);
        let rest = rest.shrink_to(usize::MAX);
        assert_eq!(budget.used(), 3 * UNIT);
        drop(rest);
        assert_eq!(budget.used(), 0);
    }
}
