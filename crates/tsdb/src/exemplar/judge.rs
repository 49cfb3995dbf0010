//! Decides about the exemplars of a batch. What is refused is counted and never fails the batch.

use std::sync::atomic::Ordering::Relaxed;

use sonde_model::{Exemplar, Labels, TimestampMs};

use super::store::Exemplars;
use super::{Accepted, BatchExemplar};
use crate::batch::Source;
use crate::db::Db;
use crate::judge::{Judge, Rules};
use crate::record::BatchWriter;
use crate::{Options, SeriesRef, Stats};

/// Why an exemplar was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExemplarRejectReason {
    /// The store keeps no exemplars.
    Disabled,
    /// Names and values of its labels have more than 128 characters together.
    LabelsTooLong,
    /// Older than the retention.
    TooLate,
    /// Further ahead of the clock than is allowed.
    TooFarAhead,
    /// Older than the newest exemplar of its series by more than the lateness window.
    OutOfOrder,
    /// The exemplars of the batch take more of a WAL record than they may.
    TooMany,
}

impl ExemplarRejectReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [ExemplarRejectReason; 6] = [
        ExemplarRejectReason::Disabled,
        ExemplarRejectReason::LabelsTooLong,
        ExemplarRejectReason::TooLate,
        ExemplarRejectReason::TooFarAhead,
        ExemplarRejectReason::OutOfOrder,
        ExemplarRejectReason::TooMany,
    ];

    /// The value of the `reason` label of the counter.
    pub fn as_str(self) -> &'static str {
        match self {
            ExemplarRejectReason::Disabled => "disabled",
            ExemplarRejectReason::LabelsTooLong => "labels_too_long",
            ExemplarRejectReason::TooLate => "too_late",
            ExemplarRejectReason::TooFarAhead => "too_far_ahead",
            ExemplarRejectReason::OutOfOrder => "out_of_order",
            ExemplarRejectReason::TooMany => "too_many",
        }
    }
}

/// What is to be done with one exemplar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accept,
    Duplicate,
    Reject(ExemplarRejectReason),
}

/// What was decided about the exemplars of a batch.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    pub(crate) accepted: Vec<Accepted>,
    pub(crate) duplicates: u64,
    rejected: Vec<ExemplarRejectReason>,
}

impl Judged {
    /// Counts what was decided, once the batch is taken.
    pub(crate) fn count(&self, stats: &Stats, accepted: u64) {
        stats.exemplars.fetch_add(accepted, Relaxed);
        stats.duplicate_exemplars.fetch_add(self.duplicates, Relaxed);
        self.rejected.iter().for_each(|reason| stats.reject_exemplar(*reason));
    }
}

impl Db {
    /// Judges the exemplars of a batch and writes what is accepted into its record. The series that the record then
    /// has to define are defined in it, and added to `defined`.
    pub(crate) fn judge_exemplars(
        &self,
        judge: &mut Judge,
        exemplars: Vec<BatchExemplar>,
        rules: &Rules<'_>,
        writer: &mut BatchWriter,
        defined: &mut Vec<SeriesRef>,
    ) -> Judged {
        // Samples must find room in the record, whatever exemplars come with them.
        let most_bytes = rules.options.wal_record_bytes / 2;
        let registry = self.shared.registry.read();
        let known = self.shared.exemplars.read();
        let mut judged = Judged::default();
        let mut last: Option<(SeriesRef, Labels)> = None;
        for BatchExemplar { series, exemplar } in exemplars {
            let (_, labels) = match last.take().filter(|(before, _)| *before == series) {
                Some(same) => last.insert(same),
                None => last.insert((series, registry.labels(series.slot))),
            };
            let verdict = if writer.bytes() < most_bytes {
                Verdict::of(labels, &exemplar, rules, &known)
            } else {
                Verdict::Reject(ExemplarRejectReason::TooMany)
            };
            match verdict {
                Verdict::Accept => {
                    if judge.define(series.slot) {
                        writer.define(series.slot, &registry);
                        defined.push(series);
                    }
                    writer.exemplar(series.slot, &exemplar);
                    judged.accepted.push(Accepted { series: labels.clone(), exemplar });
                }
                Verdict::Duplicate => judged.duplicates += 1,
                Verdict::Reject(reason) => judged.rejected.push(reason),
            }
        }
        judged
    }
}

impl Verdict {
    /// Judges against what is durable. One that repeats an exemplar on its way is accepted: adding it again changes
    /// nothing.
    fn of(series: &Labels, exemplar: &Exemplar, rules: &Rules<'_>, known: &Exemplars) -> Self {
        use ExemplarRejectReason::{Disabled, LabelsTooLong, OutOfOrder, TooFarAhead, TooLate};
        let Options { max_ahead_ms, lateness_ms, .. } = rules.options;
        let timestamp = exemplar.timestamp;
        let is_late = |newest: TimestampMs| timestamp < newest.saturating_sub(*lateness_ms);
        if known.is_off() {
            Verdict::Reject(Disabled)
        } else if !exemplar.fits() {
            Verdict::Reject(LabelsTooLong)
        } else if timestamp > rules.now.saturating_add(*max_ahead_ms) {
            Verdict::Reject(TooFarAhead)
        } else if timestamp < rules.retained_from {
            Verdict::Reject(TooLate)
        } else if known.contains(series, exemplar) {
            Verdict::Duplicate
        } else if rules.source != Source::AgentLink && known.newest(series).is_some_and(is_late) {
            Verdict::Reject(OutOfOrder)
        } else {
            Verdict::Accept
        }
    }
}
