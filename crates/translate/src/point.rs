//! One data point on its way to the sink: known by its bytes, or with labels worked out.

use std::sync::Arc;

use smallvec::SmallVec;
use sonde_model::TimestampMs;
use sonde_proto::otlp::{
    AttributeView, AttributesView, ExemplarView, Messages, ResourceMetricsView, ScopeMetricsView, ViewError,
};

use crate::exemplar::PointExemplars;
use crate::labels::Scratch;
use crate::metric_name::{MetricNames, NameSource, Names, RowName};
use crate::options::Options;
use crate::report::{RejectReason, Report};
use crate::resource::FixedLabels;
use crate::row::{Piece, Row, RowValue, SeriesKey, Sink, Times};

/// The attributes of a point; up to this many live on the stack.
pub(crate) type Attributes<'a> = SmallVec<[AttributeView<'a>; 12]>;

/// The rows of a point have keys that lie this far apart: any odd number of 128 bits does.
const ROW_STEP: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// What the translation of the points of a metric needs to know and to write to.
pub(crate) struct Context<'a, 's> {
    pub(crate) options: &'s Options,
    pub(crate) names: LazyNames<'s>,
    pub(crate) scratch: &'s mut Scratch,
    pub(crate) scope: &'s mut Scope<'a>,
    pub(crate) sink: &'s mut dyn Sink,
    pub(crate) report: &'s mut Report,
    /// The hash of everything but the point.
    pub(crate) metric: Option<u128>,
    /// The earliest and the latest time of the resource's points.
    pub(crate) times: &'s mut Option<(TimestampMs, TimestampMs)>,
}

/// The names of a metric, which are looked up once a point is not known.
pub(crate) struct LazyNames<'s> {
    known: &'s mut MetricNames,
    source: NameSource<'s>,
    names: Option<Arc<Names>>,
}

/// A scope of a resource, whose labels are worked out once a point is not known.
pub(crate) struct Scope<'a> {
    resource: ResourceMetricsView<'a>,
    scope: ScopeMetricsView<'a>,
    fixed: Option<FixedLabels>,
}

/// A point without its values.
pub(crate) struct Point<'a> {
    pub(crate) time_unix_nano: u64,
    /// Since when it counts; 0 where nothing is counted or nobody says.
    pub(crate) start_time_unix_nano: u64,
    pub(crate) attributes: AttributesView<'a>,
    /// The label that rows may bear beyond the attributes, which such an attribute does not replace.
    pub(crate) extra: &'static str,
    /// What else decides which series its rows belong to.
    pub(crate) bounds: &'a [u8],
    /// Its exemplars.
    pub(crate) exemplars: Messages<'a, ExemplarView<'a>>,
}

/// A row of a point.
pub(crate) struct PointRow<'n> {
    /// Which row of its point: the same row of the same point has the same series.
    pub(crate) id: u64,
    pub(crate) name: RowName,
    pub(crate) extra: Option<&'n str>,
    pub(crate) value: RowValue,
    /// The row has the exemplars up to here that no row before it has; infinity is all that are left.
    pub(crate) exemplars_to: Option<f64>,
}

impl PointRow<'_> {
    /// The only row of a point.
    pub(crate) fn only(value: RowValue) -> Self {
        PointRow { id: 0, name: RowName::Family, extra: None, value, exemplars_to: Some(f64::INFINITY) }
    }
}

/// Why the attributes of a point cannot be labels.
pub(crate) enum AttributesError {
    /// They are not what they should be, and with them the request.
    Broken(ViewError),
    /// The point is left out.
    Rejected(RejectReason),
}

impl From<ViewError> for AttributesError {
    fn from(error: ViewError) -> Self {
        AttributesError::Broken(error)
    }
}

impl From<RejectReason> for AttributesError {
    fn from(reason: RejectReason) -> Self {
        AttributesError::Rejected(reason)
    }
}

impl<'s> LazyNames<'s> {
    pub(crate) fn new(known: &'s mut MetricNames, source: NameSource<'s>) -> Self {
        LazyNames { known, source, names: None }
    }

    /// The names; `None` where nothing remains after escaping.
    fn get(&mut self, options: &Options) -> Option<Arc<Names>> {
        if self.names.is_none() {
            self.names = self.known.get(options.strategy, self.source);
        }
        self.names.as_ref().map(Arc::clone)
    }
}

impl<'a> Scope<'a> {
    pub(crate) fn new(resource: ResourceMetricsView<'a>, scope: ScopeMetricsView<'a>) -> Self {
        Scope { resource, scope, fixed: None }
    }

