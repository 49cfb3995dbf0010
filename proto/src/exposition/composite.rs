//! Native histograms as one value of a line: `{count:3,sum:4.5,schema:0,...}`.
//!
//! The names of the fields are those of the drafts of OpenMetrics 2.0; `reset` and `custom_values` are ours. What has its
//! default may be left out, `count` and `sum` may not.

use std::fmt::Write;

use sonde_model::histogram::{CounterResetHint, Span};
use sonde_model::{Histogram, is_stale, stale_nan};

use super::encode;
use super::scan::{Scanner, float, shown};

/// Spans, buckets and bounds of a histogram at most: as many as the store takes.
const MAX_ITEMS: usize = 16_384;

/// What stands before a start timestamp, in the words of the drafts of OpenMetrics 2.0.
pub(super) const START: &str = "st@";
/// Stands for a stale marker, which is a NaN of its own.
pub(super) const STALE: &str = "StaleNaN";

/// Appends a histogram.
pub(super) fn write(histogram: &Histogram, page: &mut String) {
    let mut number = |name: &str, value: f64| {
        page.push_str(name);
        page.push(':');
        if is_stale(value) {
            page.push_str(STALE)
        } else {
            encode::float(value, page)
        }
        page.push(',');
    };
    number("{count", histogram.count);
    number("sum", histogram.sum);
    number("schema", f64::from(histogram.schema));
    number("zero_threshold", histogram.zero_threshold);
    number("zero_count", histogram.zero_count);
    let sides = [
        ("negative", &histogram.negative_spans, &histogram.negative_buckets),
        ("positive", &histogram.positive_spans, &histogram.positive_buckets),
    ];
    for (side, spans, buckets) in sides {
        page.push_str(side);
        page.push_str("_spans:[");
        for (i, span) in spans.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            write!(page, "{comma}{}:{}", span.offset, span.length).expect("BUG: writing to a string failed");
        }
        page.push_str("],");
        numbers(&format!("{side}_buckets"), buckets, page);
    }
    numbers("custom_values", &histogram.custom_values, page);
    page.push_str(match histogram.reset_hint {
        CounterResetHint::Unknown => "reset:unknown}",
        CounterResetHint::Reset => "reset:yes}",
        CounterResetHint::NotReset => "reset:no}",
        CounterResetHint::Gauge => "reset:gauge}",
    });
}

fn numbers(name: &str, values: &[f64], page: &mut String) {
    page.push_str(name);
    page.push_str(":[");
    for (i, value) in values.iter().enumerate() {
        if i > 0 {
            page.push(',');
        }
        encode::float(*value, page);
    }
    page.push_str("],");
}

/// Reads a histogram; the opening brace is next. What is read is valid.
pub(super) fn read(scanner: &mut Scanner<'_>) -> Result<Histogram, String> {
    let Some((text, rest)) = scanner.rest().strip_prefix('{').and_then(|text| text.split_once('}')) else {
        return Err("a histogram is not closed by a brace".to_owned());
    };
    *scanner = Scanner::new(rest);
    let mut histogram = Histogram::default();
    let (mut has_count, mut has_sum) = (false, false);
    let mut text = text.trim_end_matches(',');
    while !text.is_empty() {
        let (name, value) = text.split_once(':').ok_or_else(|| format!("expected a field, found {}", shown(text)))?;
        let end = match value.strip_prefix('[') {
            Some(list) => 2 + list.find(']').ok_or_else(|| format!("{name} is not closed by a bracket"))?,
            None => value.find(',').unwrap_or(value.len()),
        };
        let (value, rest) = value.split_at(end);
        let list = || value.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or("");
        match name.trim() {
            "count" => (histogram.count, has_count) = (one(name, value)?, true),
            "sum" => (histogram.sum, has_sum) = (one(name, value)?, true),
            "schema" => histogram.schema = value.parse().map_err(|_| format!("{} is no schema", shown(value)))?,
            "zero_threshold" => histogram.zero_threshold = one(name, value)?,
            "zero_count" => histogram.zero_count = one(name, value)?,
            "negative_spans" => histogram.negative_spans = spans(name, list())?,
            "positive_spans" => histogram.positive_spans = spans(name, list())?,
            "negative_buckets" => histogram.negative_buckets = many(name, list())?,
            "positive_buckets" => histogram.positive_buckets = many(name, list())?,
            "custom_values" => histogram.custom_values = many(name, list())?,
            "reset" => {
                histogram.reset_hint = match value {
                    "unknown" => CounterResetHint::Unknown,
                    "yes" => CounterResetHint::Reset,
                    "no" => CounterResetHint::NotReset,
                    "gauge" => CounterResetHint::Gauge,
                    _ => return Err(format!("{} is no reset hint", shown(value))),
                }
            }
            other => return Err(format!("a histogram has no field {}", shown(other))),
        }
        text = match rest.strip_prefix(',') {
            Some(next) => next,
            None if rest.is_empty() => "",
            None => return Err(format!("expected a comma, found {}", shown(rest))),
        };
    }
    if !has_count || !has_sum {
        return Err("a histogram has a count and a sum".to_owned());
    }
    histogram.validate().map_err(|error| error.to_string())?;
    Ok(histogram)
}

fn one(name: &str, value: &str) -> Result<f64, String> {
    let value_of = |value| if value == STALE { Some(stale_nan()) } else { float(value) };
    value_of(value).ok_or_else(|| format!("{name}: {} is not a number", shown(value)))
}

fn many(name: &str, list: &str) -> Result<Vec<f64>, String> {
    items(name, list)?.map(|item| one(name, item)).collect()
}

fn spans(name: &str, list: &str) -> Result<Vec<Span>, String> {
    let span = |item: &str| {
        let (offset, length) = item.split_once(':')?;
        Some(Span { offset: offset.parse().ok()?, length: length.parse().ok()? })
    };
    items(name, list)?.map(|item| span(item).ok_or_else(|| format!("{name}: {} is no span", shown(item)))).collect()
}

fn items<'t>(name: &str, list: &'t str) -> Result<impl Iterator<Item = &'t str>, String> {
    if list.bytes().filter(|b| *b == b',').count() >= MAX_ITEMS {
        return Err(format!("{name}: more than {MAX_ITEMS} items"));
    }
    Ok(list.split(',').filter(move |_| !list.is_empty()))
}
