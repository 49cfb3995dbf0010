//! A result against what is expected of it.

use sonde_model::{Histogram, Labels, Series, TimestampMs};
use sonde_promql::{SampleValue, Value, VectorSample};

use crate::almost;
use crate::eval::{Eval, Expected, Grid};
use crate::sequence::SequenceValue;

/// Judges the value of a query; `grid` gives the times of expected sequences.
pub(crate) fn check(eval: &Eval, value: &Value, grid: Option<Grid>) -> Result<(), String> {
    match (value, &eval.expected) {
        (Value::Scalar { v, .. }, Expected::Scalar(expected)) => {
            if almost::equal(*expected, *v) {
                Ok(())
            } else {
                Err(format!("expected scalar {expected}, got {v}"))
            }
        }
        (Value::String { s, .. }, Expected::String(expected)) => {
            if s == expected {
                Ok(())
            } else {
                Err(format!("expected string {expected:?}, got {s:?}"))
            }
        }
        (Value::Vector(samples), Expected::Series(expected)) => {
            check_vector(samples, expected, eval.expectations.ordered)
        }
        (Value::Matrix(series), Expected::Series(expected)) => {
            let grid = grid.ok_or("unexpected range vector of an instant query")?;
            if eval.expectations.ordered {
                return Err("expected ordered result, but query returned a matrix".to_owned());
            }
            check_matrix(series, expected, grid)
        }
        (value, expected) => Err(format!("expected {expected:?}, got a {}", value.kind())),
    }
}

type ExpectedSeries = [(Labels, Vec<SequenceValue>)];

fn check_vector(samples: &[VectorSample], expected: &ExpectedSeries, ordered: bool) -> Result<(), String> {
    let mut found = vec![false; expected.len()];
    for (position, sample) in samples.iter().enumerate() {
        let index = index_of(expected, &sample.labels).ok_or_else(|| format!("unexpected {}", show(sample)))?;
        if found[index] {
            return Err(format!("{} is there twice", sample.labels));
        }
        found[index] = true;
        if ordered && index != position {
            return Err(format!("expected {} at place {}, found it at {}", sample.labels, index + 1, position + 1));
        }
        let wanted = &expected[index].1[0];
        let same = match (wanted, &sample.value) {
            (SequenceValue::Float(wanted), SampleValue::Float(actual)) => {
                (!almost::equal(*wanted, *actual)).then_some("value")
            }
            (SequenceValue::Histogram { histogram, hint_given }, SampleValue::Histogram(actual)) => {
                almost::difference(histogram, hint_given.then_some(histogram.reset_hint), actual)
            }
            _ => Some("type"),
        };
        if let Some(what) = same {
            return Err(format!("wrong {what}: expected {wanted:?}, got {}", show(sample)));
        }
    }
    missing(expected, &found)
}

fn check_matrix(all: &[Series], expected: &ExpectedSeries, grid: Grid) -> Result<(), String> {
    check_sorted(all)?;
    let mut found = vec![false; expected.len()];
    for series in all {
        let index = index_of(expected, &series.labels).ok_or_else(|| format!("unexpected series {}", series.labels))?;
        found[index] = true;
        let (mut floats, mut histograms) = (Vec::new(), Vec::new());
        for (i, value) in expected[index].1.iter().enumerate() {
            let t = grid.start + grid.step * i as i64;
            if t > grid.end {
                return Err(format!("more values expected of {} than the query has steps", series.labels));
            }
            match value {
                SequenceValue::Omitted => {}
                SequenceValue::Float(value) => floats.push((t, *value)),
                SequenceValue::Histogram { histogram, hint_given } => {
                    histograms.push((t, histogram, hint_given.then_some(histogram.reset_hint)));
                }
            }
        }
        let actual_floats: Vec<(TimestampMs, f64)> =
            series.floats.timestamps.iter().copied().zip(series.floats.values.iter().copied()).collect();
        let same = |((t, a), (u, b)): (&(i64, f64), &(i64, f64))| t == u && almost::equal(*a, *b);
        if floats.len() != actual_floats.len() || !floats.iter().zip(&actual_floats).all(same) {
            return Err(format!("wrong floats of {}: expected {floats:?}, got {actual_floats:?}", series.labels));
        }
        let actual: Vec<(TimestampMs, &Histogram)> =
            series.histograms.timestamps.iter().copied().zip(&series.histograms.values).collect();
        if histograms.len() != actual.len() {
            let (wanted, got) = (histograms.len(), actual.len());
            return Err(format!("expected {wanted} histograms of {}, got {got}", series.labels));
        }
        for ((t, wanted, hint), (u, actual)) in histograms.into_iter().zip(actual) {
            let what = if t == u { almost::difference(wanted, hint, actual) } else { Some("time") };
            if let Some(what) = what {
                return Err(format!("wrong {what} of {} at {t}: expected {wanted:?}, got {actual:?}", series.labels));
            }
        }
    }
    missing(expected, &found)
}

/// A range query answers sorted by labels.
pub(crate) fn check_sorted(all: &[Series]) -> Result<(), String> {
    match all.windows(2).find(|pair| pair[0].labels >= pair[1].labels) {
        Some(pair) => Err(format!("{} comes before {}", pair[0].labels, pair[1].labels)),
        None => Ok(()),
    }
}

fn index_of(expected: &ExpectedSeries, labels: &Labels) -> Option<usize> {
    expected.iter().position(|(known, _)| known == labels)
}

fn missing(expected: &ExpectedSeries, found: &[bool]) -> Result<(), String> {
    match expected.iter().zip(found).find(|(_, found)| !**found) {
        Some(((labels, values), _)) => Err(format!("missing {labels} {values:?}")),
        None => Ok(()),
    }
}

fn show(sample: &VectorSample) -> String {
    format!("{} {:?}", sample.labels, sample.value)
}
