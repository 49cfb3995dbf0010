//! Parameters of requests, as Tempo reads them.

use sonde_tracedb::TimeRange;
use sonde_traceql::ast::{Field, Query, Root, Spanset, Stage, Static};

use super::answer::TempoError;
use crate::api::form::Form;

/// How many traces a search may ask for.
const MAX_LIMIT: u64 = 10_000;
/// How many spans of a set a search may ask for, as in Tempo.
const MAX_SPANS_PER_SET: u64 = 100;
/// How many names or values an answer lists at most.
pub(super) const MAX_TAGS: usize = 10_000;

/// How many traces are wanted.
pub(super) fn limit(form: &Form) -> Result<usize, TempoError> {
    match unsigned(form, "limit")?.unwrap_or(20) {
        0 => Err(TempoError::bad("invalid limit: must be a positive number")),
        n if n > MAX_LIMIT => Err(TempoError::bad(format!("limit {n} exceeds the maximum of {MAX_LIMIT}"))),
        n => Ok(n as usize),
    }
}

/// How many spans of a set are wanted; 0 is as many as may be asked for.
pub(super) fn spans_per_set(form: &Form) -> Result<usize, TempoError> {
    match unsigned(form, "spss")?.unwrap_or(3) {
        0 => Ok(MAX_SPANS_PER_SET as usize),
        n if n > MAX_SPANS_PER_SET => {
            Err(TempoError::bad(format!("spans per span set exceeds {MAX_SPANS_PER_SET}. received {n}")))
        }
        n => Ok(n as usize),
    }
}

/// How many names or values are wanted; absent and 0 are as many as an answer lists.
pub(super) fn tag_limit(form: &Form) -> Result<usize, TempoError> {
    let asked = unsigned(form, "limit")?.filter(|n| *n > 0);
    Ok(asked.map_or(MAX_TAGS, |n| usize::try_from(n).unwrap_or(MAX_TAGS).min(MAX_TAGS)))
}

/// A whole number that is not negative.
pub(super) fn unsigned(form: &Form, name: &str) -> Result<Option<u64>, TempoError> {
    let invalid =
        |text| TempoError::bad(format!("invalid {name}: strconv.ParseUint: parsing {text:?}: invalid syntax"));
    form.get(name).map(|text| text.parse().map_err(|_| invalid(text))).transpose()
}

/// The range of a request, in seconds: both ends, or all of time.
pub(super) fn range(form: &Form) -> Result<TimeRange, TempoError> {
    match (unsigned(form, "start")?, unsigned(form, "end")?) {
        (None, None) => Ok(TimeRange::ALL),
        (Some(start), Some(end)) if start >= end => {
            let text = format!("http parameter start must be before end. received start={start} end={end}");
            Err(TempoError::bad(text))
        }
        (Some(start), Some(end)) => {
            let ns = |seconds: u64| seconds.saturating_mul(1_000_000_000);
            Ok(TimeRange { start_ns: ns(start), end_ns: ns(end) })
        }
        _ => Err(TempoError::bad("http parameters start and end must be given together")),
    }
}

/// A query that may narrow a list of names or values: one filter of spans. Anything else narrows nothing, as in
/// Tempo, because people see the list while they are still writing the query.
pub(super) fn narrowing(form: &Form) -> Option<Query> {
    let query = sonde_traceql::parse(form.get("q")?).ok()?;
    sonde_traceql::validate(&query).ok()?;
    let Root::Spans(pipeline) = &query.root else { return None };
    match pipeline.stages.as_slice() {
        [Stage::Spanset(Spanset::Filter(Field::Static(Static::Bool(true))))] => None,
        [Stage::Spanset(Spanset::Filter(_))] => Some(query),
        _ => None,
    }
}

/// A duration as Go writes it, `1h2m3.5s`, in nanoseconds.
pub(super) fn go_duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, f64); 8] =
        [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3_600e9)];
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0.0;
    while !rest.is_empty() || total == 0.0 {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(name, _)| *name == &rest[..end])?;
        total += number * unit;
        rest = &rest[end..];
        if rest.is_empty() {
            break;
        }
    }
    let ns = sign * total;
    (ns.abs() < i64::MAX as f64).then_some(ns as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for (text, ns) in [
            ("10ms", Some(10_000_000)),
            ("1h2m3.5s", Some(3_723_500_000_000)),
            ("-1s", Some(-1_000_000_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("1.5µs", Some(1_500)),
            ("", None),
            ("-", None),
            ("5", None),
            ("s", None),
            ("1x", None),
            ("1s2", None),
            ("999999999h", None),
        ] {
            assert_eq!(go_duration(text), ns, "{text}");
        }
    }

    fn form(text: &str) -> Form {
        Form::parse([text.as_bytes()]).expect("a form")
    }

    #[test]
    fn only_one_filter_narrows() {
        for (query, narrows) in [
            ("q={.a=1}", true),
            ("q={.a=}", false),
            ("q={}", false),
            ("q={.a=1}%26%26{.b=2}", false),
            ("q={.a=1}|rate()", false),
            ("", false),
        ] {
            assert_eq!(narrowing(&form(query)).is_some(), narrows, "{query}");
        }
    }

    #[test]
    fn limits_are_those_of_tempo() {
        assert_eq!((limit(&form("")), spans_per_set(&form(""))), (Ok(20), Ok(3)));
        assert!(limit(&form("limit=0")).is_err() && limit(&form("limit=x")).is_err());
        assert!(spans_per_set(&form("spss=101")).is_err());
        assert_eq!((spans_per_set(&form("spss=0")), tag_limit(&form("limit=0"))), (Ok(100), Ok(MAX_TAGS)));
        assert!(range(&form("start=2&end=1")).is_err() && range(&form("start=2")).is_err());
        assert_eq!(range(&form("start=1&end=2")), Ok(TimeRange { start_ns: 1_000_000_000, end_ns: 2_000_000_000 }));
    }
}
