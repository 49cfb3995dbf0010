//! Calls that change the store. They answer when the work is done.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sonde_model::TimestampMs;
use sonde_tsdb::Db;

use super::answer::{ApiError, ErrorKind};
use crate::server::Server;

/// `POST /api/v1/admin/tsdb/flush`: writes the head into blocks.
pub(super) async fn flush(State(server): State<Arc<Server>>) -> Result<StatusCode, ApiError> {
    run(&server, Db::flush).await
}

/// `POST /api/v1/admin/tsdb/compact`: merges blocks until there is nothing more to merge.
pub(super) async fn compact(State(server): State<Arc<Server>>) -> Result<StatusCode, ApiError> {
    run(&server, Db::compact).await
}

/// Any admin call without `--enable-admin-api`.
pub(super) async fn disabled() -> Response {
    let text = "admin calls are off: start the collector with --enable-admin-api\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

async fn run(
    server: &Server,
    call: fn(&Db, TimestampMs) -> Result<(), sonde_tsdb::Error>,
) -> Result<StatusCode, ApiError> {
    let db = Arc::clone(&server.core().ok_or_else(ApiError::starting)?.db);
    let now = server.clock.now_ms();
    match tokio::task::spawn_blocking(move || call(&db, now)).await {
        Ok(Ok(())) => Ok(StatusCode::NO_CONTENT),
        Ok(Err(e)) => Err(ApiError::new(ErrorKind::Internal, sonde_runtime::stage::with_causes(&e))),
        Err(_) => Err(ApiError::new(ErrorKind::Internal, "the work failed unexpectedly; the log says more")),
    }
}
