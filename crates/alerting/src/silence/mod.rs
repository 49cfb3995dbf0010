//! Silences: for a span of time, alerts that match are not told to anybody. Pure in time.
//!
//! The rules are those of Alertmanager: what has been silenced stays on record, so a change that would rewrite the past ends
//! the old silence and makes a new one.

mod id;
mod index;
mod set;
#[cfg(test)]
mod tests;

use sonde_model::{MatchOp, TimestampMs};
use thiserror::Error;

pub use id::{InvalidSilenceId, SilenceId};
pub use set::{Applied, SilenceSet};

use crate::matcher::Matchers;

/// Silences that are kept at a time, those that have expired included.
pub const MAX_SILENCES: usize = 10_000;
/// The longest comment and the longest author, in bytes.
pub const MAX_WORDS_BYTES: usize = 8 << 10;
/// What the matchers of all silences may take together; most of it are compiled regular expressions.
pub const MAX_MATCHER_MEMORY_BYTES: usize = 256 << 20;
/// How long a silence is kept after its end.
pub const RETENTION_MS: i64 = 120 * 3_600_000;

/// Alerts that match are not told to anybody from `starts_at` on, before `ends_at`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// What names it.
    pub id: SilenceId,
    /// What it says.
    pub draft: Draft,
    /// When it was made or last changed.
    pub updated_at: TimestampMs,
}

/// What somebody wants silenced, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Which alerts.
    pub matchers: Matchers,
    /// From when.
    pub starts_at: TimestampMs,
    /// Until when.
    pub ends_at: TimestampMs,
    /// Who wants it.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Where a silence stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SilenceState {
    /// It silences.
    Active,
    /// It will.
    Pending,
    /// It did.
    Expired,
}

impl SilenceState {
    /// The word of the API.
    pub fn as_str(self) -> &'static str {
        match self {
            SilenceState::Active => "active",
            SilenceState::Pending => "pending",
            SilenceState::Expired => "expired",
        }
    }
}

impl Silence {
    /// Where it stands at a time.
    pub fn state(&self, now: TimestampMs) -> SilenceState {
        if now < self.draft.starts_at {
            SilenceState::Pending
        } else if now < self.draft.ends_at {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }
}

/// Why a silence is not taken, in the words of Alertmanager where it has any.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum SilenceError {
    /// There is none of this id.
    #[error("silence not found")]
    NotFound,
    /// It would silence nothing, ever.
    #[error("Failed to create silence: start time must be before end time")]
    EndsBeforeStart,
    /// It would be over before it begins.
    #[error("Failed to create silence: end time can't be in the past")]
    EndsInThePast,
    /// It says nothing about which alerts.
    #[error("invalid silence: at least one matcher required")]
    NoMatcher,
    /// It would silence everything.
    #[error("invalid silence: at least one matcher must not match the empty string")]
    MatchesEverything,
    /// There are as many as may be.
    #[error("exceeded maximum number of silences: {count} (limit: {limit})")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A text is too long.
    #[error("invalid silence: {what} has {bytes} bytes (limit: {limit})")]
    TooLong {
        /// Which.
        what: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// Regular expressions take too much memory.
    #[error(
        "the matchers of all silences would take {bytes} bytes (limit: {limit}): expire some or use fewer regular expressions"
    )]
    TooMuchMemory {
        /// How much it would be.
        bytes: usize,
        /// How much it may be.
        limit: usize,
    },
}

impl Draft {
    /// Whether it can be a silence that is made or changed at `now`.
    fn check(&self, now: TimestampMs) -> Result<(), SilenceError> {
        if self.starts_at >= self.ends_at {
            return Err(SilenceError::EndsBeforeStart);
        }
        if self.ends_at < now {
            return Err(SilenceError::EndsInThePast);
        }
        if self.matchers.is_empty() {
            return Err(SilenceError::NoMatcher);
        }
        // As in Alertmanager, a matcher that excludes something counts as one that says something.
        let says_nothing = |op| matches!(op, MatchOp::Equal | MatchOp::Regex);
        if self.matchers.iter().all(|matcher| says_nothing(matcher.op()) && matcher.matches_absent()) {
            return Err(SilenceError::MatchesEverything);
        }
        for (what, text) in [("the comment", &self.comment), ("the author", &self.created_by)] {
            if text.len() > MAX_WORDS_BYTES {
                return Err(SilenceError::TooLong { what, bytes: text.len(), limit: MAX_WORDS_BYTES });
            }
        }
        Ok(())
    }
}
