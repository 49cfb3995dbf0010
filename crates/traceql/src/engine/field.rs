//! Expressions over one span of a view.

use std::cell::RefCell;
use std::collections::HashMap;

use regex_automata::meta::Regex;
use sonde_model::matcher::compile_anchored;
use sonde_model::span::{Attributes, SpanKind, StatusCode, get};

use super::value::Value;
use super::view::View;
use crate::ast::{Attribute, CompareOp, Field, Intrinsic, Kind, LogicOp, Scope, Static, Status};

/// The regular expressions of a query, compiled once.
#[derive(Debug, Default)]
pub(crate) struct Regexes(RefCell<HashMap<String, Option<Regex>>>);

impl Regexes {
    fn is_match(&self, pattern: &str, text: &str) -> bool {
        let mut known = self.0.borrow_mut();
        if !known.contains_key(pattern) {
            known.insert(pattern.to_owned(), compile_anchored(pattern).ok());
        }
        known.get(pattern).and_then(Option::as_ref).is_some_and(|regex| regex.is_match(text))
    }
}

/// A span that is being looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) span: usize,
    pub(crate) regexes: &'a Regexes,
}

impl Subject<'_> {
    /// Whether a condition holds.
    pub(crate) fn holds(&self, field: &Field) -> bool {
        match field {
            Field::Logic(LogicOp::And, left, right) => self.holds(left) && self.holds(right),
            Field::Logic(LogicOp::Or, left, right) => self.holds(left) || self.holds(right),
            Field::Compare(op, left, right) => self.compare(*op, left, right),
            Field::Not(inner) => match &**inner {
                // Not of what is absent is not true: only what is there and false is.
                Field::Attribute(_) => self.values(inner).contains(&Value::Bool(false)),
                inner => !self.holds(inner),
            },
            other => self.values(other).contains(&Value::Bool(true)),
        }
    }

    /// The value of an expression; `Nil` where there is none.
    pub(crate) fn value(&self, field: &Field) -> Value {
        self.values(field).into_iter().next().unwrap_or(Value::Nil)
    }

    /// All values that an expression offers: lists, events and links offer several.
    fn values(&self, field: &Field) -> Vec<Value> {
        match field {
            Field::Static(value) => vec![value.into()],
            Field::Attribute(attribute) => self.attribute(attribute),
            Field::Negative(inner) => self.values(inner).iter().map(Value::negative).collect(),
            Field::Arithmetic(op, left, right) => {
                vec![self.value(left).arithmetic(*op, &self.value(right))]
            }
            condition => vec![Value::Bool(self.holds(condition))],
        }
    }

    /// Whether a comparison holds for some value of each side.
    fn compare(&self, op: CompareOp, left: &Field, right: &Field) -> bool {
        if let Some(other) = beside_nil(left, right) {
            let absent = match other {
                Field::Static(Static::Nil) => return false,
                other => self.values(other).iter().all(|v| *v == Value::Nil),
            };
            return absent == (op == CompareOp::Equal);
        }
        let (a, b) = (self.values(left), self.values(right));
        a.iter().any(|a| b.iter().any(|b| self.pair(op, left, a, right, b)))
    }

    fn pair(&self, op: CompareOp, left: &Field, a: &Value, right: &Field, b: &Value) -> bool {
        // The type of a literal says which values of an attribute are meant: 1 is not 1.0.
        let named = |field: &Field| matches!(field, Field::Attribute(Attribute::Scoped { .. }));
        let literal = |field: &Field| matches!(field, Field::Static(_));
        if named(left) && literal(right) && !a.same_type(b) || literal(left) && named(right) && !b.same_type(a) {
            return false;
        }
        match op {
            CompareOp::Regex | CompareOp::NotRegex => match (a, b) {
                (Value::String(text), Value::String(pattern)) => {
                    self.regexes.is_match(pattern, text) == (op == CompareOp::Regex)
                }
                _ => false,
            },
            op => a.compare(op, b),
        }
    }

    /// The values of an attribute that a condition on it selects; of an attribute that is only read, all.
    pub(crate) fn selected(&self, attribute: &Attribute, condition: Option<(CompareOp, &Static)>) -> Vec<Value> {
        let values = self.attribute(attribute);
        let Some((op, literal)) = condition else { return values };
        if matches!(literal, Static::Nil) {
            return if values.is_empty() && op == CompareOp::Equal { vec![Value::Nil] } else { values };
        }
        let (field, right) = (Field::Attribute(attribute.clone()), Field::Static(literal.clone()));
        let literal = Value::from(literal);
        values.into_iter().filter(|v| self.pair(op, &field, v, &right, &literal)).collect()
    }

    pub(crate) fn attribute(&self, attribute: &Attribute) -> Vec<Value> {
        match attribute {
            Attribute::Intrinsic(intrinsic) => self.intrinsic(*intrinsic),
            Attribute::Scoped { scope, key, .. } => self.scoped(*scope, key),
        }
    }

    fn scoped(&self, scope: Scope, key: &str) -> Vec<Value> {
        let scoped = self.view.spans[self.span];
        let span = &scoped.span;
        let mut values = Vec::new();
        let mut of = |attributes: &Attributes| {
            if let Some(value) = get(attributes, key) {
                Value::candidates(value, &mut values);
            }
        };
        match scope {
            Scope::Span => of(&span.attributes),
            Scope::Resource => of(&scoped.resource.attributes),
            Scope::Instrumentation => of(&scoped.scope.attributes),
            Scope::Event => span.events.iter().for_each(|e| of(&e.attributes)),
            Scope::Link => span.links.iter().for_each(|l| of(&l.attributes)),
            Scope::Any => {
                of(&span.attributes);
                if values.is_empty() {
                    return self.scoped(Scope::Resource, key);
                }
            }
        }
        values
    }

    fn intrinsic(&self, intrinsic: Intrinsic) -> Vec<Value> {
        let view = self.view;
        let scoped = view.spans[self.span];
        let span = &scoped.span;
        let text = |text: &str| vec![Value::String(text.into())];
        let set = view.sets[self.span];
        match intrinsic {
            Intrinsic::Duration => vec![Value::Duration(span.duration_ns() as f64)],
            Intrinsic::Name => text(&span.name),
            Intrinsic::Status => vec![Value::Status(status(span.status))],
            Intrinsic::StatusMessage => text(&span.status_message),
            Intrinsic::Kind => vec![Value::Kind(kind(span.kind))],
            Intrinsic::SpanId => text(&span.span_id.to_string()),
            Intrinsic::ParentId => text(&span.parent_span_id.unwrap_or_default().to_string()),
            Intrinsic::ChildCount => vec![Value::Int(view.children[self.span].len() as i64)],
            Intrinsic::Parent => Vec::new(),
            Intrinsic::RootName => text(view.root_name()),
            Intrinsic::RootServiceName => text(view.root_service()),
            Intrinsic::TraceDuration => vec![Value::Duration(view.duration_ns as f64)],
            Intrinsic::TraceId => text(&view.trace.id.to_string()),
            Intrinsic::NestedSetLeft => vec![Value::Int(set.left)],
            Intrinsic::NestedSetRight => vec![Value::Int(set.right)],
            Intrinsic::NestedSetParent => vec![Value::Int(set.parent)],
            Intrinsic::EventName => span.events.iter().map(|e| Value::String(e.name.clone())).collect(),
            Intrinsic::EventTimeSinceStart => {
                let since = |time: u64| time.saturating_sub(span.start_ns) as f64;
                span.events.iter().map(|e| Value::Duration(since(e.time_ns))).collect()
            }
            Intrinsic::LinkTraceId => span.links.iter().map(|l| Value::String(l.trace_id.to_string().into())).collect(),
            Intrinsic::LinkSpanId => span.links.iter().map(|l| Value::String(l.span_id.to_string().into())).collect(),
            Intrinsic::InstrumentationName => text(&scoped.scope.name),
            Intrinsic::InstrumentationVersion => text(&scoped.scope.version),
        }
    }
}

/// The side that is compared with `nil`, where one is.
fn beside_nil<'a>(left: &'a Field, right: &'a Field) -> Option<&'a Field> {
    let is_nil = |field: &Field| matches!(field, Field::Static(Static::Nil));
    match (is_nil(left), is_nil(right)) {
        (_, true) => Some(left),
        (true, false) => Some(right),
        (false, false) => None,
    }
}

fn status(code: StatusCode) -> Status {
    match code {
        StatusCode::Unset => Status::Unset,
        StatusCode::Ok => Status::Ok,
        StatusCode::Error => Status::Error,
    }
}

fn kind(kind: SpanKind) -> Kind {
    match kind {
        SpanKind::Unspecified => Kind::Unspecified,
        SpanKind::Internal => Kind::Internal,
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
        SpanKind::Producer => Kind::Producer,
        SpanKind::Consumer => Kind::Consumer,
    }
}
