//! The functions that Prometheus gives to templates, one by one.
//!
//! Names, argument order and results are those of Prometheus's template package. What they need of the outside
//! (the time, the external URL, answers to queries) comes from [`Run`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gotmpl::{Template, TemplateError, Value};
use regex_automata::meta::Regex;
use regex_automata::util::interpolate;
use sonde_model::duration::parse_duration_ms;

use super::compare;
use super::humanize;
use super::link::{graph_link, query_escape, table_link};
use super::printf;
use super::run::Run;
use super::tree::{FIELD_FUNCTION, PRINT_FUNCTION};
use super::value::{error, float, list, sample, string, text};

type Outcome = Result<Value, TemplateError>;
type Plain = fn(&[Value]) -> Outcome;
type Running = fn(&Run, &[Value]) -> Outcome;

/// A pattern over this is refused.
const COMPILED_SIZE_LIMIT: usize = 1 << 20;

/// Name, number of arguments (`None`: any), function.
const PLAIN: [(&str, Option<usize>, Plain); 35] = [
    (FIELD_FUNCTION, None, field),
    (PRINT_FUNCTION, Some(1), |a| Ok(printed(&a[0]))),
    ("printf", None, |a| printf::sprintf(a).map(string)),
    ("print", None, |a| Ok(string(printf::sprint(a)))),
    ("println", None, |a| Ok(string(printf::sprintln(a)))),
    ("index", None, index),
    ("lt", Some(2), compare::lt),
    ("le", Some(2), compare::le),
    ("gt", Some(2), compare::gt),
    ("ge", Some(2), compare::ge),
    ("first", Some(1), first),
    ("label", Some(2), label),
    ("value", Some(1), |a| sample(&a[0]).map(|(_, value)| value.clone())),
    ("strvalue", Some(1), |a| Ok(sample(&a[0])?.0.get("__value__").cloned().unwrap_or_else(|| string("")))),
    ("sortByLabel", Some(2), sort_by_label),
    ("args", None, args),
    ("reReplaceAll", Some(3), replace_all),
    ("match", Some(2), |a| Ok(Value::Bool(regex(text(&a[0])?)?.is_match(text(&a[1])?)))),
    ("safeHtml", Some(1), |a| text(&a[0]).map(string)),
    ("title", Some(1), |a| text(&a[0]).map(|t| string(title(t)))),
    ("toUpper", Some(1), |a| text(&a[0]).map(|t| string(t.to_uppercase()))),
    ("toLower", Some(1), |a| text(&a[0]).map(|t| string(t.to_lowercase()))),
    ("graphLink", Some(1), |a| text(&a[0]).map(|t| string(graph_link(t)))),
    ("tableLink", Some(1), |a| text(&a[0]).map(|t| string(table_link(t)))),
    ("urlQueryEscape", Some(1), |a| text(&a[0]).map(|t| string(query_escape(t)))),
    ("stripPort", Some(1), |a| text(&a[0]).map(|t| string(strip_port(t)))),
    ("stripDomain", Some(1), |a| text(&a[0]).map(|t| string(strip_domain(t)))),
    ("humanize", Some(1), |a| float(&a[0]).map(|v| string(humanize::humanize(v)))),
    ("humanize1024", Some(1), |a| float(&a[0]).map(|v| string(humanize::humanize1024(v)))),
    ("humanizeDuration", Some(1), |a| float(&a[0]).map(|v| string(humanize::duration(v)))),
    ("humanizePercentage", Some(1), |a| float(&a[0]).map(|v| string(humanize::percentage(v)))),
    ("humanizeTimestamp", Some(1), |a| humanize::timestamp(float(&a[0])?).map(string).map_err(error)),
    ("toTime", Some(1), to_time),
    ("toDuration", Some(1), |a| float(&a[0]).map(|v| string(humanize::go_duration(v)))),
    ("parseDuration", Some(1), parse_duration),
];

const RUNNING: [(&str, usize, Running); 5] = [
    ("query", 1, |run, a| run.query(text(&a[0])?)),
    ("now", 0, |run, _| Ok(Value::Float(run.now_seconds()))),
    ("externalURL", 0, |run, _| Ok(string(run.external_url()))),
    ("pathPrefix", 0, |run, _| Ok(string(run.path_prefix()))),
    ("tmpl", 2, |run, a| run.template(text(&a[0])?, &a[1])),
];

/// The names of all functions.
pub(super) fn names() -> BTreeSet<&'static str> {
    PLAIN.iter().map(|(name, ..)| *name).chain(RUNNING.iter().map(|(name, ..)| *name)).collect()
}

/// Gives all functions to a template.
pub(super) fn register(mut template: Template, run: &Arc<Run>) -> Template {
    for (name, count, function) in PLAIN {
        template = template.func(name, move |given: &[Value]| {
            if let Some(count) = count {
                arguments(name, count, given)?;
            }
            function(given)
        });
    }
    for (name, count, function) in RUNNING {
        let run = Arc::clone(run);
        template = template.func(name, move |given: &[Value]| {
            arguments(name, count, given)?;
            function(&run, given)
        });
    }
    template
}

fn arguments(name: &str, expected: usize, given: &[Value]) -> Result<(), TemplateError> {
    if given.len() == expected {
        return Ok(());
    }
    Err(error(format!("wrong number of args for {name}: want {expected} got {}", given.len())))
}

