//! Gauges and sums: one row a point.

use sonde_model::stale_nan;
use sonde_proto::otlp::{Messages, NumberPointView, NumberView, ViewError};

use crate::point::{Context, Point, PointRow};
use crate::report::RejectReason;
use crate::row::RowValue;
use crate::translator::Temporality;

/// The flag of a point that says: the series has ended.
pub(crate) const NO_RECORDED_VALUE: u32 = 1;

pub(crate) fn translate(
    points: Messages<'_, NumberPointView<'_>>,
    temporality: Temporality,
    counts: bool,
    context: &mut Context<'_, '_>,
) -> Result<(), ViewError> {
    for point in points {
        let point = point?;
        let value = match point.value {
            _ if point.flags & NO_RECORDED_VALUE != 0 => RowValue::Float(stale_nan()),
            Some(NumberView::Double(value)) => float(temporality, value),
            Some(NumberView::Int(value)) => float(temporality, value as f64),
            None => {
                context.reject(RejectReason::NoValue);
                continue;
            }
        };
        let (time_unix_nano, attributes, exemplars) = (point.time_unix_nano, point.attributes, point.exemplars());
        // A gauge counts nothing, and a sum of deltas is older than its last one.
        let counts = counts && temporality == Temporality::Cumulative;
        let start_time_unix_nano = if counts { point.start_time_unix_nano } else { 0 };
        let point = Point { time_unix_nano, start_time_unix_nano, attributes, extra: "", bounds: &[], exemplars };
        context.point(&point, std::iter::once(PointRow::only(value)))?;
    }
    Ok(())
}

/// A number that stands for itself or is to be added.
pub(crate) fn float(temporality: Temporality, value: f64) -> RowValue {
    match temporality {
        Temporality::Cumulative => RowValue::Float(value),
        Temporality::Delta => RowValue::FloatDelta(value),
    }
}
