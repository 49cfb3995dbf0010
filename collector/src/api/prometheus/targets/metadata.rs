//! `/targets/metadata`: the metadata of the metrics of each target.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use sonde_model::{Labels, METRIC_NAME, Matcher, TimestampMs};
use sonde_tsdb::{Db, ListLimits, Metadata, SelectError};

use super::known::read;
use crate::api::answer::{Answer, ApiError};
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::api::prometheus::parameters;
use crate::api::prometheus::query::queue_error;
use crate::api::prometheus::result::{write_labels, write_list};
use crate::api::prometheus::series::select_error;
use crate::query::Expired;
use crate::server::Server;

/// How many entries an answer has at most.
const MAX_ENTRIES: usize = 100_000;
/// What series of a family have behind its name.
const SUFFIXES: [&str; 4] = ["_bucket", "_count", "_sum", "_total"];

/// An entry of the answer.
struct Entry {
    target: Labels,
    metric: String,
    metadata: Metadata,
}

/// `/targets/metadata`
pub(in crate::api::prometheus) async fn metadata(
    State(server): State<Arc<Server>>,
    form: Form,
) -> Result<Response, ApiError> {
    let limit = parameters::whole_number(&form, "limit")?.map_or(MAX_ENTRIES, |limit| limit.min(MAX_ENTRIES));
    let wanted = form.get("match_target").map(|text| {
        let matchers = sonde_promql::parse_selector(text).map_err(|e| e.to_string());
        matchers.and_then(|selector| selector.compile().map_err(|e| e.to_string()))
    });
    let wanted = wanted.transpose().map_err(|e| ApiError::parameter("match_target", e))?.unwrap_or_default();
    let metric = form.get("metric").map(str::to_owned);
    let core = server.core().ok_or_else(ApiError::starting)?;
    let db = Arc::clone(&core.db);
    let (now, query) = (server.clock.now_ms(), server.config.load().query.clone());
    let from = now.saturating_sub(query.lookback.0.as_millis() as i64).saturating_add(1);
    let has_metric = metric.is_some();
    let work = move |expired: Expired<'_>| {
        let all: BTreeMap<String, Metadata> = db.metadata(metric.as_deref(), usize::MAX).into_iter().collect();
        let mut entries = Vec::new();
        for target in read(&db, from, now, query.max_series)? {
            if entries.len() >= limit {
                break;
            }
            if wanted.iter().all(|m| m.matches(target.labels.get(m.name()).unwrap_or_default())) {
                entries_of(&db, (from, now), &target.labels, &all, expired, &mut entries)?;
            }
        }
        entries.truncate(MAX_ENTRIES);
        Ok(entries)
    };
    let entries = server.queries.run(query.timeout.0, work).await.map_err(queue_error)?.map_err(select_error)?;
    let answer = Answer::new(|json| write_list(json, &entries, |json, entry| write_entry(json, entry, has_metric)));
    Ok(answer.into_response())
}

/// Adds what is known of the metrics that have series with the labels of a target.
fn entries_of(
    db: &Db,
    (from, to): (TimestampMs, TimestampMs),
    target: &Labels,
    all: &BTreeMap<String, Metadata>,
    expired: Expired<'_>,
    entries: &mut Vec<Entry>,
) -> Result<(), SelectError> {
    let matchers: Vec<Matcher> = target.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
    let limits = ListLimits { limit: MAX_ENTRIES, expired: &|| expired().is_some() };
    if (limits.expired)() {
        return Err(SelectError::Expired);
    }
    let names = db.label_values(METRIC_NAME, &matchers, from, to, limits)?;
    let families: BTreeSet<&str> = names.iter().filter_map(|name| family(name, all)).collect();
    entries.extend(families.into_iter().filter_map(|family| {
        let metadata = all.get(family)?.clone();
        Some(Entry { target: target.clone(), metric: family.to_owned(), metadata })
    }));
    Ok(())
}

/// The name under which the metadata of a metric is kept.
fn family<'a>(name: &'a str, all: &BTreeMap<String, Metadata>) -> Option<&'a str> {
    let stripped = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix));
    [name].into_iter().chain(stripped).find(|name| all.contains_key(*name))
}

fn write_entry(json: &mut JsonWriter, entry: &Entry, has_metric: bool) {
    json.raw("{").key("target");
    write_labels(json, &entry.target);
    if !has_metric {
        json.raw(",").key("metric").string(&entry.metric);
    }
    json.raw(",").key("type").string(entry.metadata.kind.as_str());
    json.raw(",").key("help").string(&entry.metadata.help);
    json.raw(",").key("unit").string(&entry.metadata.unit).raw("}");
}
