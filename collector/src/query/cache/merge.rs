//! Cutting results of range queries to some of their steps, and putting them together again.

use std::collections::HashMap;

use sonde_model::{FloatColumn, Histogram, HistogramColumn, Labels, Series, Span, TimestampMs};
use sonde_promql::{Annotations, QueryError, QueryResult, QueryStats, Value};

use super::Extent;

/// What a series weighs beside its samples.
const SERIES_BYTES: usize = 200;
/// What a histogram weighs beside its buckets.
const HISTOGRAM_BYTES: usize = size_of::<Histogram>() + size_of::<TimestampMs>();

/// The steps of a result that lie in the extent.
pub(super) fn slice(series: &[Series], extent: Extent) -> QueryResult {
    let cut = |one: &Series| {
        let (floats, histograms) = (within(&one.floats.timestamps, extent), within(&one.histograms.timestamps, extent));
        if floats.is_empty() && histograms.is_empty() {
            return None;
        }
        Some(Series {
            labels: one.labels.clone(),
            floats: FloatColumn {
                timestamps: one.floats.timestamps[floats.clone()].to_vec(),
                values: one.floats.values[floats].to_vec(),
                starts: Vec::new(),
            },
            histograms: HistogramColumn {
                timestamps: one.histograms.timestamps[histograms.clone()].to_vec(),
                values: one.histograms.values[histograms].to_vec(),
                starts: Vec::new(),
            },
        })
    };
    let value = Value::Matrix(series.iter().filter_map(cut).collect());
    QueryResult { value, annotations: Annotations::default(), stats: QueryStats::default() }
}

/// How much memory the steps of a result take that lie in the extent, about.
pub(super) fn bytes(series: &[Series], extent: Extent) -> usize {
    let of = |one: &Series| {
        let labels: usize = one.labels.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
        let floats = within(&one.floats.timestamps, extent).len();
        let histograms = &one.histograms.values[within(&one.histograms.timestamps, extent)];
        SERIES_BYTES + labels + 16 * floats + histograms.iter().map(histogram_bytes).sum::<usize>()
    };
    series.iter().map(of).sum()
}

fn histogram_bytes(histogram: &Histogram) -> usize {
    let spans = histogram.positive_spans.len() + histogram.negative_spans.len();
    let buckets = histogram.positive_buckets.len() + histogram.negative_buckets.len() + histogram.custom_values.len();
    HISTOGRAM_BYTES + spans * size_of::<Span>() + buckets * size_of::<f64>()
}

/// Two results, of which the second has the later steps.
pub(super) fn joined(first: QueryResult, second: QueryResult) -> Result<QueryResult, QueryError> {
    let (Value::Matrix(mut series), Value::Matrix(later)) = (first.value, second.value) else {
        return Err(QueryError::execution("a range query gave no series"));
    };
    let places: HashMap<Labels, usize, foldhash::fast::RandomState> =
        series.iter().enumerate().map(|(place, one)| (one.labels.clone(), place)).collect();
    let known = series.len();
    for one in later {
        match places.get(&one.labels) {
            Some(place) => append(&mut series[*place], one),
            None => series.push(one),
        }
    }
    if series.len() > known {
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    let mut annotations = first.annotations;
    annotations.merge(second.annotations);
    let (a, b) = (first.stats, second.stats);
    let stats = QueryStats {
        samples: a.samples + b.samples,
        series: a.series + b.series,
        peak_samples: a.peak_samples.max(b.peak_samples),
    };
    Ok(QueryResult { value: Value::Matrix(series), annotations, stats })
}

fn append(series: &mut Series, later: Series) {
    series.floats.timestamps.extend(later.floats.timestamps);
    series.floats.values.extend(later.floats.values);
    series.histograms.timestamps.extend(later.histograms.timestamps);
    series.histograms.values.extend(later.histograms.values);
}

fn within(timestamps: &[TimestampMs], extent: Extent) -> std::ops::Range<usize> {
    timestamps.partition_point(|t| *t < extent.from)..timestamps.partition_point(|t| *t <= extent.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_weigh_what_their_buckets_do() {
        let large = Histogram { positive_buckets: vec![1.0; 10_000], ..Histogram::default() };
        let series = Series {
            labels: Labels::empty(),
            floats: FloatColumn::default(),
            histograms: HistogramColumn {
                timestamps: vec![1, 2],
                values: vec![large.clone(), large],
                starts: Vec::new(),
            },
        };
        let bytes = |to| super::bytes(std::slice::from_ref(&series), Extent { from: 0, to });
        assert!(bytes(1) > 80_000 && bytes(2) > 160_000 && bytes(0) < 1_000, "{} {}", bytes(1), bytes(2));
    }
}
