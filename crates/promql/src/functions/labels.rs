//! `label_replace` and `label_join`: they look at labels only, not at times and values.

use regex_automata::util::captures::Captures;
use regex_automata::util::interpolate;
use sonde_model::matcher::compile_anchored;
use sonde_model::{LabelsBuilder, METRIC_NAME};

use super::arguments::{Arguments, string};
use crate::ast::{Expr, StringLiteral};
use crate::column::{Evaluated, StepSeries};
use crate::error::QueryError;

/// The longest label value that a function makes.
const MAX_VALUE_BYTES: usize = 1 << 20;

/// `label_replace(v, dst, replacement, src, regex)`
pub(super) fn replace(exprs: &[Expr], mut args: Arguments) -> Result<Evaluated, QueryError> {
    let [_, target, replacement, source, pattern] = exprs else {
        return Err(QueryError::execution("label_replace takes five arguments"));
    };
    let (replacement, source, pattern) = (&string(replacement)?.text, &string(source)?.text, &string(pattern)?.text);
    let regex = compile_anchored(pattern)
        .map_err(|_| QueryError::execution(format!("invalid regular expression in label_replace(): {pattern}")))?;
    let target = label_name(string(target)?, "destination label name in label_replace()")?;
    let mut captures = regex.create_captures();
    let mut series = args.vector()?;
    for one in &mut series {
        let value = one.labels.get(source).unwrap_or_default().to_owned();
        regex.captures(&value, &mut captures);
        if captures.is_match() {
            let groups = replacement.matches('$').count();
            check_length(value.len().saturating_mul(groups).saturating_add(replacement.len()))?;
            set_label(one, target, &expand(replacement, &value, &captures));
        }
    }
    Ok(Evaluated::Vector(series))
}

/// `label_join(v, dst, separator, src...)`
pub(super) fn join(exprs: &[Expr], mut args: Arguments) -> Result<Evaluated, QueryError> {
    let [_, target, separator, sources @ ..] = exprs else {
        return Err(QueryError::execution("label_join takes at least three arguments"));
    };
    let mut names = Vec::with_capacity(sources.len());
    for source in sources {
        names.push(label_name(string(source)?, "source label name in label_join()")?);
    }
    let target = label_name(string(target)?, "destination label name in label_join()")?;
    let separator = &string(separator)?.text;
    let mut series = args.vector()?;
    for one in &mut series {
        let values: Vec<&str> = names.iter().map(|name| one.labels.get(name).unwrap_or_default()).collect();
        check_length(values.iter().map(|value| value.len() + separator.len()).sum())?;
        let joined = values.join(separator);
        set_label(one, target, &joined);
    }
    Ok(Evaluated::Vector(series))
}

/// A value that functions around functions make could double each time.
fn check_length(bytes: usize) -> Result<(), QueryError> {
    if bytes <= MAX_VALUE_BYTES {
        return Ok(());
    }
    let reason = format!("a label value that is made could have {bytes} bytes; it may have at most {MAX_VALUE_BYTES}");
    Err(QueryError::execution(reason))
}

/// Sets a label. A new metric name is not one that is to be dropped.
fn set_label(series: &mut StepSeries, name: &str, value: &str) {
    let mut builder = LabelsBuilder::from(&series.labels);
    builder.set(name, value);
    series.labels = builder.build();
    if name == METRIC_NAME {
        series.drop_name = false;
    }
}

/// A label name is any text that is not empty and UTF-8.
fn label_name<'a>(literal: &'a StringLiteral, what: &str) -> Result<&'a str, QueryError> {
    if literal.text.is_empty() || literal.not_utf8.is_some() {
        return Err(QueryError::execution(format!("invalid {what}: {}", literal.text)));
    }
    Ok(&literal.text)
}

/// The replacement with `$1`, `${1}` and `$name` filled in.
fn expand(replacement: &str, value: &str, captures: &Captures) -> String {
    let mut expanded = String::new();
    interpolate::string(
        replacement,
        |group, expanded| {
            if let Some(span) = captures.get_group(group) {
                expanded.push_str(&value[span.range()]);
            }
        },
        |name| captures.group_info().to_index(captures.pattern()?, name),
        &mut expanded,
    );
    expanded
}
