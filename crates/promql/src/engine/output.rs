//! From evaluated columns to the answer: names dropped at last, equal series merged, samples put in order.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use sonde_model::{FloatColumn, Histogram, HistogramColumn, Labels, METRIC_NAME, Series, TimestampMs};

use crate::column::{Evaluated, Points, SampleSeries, Samples, StepSeries, Steps};
use crate::error::QueryError;
use crate::value::{SampleValue, Value, VectorSample};

/// The answer to an instant query.
pub(super) fn instant(value: Evaluated, time: TimestampMs) -> Result<Value, QueryError> {
    Ok(match value {
        Evaluated::Scalar(values) => Value::Scalar { t: time, v: values.first().copied().unwrap_or(f64::NAN) },
        Evaluated::String(s) => Value::String { t: time, s },
        Evaluated::Vector(series) => {
            let sample = |series: StepSeries| {
                let float = series.floats.values.first().map(|v| SampleValue::Float(*v));
                let histogram = series.histograms.values.into_iter().next();
                let value = float.or_else(|| histogram.map(|h| SampleValue::Histogram(Box::new(unshared(h)))))?;
                Some(VectorSample { labels: series.labels, t: time, value })
            };
            Value::Vector(merge_equal_labels(without_dropped_names(series))?.into_iter().filter_map(sample).collect())
        }
    })
}

/// The answer to a range query.
pub(super) fn range(value: Evaluated, steps: Steps) -> Result<Value, QueryError> {
    let times: Vec<TimestampMs> = steps.times().collect();
    let times_of = |points: &[u32]| match points.len() == times.len() {
        true => times.clone(),
        false => points.iter().map(|step| times[*step as usize]).collect(),
    };
    let series = match value {
        Evaluated::Scalar(values) => {
            let floats = Points { steps: (0..values.len() as u32).collect(), values };
            vec![StepSeries { floats, ..StepSeries::default() }]
        }
        Evaluated::String(_) => return Err(QueryError::execution("a string has no values over time")),
        Evaluated::Vector(series) => series,
    };
    let mut matrix: Vec<Series> = merge_equal_labels(without_dropped_names(series))?
        .into_iter()
        .filter(|series| !series.is_empty())
        .map(|series| Series {
            labels: series.labels,
            floats: FloatColumn {
                timestamps: times_of(&series.floats.steps),
                values: series.floats.values,
                starts: Vec::new(),
            },
            histograms: HistogramColumn {
                timestamps: times_of(&series.histograms.steps),
                values: series.histograms.values.into_iter().map(unshared).collect(),
                starts: Vec::new(),
            },
        })
        .collect();
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(Value::Matrix(matrix))
}

/// The answer to an instant query for a range vector.
pub(super) fn samples(series: Vec<SampleSeries>) -> Result<Value, QueryError> {
    let mut matrix: Vec<Series> = series
        .into_iter()
        .map(|series| Series {
            labels: if series.drop_name { without_metadata(&series.labels) } else { series.labels },
            floats: FloatColumn {
                timestamps: series.floats.timestamps,
                values: series.floats.values,
                starts: series.floats.starts,
            },
            histograms: unshared_samples(series.histograms),
        })
        .collect();
    matrix.sort_by(|a, b| a.labels.cmp(&b.labels));
    if matrix.windows(2).any(|pair| pair[0].labels == pair[1].labels) {
        return Err(duplicate_labels());
    }
    Ok(Value::Matrix(matrix))
}

/// Merges series of equal labels into the first of them. Two values at one step are an error. A series whose name is yet
/// to be dropped is another one than a series that keeps it.
pub(crate) fn merge_equal_labels(series: Vec<StepSeries>) -> Result<Vec<StepSeries>, QueryError> {
    // Out of a selection they come like that, and there are no equal ones.
    if series.windows(2).all(|pair| pair[0].labels < pair[1].labels) {
        return Ok(series);
    }
    let mut index =
        std::collections::HashMap::with_capacity_and_hasher(series.len(), foldhash::fast::RandomState::default());
    let mut merged: Vec<StepSeries> = Vec::with_capacity(series.len());
    for one in series {
        match index.entry((one.labels.clone(), one.drop_name)) {
            Entry::Vacant(entry) => {
                entry.insert(merged.len());
                merged.push(one);
            }
            Entry::Occupied(entry) => merge_into(&mut merged[*entry.get()], one)?,
        }
    }
    Ok(merged)
}

fn merge_into(into: &mut StepSeries, other: StepSeries) -> Result<(), QueryError> {
    let clash = |a: &[u32], b: &StepSeries| {
        a.iter().any(|step| b.floats.at(*step).is_some() || b.histograms.at(*step).is_some())
    };
    if clash(&into.floats.steps, &other) || clash(&into.histograms.steps, &other) {
        return Err(duplicate_labels());
    }
    merge_points(&mut into.floats, other.floats);
    merge_points(&mut into.histograms, other.histograms);
    Ok(())
}

fn merge_points<T: Clone>(into: &mut Points<T>, other: Points<T>) {
    if into.steps.last() < other.steps.first() || other.is_empty() {
        into.steps.extend(other.steps);
        into.values.extend(other.values);
        return;
    }
    let mut pairs: Vec<(u32, T)> =
        std::mem::take(&mut into.steps).into_iter().zip(std::mem::take(&mut into.values)).collect();
    pairs.extend(other.steps.into_iter().zip(other.values));
    pairs.sort_by_key(|(step, _)| *step);
    (into.steps, into.values) = pairs.into_iter().unzip();
}

fn without_dropped_names(mut series: Vec<StepSeries>) -> Vec<StepSeries> {
    for one in series.iter_mut().filter(|one| one.drop_name) {
        one.labels = without_metadata(&one.labels);
        one.drop_name = false;
    }
    series
}

/// The labels without name, type and unit of the metric.
pub(crate) fn without_metadata(labels: &Labels) -> Labels {
    labels.without(|name| name == METRIC_NAME || name == "__type__" || name == "__unit__")
}

/// The error for two values of one label set at one time.
pub(crate) fn duplicate_labels() -> QueryError {
    QueryError::execution("vector cannot contain metrics with the same labelset")
}

fn unshared(histogram: Arc<Histogram>) -> Histogram {
    Arc::unwrap_or_clone(histogram)
}

fn unshared_samples(samples: Samples<Arc<Histogram>>) -> HistogramColumn {
    let values = samples.values.into_iter().map(unshared).collect();
    HistogramColumn { timestamps: samples.timestamps, values, starts: samples.starts }
}
