//! The span store as a source of traces for the query engine.

use std::ops::ControlFlow;
use std::sync::Arc;

use sonde_model::span::{SpanKind, StatusCode, Trace};
use sonde_tracedb::{Compare, Literal, Search, TagScope, Target, TimeRange, TraceDb};
use sonde_traceql::ast::{Attribute, CompareOp, Intrinsic, Kind, Scope, Static, Status};
use sonde_traceql::engine::{Condition, Fetch, FetchError, SpanSource};

/// The traces of the store.
#[derive(Clone, Debug)]
pub(crate) struct TraceSource(Arc<TraceDb>);

impl TraceSource {
    /// A source over `db`.
    pub(crate) fn new(db: Arc<TraceDb>) -> Self {
        TraceSource(db)
    }

    /// The store itself.
    pub(super) fn db(&self) -> &TraceDb {
        &self.0
    }
}

impl SpanSource for TraceSource {
    fn fetch(&self, fetch: &Fetch, visit: &mut dyn FnMut(Trace) -> ControlFlow<()>) -> Result<(), FetchError> {
        // A condition that the store cannot judge is left out: it delivers more, and the engine judges again.
        let filter = |filter: &sonde_traceql::engine::SpanFilter| sonde_tracedb::SpanFilter {
            conditions: filter.conditions.iter().filter_map(condition).collect(),
        };
        let mut filters: Vec<_> = fetch.filters.iter().map(filter).collect();
        filters.retain(|filter| !filter.conditions.is_empty());
        let search = Search { range: TimeRange { start_ns: fetch.start_ns, end_ns: fetch.end_ns }, filters };
        self.0.search(&search, visit).map_err(|e| FetchError(Box::new(e)))
    }

    /// The store sorts traces by their newest span that matches the filters.
    fn newest_first(&self) -> bool {
        true
    }
}

fn condition(condition: &Condition) -> Option<sonde_tracedb::Condition> {
    let target = target(&condition.attribute)?;
    let op = match condition.op {
        CompareOp::Equal => Compare::Equal,
        CompareOp::NotEqual => Compare::NotEqual,
        CompareOp::Less => Compare::Less,
        CompareOp::LessEqual => Compare::LessEqual,
        CompareOp::Greater => Compare::Greater,
        CompareOp::GreaterEqual => Compare::GreaterEqual,
        CompareOp::Regex => Compare::Regex,
        CompareOp::NotRegex => Compare::NotRegex,
    };
    let numeric = target == Target::Duration;
    let value = match &condition.value {
        Static::Nil => return None,
        Static::Int(n) if numeric => Literal::Number(*n as f64),
        Static::Float(x) if numeric => Literal::Number(*x),
        Static::Duration(ns) => Literal::Number(*ns as f64),
        Static::Int(n) => Literal::Int(*n),
        Static::Float(x) => Literal::Float(*x),
        Static::String(text) => Literal::String(text.as_str().into()),
        Static::Bool(b) => Literal::Bool(*b),
        Static::Status(status) => Literal::Status(match status {
            Status::Unset => StatusCode::Unset,
            Status::Ok => StatusCode::Ok,
            Status::Error => StatusCode::Error,
        }),
        Static::Kind(kind) => Literal::Kind(match kind {
            Kind::Unspecified => SpanKind::Unspecified,
            Kind::Internal => SpanKind::Internal,
            Kind::Server => SpanKind::Server,
            Kind::Client => SpanKind::Client,
            Kind::Producer => SpanKind::Producer,
            Kind::Consumer => SpanKind::Consumer,
        }),
    };
    Some(sonde_tracedb::Condition { target, op, value })
}

/// What the store calls an attribute; nothing for what it cannot be asked for.
pub(super) fn target(attribute: &Attribute) -> Option<Target> {
    Some(match attribute {
        Attribute::Scoped { parent: true, .. } => return None,
        Attribute::Scoped { scope, key, .. } => Target::Attribute(tag_scope(*scope), key.as_str().into()),
        Attribute::Intrinsic(Intrinsic::Name) => Target::Name,
        Attribute::Intrinsic(Intrinsic::Duration) => Target::Duration,
        Attribute::Intrinsic(Intrinsic::Status) => Target::Status,
        Attribute::Intrinsic(Intrinsic::StatusMessage) => Target::StatusMessage,
        Attribute::Intrinsic(Intrinsic::Kind) => Target::Kind,
        Attribute::Intrinsic(_) => return None,
    })
}

fn tag_scope(scope: Scope) -> TagScope {
    match scope {
        Scope::Any => TagScope::Any,
        Scope::Span => TagScope::Span,
        Scope::Resource => TagScope::Resource,
        Scope::Event => TagScope::Event,
        Scope::Link => TagScope::Link,
        Scope::Instrumentation => TagScope::Instrumentation,
    }
}
