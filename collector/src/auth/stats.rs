//! Who was turned away, counted by reason.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use sonde_model::TimestampMs;

/// How often the log may say that callers are turned away: whoever guesses must not fill the disk.
const TELL_INTERVAL_MS: i64 = 60_000;

/// Why a request was turned away before it reached what it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It showed nothing.
    Missing,
    /// What it showed is not of a form that we know.
    Malformed,
    /// There is no such token: it never was, or it was revoked.
    Unknown,
    /// The time of the token is over.
    Expired,
    /// The role of the caller does not allow it.
    Role,
    /// The token belongs to another agent.
    Agent,
    /// A web page of elsewhere asked.
    Origin,
    /// The route has no place in the table.
    NoRoute,
    /// It is not known yet who may do what.
    Starting,
}

impl Reason {
    /// All reasons.
    pub(crate) const ALL: [Reason; 9] = [
        Reason::Missing,
        Reason::Malformed,
        Reason::Unknown,
        Reason::Expired,
        Reason::Role,
        Reason::Agent,
        Reason::Origin,
        Reason::NoRoute,
        Reason::Starting,
    ];

    /// The reason as a label value.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Reason::Missing => "missing",
            Reason::Malformed => "malformed",
            Reason::Unknown => "unknown",
            Reason::Expired => "expired",
            Reason::Role => "role",
            Reason::Agent => "agent",
            Reason::Origin => "origin",
            Reason::NoRoute => "no_route",
            Reason::Starting => "starting",
        }
    }
}

/// The counters.
#[derive(Debug)]
pub(crate) struct AuthStats {
    refused: [AtomicU64; Reason::ALL.len()],
    told_at: AtomicI64,
    told: AtomicU64,
}

impl Default for AuthStats {
    fn default() -> Self {
        AuthStats { refused: Default::default(), told_at: AtomicI64::new(i64::MIN / 2), told: AtomicU64::new(0) }
    }
}

impl AuthStats {
    /// How many requests were turned away for `reason`.
    pub(crate) fn refused(&self, reason: Reason) -> u64 {
        self.refused[reason as usize].load(Relaxed)
    }

    /// Counts a refusal. Says in how many words the log should speak of it: `Some` with the number of refusals since it last
    /// did, at most once in a minute.
    pub(super) fn count(&self, reason: Reason, now: TimestampMs) -> Option<u64> {
        self.refused[reason as usize].fetch_add(1, Relaxed);
        let told_at = self.told_at.load(Relaxed);
        // After a jump of the clock backwards the next minute counts from there.
        if now.saturating_sub(told_at).unsigned_abs() < TELL_INTERVAL_MS.unsigned_abs() {
            return None;
        }
        self.told_at.compare_exchange(told_at, now, Relaxed, Relaxed).ok()?;
        let all = Reason::ALL.into_iter().map(|reason| self.refused(reason)).sum();
        Some(all - self.told.swap(all, Relaxed).min(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_speaks_once_in_a_minute() {
        let stats = AuthStats::default();
        assert_eq!(stats.count(Reason::Unknown, 1_000), Some(1));
        for at in 0..50 {
            assert_eq!(stats.count(Reason::Missing, 1_000 + at), None);
        }
        assert_eq!(stats.count(Reason::Unknown, 61_000), Some(51));
        assert_eq!((stats.refused(Reason::Unknown), stats.refused(Reason::Missing)), (2, 50));
    }
}
