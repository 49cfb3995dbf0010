//! Histograms with explicit bounds: `_bucket` with `le`, `_count` and `_sum`.

use sonde_model::stale_nan;
use sonde_proto::otlp::metrics::HistogramDataPoint;

use crate::metric_name::Names;
use crate::number::{NO_RECORDED_VALUE, float};
use crate::report::RejectReason;
use crate::row::{Row, RowValue};
use crate::translator::{Context, Temporality};

/// The `le` texts of the bounds seen last: the points of a metric nearly always share their bounds.
#[derive(Debug, Default)]
pub(crate) struct BoundTexts {
    bounds: Vec<f64>,
    texts: Vec<String>,
}

impl BoundTexts {
    fn of(&mut self, bounds: &[f64]) -> &[String] {
        if self.bounds != bounds {
            self.bounds.clear();
            self.bounds.extend_from_slice(bounds);
            self.texts.clear();
            self.texts.extend(bounds.iter().map(|bound| number_text(*bound)));
        }
        &self.texts
    }
}

pub(crate) fn translate(
    points: &[HistogramDataPoint],
    names: &Names,
    temporality: Temporality,
    texts: &mut BoundTexts,
    context: &mut Context<'_>,
) {
    for point in points {
        let stale = point.flags & NO_RECORDED_VALUE != 0;
        if !valid(point) {
            context.reject::<()>(RejectReason::InvalidBuckets);
            continue;
        }
        let Some(timestamp) = context.begin(&point.attributes, point.time_unix_nano) else { continue };
        let value = |value: f64| if stale { RowValue::Float(stale_nan()) } else { float(temporality, value) };
        let count = point.count as f64;
        let sink = &mut *context.sink;
        let mut labels = context.scratch.labels(&point.attributes, context.fixed, &names.count, "le");
        sink(Row { labels: labels.as_slice(), timestamp, value: value(count) });
        if let Some(sum) = point.sum.or(stale.then_some(0.0)) {
            sink(Row { labels: labels.named(&names.sum), timestamp, value: value(sum) });
        }
        labels.named(&names.bucket);
        labels.add_extra("le");
        let mut below = 0u64;
        // Where the sender names the last bound itself, it is the bucket that is written at the end anyway.
        let finite = point.explicit_bounds.strip_suffix(&[f64::INFINITY]).unwrap_or(&point.explicit_bounds);
        for (le, in_bucket) in texts.of(finite).iter().zip(&point.bucket_counts) {
            below += in_bucket;
            sink(Row { labels: labels.valued(le), timestamp, value: value(below as f64) });
        }
        sink(Row { labels: labels.valued("+Inf"), timestamp, value: value(count) });
    }
}

/// Whether the bounds grow and the buckets fit them and the count.
fn valid(point: &HistogramDataPoint) -> bool {
    let (bounds, counts) = (&point.explicit_bounds, &point.bucket_counts);
    let fits = counts.is_empty() || counts.len() == bounds.len() + 1;
    let grows = bounds.windows(2).all(|pair| pair[0] < pair[1]) && !bounds.iter().any(|bound| bound.is_nan());
    let total = counts.iter().try_fold(0u64, |total, count| total.checked_add(*count));
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
