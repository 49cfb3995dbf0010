//! What a translation did and what it could not do.

/// What came of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Data points of the request that became rows.
    pub points: u64,
    /// Data points that were left out, by reason; reasons that did not occur are not listed.
    pub rejected: Vec<(RejectReason, u64)>,
    /// Points of which attributes had to be joined because their names fall together.
    pub colliding_attributes: u64,
    /// Exemplars that came with the points.
    pub exemplars: u64,
    /// Of those the ones whose attributes were left out because they are too long.
    pub trimmed_exemplars: u64,
    /// Exemplars of points that were left out.
    pub exemplars_without_point: u64,
    /// Exemplars that were left out because they have no value.
    pub exemplars_without_value: u64,
    /// Resources whose `target_info` was left out because it has an attribute that cannot be a label, or too many.
    pub dropped_target_infos: u64,
}

/// The type of a family, as far as OTLP can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// A monotonic sum.
    Counter,
    /// A gauge, or a sum that may go down.
    Gauge,
    /// A histogram.
    Histogram,
    /// A summary.
    Summary,
    /// `target_info`.
    Info,
}

/// Why a data point was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RejectReason {
    /// The metric has no name, or none that remains after escaping.
    InvalidMetricName,
    /// An attribute has no name that remains after escaping.
    InvalidLabelName,
    /// The metric holds no data of a known kind.
    UnknownType,
    /// The temporality is neither delta nor cumulative.
    UnspecifiedTemporality,
    /// The point has no value.
    NoValue,
    /// The point has no time.
    MissingTimestamp,
    /// The point has more attributes than a series may have labels.
    TooManyLabels,
    /// Bounds and bucket counts of a histogram do not fit each other, or the bounds do not grow.
    InvalidBuckets,
    /// The scale of an exponential histogram is below -4.
    UnsupportedScale,
    /// An exponential histogram contradicts itself.
    InvalidHistogram,
}

impl RejectReason {
    /// The reason as a label value.
    pub fn as_str(self) -> &'static str {
        match self {
            RejectReason::InvalidMetricName => "invalid_metric_name",
            RejectReason::InvalidLabelName => "invalid_label_name",
            RejectReason::UnknownType => "unknown_type",
            RejectReason::UnspecifiedTemporality => "unspecified_temporality",
            RejectReason::NoValue => "no_value",
            RejectReason::MissingTimestamp => "missing_timestamp",
            RejectReason::TooManyLabels => "too_many_labels",
            RejectReason::InvalidBuckets => "invalid_buckets",
            RejectReason::UnsupportedScale => "unsupported_scale",
            RejectReason::InvalidHistogram => "invalid_histogram",
        }
    }
}

impl Report {
    /// How many points were left out.
    pub fn rejected_points(&self) -> u64 {
        self.rejected.iter().map(|(_, count)| count).sum()
    }

    pub(crate) fn reject(&mut self, reason: RejectReason, points: u64) {
        match self.rejected.iter_mut().find(|(known, _)| *known == reason) {
            _ if points == 0 => {}
            Some((_, count)) => *count += points,
            None => self.rejected.push((reason, points)),
        }
    }
}
