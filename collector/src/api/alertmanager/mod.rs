//! Alertmanager's API under `/api/v2`: silences, alerts, receivers, status. The reference is 0.28, with what 0.25 says where
//! clients of that age would stumble.
//!
//! It does not lie under `/alertmanager`, too: by that path Grafana tells a Mimir from an Alertmanager.

mod alerts;
mod answer;
mod body;
mod known;
mod parameters;
mod silences;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::server::Server;

/// The routes, with their paths from the root.
pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/api/v2/status", get(status::status).fallback(answer::only_get))
        .route("/api/v2/receivers", get(status::list_receivers).fallback(answer::only_get))
        .route("/api/v2/alerts", get(alerts::list).post(alerts::post).fallback(answer::only_get_and_post))
        .route("/api/v2/alerts/groups", get(alerts::groups).fallback(answer::only_get))
        .route("/api/v2/silences", get(silences::list).post(silences::post).fallback(answer::only_get_and_post))
        .route(
            "/api/v2/silence/{id}",
            get(silences::one).delete(silences::expire).fallback(answer::only_get_and_delete),
        )
}

/// What the fuzz targets ask: the silence and the alerts of a body, where it is one.
#[cfg(fuzzing)]
pub fn read_bodies(
    body: bytes::Bytes,
    now: sonde_model::TimestampMs,
) -> (Option<sonde_alerting::silence::Draft>, Option<Vec<sonde_alerting::received::Posted>>) {
    let body = body::JsonBody::of(body);
    (silences::read(&body, now).ok().map(|(_, draft)| draft), alerts::read(&body).ok())
}
