//! Whether a query that parses makes sense: types, references, what is not supported.

use sonde_model::matcher::compile_anchored;
use thiserror::Error;

use crate::ast::{
    ArithmeticOp, Attribute, CompareOp, Field, Intrinsic, Metrics, MetricsFunction, Pipeline, Query, Root, Scalar,
    ScalarFilter, Scope, SecondStage, Spanset, Stage, Static,
};

/// Why a query that parses is refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ValidateError {
    /// It can have no meaning.
    #[error("{0}")]
    Invalid(String),
    /// It has a meaning that is not built.
    #[error("{0} is not supported yet")]
    Unsupported(String),
}

/// Checks types and references. What makes no sense is told before what is not supported.
pub fn validate(query: &Query) -> Result<(), ValidateError> {
    let mut check = Check::default();
    match &query.root {
        Root::Spans(pipeline) => check.pipeline(pipeline)?,
        Root::Metrics(metrics) => check.metrics(metrics)?,
    }
    match check.unsupported {
        Some(what) => Err(ValidateError::Unsupported(what)),
        None => Ok(()),
    }
}

/// What a field expression yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    /// An attribute: known only when a span is looked at.
    Any,
    Nil,
    Number,
    String,
    Bool,
    Status,
    Kind,
}

#[derive(Default)]
struct Check {
    /// The first thing seen that is not supported.
    unsupported: Option<String>,
}

fn invalid<T>(text: impl Into<String>) -> Result<T, ValidateError> {
    Err(ValidateError::Invalid(text.into()))
}

impl Check {
    fn unsupported(&mut self, what: impl Into<String>) {
        self.unsupported.get_or_insert(what.into());
    }

    fn pipeline(&mut self, pipeline: &Pipeline) -> Result<(), ValidateError> {
        for stage in &pipeline.stages {
            match stage {
                Stage::Spanset(spanset) => self.spanset(spanset)?,
                Stage::Filter(filter) => self.scalar_filter(filter)?,
                Stage::By(field) => {
                    self.field(field)?;
                    if !references_span(field) {
                        return invalid(format!("by({field}) does not read anything of the span"));
                    }
                }
                Stage::Coalesce => {}
                Stage::Select(attributes) => attributes.iter().for_each(|a| self.attribute(a)),
            }
        }
        Ok(())
    }

    fn spanset(&mut self, spanset: &Spanset) -> Result<(), ValidateError> {
        match spanset {
            Spanset::Filter(field) => self.condition(field),
            Spanset::Binary(_, left, right) => {
                self.spanset(left)?;
                self.spanset(right)
            }
            Spanset::Pipeline(pipeline) => self.pipeline(pipeline),
        }
    }

    fn condition(&mut self, field: &Field) -> Result<(), ValidateError> {
        match self.field(field)? {
            Type::Bool | Type::Any => Ok(()),
            _ => invalid(format!("{{ {field} }} is no condition: it must be true or false")),
        }
    }

    fn scalar_filter(&mut self, filter: &ScalarFilter) -> Result<(), ValidateError> {
        self.scalar(&filter.left)?;
        self.scalar(&filter.right)?;
        if aggregates(&filter.left) + aggregates(&filter.right) > 1 {
            self.unsupported("a comparison of aggregates with each other");
        }
        if holds_pipeline(&filter.left) || holds_pipeline(&filter.right) {
            self.unsupported("a comparison of pipelines");
        }
        Ok(())
    }

    fn scalar(&mut self, scalar: &Scalar) -> Result<(), ValidateError> {
        match scalar {
            Scalar::Static(_) | Scalar::Aggregate(_, None) => Ok(()),
            Scalar::Aggregate(op, Some(field)) => {
                match self.field(field)? {
                    Type::Number | Type::Any => {}
                    _ => return invalid(format!("{}({field}) needs a number", op.name())),
                }
                if !references_span(field) {
                    return invalid(format!("{}({field}) does not read anything of the span", op.name()));
                }
                Ok(())
            }
            Scalar::Binary(_, left, right) => {
                self.scalar(left)?;
                self.scalar(right)
            }
            Scalar::Pipeline(pipeline, scalar) => {
                self.pipeline(pipeline)?;
                self.scalar(scalar)
            }
        }
    }

