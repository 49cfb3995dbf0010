//! `/ready`, `/api/echo` and `/api/status/buildinfo`: what a Tempo source asks before anything else.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::answer;
use crate::api::json::JsonWriter;
use crate::server::Server;

/// The version of the API that is spoken here. Clients switch on features by it.
const API_VERSION: &str = "3.0.0";

/// `/ready`: 200 once spans can be asked for.
pub(super) async fn ready(State(server): State<Arc<Server>>) -> Response {
    match server.spans() {
        Some(_) => "ready\n".into_response(),
        None => (StatusCode::SERVICE_UNAVAILABLE, "the span store is being opened\n").into_response(),
    }
}

/// `/api/echo`
pub(super) async fn echo() -> &'static str {
    "echo\n"
}

/// `/api/status/buildinfo`. `version` is that of the API, so that clients may rely on it; ours stands beside it.
pub(super) async fn build() -> Response {
    let mut json = JsonWriter::new();
    json.object([
        ("version", API_VERSION),
        ("revision", ""),
        ("branch", ""),
        ("buildDate", ""),
        ("buildUser", ""),
        ("goVersion", ""),
        ("application", "Sonde"),
        ("sondeVersion", env!("CARGO_PKG_VERSION")),
    ]);
    answer::json(json)
}
