//! The trait through which queries read series, owned by the language and implemented by stores.

use sonde_model::{Matcher, Series, TimestampMs};
use thiserror::Error;

/// Where series come from: the embedded store, a fixture of a test, a distributed engine.
pub trait Queryable: Send + Sync {
    /// All series for which every matcher holds, with their samples of `from..=to`, sorted by labels.
    ///
    /// Stale markers are included. A series without samples in the range may be left out or be given empty.
    fn select(
        &self,
        matchers: &[Matcher],
        from: TimestampMs,
        to: TimestampMs,
        limits: &SelectLimits,
    ) -> Result<Vec<Series>, SelectError>;
}

/// How much one selection may yield. A source stops with an error before it allocates more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelectLimits {
    /// The most series.
    pub max_series: usize,
    /// The most samples, over all series.
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
    /// The source failed; its own words.
    #[error("{0}")]
    Storage(String),
}
