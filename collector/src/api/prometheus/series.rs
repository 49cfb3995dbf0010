//! `/labels`, `/label/NAME/values` and `/series`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use sonde_model::{Matcher, TimestampMs};
use sonde_promql::{Interrupt, QueryError};
use sonde_tsdb::{Db, ListLimits, Resolution, SelectError};

use super::query::queue_error;
use super::{parameters, result};
use crate::api::answer::{Answer, ApiError, ErrorKind};
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::query::{Client, Expired};
use crate::server::Server;

/// What all three may ask for.
struct Request {
    /// What is listed, and of which series: the same at another time is likely to take as long.
    likeness: (String, Vec<String>, i64),
    selectors: Vec<Vec<Matcher>>,
    from: TimestampMs,
    to: TimestampMs,
    limit: Option<usize>,
    /// How long it may take, where the request says so.
    timeout: Option<Duration>,
}

impl Request {
    fn new(what: &str, form: &Form, selectors: Vec<Vec<Matcher>>) -> Result<Self, ApiError> {
        let (from, to) = parameters::time_range(form)?;
        let timeout = form.get("timeout").map(|_| parameters::timeout(form, Duration::MAX)).transpose()?;
        let likeness = (what.to_owned(), form.all("match[]").map(str::to_owned).collect(), to - from);
        Ok(Request { likeness, selectors, from, to, limit: parameters::limit(form)?, timeout })
    }
}

/// `/labels`: the names of labels.
pub(super) async fn label_names(
    State(server): State<Arc<Server>>,
    client: Client,
    form: Form,
) -> Result<Response, ApiError> {
    let request = Request::new("names", &form, parameters::plain_selectors(&form)?)?;
    let read = |db: &Db, matchers: &[Matcher], r: &Request, limits: ListLimits<'_>| {
        db.label_names(matchers, r.from, r.to, limits)
    };
    collect(&server, &client, request, read, write_strings).await
}

/// `/label/NAME/values`: the values of one label. `U__` names are unescaped.
pub(super) async fn label_values(
    State(server): State<Arc<Server>>,
    Path(name): Path<String>,
    client: Client,
    form: Form,
) -> Result<Response, ApiError> {
    let name = unescape_name(&name);
    if name.is_empty() {
        return Err(ApiError::bad_data(format!("invalid label name: {name:?}")));
    }
    let request = Request::new(&format!("values {name}"), &form, parameters::plain_selectors(&form)?)?;
    let read = move |db: &Db, matchers: &[Matcher], r: &Request, limits: ListLimits<'_>| {
        db.label_values(&name, matchers, r.from, r.to, limits)
    };
    collect(&server, &client, request, read, write_strings).await
}

/// `/series`: label sets.
pub(super) async fn series(
    State(server): State<Arc<Server>>,
    client: Client,
    form: Form,
) -> Result<Response, ApiError> {
    let request = Request::new("series", &form, parameters::selectors(&form)?)?;
    if request.selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let read =
        |db: &Db, matchers: &[Matcher], r: &Request, limits: ListLimits<'_>| db.series(matchers, r.from, r.to, limits);
    collect(&server, &client, request, read, |json, series| result::write_list(json, series, result::write_labels))
        .await
}

