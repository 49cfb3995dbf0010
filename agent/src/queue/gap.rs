//! What had to be dropped: from when to when, why, and how much. Open gaps gather in memory until they are written.

use std::collections::BTreeMap;

use sonde_model::Signal;

use super::Source;

/// Why data points or spans were dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The queue holds as much as it may.
    QueueFull,
    /// The batch is larger than the queue takes.
    TooLarge,
    /// The disk has less free space than the queue must leave.
    DiskSpace,
    /// The disk failed.
    DiskError,
    /// The collector refused the batch for good.
    Refused,
    /// The collector knows the number of the batch with other content: another agent has the same id.
    Conflict,
}

impl DropReason {
    /// All reasons.
    pub const ALL: [DropReason; 6] = [
        DropReason::QueueFull,
        DropReason::TooLarge,
        DropReason::DiskSpace,
        DropReason::DiskError,
        DropReason::Refused,
        DropReason::Conflict,
    ];

    /// The reason as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            DropReason::QueueFull => "queue_full",
            DropReason::TooLarge => "too_large",
            DropReason::DiskSpace => "disk_space",
            DropReason::DiskError => "disk_error",
            DropReason::Refused => "refused",
            DropReason::Conflict => "conflict",
        }
    }
}

/// Data points or spans of one source that were dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What they were.
    pub signal: Signal,
    /// Where they came from.
    pub source: Source,
    /// Why they were dropped.
    pub reason: DropReason,
    /// The time of the first batch that was dropped, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// The time of the last.
    pub to_ms: i64,
    /// How many batches.
    pub batches: u64,
    /// How many data points or spans.
    pub items: u64,
}

/// The gaps that are not written yet: at most one for each source and reason.
#[derive(Debug, Default)]
pub(super) struct OpenGaps(BTreeMap<(Source, DropReason), Gap>);

impl OpenGaps {
    /// Adds a gap to the one that is open for its source and reason.
    pub(super) fn add(&mut self, gap: Gap) {
        let open = self.0.entry((gap.source, gap.reason)).or_insert(Gap { batches: 0, items: 0, ..gap });
        open.from_ms = open.from_ms.min(gap.from_ms);
        open.to_ms = open.to_ms.max(gap.to_ms);
        open.batches = open.batches.saturating_add(gap.batches);
        open.items = open.items.saturating_add(gap.items);
    }

    /// Takes all of them out.
    pub(super) fn take(&mut self) -> Vec<Gap> {
        std::mem::take(&mut self.0).into_values().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_of_one_cause_become_one() {
        let gap = |from_ms, to_ms, items| Gap {
            signal: Signal::Metrics,
            source: Source::Host,
            reason: DropReason::QueueFull,
            from_ms,
            to_ms,
            batches: 1,
            items,
        };
        let mut gaps = OpenGaps::default();
        gaps.add(gap(10, 10, 5));
        gaps.add(gap(30, 30, 7));
        gaps.add(gap(20, 20, 1));
        gaps.add(Gap { reason: DropReason::DiskError, ..gap(40, 40, 2) });
        let taken = gaps.take();
        assert_eq!(taken[0], Gap { batches: 3, ..gap(10, 30, 13) });
        assert_eq!((taken.len(), gaps.is_empty()), (2, true));
    }
}
