//! The HTTP API of Grafana Tempo: what Grafana's Tempo source asks. The reference is Tempo 3.0 (pkg/api).
//!
//! JSON is that of proto3, strictly: Grafana takes an unknown field for an error. Errors are plain text.

mod answer;
mod filter;
mod form;
mod legacy;
mod llm_json;
mod metrics;
mod otlp_json;
mod parameters;
mod search;
mod source;
mod status;
mod tag_values;
mod tags;
mod trace;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub(crate) use source::TraceSource;

use crate::server::Server;

/// The routes, from the root of the port.
pub(crate) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/ready", get(status::ready))
        .route("/api/echo", get(status::echo))
        .route("/api/status/buildinfo", get(status::build))
        .route("/api/traces/{id}", get(trace::by_id))
        .route("/api/v2/traces/{id}", get(trace::by_id_v2))
        .route("/api/search", get(search::search))
        .route("/api/search/tags", get(tags::tags))
        .route("/api/v2/search/tags", get(tags::tags_v2))
        .route("/api/search/tag/{name}/values", get(tag_values::values))
        .route("/api/v2/search/tag/{name}/values", get(tag_values::values_v2))
        .route("/api/metrics/query", get(metrics::query))
        .route("/api/metrics/query_range", get(metrics::query))
}
