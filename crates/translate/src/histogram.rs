//! Histograms with explicit bounds: `_bucket` with `le`, `_count` and `_sum`.

use std::iter::once;

use sonde_model::stale_nan;
use sonde_proto::otlp::{HistogramPointView, Messages, ViewError};

use crate::metric_name::RowName;
use crate::number::{NO_RECORDED_VALUE, float};
use crate::point::{Context, Point, PointRow};
use crate::report::RejectReason;
use crate::row::RowValue;
use crate::translator::Temporality;

/// The `le` texts of the bounds seen last: the points of a metric nearly always share their bounds.
#[derive(Debug, Default)]
pub(crate) struct BoundTexts {
    /// The bounds as they are encoded.
    bounds: Vec<u8>,
    texts: Vec<String>,
}

impl BoundTexts {
    /// The texts of all bounds but an infinite one at the end: that is the bucket which is written at the end anyway.
    fn of(&mut self, point: &HistogramPointView<'_>) -> &[String] {
        let bounds = point.explicit_bounds;
        if self.bounds != bounds.bytes() {
            self.bounds.clear();
            self.bounds.extend_from_slice(bounds.bytes());
            self.texts.clear();
            self.texts.extend(bounds.doubles().map(number_text));
            if bounds.doubles().last() == Some(f64::INFINITY) {
                self.texts.pop();
            }
        }
        &self.texts
    }
}

pub(crate) fn translate(
    points: Messages<'_, HistogramPointView<'_>>,
    temporality: Temporality,
    texts: &mut BoundTexts,
    context: &mut Context<'_, '_>,
) -> Result<(), ViewError> {
    /// The ids of the rows; buckets count on from the last of these.
    const COUNT: u64 = 0;
    const SUM: u64 = 1;
    const ALL: u64 = 2;
    const BUCKETS: u64 = 3;
    for view in points {
        let view = view?;
        if !valid(&view) {
            context.reject(RejectReason::InvalidBuckets);
            continue;
        }
        let stale = view.flags & NO_RECORDED_VALUE != 0;
        let value = |value: f64| if stale { RowValue::Float(stale_nan()) } else { float(temporality, value) };
        let row = |id, name, extra, number| PointRow { id, name, extra, value: value(number), exemplars_to: None };

        let count = view.count as f64;
        let sum = view.sum.or(stale.then_some(0.0)).map(|sum| row(SUM, RowName::Sum, None, sum));
        let mut below = 0;
        let bounds = view.explicit_bounds.doubles();
        let buckets = texts.of(&view).iter().zip(bounds).zip(view.bucket_counts.integers());
        let buckets = (BUCKETS..).zip(buckets).map(|(id, ((le, bound), in_bucket))| {
            below += in_bucket;
            PointRow { exemplars_to: Some(bound), ..row(id, RowName::Bucket, Some(le.as_str()), below as f64) }
        });
        let all = PointRow { exemplars_to: Some(f64::INFINITY), ..row(ALL, RowName::Bucket, Some("+Inf"), count) };
        let rows = once(row(COUNT, RowName::Count, None, count)).chain(sum).chain(buckets).chain(once(all));

        let (time_unix_nano, attributes, exemplars) = (view.time_unix_nano, view.attributes, view.exemplars());
        let bounds = view.explicit_bounds.bytes();
        let start_time_unix_nano = if temporality == Temporality::Cumulative { view.start_time_unix_nano } else { 0 };
        let point = Point { time_unix_nano, start_time_unix_nano, attributes, extra: "le", bounds, exemplars };
        context.point(&point, rows)?;
    }
    Ok(())
}

/// Whether the bounds grow and the buckets fit them and the count.
fn valid(point: &HistogramPointView<'_>) -> bool {
    let (bounds, counts) = (point.explicit_bounds, point.bucket_counts);
    let fits = counts.is_empty() || counts.len() == bounds.len() + 1;
    let mut before = None;
    let grows = bounds.doubles().all(|bound| !bound.is_nan() && before.replace(bound).is_none_or(|low| low < bound));
    let total = counts.integers().try_fold(0u64, u64::checked_add);
    fits && grows && total.is_some_and(|total| total <= point.count)
}

/// A number as label text: the shortest decimal that reads back, without an exponent.
pub(crate) fn number_text(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}