    fn field(&mut self, field: &Field) -> Result<Type, ValidateError> {
        match field {
            Field::Static(value) => Ok(type_of(value)),
            Field::Attribute(attribute) => {
                self.attribute(attribute);
                Ok(type_of_attribute(attribute))
            }
            Field::Not(inner) => match self.field(inner)? {
                Type::Bool | Type::Any => Ok(Type::Bool),
                _ => invalid(format!("!({inner}): only what is true or false can be negated")),
            },
            Field::Negative(inner) => match self.field(inner)? {
                ty @ (Type::Number | Type::Any) => Ok(ty),
                _ => invalid(format!("-({inner}): only a number has a sign")),
            },
            Field::Logic(_, left, right) => {
                for side in [left, right] {
                    if !matches!(self.field(side)?, Type::Bool | Type::Any) {
                        return invalid(format!("{side} is neither true nor false"));
                    }
                }
                Ok(Type::Bool)
            }
            Field::Compare(op, left, right) => self.compare(*op, left, right),
            Field::Arithmetic(op, left, right) => self.arithmetic(*op, left, right),
        }
    }

    fn attribute(&mut self, attribute: &Attribute) {
        if matches!(attribute, Attribute::Scoped { parent: true, .. } | Attribute::Intrinsic(Intrinsic::Parent)) {
            self.unsupported("the parent span");
        }
    }

    fn compare(&mut self, op: CompareOp, left: &Field, right: &Field) -> Result<Type, ValidateError> {
        let (a, b) = (self.field(left)?, self.field(right)?);
        if a == Type::Nil || b == Type::Nil {
            let other = if a == Type::Nil { right } else { left };
            return match op {
                CompareOp::NotEqual => Ok(Type::Bool),
                CompareOp::Equal if is_always_there(other) => invalid(format!("{other} is never nil")),
                CompareOp::Equal => Ok(Type::Bool),
                _ => invalid("nil can be compared with = and != only"),
            };
        }
        let alike = a == b || a == Type::Any || b == Type::Any;
        if !alike {
            return invalid(format!("{left} and {right} cannot be compared: their types differ"));
        }
        let fits = |ty: Type| match op {
            CompareOp::Equal | CompareOp::NotEqual => true,
            CompareOp::Regex | CompareOp::NotRegex => matches!(ty, Type::String | Type::Any),
            _ => matches!(ty, Type::Number | Type::String | Type::Any),
        };
        if !fits(a) || !fits(b) {
            return invalid(format!("{} does not fit {left} and {right}", op.symbol()));
        }
        if matches!(op, CompareOp::Regex | CompareOp::NotRegex)
            && let Field::Static(Static::String(pattern)) = right
            && let Err(error) = compile_anchored(pattern)
        {
            return invalid(error.to_string());
        }
        Ok(Type::Bool)
    }

    fn arithmetic(&mut self, op: ArithmeticOp, left: &Field, right: &Field) -> Result<Type, ValidateError> {
        let mut result = Type::Number;
        for side in [left, right] {
            match self.field(side)? {
                Type::Number => {}
                Type::Any => result = Type::Any,
                _ => return invalid(format!("{} needs numbers, {side} is none", op.symbol())),
            }
        }
        Ok(result)
    }

    fn metrics(&mut self, metrics: &Metrics) -> Result<(), ValidateError> {
        match metrics {
            Metrics::Scalar(scalar) => self.scalar(scalar),
            Metrics::Function { spans, function, by } => {
                self.pipeline(spans)?;
                by.iter().for_each(|a| self.attribute(a));
                self.metrics_function(function)
            }
            Metrics::Binary(_, left, right) => {
                if is_compare(left) || is_compare(right) {
                    return invalid("compare() cannot be computed with");
                }
                self.metrics(left)?;
                self.metrics(right)
            }
            Metrics::Second(input, stage) => {
                if is_compare(input) {
                    return invalid("nothing can follow compare()");
                }
                match stage {
                    SecondStage::TopK(n) | SecondStage::BottomK(n) if *n <= 0 => {
                        return invalid("topk and bottomk need a number above 0");
                    }
                    _ => {}
                }
                self.metrics(input)
            }
        }
    }

