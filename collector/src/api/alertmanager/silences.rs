//! Silences: list, one, make or change, end.

use std::cmp::Reverse;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sonde_alerting::matcher::{Matcher, Matchers};
use sonde_alerting::silence::{Draft, Silence, SilenceError, SilenceId, SilenceState};
use sonde_model::{MatchOp, TimestampMs};

use super::answer::{self, Refusal};
use super::body::{self, JsonBody};
use super::parameters;
use crate::api::form::Form;
use crate::server::Server;

/// A silence as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSilence<'a> {
    id: String,
    status: ShownState,
    updated_at: String,
    comment: &'a str,
    created_by: &'a str,
    ends_at: String,
    matchers: Vec<ShownMatcher<'a>>,
    starts_at: String,
}

#[derive(Debug, Serialize)]
struct ShownState {
    state: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownMatcher<'a> {
    is_equal: bool,
    is_regex: bool,
    name: &'a str,
    value: &'a str,
}

/// A silence as it is posted. What is unknown is ignored, as by Alertmanager.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedSilence {
    id: Option<String>,
    matchers: Option<Vec<PostedMatcher>>,
    starts_at: Option<String>,
    ends_at: Option<String>,
    created_by: Option<String>,
    comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PostedMatcher {
    name: Option<String>,
    value: Option<String>,
    is_regex: Option<bool>,
    is_equal: Option<bool>,
}

/// `GET /silences`: those that have all matchers of the filter; active ones first, then pending, then expired.
pub(super) async fn list(
    State(server): State<Arc<Server>>,
    form: Result<Form, crate::api::answer::ApiError>,
) -> Result<Response, Refusal> {
    let filter = parameters::filter(&form.map_err(|e| Refusal::bad_request(e.message))?)?;
    server.core().ok_or_else(Refusal::starting)?;
    let (set, now) = (server.notifier.silences().current(), server.clock.now_ms());
    let has_all =
        |silence: &&Arc<Silence>| filter.iter().all(|wanted| silence.draft.matchers.iter().any(|m| m == wanted));
    let mut silences: Vec<&Arc<Silence>> = set.iter().filter(has_all).collect();
    silences.sort_by_key(|silence| order(silence, now));
    Ok(answer::json(&silences.into_iter().map(|silence| shown(silence, now)).collect::<Vec<_>>()))
}

/// `GET /silence/{id}`
pub(super) async fn one(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let id = silence_id(&id)?;
    server.core().ok_or_else(Refusal::starting)?;
    let set = server.notifier.silences().current();
    let silence = set.get(id).ok_or(Refusal::Bare(StatusCode::NOT_FOUND))?;
    Ok(answer::json(&shown(silence, server.clock.now_ms())))
}

/// `POST /silences`: makes a silence, or changes the one whose id is given; answers when it is durable.
pub(super) async fn post(State(server): State<Arc<Server>>, body: JsonBody) -> Result<Response, Refusal> {
    let (id, draft) = read(&body, server.clock.now_ms())?;
    let silences = server.notifier.silences().clone();
    let turn = server.alert_changes.turn().await.ok_or_else(Refusal::busy)?;
    let work = tokio::task::spawn_blocking(move || turn.run(|| silences.set(id, draft)));
    let id = work.await.map_err(|_| Refusal::failed())??;
    Ok(answer::json(&serde_json::json!({"silenceID": id.to_string()})))
}

/// The silence that is to be changed, where it is not a new one, and what it is to say.
pub(super) fn read(body: &JsonBody, now: TimestampMs) -> Result<(Option<SilenceId>, Draft), Refusal> {
    let posted: PostedSilence = body.parse("silence")?;
    let id = match posted.id.as_deref() {
        None | Some("") => None,
        Some(id) => {
            Some(id.parse().map_err(|_| Refusal::Said(StatusCode::NOT_FOUND, SilenceError::NotFound.to_string()))?)
        }
    };
    Ok((id, posted.draft(now)?))
}

