//! Which attributes of a matching span the answer shows: those that the query reads.

use super::field::Subject;
use super::pushdown::simple;
use super::value::Value;
use crate::ast::{Attribute, CompareOp, Field, Intrinsic, Pipeline, Scalar, Scope, Spanset, Stage, Static};

/// An attribute that a query reads, and the condition on it where there is a plain one.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    attribute: Attribute,
    condition: Option<(CompareOp, Static)>,
    /// Whether `select` asks for it with its scope: then it is shown also where it is absent, as in Tempo.
    always: bool,
}

impl Read {
    fn plain(attribute: &Attribute) -> Self {
        Read { attribute: attribute.clone(), condition: None, always: false }
    }

    fn condition(&self) -> Option<(CompareOp, &Static)> {
        self.condition.as_ref().map(|(op, value)| (*op, value))
    }
}

/// All that a pipeline reads, in the order in which it stands there.
pub(crate) fn reads(pipeline: &Pipeline) -> Vec<Read> {
    let mut reads = Vec::new();
    of_pipeline(pipeline, &mut reads);
    reads
}

/// The attributes that the answer shows of a span, each once.
pub(crate) fn attributes(subject: &Subject<'_>, reads: &[Read]) -> Vec<(String, Value)> {
    let mut shown: Vec<(String, Value)> = Vec::new();
    for read in reads {
        let Some(key) = key(&read.attribute) else { continue };
        let value = subject.selected(&read.attribute, read.condition()).into_iter().next();
        if let Some(value) = value.or(read.always.then_some(Value::Nil))
            && !shown.iter().any(|(k, _)| k == key)
        {
            shown.push((key.to_owned(), value));
        }
    }
    shown
}

/// Whether a query reads the name of this span: the answer shows it in a field of its own.
pub(crate) fn shows_name(subject: &Subject<'_>, reads: &[Read]) -> bool {
    let name = Attribute::Intrinsic(Intrinsic::Name);
    let shows = |read: &Read| read.attribute == name && !subject.selected(&name, read.condition()).is_empty();
    reads.iter().any(shows)
}

/// The key under which an attribute is shown, or nothing for what the answer shows elsewhere.
fn key(attribute: &Attribute) -> Option<&str> {
    match attribute {
        Attribute::Scoped { key, .. } => Some(key),
        Attribute::Intrinsic(
            Intrinsic::Name
            | Intrinsic::Duration
            | Intrinsic::TraceDuration
            | Intrinsic::TraceId
            | Intrinsic::SpanId
            | Intrinsic::RootName
            | Intrinsic::RootServiceName
            | Intrinsic::Parent,
        ) => None,
        Attribute::Intrinsic(intrinsic) => Some(intrinsic.name()),
    }
}

fn of_pipeline(pipeline: &Pipeline, into: &mut Vec<Read>) {
    for stage in &pipeline.stages {
        match stage {
            Stage::Spanset(spanset) => of_spanset(spanset, into),
            Stage::Filter(filter) => {
                of_scalar(&filter.left, into);
                of_scalar(&filter.right, into);
            }
            Stage::By(field) => of_field(field, into),
            Stage::Coalesce => {}
            Stage::Select(attributes) => {
                let scoped = |a| !matches!(a, &Attribute::Scoped { scope: Scope::Any, .. });
                into.extend(attributes.iter().map(|a| Read { always: scoped(a), ..Read::plain(a) }));
            }
        }
    }
}

fn of_spanset(spanset: &Spanset, into: &mut Vec<Read>) {
    match spanset {
        Spanset::Filter(field) => of_field(field, into),
        Spanset::Binary(_, left, right) => {
            of_spanset(left, into);
            of_spanset(right, into);
        }
        Spanset::Pipeline(pipeline) => of_pipeline(pipeline, into),
    }
}

fn of_scalar(scalar: &Scalar, into: &mut Vec<Read>) {
    match scalar {
        Scalar::Aggregate(_, Some(field)) => of_field(field, into),
        Scalar::Binary(_, left, right) => {
            of_scalar(left, into);
            of_scalar(right, into);
        }
        Scalar::Static(_) | Scalar::Aggregate(_, None) | Scalar::Pipeline(..) => {}
    }
}

fn of_field(field: &Field, into: &mut Vec<Read>) {
    match field {
        Field::Static(_) => {}
        Field::Attribute(attribute) => into.push(Read::plain(attribute)),
        Field::Not(inner) | Field::Negative(inner) => of_field(inner, into),
        Field::Compare(op, left, right) => match simple(*op, left, right) {
            Some((attribute, op, value)) => {
                into.push(Read { condition: Some((op, value.clone())), ..Read::plain(attribute) });
            }
            None => {
                of_field(left, into);
                of_field(right, into);
            }
        },
        Field::Logic(_, left, right) | Field::Arithmetic(_, left, right) => {
            of_field(left, into);
            of_field(right, into);
        }
    }
}
