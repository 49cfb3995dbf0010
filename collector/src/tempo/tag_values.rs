//! `/api/search/tag/{name}/values` and `/api/v2/search/tag/{name}/values`: which values an attribute has.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use sonde_tracedb::{TagValue, TimeRange};
use sonde_traceql::ast::{Attribute, Field, Intrinsic, Pipeline, Query, Root, Scope, Spanset, Stage, Static};
use sonde_traceql::engine::{Value, matching};

use super::answer::{self, TempoError};
use super::form::TempoForm;
use super::{TraceSource, parameters, source};
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::server::Server;

/// A value with its type, in the words of Tempo; sorted by type.
type Typed = (&'static str, String);

/// What is asked.
struct Request {
    attribute: Attribute,
    narrowing: Option<Query>,
    range: TimeRange,
    limit: usize,
}

/// `/api/search/tag/{name}/values`: the values of a key in any scope, or of a name that every span has, as texts.
pub(super) async fn values(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    TempoForm(form): TempoForm,
) -> Result<Response, TempoError> {
    let scoped = || Attribute::Scoped { parent: false, scope: Scope::Any, key: name.clone() };
    let attribute = Intrinsic::from_name(&name).map_or_else(scoped, Attribute::Intrinsic);
    let found = read(&server, attribute, &form).await?;
    let texts: BTreeSet<&String> = found.iter().map(|(_, text)| text).collect();
    let mut json = JsonWriter::new();
    json.raw("{").key("tagValues").strings(&texts).raw(",").key("metrics").raw("{}}");
    Ok(answer::json(json))
}

/// `/api/v2/search/tag/{name}/values`: the values of an attribute as TraceQL names it, with their types.
pub(super) async fn values_v2(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    TempoForm(form): TempoForm,
) -> Result<Response, TempoError> {
    let invalid =
        |e| TempoError::bad(format!("please provide a valid tagName: failed to parse identifier {name}: {e}"));
    let attribute = sonde_traceql::parse_attribute(&name).map_err(invalid)?;
    let found = read(&server, attribute, &form).await?;
    let mut json = JsonWriter::new();
    json.raw("{").key("tagValues").raw("[");
    for (i, (kind, text)) in found.iter().enumerate() {
        json.raw(if i > 0 { ",{" } else { "{" }).key("type").string(kind);
        if !text.is_empty() {
            json.raw(",").key("value").string(text);
        }
        json.raw("}");
    }
    json.raw("],").key("metrics").raw("{}}");
    Ok(answer::json(json))
}

async fn read(server: &Server, attribute: Attribute, form: &Form) -> Result<Vec<Typed>, TempoError> {
    let request = Request {
        attribute,
        narrowing: parameters::narrowing(form),
        range: parameters::range(form)?,
        limit: parameters::tag_limit(form)?,
    };
    if let Attribute::Intrinsic(intrinsic) = request.attribute
        && let Some(words) = keywords(intrinsic)
    {
        return Ok(words.iter().map(|word| ("keyword", (*word).to_owned())).collect());
    }
    answer::read(server, move |source, interrupted| find(source, &request, interrupted)).await
}

/// The values of what has few of them by its nature, or so many that a list helps nobody.
fn keywords(intrinsic: Intrinsic) -> Option<&'static [&'static str]> {
    Some(match intrinsic {
        Intrinsic::Status => &["ok", "error", "unset"],
        Intrinsic::Kind => &["unspecified", "internal", "server", "client", "producer", "consumer"],
        Intrinsic::Duration
        | Intrinsic::TraceDuration
        | Intrinsic::TraceId
        | Intrinsic::SpanId
        | Intrinsic::ParentId
        | Intrinsic::Parent
        | Intrinsic::ChildCount
        | Intrinsic::NestedSetLeft
        | Intrinsic::NestedSetRight
        | Intrinsic::NestedSetParent
        | Intrinsic::EventTimeSinceStart
        | Intrinsic::LinkTraceId
        | Intrinsic::LinkSpanId => &[],
        _ => return None,
    })
}

/// The store knows the values of attributes and names; for the rest, and for a part of the spans, spans are read.
fn find(source: &TraceSource, request: &Request, interrupted: &dyn Fn() -> bool) -> Result<Vec<Typed>, TempoError> {
    let target = source::target(&request.attribute);
    if let (Some(target), None) = (&target, &request.narrowing) {
        // The first values that the store finds are not the first in their order: it is asked for all.
        let values = source.db().tag_values(target, request.range, parameters::MAX_TAGS)?;
        return Ok(values.into_iter().take(request.limit).map(of_store).collect());
    }
    let everything = || {
        let filter = Spanset::Filter(Field::Static(Static::Bool(true)));
        Query { root: Root::Spans(Pipeline { stages: vec![Stage::Spanset(filter)] }), hints: Vec::new() }
    };
    let query = request.narrowing.clone().unwrap_or_else(everything);
    let mut found = BTreeSet::new();
    let range = (request.range.start_ns, request.range.end_ns);
    matching(source, &query, range, interrupted, &mut |span| {
        found.extend(span.values(&request.attribute).into_iter().filter_map(of_engine));
        if found.len() >= parameters::MAX_TAGS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found.into_iter().take(request.limit).collect())
}

fn of_store(value: TagValue) -> Typed {
    match value {
        TagValue::String(text) => ("string", text.into()),
        TagValue::Int(n) => ("int", n.to_string()),
        TagValue::Double(x) => ("float", x.to_string()),
        TagValue::Bool(b) => ("bool", b.to_string()),
    }
}

fn of_engine(value: Value) -> Option<Typed> {
    let kind = match value {
        Value::Nil => return None,
        Value::String(_) => "string",
        Value::Int(_) => "int",
        Value::Float(_) => "float",
        Value::Bool(_) => "bool",
        Value::Duration(_) => "duration",
        Value::Status(_) | Value::Kind(_) => "keyword",
    };
    Some((kind, value.to_string()))
}
