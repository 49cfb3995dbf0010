//! `count_values`: how many series have each value.

use std::collections::{BTreeMap, HashMap};

use sonde_model::{Labels, METRIC_NAME};

use crate::ast::{Aggregate, ExprKind};
use crate::column::StepSeries;
use crate::error::QueryError;

use super::grouping::Grouping;

/// How many samples of 16 bytes a series weighs that comes of a value.
const SERIES_WEIGHT: usize = 24;

/// One series for each value and group, with the number of series that have it.
pub(super) fn evaluate(
    node: &Aggregate,
    grouping: &Grouping<'_>,
    series: &[StepSeries],
    charge: &mut dyn FnMut(usize) -> Result<(), QueryError>,
) -> Result<Vec<StepSeries>, QueryError> {
    let label = label_of(node)?;
    let mut index: HashMap<Labels, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut counts: Vec<(Labels, BTreeMap<u32, f64>)> = Vec::new();
    for one in series {
        let base = grouping.labels_of(&one.labels);
        let is_grouped_away = node.without && node.grouping.iter().any(|name| name == label);
        let mut count = |step: u32, value: String| {
            let known = counts.len();
            let labels = if is_grouped_away || (node.without && label == METRIC_NAME) {
                base.clone()
            } else {
                base.with(label, &value)
            };
            let place = *index.entry(labels).or_insert_with_key(|labels| {
                counts.push((labels.clone(), BTreeMap::new()));
                counts.len() - 1
            });
            *counts[place].1.entry(step).or_insert(0.0) += 1.0;
            charge(if counts.len() > known { SERIES_WEIGHT + counts[place].0.text_len() / 16 } else { 1 })
        };
        one.floats.iter().try_for_each(|(step, value)| count(step, plain(*value)))?;
        one.histograms.iter().try_for_each(|(step, histogram)| count(step, histogram.to_string()))?;
    }
    let to_series = |(labels, counts): (Labels, BTreeMap<u32, f64>)| {
        let mut series = StepSeries::new(labels, false);
        (series.floats.steps, series.floats.values) = counts.into_iter().unzip();
        series
    };
    Ok(counts.into_iter().map(to_series).collect())
}

/// The label that takes the value.
fn label_of(node: &Aggregate) -> Result<&str, QueryError> {
    match node.param.as_ref().map(|param| &param.unparenthesised().kind) {
        Some(ExprKind::String(string)) => match &string.not_utf8 {
            None if !string.text.is_empty() => Ok(&string.text),
            None => Err(QueryError::execution("invalid label name \"\"")),
            Some(bytes) => Err(QueryError::execution(format!("invalid label name \"{}\"", bytes.escape_ascii()))),
        },
        _ => Err(QueryError::execution("count_values needs the name of a label")),
    }
}

/// A float without an exponent, as Go's `%f` with the shortest digits.
fn plain(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    value.to_string()
}
