//! Why a query has no answer, and how its caller stops it.

use thiserror::Error;

use crate::queryable::SelectError;

/// Why a query has no answer.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    /// The data or the arguments do not allow an answer.
    #[error("{0}")]
    Execution(String),
    /// Its time is over.
    #[error("query timed out in expression evaluation")]
    Timeout,
    /// Its caller does not want the answer any more.
    #[error("query was canceled in expression evaluation")]
    Canceled,
    /// It would hold more samples at one time than the limit allows.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples {
        /// The limit.
        limit: usize,
    },
    /// It would take more memory at one time than the limit allows.
    #[error("query processing would take more memory than it may: {needed} bytes, the limit is {limit} bytes")]
    TooManyBytes {
        /// What it would take.
        needed: usize,
        /// The limit.
        limit: usize,
    },
    /// All queries together would hold more samples at one time than they may.
    #[error(
        "too many samples are in memory for queries: {held} of {limit} that all of them may hold at one time; ask again \
         later, or for less"
    )]
    Overloaded {
        /// What they hold.
        held: usize,
        /// What they may hold.
        limit: usize,
    },
    /// The source of the series failed.
    #[error("expanding series: {0}")]
    Storage(SelectError),
    /// The expression is valid and this part of the language is not evaluated yet.
    #[error("{0} is not implemented yet")]
    NotImplemented(String),
}

impl QueryError {
    /// An [`QueryError::Execution`] with this text.
    pub fn execution(text: impl Into<String>) -> Self {
        QueryError::Execution(text.into())
    }
}

/// Why a query has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Its time is over.
    Timeout,
    /// Its caller is gone or the program stops.
    Canceled,
}

impl From<Interrupt> for QueryError {
    fn from(interrupt: Interrupt) -> Self {
        match interrupt {
            Interrupt::Timeout => QueryError::Timeout,
            Interrupt::Canceled => QueryError::Canceled,
        }
    }
}

/// How a caller stops a query: asked once per series and per node of the expression.
#[derive(Clone, Copy)]
pub struct Control<'a> {
    /// Says whether the query has to stop, and why. The clock is the caller's; threads that help ask, too.
    pub expired: &'a (dyn Fn() -> Option<Interrupt> + Sync),
}

impl Control<'static> {
    /// A query that is never stopped.
    pub fn unlimited() -> Self {
        Control { expired: &|| None }
    }
}

impl Control<'_> {
    /// An error where the query has to stop.
    pub fn check(&self) -> Result<(), QueryError> {
        match (self.expired)() {
            Some(interrupt) => Err(interrupt.into()),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").finish_non_exhaustive()
    }
}
