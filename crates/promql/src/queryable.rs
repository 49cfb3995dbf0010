//! The trait through which queries read series, owned by the language and implemented by stores.
//!
//! A selection first says which series there are and hands their samples out one series at a time, so that a query
//! need not hold the samples of all of them, and may read on several threads.

use sonde_model::{Labels, Matcher, Series, TimestampMs};
use thiserror::Error;

use crate::engine::{Grid, GridAnswer};
use crate::error::QueryError;

/// Where series come from: the embedded store, a fixture of a test, a distributed engine.
pub trait Queryable: Send + Sync {
    /// All series for which every matcher holds and that may have samples of `from..=to`, sorted by labels.
    ///
    /// Stale markers are included. A series without samples in the range may be left out or be given empty.
    fn select<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError>;

    /// Where the samples of a series are rarer than they were when they came, at most [`MAX_THINNED`] of them: instant
    /// selectors look further back there.
    fn thinned(&self) -> &[Thinned] {
        &[]
    }

    /// The same for whom the newest sample of each series counts only: a source may leave out those before it.
    fn select_newest<'a>(
        &'a self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Box<dyn Selection + 'a>, SelectError> {
        self.select(matchers, from, to, limits)
    }

    /// The answer to an aggregation over a selector or over a range function of one, from a source that evaluates it itself,
    /// near the samples. `None` leaves it to the engine, which comes to the same.
    fn eval_grid(&self, grid: &Grid<'_>) -> Option<Result<GridAnswer, QueryError>> {
        let _ = grid;
        None
    }
}

/// How many ranges of thinned samples a source may name.
pub const MAX_THINNED: usize = 4;

/// Samples of which only some were kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thinned {
    /// Those before this time.
    pub before: TimestampMs,
    /// At least one was kept of each such span of time in which there were any, in milliseconds.
    pub step_ms: i64,
}

/// Series that were selected. What a selection gives does not change while it is there, whatever is written meanwhile.
pub trait Selection: Send + Sync {
    /// How many series there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels of the series number `index`; they grow with it.
    fn labels(&self, index: usize) -> &Labels;

    /// Puts the samples of the series number `index` that are in the range of the selection in the place of those in
    /// `series`, whose labels are left alone. Threads may read at the same time, each into a series of its own.
    fn read(&self, index: usize, series: &mut Series) -> Result<(), SelectError>;
}

/// Series that are in memory, with the samples of the range.
impl Selection for Vec<Series> {
    fn len(&self) -> usize {
        self.as_slice().len()
    }

    fn labels(&self, index: usize) -> &Labels {
        &self[index].labels
    }

    fn read(&self, index: usize, series: &mut Series) -> Result<(), SelectError> {
        series.floats.clone_from(&self[index].floats);
        series.histograms.clone_from(&self[index].histograms);
        Ok(())
    }
}

/// How much one selection may yield. A source stops with an error before it allocates more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectLimits {
    /// The most series.
    pub max_series: usize,
    /// The most samples that the source holds for a selection. What it only reads when it is asked to is not among them.
    pub max_samples: usize,
}

impl SelectLimits {
    /// No limit but memory.
    pub const UNLIMITED: SelectLimits = SelectLimits { max_series: usize::MAX, max_samples: usize::MAX };
}

/// Why a source gave no series.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SelectError {
    /// More series match than the limit allows.
    #[error("the selector matches more than {limit} series: make its matchers narrower")]
    TooManySeries {
        /// [`SelectLimits::max_series`].
        limit: usize,
    },
    /// The series hold more samples than the limit allows.
    #[error("the selector matches more than {limit} samples: make its matchers or its range of time narrower")]
    TooManySamples {
        /// [`SelectLimits::max_samples`].
        limit: usize,
    },
    /// The time that the source was given is over.
    #[error("the time for reading series is over")]
    Expired,
    /// The source failed; its own words.
    #[error("{0}")]
    Storage(String),
}
