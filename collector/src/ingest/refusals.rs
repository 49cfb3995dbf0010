//! What of a request was refused, in words for its sender.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use sonde_tsdb::RejectReason;

/// Refused samples by reason, and which was the first.
#[derive(Debug)]
pub(crate) struct Refusals {
    noun: &'static str,
    counts: BTreeMap<Cow<'static, str>, u64>,
    first: Option<String>,
}

impl Default for Refusals {
    fn default() -> Self {
        Self::of("sample")
    }
}

impl Refusals {
    /// None yet, of things with this name.
    pub(super) fn of(noun: &'static str) -> Self {
        Refusals { noun, counts: BTreeMap::new(), first: None }
    }

    /// Counts refused samples. `example` is asked for the first ones only.
    pub(super) fn add(&mut self, reason: impl Into<Cow<'static, str>>, samples: u64, example: impl FnOnce() -> String) {
        if samples == 0 {
            return;
        }
        *self.counts.entry(reason.into()).or_default() += samples;
        self.first.get_or_insert_with(example);
    }

    /// How many samples were refused.
    pub(crate) fn count(&self) -> u64 {
        self.counts.values().sum()
    }
}

impl fmt::Display for Refusals {
    /// `3 samples were refused: 2 older than ..., 1 without ...; the first is up{} at 12.5`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.count() {
            1 => write!(f, "1 {} was refused:", self.noun)?,
            n => write!(f, "{n} {}s were refused:", self.noun)?,
        }
        for (i, (reason, count)) in self.counts.iter().enumerate() {
            write!(f, "{} {count} {reason}", if i > 0 { "," } else { "" })?;
        }
        match &self.first {
            Some(first) if !first.is_empty() => write!(f, "; the first is {first}"),
            _ => Ok(()),
        }
    }
}

/// Why the store refuses a sample, in words that follow a number.
pub(super) fn describe(reason: RejectReason) -> &'static str {
    match reason {
        RejectReason::TooLate => "older than storage.lateness or storage.retention allows",
        RejectReason::TooFarAhead => "further ahead of the clock than storage.max_ahead allows",
        RejectReason::OutOfOrder => "out of order (a delta at or before the last sample of its series)",
        RejectReason::DuplicateTimestamp => "with another value than the one stored for the same time",
        RejectReason::InvalidHistogram => "with a histogram that contradicts itself",
    }
}
