//! How many samples a query holds, and that it does not hold more than it may.

use crate::error::QueryError;

/// The samples that a query holds: those read and those of intermediate results.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    held: usize,
    peak: usize,
}

impl Budget {
    /// A budget of `limit` samples.
    pub(crate) fn new(limit: usize) -> Self {
        Budget { limit, held: 0, peak: 0 }
    }

    /// What is held now.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// The most that was held at one time.
    pub(crate) fn peak(&self) -> usize {
        self.peak
    }

    /// How much more may be held.
    pub(crate) fn left(&self) -> usize {
        self.limit.saturating_sub(self.held)
    }

    /// Takes `samples` more.
    pub(crate) fn acquire(&mut self, samples: usize) -> Result<(), QueryError> {
        self.held = self.held.saturating_add(samples);
        self.peak = self.peak.max(self.held);
        if self.held > self.limit {
            return Err(QueryError::TooManySamples { limit: self.limit });
        }
        Ok(())
    }

    /// Replaces all that was taken since `held` by `samples`: the operands are gone, the result is left.
    pub(crate) fn settle(&mut self, held: usize, samples: usize) -> Result<(), QueryError> {
        self.held = held;
        self.acquire(samples)
    }
}
