//! The values that expressions yield, and how they compare.

use std::cmp::Ordering;
use std::fmt;

use sonde_model::span::AttributeValue;

use crate::ast::{ArithmeticOp, CompareOp, Kind, Static, Status};

/// A value of an attribute or an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// There is none.
    Nil,
    /// A whole number.
    Int(i64),
    /// A float.
    Float(f64),
    /// Nanoseconds; a fraction comes of a mean.
    Duration(f64),
    /// A text.
    String(Box<str>),
    /// A truth value.
    Bool(bool),
    /// A status.
    Status(Status),
    /// A kind.
    Kind(Kind),
}

impl Value {
    /// The values that an attribute offers: each element of a list, none where it cannot be asked for.
    pub(crate) fn candidates(value: &AttributeValue, into: &mut Vec<Value>) {
        match value {
            AttributeValue::String(text) => into.push(Value::String(text.clone())),
            AttributeValue::Bool(b) => into.push(Value::Bool(*b)),
            AttributeValue::Int(n) => into.push(Value::Int(*n)),
            AttributeValue::Double(x) => into.push(Value::Float(*x)),
            AttributeValue::Array(items) => items.iter().for_each(|item| match item {
                // A list within a list is a value that no literal can name.
                AttributeValue::Array(_) => {}
                item => Value::candidates(item, into),
            }),
            AttributeValue::Empty | AttributeValue::Bytes(_) | AttributeValue::Map(_) => {}
        }
    }

    /// The value as a number, where it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Value::Int(n) => Some(*n as f64),
            Value::Float(x) | Value::Duration(x) => Some(*x),
            _ => None,
        }
    }

    /// The order of two values of one type; numbers of any type compare with each other.
    pub(crate) fn order(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
            (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
            (Value::Status(a), Value::Status(b)) => (a == b).then_some(Ordering::Equal),
            (Value::Kind(a), Value::Kind(b)) => (a == b).then_some(Ordering::Equal),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    /// Whether a comparison other than by regular expression holds.
    pub(crate) fn compare(&self, op: CompareOp, other: &Value) -> bool {
        let order = self.order(other);
        match op {
            CompareOp::Equal => order == Some(Ordering::Equal),
            CompareOp::NotEqual => match (self, other) {
                (Value::Nil, _) | (_, Value::Nil) => false,
                (Value::Status(a), Value::Status(b)) => a != b,
                (Value::Kind(a), Value::Kind(b)) => a != b,
                _ => order.is_some_and(Ordering::is_ne),
            },
            CompareOp::Less => order == Some(Ordering::Less),
            CompareOp::LessEqual => order.is_some_and(Ordering::is_le),
            CompareOp::Greater => order == Some(Ordering::Greater),
            CompareOp::GreaterEqual => order.is_some_and(Ordering::is_ge),
            CompareOp::Regex | CompareOp::NotRegex => false,
        }
    }

    /// Whether two values are of one type, as a literal names it.
    pub(crate) fn same_type(&self, other: &Value) -> bool {
        matches!(other, Value::Duration(_)) && self.number().is_some()
            || std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Arithmetic. What cannot be computed is false, as in Tempo.
    pub(crate) fn arithmetic(&self, op: ArithmeticOp, other: &Value) -> Value {
        if let (Value::Int(a), Value::Int(b)) = (self, other)
            && let Some(n) = whole(op, *a, *b)
        {
            return Value::Int(n);
        }
        let (Some(a), Some(b)) = (self.number(), other.number()) else { return Value::Bool(false) };
        let result = match op {
            ArithmeticOp::Add => a + b,
            ArithmeticOp::Sub => a - b,
            ArithmeticOp::Mul => a * b,
            ArithmeticOp::Div => a / b,
            ArithmeticOp::Mod => a % b,
            ArithmeticOp::Pow => a.powf(b),
        };
        let duration = matches!(self, Value::Duration(_)) || matches!(other, Value::Duration(_));
        if duration { Value::Duration(result) } else { Value::Float(result) }
    }

    /// The value with the opposite sign, where it has one.
    pub(crate) fn negative(&self) -> Value {
        match self {
            Value::Int(n) => Value::Int(n.wrapping_neg()),
            Value::Float(x) => Value::Float(-x),
            Value::Duration(x) => Value::Duration(-x),
            _ => Value::Nil,
        }
    }
}

/// Arithmetic of whole numbers that yields one.
fn whole(op: ArithmeticOp, a: i64, b: i64) -> Option<i64> {
    match op {
        ArithmeticOp::Add => a.checked_add(b),
        ArithmeticOp::Sub => a.checked_sub(b),
        ArithmeticOp::Mul => a.checked_mul(b),
        ArithmeticOp::Div => a.checked_div(b),
        ArithmeticOp::Mod => a.checked_rem(b),
        ArithmeticOp::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
    }
}

impl From<&Static> for Value {
    fn from(value: &Static) -> Self {
        match value {
            Static::Nil => Value::Nil,
            Static::Int(n) => Value::Int(*n),
            Static::Float(x) => Value::Float(*x),
            Static::Duration(n) => Value::Duration(*n as f64),
            Static::String(text) => Value::String(text.as_str().into()),
            Static::Bool(b) => Value::Bool(*b),
            Static::Status(status) => Value::Status(*status),
            Static::Kind(kind) => Value::Kind(*kind),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Int(n) => write!(f, "{n}"),
            Value::Float(x) => write!(f, "{x}"),
            Value::Duration(ns) => write!(f, "{}", GoDuration(*ns)),
            Value::String(text) => f.write_str(text),
            Value::Bool(b) => write!(f, "{b}"),
            Value::Status(status) => write!(f, "{status}"),
            Value::Kind(kind) => write!(f, "{kind}"),
        }
    }
}

/// Nanoseconds as Go prints them: `1h2m3.5s`, `344.25ms`, `0s`.
struct GoDuration(f64);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ns = self.0.trunc();
        if ns == 0.0 {
            return f.write_str("0s");
        }
        let (sign, ns) = if ns < 0.0 { ("-", -ns) } else { ("", ns) };
        f.write_str(sign)?;
        match ns {
            ns if ns < 1e3 => write!(f, "{ns}ns"),
            ns if ns < 1e6 => write!(f, "{}µs", ns / 1e3),
            ns if ns < 1e9 => write!(f, "{}ms", ns / 1e6),
            ns => {
                let (hours, rest) = ((ns / 3_600e9).floor(), ns % 3_600e9);
                let (minutes, rest) = ((rest / 60e9).floor(), rest % 60e9);
                if hours > 0.0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0.0 || minutes > 0.0 {
                    write!(f, "{minutes}m")?;
                }
                write!(f, "{}s", rest / 1e9)
            }
        }
    }
}
