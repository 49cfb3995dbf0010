//! The bounds of one read.

use std::cell::Cell;

use crate::SelectError;

/// What one `select` may touch before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectLimits {
    /// Series in the answer.
    pub max_series: usize,
    /// Samples in the answer; a histogram counts as one.
    pub max_samples: usize,
}

impl Default for SelectLimits {
    /// 1,000,000 series and 50,000,000 samples.
    fn default() -> Self {
        SelectLimits { max_series: 1_000_000, max_samples: 50_000_000 }
    }
}

/// The bounds of a selection that ends when its time is over. Limits alone have no deadline.
#[derive(Clone, Copy)]
pub struct TimedLimits<'a> {
    /// What it may touch.
    pub limits: SelectLimits,
    /// Says that the time is over. It is asked now and then while series are looked for.
    pub expired: &'a dyn Fn() -> bool,
}

impl From<&SelectLimits> for TimedLimits<'_> {
    fn from(limits: &SelectLimits) -> Self {
        TimedLimits { limits: *limits, expired: &|| false }
    }
}

impl std::fmt::Debug for TimedLimits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TimedLimits").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// The bounds of a listing of series, label names or label values. A number is a limit without a deadline.
#[derive(Clone, Copy)]
pub struct ListLimits<'a> {
    /// Items in the answer.
    pub limit: usize,
    /// Says that the time is over. It is asked now and then while the listing runs.
    pub expired: &'a dyn Fn() -> bool,
}

impl From<usize> for ListLimits<'_> {
    fn from(limit: usize) -> Self {
        ListLimits { limit, expired: &|| false }
    }
}

impl std::fmt::Debug for ListLimits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListLimits").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Asks from time to time whether there is time for more.
pub(crate) struct Patience<'a> {
    expired: &'a dyn Fn() -> bool,
    steps: Cell<u32>,
    is_over: Cell<bool>,
}

impl<'a> Patience<'a> {
    /// Steps between two looks at the clock.
    pub(crate) const STEPS: u32 = 4_096;

    /// Patience until `expired` says that the time is over.
    pub(crate) fn new(expired: &'a dyn Fn() -> bool) -> Self {
        Patience { expired, steps: Cell::new(0), is_over: Cell::new(false) }
    }

    /// Something was looked at. From the moment that the time is over this says so for ever.
    pub(crate) fn is_over(&self) -> bool {
        let steps = self.steps.get().wrapping_add(1);
        self.steps.set(steps);
        if steps.is_multiple_of(Self::STEPS) && (self.expired)() {
            self.is_over.set(true);
        }
        self.is_over.get()
    }

    /// The same as an error.
    pub(crate) fn step(&self) -> Result<(), SelectError> {
        if self.is_over() { Err(SelectError::Expired) } else { Ok(()) }
    }

    /// An error where the time was over before.
    pub(crate) fn check(&self) -> Result<(), SelectError> {
        if self.is_over.get() { Err(SelectError::Expired) } else { Ok(()) }
    }
}

impl Patience<'static> {
    /// Patience without end.
    pub(crate) fn endless() -> Self {
        Patience::new(&|| false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_ends_once() {
        let asked = Cell::new(0);
        let expired = || {
            asked.set(asked.get() + 1);
            asked.get() == 2
        };
        let patience = Patience::new(&expired);
        let steps = (0..4 * Patience::STEPS).take_while(|_| patience.step().is_ok()).count();
        assert_eq!(steps as u32, 2 * Patience::STEPS - 1);
        assert!(patience.is_over() && matches!(patience.check(), Err(SelectError::Expired)));
        let endless = Patience::endless();
        assert!((0..3 * Patience::STEPS).all(|_| !endless.is_over()) && endless.check().is_ok());
    }
}
