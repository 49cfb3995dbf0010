//! Gauges and sums: one row a point.

use sonde_model::stale_nan;
use sonde_proto::otlp::metrics::{NumberDataPoint, number_data_point::Value};

use crate::report::RejectReason;
use crate::row::{Row, RowValue};
use crate::translator::{Context, Temporality};

/// The flag of a point that says: the series has ended.
pub(crate) const NO_RECORDED_VALUE: u32 = 1;

pub(crate) fn translate(points: &[NumberDataPoint], name: &str, temporality: Temporality, context: &mut Context<'_>) {
    for point in points {
        let value = match point.value {
            _ if point.flags & NO_RECORDED_VALUE != 0 => RowValue::Float(stale_nan()),
            Some(value) => {
                let value = match value {
                    Value::AsDouble(value) => value,
                    Value::AsInt(value) => value as f64,
                };
                float(temporality, value)
            }
            None => {
                context.reject::<()>(RejectReason::NoValue);
                continue;
            }
        };
        let Some(timestamp) = context.begin(&point.attributes, point.time_unix_nano) else { continue };
        let labels = context.scratch.labels(&point.attributes, context.fixed, name, "");
        (context.sink)(Row { labels: labels.as_slice(), timestamp, value });
    }
}

/// A number that stands for itself or is to be added.
pub(crate) fn float(temporality: Temporality, value: f64) -> RowValue {
    match temporality {
        Temporality::Cumulative => RowValue::Float(value),
        Temporality::Delta => RowValue::FloatDelta(value),
    }
}
