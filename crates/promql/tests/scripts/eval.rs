//! `eval`: a query, when it is run, and what is expected of it.

use sonde_model::{Labels, TimestampMs};

use crate::expect::{Expectations, Pattern};
use crate::script::{Block, parse_time};
use crate::sequence::{self, SequenceValue};

/// A query with its expectations.
#[derive(Debug)]
pub(crate) struct Eval {
    pub(crate) query: String,
    pub(crate) when: When,
    pub(crate) expectations: Expectations,
    pub(crate) expected: Expected,
    /// The times of the samples where an instant query yields a range vector.
    pub(crate) range_vector: Option<Grid>,
}

/// When a query is run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    Instant(TimestampMs),
    Range(Grid),
}

/// Times at equal distances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub(crate) start: TimestampMs,
    pub(crate) end: TimestampMs,
    pub(crate) step: i64,
}

/// The expected value.
#[derive(Debug)]
pub(crate) enum Expected {
    Series(Vec<(Labels, Vec<SequenceValue>)>),
    Scalar(f64),
    String(String),
}

/// Parses a block that begins with `eval`; gives how many of its lines belong to it.
pub(crate) fn parse(block: Block<'_>) -> Result<(Eval, usize), String> {
    let ((_, first), lines) = block.split_first().ok_or("empty block")?;
    let mut eval = parse_head(first)?;
    let mut series: Vec<(Labels, Vec<SequenceValue>)> = Vec::new();
    for (i, (number, line)) in lines.iter().enumerate() {
        let fail = |e: String| format!("line {number}: {e}");
        if let Some(message) = line.strip_prefix("expected_fail_message ") {
            eval.expectations.fail = vec![Pattern::Exactly(message.trim().to_owned())];
        } else if let Some(pattern) = line.strip_prefix("expected_fail_regexp ") {
            eval.expectations.fail = vec![Pattern::regex(pattern.trim()).map_err(fail)?];
        } else if let Some(rest) = line.strip_prefix("expect range vector ") {
            eval.range_vector = Some(parse_grid(rest.trim()).map_err(fail)?.0);
        } else if let Some(rest) = line.strip_prefix("expect string ") {
            eval.expected = Expected::String(unquote(rest.trim()).map_err(fail)?);
        } else if let Some(rest) = line.strip_prefix("expect ").filter(|rest| !rest.trim_start().starts_with('{')) {
            eval.expectations.parse_line(rest.trim()).map_err(fail)?;
        } else if let Ok(number) = sequence::parse_number(line) {
            eval.expected = Expected::Scalar(number);
            return Ok((eval, i + 2));
        } else {
            let (metric, items) = sequence::split_metric(line).map_err(fail)?;
            let labels = sequence::parse_metric(metric).map_err(fail)?;
            let values = sequence::parse_values(items).map_err(fail)?;
            let instant = matches!(eval.when, When::Instant(_)) && eval.range_vector.is_none();
            if instant && values.len() != 1 {
                return Err(fail(format!("{} values expected of an instant query", values.len())));
            }
            series.retain(|(known, _)| *known != labels);
            series.push((labels, values));
        }
    }
    if !series.is_empty() {
        eval.expected = Expected::Series(series);
    }
    Ok((eval, block.len()))
}

fn parse_head(line: &str) -> Result<Eval, String> {
    let (word, rest) = line.split_once(char::is_whitespace).ok_or("eval needs a query")?;
    let mut expectations = Expectations::default();
    match word {
        "eval" => {}
        "eval_fail" => expectations.fail.push(Pattern::Any),
        "eval_warn" => expectations.warn.push(Pattern::Any),
        "eval_info" => expectations.info.push(Pattern::Any),
        "eval_ordered" => expectations.ordered = true,
        _ => return Err(format!("unknown command {word:?}")),
    }
    let (kind, rest) = rest.trim().split_once(char::is_whitespace).ok_or("eval needs a query")?;
    let (when, query) = match kind {
        "instant" => {
            let rest = rest.trim().strip_prefix("at ").ok_or("an instant query needs `at`")?.trim();
            let (time, query) = rest.split_once(char::is_whitespace).ok_or("eval needs a query")?;
            (When::Instant(parse_time(time)?), query)
        }
        "range" => {
            let (grid, query) = parse_grid(rest.trim())?;
            (When::Range(grid), query)
        }
        _ => return Err(format!("unknown kind of query {kind:?}")),
    };
    Ok(Eval {
        query: query.trim().to_owned(),
        when,
        expectations,
        expected: Expected::Series(Vec::new()),
        range_vector: None,
    })
}

/// `from A to B step C`, and what follows it.
fn parse_grid(text: &str) -> Result<(Grid, &str), String> {
    let mut rest = text;
    let mut times = [0; 3];
    for (word, time) in ["from", "to", "step"].iter().zip(&mut times) {
        rest = rest.trim().strip_prefix(word).ok_or_else(|| format!("`{word}` is missing in {text:?}"))?.trim_start();
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        *time = parse_time(&rest[..end])?;
        rest = &rest[end..];
    }
    let [start, end, step] = times;
    Ok((Grid { start, end, step }, rest.trim()))
}

fn unquote(text: &str) -> Result<String, String> {
    let literal = sonde_promql::parse(text).map_err(|e| e.to_string())?;
    match literal.kind {
        sonde_promql::ast::ExprKind::String(string) => Ok(string.text),
        _ => Err(format!("no string: {text:?}")),
    }
}
