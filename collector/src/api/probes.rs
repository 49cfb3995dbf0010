//! Health, readiness, reload. They need nothing that could be busy: no permit, no thread, no store.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use crate::server::Server;

/// `/-/healthy`: the process answers.
pub(super) async fn healthy() -> &'static str {
    "Sonde is Healthy.\n"
}

/// `/-/ready`: 503 until everything is ready, with what is not.
pub(super) async fn ready(State(server): State<Arc<Server>>) -> Response {
    let waiting = server.health.waiting();
    if waiting.is_empty() {
        return "Sonde is Ready.\n".into_response();
    }
    let mut text = String::from("Service Unavailable\n");
    for part in waiting {
        writeln!(text, "{}: {}", part.component, part.reason).expect("BUG: writing to a string failed");
    }
    (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
}

/// `POST /-/reload`: reads the configuration and the rule files again; 500 with the reason where one is no good.
pub(super) async fn reload(State(server): State<Arc<Server>>) -> Response {
    let reloading = tokio::task::spawn_blocking(move || server.reload());
    match reloading.await {
        Ok(Ok(())) => StatusCode::OK.into_response(),
        Ok(Err(e)) => {
            let text = format!("failed to reload config: {}\n", sonde_runtime::stage::with_causes(&e));
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the reload failed unexpectedly\n").into_response(),
    }
}
