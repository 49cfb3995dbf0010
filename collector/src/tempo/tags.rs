//! `/api/search/tags` and `/api/v2/search/tags`: which attributes there are.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use sonde_model::span::{Attributes, ScopedSpan};
use sonde_tracedb::{TagScope, TimeRange};
use sonde_traceql::ast::Query;
use sonde_traceql::engine::matching;

use super::answer::{self, TempoError};
use super::form::TempoForm;
use super::{TraceSource, parameters};
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::server::Server;

/// The scopes in the order in which they are listed, with their names.
const SCOPES: [(TagScope, &str); 5] = [
    (TagScope::Resource, "resource"),
    (TagScope::Span, "span"),
    (TagScope::Event, "event"),
    (TagScope::Link, "link"),
    (TagScope::Instrumentation, "instrumentation"),
];

/// What every span has, in the words of Tempo.
const INTRINSICS: [&str; 25] = [
    "duration",
    "event:name",
    "event:timeSinceStart",
    "instrumentation:name",
    "instrumentation:version",
    "kind",
    "link:spanID",
    "link:traceID",
    "name",
    "rootName",
    "rootServiceName",
    "span:duration",
    "span:id",
    "span:kind",
    "span:name",
    "span:parentID",
    "span:status",
    "span:statusMessage",
    "status",
    "statusMessage",
    "trace:duration",
    "trace:id",
    "trace:rootName",
    "trace:rootService",
    "traceDuration",
];

/// Keys with their scopes.
type Tags = BTreeSet<(TagScope, Box<str>)>;

/// Which scopes are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    One(TagScope),
    Intrinsic,
}

impl Wanted {
    fn new(form: &Form) -> Result<Self, TempoError> {
        Ok(match form.get("scope").unwrap_or("none") {
            "none" => Wanted::All,
            "intrinsic" => Wanted::Intrinsic,
            name => match SCOPES.iter().find(|(_, known)| *known == name) {
                Some((scope, _)) => Wanted::One(*scope),
                None => return Err(TempoError::bad(format!("invalid scope: {name}"))),
            },
        })
    }

    fn scope(self) -> TagScope {
        if let Wanted::One(scope) = self { scope } else { TagScope::Any }
    }
}

/// `/api/search/tags`: the keys without their scopes.
pub(super) async fn tags(
    State(server): State<Arc<Server>>,
    TempoForm(form): TempoForm,
) -> Result<Response, TempoError> {
    let (wanted, tags) = found(&server, &form).await?;
    let mut names: BTreeSet<&str> = tags.iter().map(|(_, key)| &**key).collect();
    if wanted == Wanted::Intrinsic {
        names.extend(INTRINSICS);
    }
    let mut json = JsonWriter::new();
    json.raw("{").key("tagNames").strings(&names).raw(",").key("metrics").raw("{}}");
    Ok(answer::json(json))
}

/// `/api/v2/search/tags`: the keys by scope.
pub(super) async fn tags_v2(
    State(server): State<Arc<Server>>,
    TempoForm(form): TempoForm,
) -> Result<Response, TempoError> {
    let (wanted, tags) = found(&server, &form).await?;
    let mut scopes: Vec<(&str, Vec<&str>)> = Vec::new();
    for (scope, name) in SCOPES {
        let keys: Vec<&str> = tags.iter().filter(|(s, _)| *s == scope).map(|(_, key)| &**key).collect();
        if !keys.is_empty() {
            scopes.push((name, keys));
        }
    }
    if !matches!(wanted, Wanted::One(_)) {
        scopes.push(("intrinsic", INTRINSICS.to_vec()));
    }
    let mut json = JsonWriter::new();
    json.raw("{").key("scopes").raw("[");
    for (i, (name, keys)) in scopes.iter().enumerate() {
        json.raw(if i > 0 { ",{" } else { "{" }).key("name").string(name).raw(",").key("tags").strings(keys).raw("}");
    }
    json.raw("],").key("metrics").raw("{}}");
    Ok(answer::json(json))
}

async fn found(server: &Server, form: &Form) -> Result<(Wanted, Tags), TempoError> {
    let (wanted, limit) = (Wanted::new(form)?, parameters::tag_limit(form)?);
    let (range, narrowing) = (parameters::range(form)?, parameters::narrowing(form));
    if wanted == Wanted::Intrinsic {
        return Ok((wanted, Tags::new()));
    }
    let tags = answer::read(server, move |source, interrupted| match narrowing {
        None => {
            Ok(source.db().tag_names(wanted.scope(), range, parameters::MAX_TAGS)?.into_iter().take(limit).collect())
        }
        Some(query) => of_matching(source, &query, range, wanted, limit, interrupted),
    });
    Ok((wanted, tags.await?))
}

/// The keys of the spans that a query matches.
fn of_matching(
    source: &TraceSource,
    query: &Query,
    range: TimeRange,
    wanted: Wanted,
    limit: usize,
    interrupted: &dyn Fn() -> bool,
) -> Result<Tags, TempoError> {
    let mut tags = Tags::new();
    matching(source, query, (range.start_ns, range.end_ns), interrupted, &mut |found| {
        collect(found.span(), wanted, &mut tags);
        if tags.len() >= parameters::MAX_TAGS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(tags.into_iter().take(limit).collect())
}

fn collect(scoped: &ScopedSpan, wanted: Wanted, tags: &mut Tags) {
    let mut add = |scope, attributes: &Attributes| {
        if wanted != Wanted::All && wanted != Wanted::One(scope) {
            return;
        }
        tags.extend(attributes.iter().map(|(key, _)| (scope, key.clone())));
    };
    add(TagScope::Resource, &scoped.resource.attributes);
    add(TagScope::Instrumentation, &scoped.scope.attributes);
    add(TagScope::Span, &scoped.span.attributes);
    scoped.span.events.iter().for_each(|event| add(TagScope::Event, &event.attributes));
    scoped.span.links.iter().for_each(|link| add(TagScope::Link, &link.attributes));
}
