//! What templates compute with: samples, and how Go's conversions see a value.

use std::collections::BTreeMap;
use std::sync::Arc;

use gotmpl::{TemplateError, Value};
use sonde_model::Labels;

/// One element of the answer to a `query` in a template.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateSample {
    /// The labels, `__name__` included.
    pub labels: Labels,
    /// The value; a histogram's is 0, as in Prometheus.
    pub value: f64,
}

impl TemplateSample {
    pub(super) fn to_value(&self) -> Value {
        map([("Labels", labels_value(&self.labels)), ("Value", Value::Float(self.value))])
    }
}

/// The samples of a query as a list of maps with `Labels` and `Value`.
pub(super) fn samples_value(samples: &[TemplateSample]) -> Value {
    Value::List(samples.iter().map(TemplateSample::to_value).collect())
}

pub(super) fn labels_value(labels: &Labels) -> Value {
    Value::Map(Arc::new(labels.iter().map(|(name, value)| (name.into(), string(value))).collect()))
}

pub(super) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(Arc::new(entries.into_iter().map(|(name, value)| (name.into(), value)).collect()))
}

pub(super) fn string(text: impl AsRef<str>) -> Value {
    Value::String(text.as_ref().into())
}

pub(super) fn error(message: impl Into<String>) -> TemplateError {
    TemplateError::Exec(message.into())
}

/// Any number, or a text that is one.
pub(super) fn float(value: &Value) -> Result<f64, TemplateError> {
    match value {
        Value::Float(f) => Ok(*f),
        Value::Int(i) => Ok(*i as f64),
        Value::Uint(u) => Ok(*u as f64),
        Value::String(s) => parse_float(s).ok_or_else(|| error(format!("{s:?} is not a number"))),
        other => Err(error(format!("can't convert {} to a number", other.type_name()))),
    }
}

pub(super) fn text(value: &Value) -> Result<&str, TemplateError> {
    match value {
        Value::String(s) => Ok(s),
        other => Err(error(format!("wrong type: expected string, got {}", other.type_name()))),
    }
}

/// The labels and the value of a sample.
pub(super) fn sample(value: &Value) -> Result<(&BTreeMap<Arc<str>, Value>, &Value), TemplateError> {
    if let Value::Map(map) = value
        && let (Some(Value::Map(labels)), Some(value)) = (map.get("Labels"), map.get("Value"))
    {
        return Ok((labels, value));
    }
    Err(error(format!("wrong type: expected a sample of a query, got {}", value.type_name())))
}

pub(super) fn list(value: &Value) -> Result<&Arc<[Value]>, TemplateError> {
    match value {
        Value::List(items) => Ok(items),
        other => Err(error(format!("wrong type: expected the result of a query, got {}", other.type_name()))),
    }
}

/// Go's `strconv.ParseFloat` as far as templates meet it: Rust's grammar, with its spellings of infinity and NaN.
fn parse_float(text: &str) -> Option<f64> {
    text.parse().ok()
}
