//! Go's `lt`, `le`, `gt` and `ge`, which also have an answer where a float is no number.

use gotmpl::{TemplateError, Value};

use super::value::error;

pub(super) fn lt(given: &[Value]) -> Result<Value, TemplateError> {
    less(given).map(Value::Bool)
}

pub(super) fn le(given: &[Value]) -> Result<Value, TemplateError> {
    Ok(Value::Bool(less(given)? || given[0] == given[1]))
}

/// What is not less or equal is greater: so it is with what is no number, too.
pub(super) fn gt(given: &[Value]) -> Result<Value, TemplateError> {
    Ok(Value::Bool(!(less(given)? || given[0] == given[1])))
}

pub(super) fn ge(given: &[Value]) -> Result<Value, TemplateError> {
    less(given).map(|less| Value::Bool(!less))
}

fn less(given: &[Value]) -> Result<bool, TemplateError> {
    match given {
        [Value::Int(a), Value::Int(b)] => Ok(a < b),
        [Value::Uint(a), Value::Uint(b)] => Ok(a < b),
        [Value::Int(a), Value::Uint(b)] => Ok(u64::try_from(*a).map_or(true, |a| a < *b)),
        [Value::Uint(a), Value::Int(b)] => Ok(u64::try_from(*b).is_ok_and(|b| *a < b)),
        [Value::Float(a), Value::Float(b)] => Ok(a < b),
        [Value::String(a), Value::String(b)] => Ok(a < b),
        [a, b] => {
            let (a, b) = (a.type_name(), b.type_name());
            Err(error(format!("incompatible types for comparison: {a} and {b}")))
        }
        other => Err(error(format!("wrong number of args: want 2 got {}", other.len()))),
    }
}
