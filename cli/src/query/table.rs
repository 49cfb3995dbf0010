//! An answer as a table: a column for each label in which series differ.

use std::borrow::Cow;
use std::collections::BTreeMap;

use sonde_model::Labels;

use super::answer::{Answer, AnswerSeries};
use super::time;
use crate::plain::on_one_line;

/// Draws the series of an answer, those of a range with their lowest, highest and last value.
pub(super) fn draw(answer: &Answer) -> String {
    if answer.series.is_empty() {
        return "no series\n".to_owned();
    }
    let is_range = answer.series.iter().any(|series| series.samples.len() > 1);
    let names = label_names(answer.series.iter().map(|series| &series.labels));
    let mut header: Vec<String> = names.iter().map(|name| shown_name(name).to_owned()).collect();
    let values = if is_range { &["SAMPLES", "MIN", "MAX", "LAST", "LAST AT (UTC)"][..] } else { &["VALUE"] };
    header.extend(values.iter().map(|v| (*v).to_owned()));
    let mut rows = vec![header];
    for series in &answer.series {
        let mut row: Vec<String> = names.iter().map(|n| series.labels.get(n).unwrap_or("").to_owned()).collect();
        row.extend(if is_range { range_cells(series) } else { vec![instant_cell(series)] });
        rows.push(row);
    }
    columns(&rows, names.len())
}

/// The metric name first, then the labels in order.
pub(super) fn label_names<'a>(series: impl Iterator<Item = &'a Labels>) -> Vec<String> {
    let mut names: BTreeMap<String, ()> = BTreeMap::new();
    for labels in series {
        names.extend(labels.iter().map(|(name, _)| (name.to_owned(), ())));
    }
    let (metric, mut others): (Vec<_>, Vec<_>) = names.into_keys().partition(|name| name == sonde_model::METRIC_NAME);
    let mut ordered = metric;
    ordered.append(&mut others);
    ordered
}

pub(super) fn shown_name(name: &str) -> &str {
    if name == sonde_model::METRIC_NAME { "METRIC" } else { name }
}

fn instant_cell(series: &AnswerSeries) -> String {
    series.samples.last().map(|(_, value)| value.to_string()).unwrap_or_default()
}

fn range_cells(series: &AnswerSeries) -> Vec<String> {
    let floats = || series.floats().map(|(_, v)| v).filter(|v| !v.is_nan());
    let number = |v: Option<f64>| v.map_or_else(String::new, super::chart::number);
    let (min, max) = (floats().reduce(f64::min), floats().reduce(f64::max));
    let (last, at) = series.samples.last().map(|(at, v)| (v.to_string(), time::show(*at))).unwrap_or_default();
    vec![series.samples.len().to_string(), number(min), number(max), last, at]
}

/// Pads cells so that columns align: the first `left` to the left, numbers to the right.
/// A cell that holds a line feed or a command to the terminal stays a cell.
pub(crate) fn columns(rows: &[Vec<String>], left: usize) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| row.iter().map(|cell| on_one_line(cell)).collect()).collect();
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let gap = if column > 0 { "  " } else { "" };
            let pad = " ".repeat(widths[column] - cell.chars().count());
            let (before, after) = if column < left { ("", pad.as_str()) } else { (pad.as_str(), "") };
            line.push_str(&format!("{gap}{before}{cell}{after}"));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