    fn fixed(&mut self, options: &Options) -> Result<&FixedLabels, ViewError> {
        if self.fixed.is_none() {
            let scope = self.scope.scope()?.map(|scope| (scope, self.scope.schema_url));
            self.fixed = Some(FixedLabels::of(options, self.resource.resource()?, scope)?);
        }
        Ok(self.fixed.get_or_insert_default())
    }
}

impl Context<'_, '_> {
    /// Hands the rows of a point to the sink, or counts why it is left out.
    pub(crate) fn point<'n>(
        &mut self,
        point: &Point<'_>,
        mut rows: impl Iterator<Item = PointRow<'n>>,
    ) -> Result<(), ViewError> {
        if point.time_unix_nano == 0 {
            self.reject(RejectReason::MissingTimestamp);
            return Ok(());
        }
        let milliseconds = |nanoseconds: u64| (nanoseconds / 1_000_000).cast_signed();
        let timestamp = milliseconds(point.time_unix_nano);
        let times = Times { timestamp, start: milliseconds(point.start_time_unix_nano) };
        let mut exemplars = PointExemplars::new(point.exemplars, timestamp, self.report)?;
        let mut key = self.key(point);
        let mut unknown = None;
        while unknown.is_none() {
            let Some(row) = rows.next() else {
                self.taken(timestamp);
                return Ok(());
            };
            let value = match key {
                Some(key) => self.sink.take(row_key(key, row.id), times, row.value),
                None => Some(row.value),
            };
            match value {
                Some(value) => unknown = Some(PointRow { value, ..row }),
                None => self.give(&mut exemplars, row.exemplars_to),
            }
        }

        let Some(names) = self.names.get(self.options) else {
            self.report.exemplars_without_point += exemplars.len() as u64;
            self.reject(RejectReason::InvalidMetricName);
            return Ok(());
        };
        let attributes = match self.read(point) {
            Ok((attributes, collides)) => {
                self.report.colliding_attributes += u64::from(collides);
                // Such a point stays unknown, so that it is counted each time.
                key = key.filter(|_| !collides);
                attributes
            }
            Err(AttributesError::Rejected(reason)) => {
                self.report.exemplars_without_point += exemplars.len() as u64;
                self.reject(reason);
                return Ok(());
            }
            Err(AttributesError::Broken(error)) => return Err(error),
        };
        self.taken(timestamp);
        let fixed = self.scope.fixed(self.options)?.as_slice();
        let mut labels = self.scratch.labels(&attributes, fixed, point.extra);
        for row in unknown.into_iter().chain(rows) {
            let labels = labels.with(names.of(row.name), point.extra, row.extra);
            self.sink.row(Row { key: key.map(|key| row_key(key, row.id)), labels, times, value: row.value });
            if let Some(bound) = row.exemplars_to {
                exemplars.give(bound, self.sink);
            }
        }
        Ok(())
    }

    fn give(&mut self, exemplars: &mut PointExemplars, bound: Option<f64>) {
        if let Some(bound) = bound {
            exemplars.give(bound, self.sink);
        }
    }

    /// Leaves a point out.
    pub(crate) fn reject(&mut self, reason: RejectReason) {
        self.report.reject(reason, 1);
    }

    /// What a point is known by: everything that decides its series.
    fn key(&mut self, point: &Point<'_>) -> Option<u128> {
        let metric = self.metric?;
        let attributes = self.sink.hash(Piece::Attributes, point.attributes.bytes()?)?;
        let bounds = if point.bounds.is_empty() { 0 } else { self.sink.hash(Piece::Bounds, point.bounds)? };
        Some(metric ^ attributes ^ bounds)
    }

    /// Reads the attributes of a point into the scratch memory; says whether some had to be joined.
    fn read<'p>(&mut self, point: &Point<'p>) -> Result<(Attributes<'p>, bool), AttributesError> {
        let fixed = self.scope.fixed(self.options)?.as_slice().len();
        if point.attributes.len() > self.options.max_labels {
            return Err(RejectReason::TooManyLabels.into());
        }
        let attributes: Attributes<'p> = point.attributes.iter().collect::<Result<_, _>>()?;
        let collides = self.scratch.read(self.options, &attributes, |_| true)?;
        if attributes.len() + fixed > self.options.max_labels {
            return Err(RejectReason::TooManyLabels.into());
        }
        Ok((attributes, collides))
    }

    fn taken(&mut self, timestamp: TimestampMs) {
        let times = self.times.get_or_insert((timestamp, timestamp));
        *times = (times.0.min(timestamp), times.1.max(timestamp));
        self.report.points += 1;
    }
}

fn row_key(point: u128, row: u64) -> SeriesKey {
    SeriesKey(point.wrapping_add(ROW_STEP.wrapping_mul(u128::from(row))))
}
