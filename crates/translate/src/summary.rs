//! Summaries: a row a quantile, `_count` and `_sum`.

use sonde_model::stale_nan;
use sonde_proto::otlp::metrics::SummaryDataPoint;

use crate::histogram::number_text;
use crate::metric_name::Names;
use crate::number::NO_RECORDED_VALUE;
use crate::row::{Row, RowValue};
use crate::translator::Context;

pub(crate) fn translate(points: &[SummaryDataPoint], names: &Names, context: &mut Context<'_>) {
    for point in points {
        let Some(timestamp) = context.begin(&point.attributes, point.time_unix_nano) else { continue };
        let stale = point.flags & NO_RECORDED_VALUE != 0;
        let value = |value: f64| RowValue::Float(if stale { stale_nan() } else { value });
        let quantiles: Vec<String> = point.quantile_values.iter().map(|q| number_text(q.quantile)).collect();
        let sink = &mut *context.sink;
        let mut labels = context.scratch.labels(&point.attributes, context.fixed, &names.count, "quantile");
        sink(Row { labels: labels.as_slice(), timestamp, value: value(point.count as f64) });
        sink(Row { labels: labels.named(&names.sum), timestamp, value: value(point.sum) });
        labels.named(&names.family);
        labels.add_extra("quantile");
        for (text, quantile) in quantiles.iter().zip(&point.quantile_values) {
            sink(Row { labels: labels.valued(text), timestamp, value: value(quantile.value) });
        }
    }
}
