//! Exponential histograms become native ones: same buckets, other numbering.
//!
//! OTLP's bucket `i` covers `(base^i, base^(i+1)]`, Prometheus's covers `(base^(i-1), base^i]`: every index grows by
//! one. Scales finer than 8 are merged down, which is exact: a bucket of scale `s` is two of scale `s + 1`.

use sonde_model::histogram::{MAX_EXPONENTIAL_SCHEMA, MIN_EXPONENTIAL_SCHEMA};
use sonde_model::{Histogram, Span};
use sonde_proto::otlp::{BucketsView, ExponentialPointView, Messages, ViewError};

use crate::number::NO_RECORDED_VALUE;
use crate::point::{Context, Point, PointRow};
use crate::report::RejectReason;
use crate::row::RowValue;
use crate::translator::Temporality;

/// The width of the zero bucket where the sender gives none, as Prometheus has it.
const DEFAULT_ZERO_THRESHOLD: f64 = 1e-128;

/// Up to this many empty buckets are written out; more end the span.
const MAX_GAP: i64 = 2;

pub(crate) fn translate(
    points: Messages<'_, ExponentialPointView<'_>>,
    temporality: Temporality,
    context: &mut Context<'_, '_>,
) -> Result<(), ViewError> {
    for point in points {
        let point = point?;
        let value = if point.flags & NO_RECORDED_VALUE != 0 {
            RowValue::Histogram(Box::new(Histogram::stale()))
        } else {
            match (native(&point), temporality) {
                (Ok(histogram), Temporality::Cumulative) => RowValue::Histogram(Box::new(histogram)),
                (Ok(histogram), Temporality::Delta) => RowValue::HistogramDelta(Box::new(histogram)),
                (Err(reason), _) => {
                    context.reject(reason);
                    continue;
                }
            }
        };
        let (time_unix_nano, attributes, exemplars) = (point.time_unix_nano, point.attributes, point.exemplars());
        let start_time_unix_nano = if temporality == Temporality::Cumulative { point.start_time_unix_nano } else { 0 };
        let point = Point { time_unix_nano, start_time_unix_nano, attributes, extra: "", bounds: &[], exemplars };
        context.point(&point, std::iter::once(PointRow::only(value)))?;
    }
    Ok(())
}

fn native(point: &ExponentialPointView<'_>) -> Result<Histogram, RejectReason> {
    if point.scale < MIN_EXPONENTIAL_SCHEMA {
        return Err(RejectReason::UnsupportedScale);
    }
    if point.zero_threshold < 0.0 || !point.zero_threshold.is_finite() {
        return Err(RejectReason::InvalidHistogram);
    }
    let schema = point.scale.min(MAX_EXPONENTIAL_SCHEMA);
    let merges = (point.scale - schema).cast_unsigned();
    let counts = [point.positive, point.negative].into_iter().flatten().flat_map(|side| side.counts.iter());
    let total = counts.chain([point.zero_count]).try_fold(0u64, u64::checked_add);
    // Observations of NaN are in no bucket, so there may be more observations than the buckets hold.
    if total.is_none_or(|total| total > point.count) {
        return Err(RejectReason::InvalidHistogram);
    }
    let (positive_spans, positive_buckets) = spans(point.positive, merges)?;
    let (negative_spans, negative_buckets) = spans(point.negative, merges)?;
    Ok(Histogram {
        schema,
        zero_threshold: if point.zero_threshold > 0.0 { point.zero_threshold } else { DEFAULT_ZERO_THRESHOLD },
        zero_count: point.zero_count as f64,
        count: point.count as f64,
        sum: point.sum.unwrap_or(0.0),
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        ..Histogram::default()
    })
}

/// The sparse form of dense buckets, `merges` scales coarser.
fn spans(buckets: Option<BucketsView<'_>>, merges: u32) -> Result<(Vec<Span>, Vec<f64>), RejectReason> {
    let (mut spans, mut counts) = (Vec::<Span>::new(), Vec::new());
    let Some(buckets) = buckets else { return Ok((spans, counts)) };
    // The index that would follow the last bucket written.
    let mut next = 0i64;
    let mut rest = buckets.counts.iter().enumerate().map(|(i, count)| {
        let index = i64::from(buckets.offset) + i as i64;
        ((index >> merges.min(63)) + 1, count)
    });
    let mut pending = rest.next();
    while let Some((index, mut count)) = pending {
        pending = rest.next();
        while let Some((_, more)) = pending.filter(|(other, _)| *other == index) {
            count += more;
            pending = rest.next();
        }
        if count == 0 {
            continue;
        }
        let gap = index - next;
        match spans.last_mut() {
            Some(span) if gap <= MAX_GAP => {
                counts.extend((0..gap).map(|_| 0.0));
                span.length += gap as u32 + 1;
            }
            _ => {
                let offset = i32::try_from(gap).map_err(|_| RejectReason::InvalidHistogram)?;
                spans.push(Span { offset, length: 1 });
            }
        }
        counts.push(count as f64);
        next = index + 1;
    }
    if i32::try_from(next).is_err() {
        return Err(RejectReason::InvalidHistogram);
    }
    Ok((spans, counts))
}
