//! Summaries: a row a quantile, `_count` and `_sum`.

use sonde_model::stale_nan;
use sonde_proto::otlp::{Messages, QuantileView, SummaryPointView, ViewError};

use crate::histogram::number_text;
use crate::metric_name::RowName;
use crate::number::NO_RECORDED_VALUE;
use crate::point::{Context, Point, PointRow};
use crate::row::RowValue;

pub(crate) fn translate(
    points: Messages<'_, SummaryPointView<'_>>,
    context: &mut Context<'_, '_>,
) -> Result<(), ViewError> {
    /// The ids of the rows; quantiles count on from the last of these.
    const COUNT: u64 = 0;
    const SUM: u64 = 1;
    const QUANTILES: u64 = 2;
    for view in points {
        let view = view?;
        let stale = view.flags & NO_RECORDED_VALUE != 0;
        let value = |value: f64| RowValue::Float(if stale { stale_nan() } else { value });
        let row = |id, name, extra, number| PointRow { id, name, extra, value: value(number), exemplars_to: None };

        let quantiles: Vec<QuantileView> = view.quantiles().collect::<Result<_, _>>()?;
        let texts: Vec<String> = quantiles.iter().map(|q| number_text(q.quantile)).collect();
        let bounds: Vec<u8> = quantiles.iter().flat_map(|q| q.quantile.to_le_bytes()).collect();
        let head = [row(COUNT, RowName::Count, None, view.count as f64), row(SUM, RowName::Sum, None, view.sum)];
        let rows = (QUANTILES..).zip(texts.iter().zip(&quantiles));
        let rows = rows.map(|(id, (text, q))| row(id, RowName::Family, Some(text.as_str()), q.value));

        let (attributes, exemplars) = (view.attributes, Messages::default());
        let (time_unix_nano, start_time_unix_nano) = (view.time_unix_nano, view.start_time_unix_nano);
        let point =
            Point { time_unix_nano, start_time_unix_nano, attributes, extra: "quantile", bounds: &bounds, exemplars };
        context.point(&point, head.into_iter().chain(rows))?;
    }
    Ok(())
}
