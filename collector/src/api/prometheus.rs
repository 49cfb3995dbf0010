//! Prometheus's HTTP API under `/api/v1`. The reference is 3.14 (web/api/v1/api.go).

mod alertmanagers;
mod config;
mod exemplars;
mod features;
mod history;
mod metadata;
mod notifications;
pub(super) mod parameters;
mod profile;
mod query;
mod result;
mod rules;
mod series;
pub(super) mod shown_url;
mod status;
mod targets;
mod tree;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

pub(crate) use rules::firing;
pub(crate) use status::rfc3339;
pub(super) use status::version;

use crate::server::Server;

/// The routes under `/api/v1`.
pub(super) fn routes() -> Router<Arc<Server>> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/query_exemplars", get(exemplars::exemplars).post(exemplars::exemplars))
        .route("/format_query", get(query::format).post(query::format))
        .route("/parse_query", get(tree::parse).post(tree::parse))
        .route("/labels", get(series::label_names).post(series::label_names))
        .route("/label/{name}/values", get(series::label_values))
        .route("/series", get(series::series).post(series::series))
        .route("/metadata", get(metadata::metadata))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::metadata))
        .route("/scrape_pools", get(targets::pools))
        .route("/alertmanagers", get(alertmanagers::alertmanagers))
        .route("/rules", get(rules::rules))
        .route("/alerts", get(rules::alerts))
        .route("/alerts/history", get(history::history))
        .route("/status/buildinfo", get(status::build))
        .route("/status/runtimeinfo", get(status::runtime))
        .route("/status/flags", get(status::flags))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/status/config", get(config::config))
        .route("/status/walreplay", get(status::wal_replay))
        .route("/features", get(features::features))
        .route("/notifications", get(notifications::notifications))
}
