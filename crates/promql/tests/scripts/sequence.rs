//! A line of a series: its metric and the sequence of its values.

use sonde_model::{Histogram, Labels, METRIC_NAME, MatchOp};

use crate::histogram;
use crate::script::parse_time;

/// One value of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum SequenceValue {
    Omitted,
    Float(f64),
    Histogram {
        histogram: Box<Histogram>,
        /// Whether the literal named a counter reset hint, so that it is compared.
        hint_given: bool,
    },
}

/// The most values that one item may stand for.
const MAX_REPEATS: usize = 1_000_000;

/// Splits a line into the metric and the rest without blanks around it.
pub(crate) fn split_metric(line: &str) -> Result<(&str, &str), String> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    let mut in_braces = false;
    for (i, c) in line.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some('"' | '\'') if c == '\\' => escaped = true,
            Some(q) if c == q => quote = None,
            Some(_) => {}
            None if in_braces => match c {
                '"' | '\'' | '`' => quote = Some(c),
                '}' => {
                    let (metric, rest) = line.split_at(i + 1);
                    return Ok((metric, rest.trim()));
                }
                _ => {}
            },
            // The start timestamps of a metric: `name@st ...`.
            None if c == '@' => return Ok((&line[..i], line[i..].trim())),
            // A space may stand between the name and the braces.
            None if c.is_whitespace() && !line[i..].trim_start().starts_with('{') => {
                return Ok((&line[..i], line[i..].trim()));
            }
            None if c.is_whitespace() && line[i..].trim_start().starts_with("{{") => {
                return Ok((&line[..i], line[i..].trim()));
            }
            None if c == '{' => in_braces = true,
            None => {}
        }
    }
    if in_braces { Err(format!("unclosed braces in {line:?}")) } else { Ok((line, "")) }
}

/// The labels of a metric.
pub(crate) fn parse_metric(text: &str) -> Result<Labels, String> {
    let selector = sonde_promql::parse_selector(text).map_err(|e| e.to_string())?;
    if let Some(matcher) = selector.matchers.iter().find(|matcher| matcher.op != MatchOp::Equal) {
        return Err(format!("a metric has labels, not matchers: {matcher}"));
    }
    let name = selector.name.iter().map(|name| (METRIC_NAME, name.as_str()));
    let labels = selector.matchers.iter().map(|matcher| (matcher.name.as_str(), matcher.value.as_str()));
    Ok(Labels::from_pairs(name.chain(labels)))
}

/// The values of a sequence.
pub(crate) fn parse_values(text: &str) -> Result<Vec<SequenceValue>, String> {
    let mut values = Vec::new();
    for item in items(text) {
        if item.starts_with("{{") {
            histogram::parse_item(item, &mut values)?;
        } else if let Some(times) = item.strip_prefix("_x") {
            values.extend(vec![SequenceValue::Omitted; repeats(times)?]);
        } else if item == "_" {
            values.push(SequenceValue::Omitted);
        } else if item == "stale" {
            values.push(SequenceValue::Float(sonde_model::stale_nan()));
        } else {
            let (first, increment, times) = split_item(item, parse_number)?;
            let mut value = first;
            for _ in 0..=times {
                values.push(SequenceValue::Float(value));
                value += increment.unwrap_or(0.0);
            }
        }
    }
    Ok(values)
}

/// The offsets of a line of start timestamps, in milliseconds.
pub(crate) fn parse_offsets(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut offsets = Vec::new();
    for item in items(text) {
        if let Some(times) = item.strip_prefix("_x") {
            offsets.extend(vec![None; repeats(times)?]);
        } else if item == "_" {
            offsets.push(None);
        } else {
            let (first, increment, times) = split_item(item, |text| parse_time(text.trim_start_matches('+')))?;
            offsets.extend((0..=times).map(|i| Some(first + increment.unwrap_or(0) * i as i64)));
        }
    }
    Ok(offsets)
}

/// The items of a sequence; a histogram literal is one although it has spaces in it.
fn items(text: &str) -> Vec<&str> {
    let mut items = Vec::new();
    let (mut start, mut depth) = (None, 0);
    for (i, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            c if c.is_whitespace() && depth == 0 => {
                items.extend(start.take().map(|start| &text[start..i]));
                continue;
            }
            _ => {}
        }
        start.get_or_insert(i);
    }
    items.extend(start.map(|start| &text[start..]));
    items
}

/// Splits `a+bxN`: the first value, the increment if there is one, and how many more values follow the first.
fn split_item<T>(item: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<(T, Option<T>, usize), String> {
    let repeated = item.rsplit_once('x').filter(|(_, n)| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    let Some((value, times)) = repeated else {
        return Ok((parse(item)?, None, 0));
    };
    let times = repeats(times)?;
    let bytes = value.as_bytes();
    let sign = (1..bytes.len()).find(|i| matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[*i - 1], b'e' | b'E'));
    match sign {
        Some(at) => Ok((parse(&value[..at])?, Some(parse(&value[at..])?), times)),
        None => Ok((parse(value)?, None, times)),
    }
}

pub(crate) fn repeats(text: &str) -> Result<usize, String> {
    let times: usize = text.parse().map_err(|_| format!("invalid repetition {text:?}"))?;
    if times <= MAX_REPEATS { Ok(times) } else { Err(format!("more than {MAX_REPEATS} repetitions")) }
}

/// A number: whole ones also in octal, `Inf` and `NaN`. `0x10` is no number but eleven zeros.
pub(crate) fn parse_number(text: &str) -> Result<f64, String> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let octal = lower.len() > 1 && lower.starts_with('0');
    let whole = if octal { i64::from_str_radix(&lower, 8).ok() } else { None };
    let value = match (whole, lower.as_str()) {
        (Some(whole), _) => whole as f64,
        (None, "nan") => f64::from_bits(sonde_model::NORMAL_NAN_BITS),
        (None, text) => text.parse().map_err(|_| format!("invalid number {text:?}"))?,
    };
    Ok(if negative { -value } else { value })
}
