//! Prometheus's HTTP API under `/api/v1`. The reference is 3.14 (web/api/v1/api.go).

mod exemplars;
mod history;
mod metadata;
pub(super) mod parameters;
mod query;
mod result;
mod rules;
mod series;
mod status;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub(crate) use rules::firing;
pub(crate) use status::rfc3339;

use crate::server::Server;

/// The routes under `/api/v1`.
pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(exemplars::exemplars).post(exemplars::exemplars))
        .route("/format_query", get(query::format).post(query::format))
        .route("/labels", get(series::label_names).post(series::label_names))
        .route("/label/{name}/values", get(series::label_values))
        .route("/series", get(series::series).post(series::series))
        .route("/metadata", get(metadata::metadata))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/alerts/history", get(history::history))
        .route("/status/buildinfo", get(status::build))
        .route("/status/runtimeinfo", get(status::runtime))
        .route("/status/flags", get(status::flags))
        .route("/status/tsdb", get(status::tsdb))
}
