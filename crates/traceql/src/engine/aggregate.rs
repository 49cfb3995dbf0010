//! Numbers of a set of spans, and comparisons of them.

use super::field::{Regexes, Subject};
use super::value::Value;
use super::view::View;
use crate::ast::{AggregateOp, Field, Scalar, ScalarFilter};

/// The value of a scalar over some spans of a trace; `Nil` where no span has the value.
pub(crate) fn scalar(view: &View<'_>, regexes: &Regexes, spans: &[usize], scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Static(value) => value.into(),
        Scalar::Aggregate(AggregateOp::Count, _) | Scalar::Aggregate(_, None) => Value::Int(spans.len() as i64),
        Scalar::Aggregate(op, Some(field)) => aggregate(view, regexes, spans, *op, field),
        Scalar::Binary(op, left, right) => {
            let side = |s| self::scalar(view, regexes, spans, s);
            side(left).arithmetic(*op, &side(right))
        }
        // Validation refuses pipelines within scalars.
        Scalar::Pipeline(..) => Value::Nil,
    }
}

/// Whether a comparison of scalars holds for some spans of a trace.
pub(crate) fn holds(view: &View<'_>, regexes: &Regexes, spans: &[usize], filter: &ScalarFilter) -> bool {
    let side = |s| scalar(view, regexes, spans, s);
    side(&filter.left).compare(filter.op, &side(&filter.right))
}

fn aggregate(view: &View<'_>, regexes: &Regexes, spans: &[usize], op: AggregateOp, field: &Field) -> Value {
    let value = |span: &usize| Subject { view, span: *span, regexes }.value(field);
    let values: Vec<Value> = spans.iter().map(value).filter(|v| v.number().is_some()).collect();
    let larger = |a: &Value, b: &Value| a.order(b).is_some_and(std::cmp::Ordering::is_gt);
    let result = match op {
        AggregateOp::Max => values.into_iter().reduce(|a, b| if larger(&b, &a) { b } else { a }),
        AggregateOp::Min => values.into_iter().reduce(|a, b| if larger(&a, &b) { b } else { a }),
        AggregateOp::Count => Some(Value::Int(values.len() as i64)),
        AggregateOp::Sum => values.into_iter().reduce(|a, b| a.arithmetic(crate::ast::ArithmeticOp::Add, &b)),
        AggregateOp::Avg => {
            let count = values.len() as f64;
            let duration = values.iter().any(|v| matches!(v, Value::Duration(_)));
            let sum: f64 = values.iter().filter_map(Value::number).sum();
            let mean = if duration { Value::Duration(sum / count) } else { Value::Float(sum / count) };
            (count > 0.0).then_some(mean)
        }
    };
    result.unwrap_or(Value::Nil)
}
