//! One translated sample, and what takes it.

use sonde_model::{Exemplar, Histogram, TimestampMs};

use crate::report::MetricKind;

/// Takes what a translation yields.
///
/// The same series come every few seconds, byte for byte. A sink that hashes the bytes is first asked whether it knows
/// the series by them, and only where it does not are names and labels worked out. A closure is a sink that knows
/// nothing.
pub trait Sink {
    /// A hash of `bytes`, which are a `piece` of the request, with 128 good bits that a sender cannot foresee. `None`
    /// where nothing is to be known by its bytes.
    fn hash(&mut self, _piece: Piece, _bytes: &[u8]) -> Option<u128> {
        None
    }

    /// A resource begins. Its samples may be taken before it is known whether all of them are of known series, so that
    /// they are looked up together.
    fn hold(&mut self) {}

    /// The resource ends. `false` says that something of it is not known: nothing was taken of it, but for what was
    /// described, and it comes again with nothing held.
    fn settle(&mut self) -> bool {
        true
    }

    /// Takes a sample of a series that is known by its key. Where it is not known the value is given back, and the
    /// sample comes again as a row.
    fn take(&mut self, _key: SeriesKey, _times: Times, value: RowValue) -> Option<RowValue> {
        Some(value)
    }

    /// Takes a sample with its labels.
    fn row(&mut self, row: Row<'_>);

    /// Takes an exemplar of the sample that was taken last. Of a histogram each bucket has those that lie in it.
    fn exemplar(&mut self, _exemplar: Exemplar) {}

    /// Takes what the request says about a metric; called once a family and request.
    fn describe(&mut self, _metric: MetricMetadata<'_>) {}
}

impl<F: FnMut(Row<'_>)> Sink for F {
    fn row(&mut self, row: Row<'_>) {
        self(row);
    }
}

/// What some bytes of a request are. The same bytes as two pieces must have two hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The resource of a `target_info`.
    TargetInfo,
    /// A resource.
    Resource,
    /// An instrumentation scope.
    Scope,
    /// A metric without its points, and the hashes of resource and scope.
    Metric,
    /// The attributes of a point.
    Attributes,
    /// The bounds of a histogram, the quantiles of a summary.
    Bounds,
}

/// Stands for a series by the bytes of the sender: one series may have several keys, a key has one series, as long as
/// the options are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SeriesKey(pub u128);

/// The times of a sample, in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it was measured.
    pub timestamp: TimestampMs,
    /// Since when what it counts is counted; 0 where the sender does not say, or where nothing is counted.
    pub start: TimestampMs,
}

/// A sample with its labels. The text is borrowed from the request or from scratch memory.
#[derive(Debug)]
pub struct Row<'a> {
    /// What the sink would know the series by from now on; `None` where it cannot be known by its bytes.
    pub key: Option<SeriesKey>,
    /// Sorted by name, unique, without empty values, `__name__` included.
    pub labels: &'a [(&'a str, &'a str)],
    /// When it was measured, and since when it counts.
    pub times: Times,
    /// The value.
    pub value: RowValue,
}

/// The value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum RowValue {
    /// A gauge, or a cumulative value.
    Float(f64),
    /// What was added since the last point of the series.
    FloatDelta(f64),
    /// A native histogram: cumulative, or a gauge by its hint.
    Histogram(Box<Histogram>),
    /// The observations since the last point of the series.
    HistogramDelta(Box<Histogram>),
}

/// What the request says about a metric, under its translated name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricMetadata<'a> {
    /// The name of the family: of a histogram without `_bucket`.
    pub family: &'a str,
    /// The type.
    pub kind: MetricKind,
    /// The description.
    pub help: &'a str,
    /// The unit as Prometheus spells it.
    pub unit: &'a str,
}