/// `DELETE /silence/{id}`: ends a silence; answers when it is durable.
pub(super) async fn expire(State(server): State<Arc<Server>>, Path(id): Path<String>) -> Result<StatusCode, Refusal> {
    let id = silence_id(&id)?;
    let silences = server.notifier.silences().clone();
    let turn = server.alert_changes.turn().await.ok_or_else(Refusal::busy)?;
    let work = tokio::task::spawn_blocking(move || turn.run(|| silences.expire(id)));
    work.await.map_err(|_| Refusal::failed())??;
    Ok(StatusCode::OK)
}

impl PostedSilence {
    fn draft(self, now: TimestampMs) -> Result<Draft, Refusal> {
        let comment = self.comment.ok_or_else(|| Refusal::required("comment"))?;
        let created_by = self.created_by.ok_or_else(|| Refusal::required("createdBy"))?;
        let ends_at = self.ends_at.ok_or_else(|| Refusal::required("endsAt"))?;
        let posted = self.matchers.ok_or_else(|| Refusal::required("matchers"))?;
        if posted.is_empty() {
            let words = "matchers in body should have at least 1 items".to_owned();
            return Err(Refusal::Malformed(StatusCode::UNPROCESSABLE_ENTITY, 612, words));
        }
        let starts_at = self.starts_at.ok_or_else(|| Refusal::required("startsAt"))?;
        let mut matchers = Vec::new();
        for (i, matcher) in posted.into_iter().enumerate() {
            matchers.push(matcher.compile(i)?);
        }
        Ok(Draft {
            matchers: Matchers::new(matchers).map_err(|e| Refusal::bad_request(format!("invalid silence: {e}")))?,
            starts_at: body::time("silence", Some(&starts_at))?.unwrap_or(now),
            ends_at: body::time("silence", Some(&ends_at))?
                .ok_or_else(|| Refusal::bad_request("invalid silence: invalid zero end timestamp"))?,
            created_by,
            comment,
        })
    }
}

impl PostedMatcher {
    fn compile(self, index: usize) -> Result<Matcher, Refusal> {
        let required = |field: &str| Refusal::required(&format!("matchers.{index}.{field}"));
        let op = match (self.is_equal.unwrap_or(true), self.is_regex.ok_or_else(|| required("isRegex"))?) {
            (true, false) => MatchOp::Equal,
            (false, false) => MatchOp::NotEqual,
            (true, true) => MatchOp::Regex,
            (false, true) => MatchOp::NotRegex,
        };
        let (name, value) = (self.name.ok_or_else(|| required("name"))?, self.value.ok_or_else(|| required("value"))?);
        Matcher::new(&name, op, &value)
            .map_err(|e| Refusal::bad_request(format!("invalid silence: invalid label matcher {index}: {e}")))
    }
}

fn silence_id(text: &str) -> Result<SilenceId, Refusal> {
    text.parse().map_err(|_| {
        let words = format!("silenceID in path must be of type uuid: {text:?}");
        Refusal::Malformed(StatusCode::UNPROCESSABLE_ENTITY, 601, words)
    })
}

/// Active ones by their end, pending ones by their start, expired ones by their end, the last first.
fn order(silence: &Silence, now: TimestampMs) -> (SilenceState, TimestampMs, Reverse<TimestampMs>) {
    let (draft, state) = (&silence.draft, silence.state(now));
    match state {
        SilenceState::Active => (state, draft.ends_at, Reverse(0)),
        SilenceState::Pending => (state, draft.starts_at, Reverse(0)),
        SilenceState::Expired => (state, 0, Reverse(draft.ends_at)),
    }
}

fn shown(silence: &Silence, now: TimestampMs) -> ShownSilence<'_> {
    let draft = &silence.draft;
    ShownSilence {
        id: silence.id.to_string(),
        status: ShownState { state: silence.state(now).as_str() },
        updated_at: answer::time(silence.updated_at),
        comment: &draft.comment,
        created_by: &draft.created_by,
        ends_at: answer::time(draft.ends_at),
        matchers: draft.matchers.iter().map(shown_matcher).collect(),
        starts_at: answer::time(draft.starts_at),
    }
}

fn shown_matcher(matcher: &Matcher) -> ShownMatcher<'_> {
    ShownMatcher {
        is_equal: matches!(matcher.op(), MatchOp::Equal | MatchOp::Regex),
        is_regex: matches!(matcher.op(), MatchOp::Regex | MatchOp::NotRegex),
        name: matcher.name(),
        value: matcher.value(),
    }
}