/// Reads for each selector, joins what was found and answers, all on a thread of the pool.
async fn collect<T: Ord + Send + 'static>(
    server: &Server,
    client: &Client,
    request: Request,
    read: impl Fn(&Db, &[Matcher], &Request, ListLimits<'_>) -> Result<Vec<T>, SelectError> + Send + 'static,
    write: impl Fn(&mut JsonWriter, &[T]) + Send + 'static,
) -> Result<Response, ApiError> {
    let core = server.core().ok_or_else(ApiError::starting)?;
    let db = Arc::clone(&core.db);
    let (timeout, max_series) = {
        let config = &server.config.load().query;
        (request.timeout.map_or(config.timeout.0, |asked| asked.min(config.timeout.0)), config.max_series)
    };
    let likeness = request.likeness.clone();
    let work = move |expired: Expired<'_>| {
        let limit = request.limit.unwrap_or(max_series);
        // One more than the limit shows whether there is more.
        let ask = ListLimits { limit: limit.saturating_add(1), expired: &|| expired().is_some() };
        let read = |matchers: &[Matcher]| {
            let found = read_all(&db, request.from, limit.saturating_add(1), |db| read(db, matchers, &request, ask));
            expired().map_or(found.map_err(select_error), |interrupt| Err(interrupted(interrupt)))
        };
        let mut found = match request.selectors.as_slice() {
            [] => read(&[])?,
            [one] => read(one)?,
            several => {
                let mut all = BTreeSet::new();
                for matchers in several {
                    all.extend(read(matchers)?);
                }
                all.into_iter().collect()
            }
        };
        let mut warnings = Vec::new();
        if found.len() > limit {
            found.truncate(limit);
            warnings.push("results truncated due to limit".to_owned());
        }
        Ok(Answer::new(|json| write(json, &found)).finish(&warnings, &[]).into_response())
    };
    server.queries.answer(client, &likeness, timeout, work).await.map_err(queue_error)?
}

/// What the store has, and the tiers that have samples which it has no more; in order, at most `limit`.
fn read_all<T: Ord>(
    db: &Db,
    from: TimestampMs,
    limit: usize,
    read: impl Fn(&Db) -> Result<Vec<T>, SelectError>,
) -> Result<Vec<T>, SelectError> {
    let found = read(db)?;
    let mut older = db.tier_parts(Resolution::Auto).into_iter().filter(|part| part.before > from).peekable();
    if older.peek().is_none() {
        return Ok(found);
    }
    let mut all: BTreeSet<T> = found.into_iter().collect();
    for part in older {
        all.extend(read(&part.db)?);
    }
    Ok(all.into_iter().take(limit).collect())
}

/// Why work was not finished, in the words of the API.
fn interrupted(interrupt: Interrupt) -> ApiError {
    match interrupt {
        Interrupt::Timeout => ApiError::new(ErrorKind::Timeout, QueryError::Timeout),
        Interrupt::Canceled => ApiError::new(ErrorKind::Canceled, QueryError::Canceled),
    }
}

/// What the store says, in the words of the API.
pub(super) fn select_error(error: SelectError) -> ApiError {
    let kind = match error {
        SelectError::Storage(_) => ErrorKind::Internal,
        SelectError::Expired => ErrorKind::Timeout,
        SelectError::TooManySeries { .. } | SelectError::TooManySamples { .. } => ErrorKind::Execution,
    };
    ApiError::new(kind, sonde_runtime::stage::with_causes(&error))
}

fn write_strings(json: &mut JsonWriter, strings: &[String]) {
    json.strings(strings);
}

/// Undoes the escaping of names that are not legacy names: `U__http_2e_requests` is `http.requests`.
///
/// Source: `model.UnescapeName` with value encoding. What is not validly escaped is returned as it is.
fn unescape_name(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('_') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let Some((hex, after)) = rest.split_once('_') else { return name.to_owned() };
        let valid = hex.len() <= 6 && hex.bytes().all(|b| b.is_ascii_hexdigit());
        match u32::from_str_radix(hex, 16).ok().filter(|_| valid).and_then(char::from_u32) {
            Some(c) => out.push(c),
            None => return name.to_owned(),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_names_are_unescaped() {
        for (escaped, name) in [
            ("job", "job"),
            ("U__http_2e_requests", "http.requests"),
            ("U__a__b", "a_b"),
            ("U___1f600_x", "😀x"),
            ("U__", ""),
            ("U__broken_zz_", "U__broken_zz_"),
            ("U__open_2e", "U__open_2e"),
            ("U__surrogate_d800_", "U__surrogate_d800_"),
        ] {
            assert_eq!(unescape_name(escaped), name, "{escaped}");
        }
    }
}
