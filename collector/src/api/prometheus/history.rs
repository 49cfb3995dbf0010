//! `/alerts/history`: what happened to alerts, newest first.

use std::sync::Arc;

use axum::extract::State;
use sonde_model::Matcher;
use sonde_promql::{Interrupt, QueryError};

use super::query::queue_error;
use super::status::rfc3339;
use super::{parameters, result};
use crate::api::answer::{Answer, ApiError, ErrorKind};
use crate::api::form::Form;
use crate::api::json::{JsonWriter, write_scientific};
use crate::query::Expired;
use crate::server::Server;
use crate::state::{HistoryLine, HistoryPage};

/// Lines in an answer where nobody says, and at most.
const DEFAULT_LINES: usize = 100;
const MAX_LINES: usize = 10_000;
/// Lines that are read at a time: so long the thread of the state database is kept from committing.
const PAGE_LINES: u32 = 1_000;

/// `/alerts/history`
pub(super) async fn history(State(server): State<Arc<Server>>, form: Form) -> Result<Answer, ApiError> {
    let core = server.core().ok_or_else(ApiError::starting)?;
    let (from, to) = parameters::time_range(&form)?;
    let limit = parameters::limit(&form)?.unwrap_or(DEFAULT_LINES);
    if limit > MAX_LINES {
        return Err(ApiError::parameter("limit", format!("at most {MAX_LINES} lines are given at a time")));
    }
    let selectors = parameters::selectors(&form)?;
    let before = parameters::count(&form, "before")?.map(|id| id as i64);
    let alertname = form.get("alertname").map(str::to_owned);
    let page = HistoryPage { alertname, from, to, before, limit: PAGE_LINES };
    let state = core.state.clone();
    // In turn, as queries: each page keeps the thread of the state database from committing, and a thread of the runtime waits.
    let timeout = server.config.load().query.timeout.0;
    let reading = server.queries.run(timeout, move |expired: Expired<'_>| {
        let (mut found, mut page) = (Vec::new(), page);
        loop {
            let lines = state.history(page.clone()).map_err(|e| ApiError::new(ErrorKind::Internal, e))?;
            let is_last = lines.len() < PAGE_LINES as usize;
            page.before = lines.last().map(|line| line.id).or(page.before);
            found.extend(lines.into_iter().filter(|line| is_wanted(line, &selectors)));
            // One more than asked for says that there are more.
            if is_last || found.len() > limit {
                return Ok::<_, ApiError>(found);
            }
            match expired() {
                None => {}
                Some(Interrupt::Timeout) => return Err(ApiError::new(ErrorKind::Timeout, QueryError::Timeout)),
                Some(Interrupt::Canceled) => return Err(ApiError::new(ErrorKind::Canceled, QueryError::Canceled)),
            }
        }
    });
    let mut found = reading.await.map_err(queue_error)??;
    let has_more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| has_more).map(|line| line.id);
    Ok(Answer::new(|json| {
        json.raw("{").key("transitions");
        result::write_list(json, &found, write_line);
        if let Some(next) = next {
            json.raw(",").key("next").integer(next);
        }
        json.raw("}");
    }))
}

fn is_wanted(line: &HistoryLine, selectors: &[Vec<Matcher>]) -> bool {
    let labels = &line.transition.labels;
    let holds = |matcher: &Matcher| matcher.matches(labels.get(matcher.name()).unwrap_or_default());
    selectors.is_empty() || selectors.iter().any(|matchers| matchers.iter().all(holds))
}

fn write_line(json: &mut JsonWriter, line: &HistoryLine) {
    let transition = &line.transition;
    json.raw("{").key("id").integer(line.id);
    json.raw(",").key("time").string(&rfc3339(transition.at));
    json.raw(",").key("from").string(transition.from.as_str());
    json.raw(",").key("to").string(transition.to.as_str());
    json.raw(",").key("labels");
    result::write_labels(json, &transition.labels);
    let mut value = Vec::new();
    write_scientific(&mut value, transition.value);
    json.raw(",").key("value").string(&String::from_utf8_lossy(&value));
    json.raw(",").key("file").string(&transition.file);
    json.raw(",").key("group").string(&transition.group).raw("}");
}
