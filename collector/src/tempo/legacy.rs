//! The search before TraceQL: `tags=key=value ...` with `minDuration` and `maxDuration`, put into TraceQL.
//!
//! Each tag must be fulfilled by some span of the trace; texts match where they contain the value, in either case.

use sonde_traceql::ast::{
    Attribute, CompareOp, Field, Intrinsic, LogicOp, Pipeline, Query, Root, Scope, Spanset, SpansetOp, Stage, Static,
    Status,
};

use super::answer::TempoError;
use super::parameters::go_duration;
use crate::api::form::Form;

/// How many tags a search may name.
const MAX_TAGS: usize = 100;

/// The query that `tags`, `minDuration` and `maxDuration` stand for.
pub(super) fn query(form: &Form) -> Result<Query, TempoError> {
    let min = duration(form, "minDuration")?;
    let max = duration(form, "maxDuration")?;
    if min.zip(max).is_some_and(|(min, max)| max <= min) {
        return Err(TempoError::bad("invalid maxDuration: must be greater than minDuration"));
    }
    let mut filters: Vec<Field> = Vec::new();
    for (key, value) in logfmt(form.get("tags").unwrap_or_default())? {
        filters.push(tag(&key, &value)?);
    }
    let trace = |op, ns| compare(op, Attribute::Intrinsic(Intrinsic::TraceDuration), Static::Duration(ns));
    filters.extend(min.map(|ns| trace(CompareOp::GreaterEqual, ns)));
    filters.extend(max.map(|ns| trace(CompareOp::LessEqual, ns)));
    let and = |a, b| Spanset::Binary(SpansetOp::And, Box::new(a), Box::new(b));
    let spanset = filters.into_iter().map(Spanset::Filter).reduce(and);
    let spanset = spanset.unwrap_or(Spanset::Filter(Field::Static(Static::Bool(true))));
    Ok(Query { root: Root::Spans(Pipeline { stages: vec![Stage::Spanset(spanset)] }), hints: Vec::new() })
}

fn duration(form: &Form, name: &str) -> Result<Option<i64>, TempoError> {
    let parse = |text: &str| {
        go_duration(text)
            .filter(|ns| *ns >= 0)
            .ok_or_else(|| TempoError::bad(format!("invalid {name}: {text:?} is no duration")))
    };
    Ok(form.get(name).map(parse).transpose()?.filter(|ns| *ns > 0))
}

/// What a span must be like that has a tag.
fn tag(key: &str, value: &str) -> Result<Field, TempoError> {
    let intrinsic = |intrinsic| contains(Attribute::Intrinsic(intrinsic), value);
    let status = |status| compare(CompareOp::Equal, Attribute::Intrinsic(Intrinsic::Status), Static::Status(status));
    Ok(match (key, value) {
        ("name", _) => intrinsic(Intrinsic::Name),
        ("root.name", _) => intrinsic(Intrinsic::RootName),
        ("root.service.name", _) => intrinsic(Intrinsic::RootServiceName),
        ("status.code", "error") | ("error", "true") => status(Status::Error),
        ("status.code", "ok") => status(Status::Ok),
        ("status.code", "unset") => status(Status::Unset),
        ("status.code", _) => {
            return Err(TempoError::bad(format!("invalid tags: status.code={value}: must be error, ok or unset")));
        }
        (key, value) => {
            let attribute = || Attribute::Scoped { parent: false, scope: Scope::Any, key: key.to_owned() };
            let text = contains(attribute(), value);
            let other = value.parse().map(Static::Int).ok().or_else(|| value.parse().map(Static::Bool).ok());
            match other {
                Some(other) => {
                    let equal = compare(CompareOp::Equal, attribute(), other);
                    Field::Logic(LogicOp::Or, Box::new(text), Box::new(equal))
                }
                None => text,
            }
        }
    })
}

fn contains(attribute: Attribute, value: &str) -> Field {
    compare(CompareOp::Regex, attribute, Static::String(format!("(?is).*{}.*", escape(value))))
}

fn compare(op: CompareOp, attribute: Attribute, value: Static) -> Field {
    Field::Compare(op, Box::new(Field::Attribute(attribute)), Box::new(Field::Static(value)))
}

/// The text as a regular expression that matches it.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(
            c,
            '\\' | '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' | '#' | '&' | '-' | '~'
        ) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// `a=b c="d e"` as pairs.
fn logfmt(text: &str) -> Result<Vec<(String, String)>, TempoError> {
    let invalid = |why: &str| TempoError::bad(format!("invalid tags: {why} in {text:?}"));
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if pairs.len() == MAX_TAGS {
            return Err(invalid("too many tags"));
        }
        let end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix('=').filter(|_| !key.is_empty()) else {
            return Err(invalid("expected key=value"));
        };
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or_else(|| invalid("a quote that does not end"))?,
            None => {
                let (plain, after) = value.split_at(value.find(char::is_whitespace).unwrap_or(value.len()));
                (plain.to_owned(), after)
            }
        };
        pairs.push((key.to_owned(), value));
        rest = after.trim_start();
    }
    Ok(pairs)
}

/// A text up to its closing quote, and what follows.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Result<String, TempoError> {
        query(&Form::parse([text.as_bytes()]).expect("a form")).map(|q| q.to_string())
    }

    #[test]
    fn tags_become_traceql() {
        for (form, traceql) in [
            ("", "{ true }"),
            ("tags=service.name%3Dalpha", r#"{ .service.name =~ "(?is).*alpha.*" }"#),
            ("tags=name%3D%22GET+%2Fa%22+error%3Dtrue", r#"{ name =~ "(?is).*GET /a.*" } && { status = error }"#),
            ("tags=code%3D500", r#"{ .code =~ "(?is).*500.*" || .code = 500 }"#),
            ("minDuration=1s&maxDuration=2s", "{ traceDuration >= 1s } && { traceDuration <= 2s }"),
            ("tags=a%3Db.c", r#"{ .a =~ "(?is).*b\\.c.*" }"#),
        ] {
            let tree = sonde_traceql::parse(traceql).expect("a query");
            assert_eq!(printed(form), Ok(tree.to_string()), "{form}");
        }
    }

    #[test]
    fn what_is_malformed_is_refused() {
        for form in [
            "tags=a",
            "tags=%3Db",
            "tags=a%3D%22b",
            "tags=status.code%3Dbad",
            "minDuration=x",
            "minDuration=2s&maxDuration=1s",
        ] {
            assert!(printed(form).is_err(), "{form}");
        }
    }
}