    fn metrics_function(&mut self, function: &MetricsFunction) -> Result<(), ValidateError> {
        match function {
            MetricsFunction::Rate | MetricsFunction::CountOverTime => Ok(()),
            MetricsFunction::Compare { selection, .. } => self.condition(selection),
            MetricsFunction::MinOverTime(field)
            | MetricsFunction::MaxOverTime(field)
            | MetricsFunction::AvgOverTime(field)
            | MetricsFunction::SumOverTime(field)
            | MetricsFunction::HistogramOverTime(field)
            | MetricsFunction::QuantileOverTime(field, _) => match self.field(field)? {
                Type::Number | Type::Any => {
                    if let MetricsFunction::QuantileOverTime(_, quantiles) = function
                        && quantiles.iter().any(|q| !(0.0..=1.0).contains(q))
                    {
                        return invalid("a quantile lies between 0 and 1");
                    }
                    Ok(())
                }
                _ => invalid(format!("{function} needs a number")),
            },
        }
    }
}

fn is_compare(metrics: &Metrics) -> bool {
    matches!(metrics, Metrics::Function { function: MetricsFunction::Compare { .. }, .. })
}

fn aggregates(scalar: &Scalar) -> usize {
    match scalar {
        Scalar::Static(_) => 0,
        Scalar::Aggregate(..) => 1,
        Scalar::Binary(_, left, right) => aggregates(left) + aggregates(right),
        Scalar::Pipeline(_, scalar) => aggregates(scalar),
    }
}

fn holds_pipeline(scalar: &Scalar) -> bool {
    match scalar {
        Scalar::Pipeline(..) => true,
        Scalar::Binary(_, left, right) => holds_pipeline(left) || holds_pipeline(right),
        Scalar::Static(_) | Scalar::Aggregate(..) => false,
    }
}

fn references_span(field: &Field) -> bool {
    match field {
        Field::Static(_) => false,
        Field::Attribute(_) => true,
        Field::Not(inner) | Field::Negative(inner) => references_span(inner),
        Field::Logic(_, left, right) | Field::Compare(_, left, right) | Field::Arithmetic(_, left, right) => {
            references_span(left) || references_span(right)
        }
    }
}

/// Whether a value exists for every span, so that `= nil` can only be a mistake.
fn is_always_there(field: &Field) -> bool {
    match field {
        Field::Attribute(Attribute::Intrinsic(_)) => true,
        Field::Attribute(Attribute::Scoped { scope: Scope::Resource, key, .. }) => key == "service.name",
        _ => false,
    }
}

fn type_of(value: &Static) -> Type {
    match value {
        Static::Nil => Type::Nil,
        Static::Int(_) | Static::Float(_) | Static::Duration(_) => Type::Number,
        Static::String(_) => Type::String,
        Static::Bool(_) => Type::Bool,
        Static::Status(_) => Type::Status,
        Static::Kind(_) => Type::Kind,
    }
}

fn type_of_attribute(attribute: &Attribute) -> Type {
    let Attribute::Intrinsic(intrinsic) = attribute else { return Type::Any };
    match intrinsic {
        Intrinsic::Duration
        | Intrinsic::TraceDuration
        | Intrinsic::ChildCount
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent
        | Intrinsic::EventTimeSinceStart => Type::Number,
        Intrinsic::Status => Type::Status,
        Intrinsic::Kind => Type::Kind,
        Intrinsic::Parent => Type::Any,
        Intrinsic::Name
        | Intrinsic::StatusMessage
        | Intrinsic::SpanId
        | Intrinsic::ParentId
        | Intrinsic::RootName
        | Intrinsic::RootServiceName
        | Intrinsic::TraceId
        | Intrinsic::EventName
        | Intrinsic::LinkTraceId
        | Intrinsic::LinkSpanId
        | Intrinsic::InstrumentationName
        | Intrinsic::InstrumentationVersion => Type::String,
    }
}
