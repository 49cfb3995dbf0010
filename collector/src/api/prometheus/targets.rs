//! `/targets`, `/targets/metadata` and `/scrape_pools`: what is scraped, by whom.
//!
//! The agents scrape, not the collector, and so it knows targets by what is told of them: the series `up`, one for each
//! target, whether an agent of ours or a Prometheus writes it. How long the last scrape took comes from
//! `scrape_duration_seconds`, where and how often is scraped, and why it failed, from `scrape_target_info` of our agents.
//! The agents themselves, which measure their host, are targets of the pool `sonde-agent`: their batches are their scrapes.

mod known;
mod metadata;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};

pub(super) use metadata::metadata;

use self::known::{Target, read};
use super::query::queue_error;
use super::result::{write_labels, write_list};
use super::series::select_error;
use super::status::rfc3339;
use crate::api::answer::{Answer, ApiError};
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::query::Expired;
use crate::server::Server;

/// `/targets`
pub(super) async fn targets(State(server): State<Arc<Server>>, form: Form) -> Result<Response, ApiError> {
    let state = form.get("state").unwrap_or("any").to_lowercase();
    let pool = form.get("scrapePool").map(str::to_owned);
    let mut found = find(&server).await?;
    found.retain(|target| pool.as_deref().is_none_or(|pool| target.pool() == pool));
    let pools: BTreeSet<String> = found.iter().map(|target| target.pool().to_owned()).collect();
    if !matches!(&*state, "any" | "active") {
        found.clear();
    }
    let answer = Answer::new(|json| {
        json.raw("{").key("activeTargets");
        write_list(json, &found, write_target);
        // Nothing is dropped here: an agent has no target that it does not scrape.
        json.raw(",").key("droppedTargets").raw("[],").key("droppedTargetCounts").raw("{");
        if matches!(&*state, "any" | "dropped") {
            for (i, pool) in pools.iter().enumerate() {
                json.raw(if i > 0 { "," } else { "" }).string(pool).raw(":0");
            }
        }
        json.raw("}}");
    });
    Ok(answer.into_response())
}

/// `/scrape_pools`: the jobs of all targets.
pub(super) async fn pools(State(server): State<Arc<Server>>) -> Result<Response, ApiError> {
    let found = find(&server).await?;
    let pools: BTreeSet<&str> = found.iter().map(Target::pool).collect();
    let answer = Answer::new(|json| {
        json.raw("{").key("scrapePools").strings(pools).raw("}");
    });
    Ok(answer.into_response())
}

/// The targets of which something was heard within the lookback of queries.
async fn find(server: &Server) -> Result<Vec<Target>, ApiError> {
    let core = server.core().ok_or_else(ApiError::starting)?;
    let db = Arc::clone(&core.db);
    let (now, query) = (server.clock.now_ms(), server.config.load().query.clone());
    let from = now.saturating_sub(query.lookback.0.as_millis() as i64).saturating_add(1);
    let work = move |_: Expired<'_>| read(&db, from, now, query.max_series);
    let found = server.queries.run(query.timeout.0, work).await.map_err(queue_error)?;
    let mut found = found.map_err(select_error)?;
    found.extend(core.ingest.agents().all().into_iter().map(|agent| Target::of_agent(&agent, agent.last_time >= from)));
    Ok(found)
}

fn write_target(json: &mut JsonWriter, target: &Target) {
    json.raw("{").key("discoveredLabels").object(target.discovered()).raw(",").key("labels");
    write_labels(json, &target.labels);
    json.raw(",").key("scrapePool").string(target.pool());
    json.raw(",").key("scrapeUrl").string(&target.url);
    json.raw(",").key("globalUrl").string(&target.url);
    json.raw(",").key("lastError").string(&target.error);
    json.raw(",").key("lastScrape").string(&rfc3339(target.last_scrape));
    json.raw(",").key("lastScrapeDuration").number(target.took);
    json.raw(",").key("health").string(if target.is_up { "up" } else { "down" });
    json.raw(",").key("scrapeInterval").string(&target.interval);
    json.raw(",").key("scrapeTimeout").string(&target.timeout).raw("}");
}