/// `$labels.name`: of labels a missing one is empty; of anything else it is an error.
fn field(given: &[Value]) -> Outcome {
    let (base, names) = given.split_first().ok_or_else(|| error("field of nothing"))?;
    let mut value = base.clone();
    for name in names {
        let name = text(name)?;
        value = match (value.field(name), &value) {
            (Some(found), _) => found.clone(),
            (None, Value::Map(map)) if is_labels(map) => string(""),
            (None, other) => return Err(error(format!("can't evaluate field {name} in type {}", type_of(other)))),
        };
    }
    Ok(value)
}

/// What an action prints.
fn printed(value: &Value) -> Value {
    match value {
        Value::Float(_) => string(printf::display(value)),
        other => other.clone(),
    }
}

/// As the built-in `index`, but what is missing from labels is empty.
fn index(given: &[Value]) -> Outcome {
    let (base, keys) =
        given.split_first().ok_or_else(|| error("wrong number of args for index: want at least 1 got 0"))?;
    keys.iter().try_fold(base.clone(), |value, key| match &value {
        Value::Map(map) if is_labels(map) => field(&[value.clone(), key.clone()]),
        other => other.index(key),
    })
}

fn is_labels(map: &BTreeMap<Arc<str>, Value>) -> bool {
    map.values().all(|value| matches!(value, Value::String(_)))
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Map(map) if map.contains_key("ExternalURL") => "alert data",
        value if sample(value).is_ok() => "sample",
        value => value.type_name(),
    }
}

fn first(given: &[Value]) -> Outcome {
    list(&given[0])?.first().cloned().ok_or_else(|| error("first() called on vector with no elements"))
}

fn label(given: &[Value]) -> Outcome {
    let (labels, _) = sample(&given[1])?;
    Ok(labels.get(text(&given[0])?).cloned().unwrap_or_else(|| string("")))
}

fn sort_by_label(given: &[Value]) -> Outcome {
    let name = text(&given[0])?;
    let mut keyed = Vec::new();
    for item in list(&given[1])?.iter() {
        let (labels, _) = sample(item)?;
        let key = labels.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        keyed.push((key, item.clone()));
    }
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::List(keyed.into_iter().map(|(_, item)| item).collect()))
}

fn args(given: &[Value]) -> Outcome {
    Ok(Value::Map(Arc::new(given.iter().enumerate().map(|(i, v)| (format!("arg{i}").into(), v.clone())).collect())))
}

fn regex(pattern: &str) -> Result<Regex, TemplateError> {
    Regex::builder()
        .configure(Regex::config().nfa_size_limit(Some(COMPILED_SIZE_LIMIT)))
        .build(pattern)
        .map_err(|e| error(format!("invalid regular expression {pattern:?}: {e}")))
}

fn replace_all(given: &[Value]) -> Outcome {
    let (pattern, replacement, haystack) = (text(&given[0])?, text(&given[1])?, text(&given[2])?);
    let regex = regex(pattern)?;
    let mut replaced = String::with_capacity(haystack.len());
    let mut end = 0;
    for captures in regex.captures_iter(haystack) {
        let Some(found) = captures.get_match() else { continue };
        replaced.push_str(&haystack[end..found.start()]);
        interpolate::string(
            replacement,
            |index, out| out.push_str(captures.get_group(index).map_or("", |span| &haystack[span.range()])),
            |name| captures.group_info().to_index(found.pattern(), name),
            &mut replaced,
        );
        end = found.end();
    }
    replaced.push_str(&haystack[end..]);
    Ok(string(replaced))
}

/// The first letter of each word in upper case, the rest as it is.
fn title(text: &str) -> String {
    let mut titled = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            titled.push(c)
        } else {
            titled.extend(c.to_uppercase())
        }
        in_word = c.is_alphanumeric() || (in_word && matches!(c, '\'' | '_' | '.'));
    }
    titled
}

/// The host and the port of `host:port` or `[host]:port`.
fn split_host_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    match host.strip_prefix('[') {
        Some(inside) => inside.strip_suffix(']').filter(|h| !h.contains(['[', ']'])).map(|h| (h, port)),
        None => (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port)),
    }
}

fn strip_port(host_port: &str) -> &str {
    split_host_port(host_port).map_or(host_port, |(host, _)| host)
}

fn strip_domain(host_port: &str) -> String {
    let (host, port) = split_host_port(host_port).unwrap_or((host_port, ""));
    if host.parse::<std::net::IpAddr>().is_ok() {
        return host_port.to_owned();
    }
    let name = host.split('.').next().unwrap_or(host);
    if port.is_empty() { name.to_owned() } else { format!("{name}:{port}") }
}

fn to_time(given: &[Value]) -> Outcome {
    let seconds = float(&given[0])?;
    if !seconds.is_finite() {
        return Err(error("value is NaN or Inf"));
    }
    humanize::timestamp(seconds).map(string).map_err(error)
}

fn parse_duration(given: &[Value]) -> Outcome {
    parse_duration_ms(text(&given[0])?).map(|ms| Value::Float(ms as f64 / 1000.0)).map_err(|e| error(e.to_string()))
}
