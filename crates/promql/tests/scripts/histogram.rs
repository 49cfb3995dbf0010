//! Histogram literals: `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`.

use sonde_model::{CounterResetHint, Histogram, Span};

use crate::sequence::{SequenceValue, parse_number, repeats};

/// Parses `{{...}}`, `{{...}}xN`, `{{...}}+{{...}}xN` or `{{...}}-{{...}}xN`.
pub(crate) fn parse_item(item: &str, values: &mut Vec<SequenceValue>) -> Result<(), String> {
    let (first, first_hint, rest) = parse_literal(item)?;
    if rest.is_empty() {
        values.push(value(first, first_hint));
        return Ok(());
    }
    if let Some(times) = rest.strip_prefix('x') {
        values.extend(vec![value(first, first_hint); repeats(times)? + 1]);
        return Ok(());
    }
    let add = match rest.as_bytes().first() {
        Some(b'+') => true,
        Some(b'-') => false,
        _ => return Err(format!("unexpected {rest:?} after a histogram")),
    };
    let (increment, hint_given, rest) = parse_literal(&rest[1..])?;
    let times = rest.strip_prefix('x').ok_or_else(|| format!("a repetition is missing after {item:?}"))?;
    let mut current = first;
    values.push(value(current.clone(), hint_given));
    for _ in 0..repeats(times)? {
        if current.schema > increment.schema {
            let (from, to) = (increment.schema, current.schema);
            return Err(format!("error combining histograms: cannot merge from schema {from} to {to}"));
        }
        let combined = if add { current.add(&increment) } else { current.sub(&increment) };
        combined.map_err(|e| e.to_string())?;
        values.push(value(current.clone(), hint_given));
    }
    Ok(())
}

fn value(histogram: Histogram, hint_given: bool) -> SequenceValue {
    SequenceValue::Histogram { histogram: Box::new(histogram), hint_given }
}

/// A literal, whether it named a counter reset hint, and what follows it.
fn parse_literal(text: &str) -> Result<(Histogram, bool, &str), String> {
    let inner = text.strip_prefix("{{").ok_or_else(|| format!("no histogram: {text:?}"))?;
    let (mut inner, rest) = inner.split_once("}}").ok_or_else(|| format!("unclosed histogram: {text:?}"))?;
    let mut histogram = Histogram::default();
    let (mut offset, mut negative_offset, mut hint_given) = (0, 0, false);
    loop {
        inner = inner.trim_start();
        if inner.is_empty() {
            break;
        }
        let (key, after) = inner.split_once(':').ok_or_else(|| format!("missing `:` in {inner:?}"))?;
        let (item, after) = split_value(after)?;
        inner = after;
        match key.to_lowercase().as_str() {
            "schema" => histogram.schema = whole(item)?,
            "sum" => histogram.sum = parse_number(item)?,
            "count" => histogram.count = parse_number(item)?,
            "z_bucket" => histogram.zero_count = parse_number(item)?,
            "z_bucket_w" => histogram.zero_threshold = parse_number(item)?,
            "offset" => offset = whole(item)?,
            "n_offset" => negative_offset = whole(item)?,
            "buckets" => histogram.positive_buckets = numbers(item)?,
            "n_buckets" => histogram.negative_buckets = numbers(item)?,
            "custom_values" => histogram.custom_values = numbers(item)?,
            "counter_reset_hint" => {
                hint_given = true;
                histogram.reset_hint = hint(item)?;
            }
            _ => return Err(format!("bad histogram descriptor found: {key:?}")),
        }
    }
    histogram.positive_spans = spans(offset, histogram.positive_buckets.len());
    histogram.negative_spans = spans(negative_offset, histogram.negative_buckets.len());
    Ok((histogram, hint_given, rest))
}

/// The text of a value, a list with its brackets, and what follows it.
fn split_value(text: &str) -> Result<(&str, &str), String> {
    let end = if text.starts_with('[') {
        text.find(']').map(|i| i + 1).ok_or_else(|| format!("unclosed list: {text:?}"))?
    } else {
        text.find(char::is_whitespace).unwrap_or(text.len())
    };
    Ok(text.split_at(end))
}

fn numbers(text: &str) -> Result<Vec<f64>, String> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).ok_or_else(|| format!("no list: {text:?}"))?;
    inner.split_whitespace().map(parse_number).collect()
}

fn whole(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("invalid whole number {text:?}"))
}

fn hint(text: &str) -> Result<CounterResetHint, String> {
    match text.to_lowercase().as_str() {
        "unknown" => Ok(CounterResetHint::Unknown),
        "reset" => Ok(CounterResetHint::Reset),
        "not_reset" => Ok(CounterResetHint::NotReset),
        "gauge" => Ok(CounterResetHint::Gauge),
        _ => Err(format!("unknown counter reset hint {text:?}")),
    }
}

fn spans(offset: i32, length: usize) -> Vec<Span> {
    if length == 0 { Vec::new() } else { vec![Span { offset, length: length as u32 }] }
}
