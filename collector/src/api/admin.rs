//! Calls that change the store. They answer when the work is done.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sonde_model::TimestampMs;
use sonde_tracedb::TraceDb;
use sonde_tsdb::Db;

use super::answer::{ApiError, ErrorKind};
use crate::server::Server;

/// `POST /api/v1/admin/tsdb/flush`: writes the heads of both stores into blocks.
pub(super) async fn flush(State(server): State<Arc<Server>>) -> Result<StatusCode, ApiError> {
    run(&server, Db::flush, TraceDb::flush).await
}

/// `POST /api/v1/admin/tsdb/compact`: merges the blocks of both stores until there is nothing more to merge.
pub(super) async fn compact(State(server): State<Arc<Server>>) -> Result<StatusCode, ApiError> {
    run(&server, Db::compact, TraceDb::compact).await
}

/// Any admin call without `--enable-admin-api`.
pub(super) async fn disabled() -> Response {
    let text = "admin calls are off: start the collector with --enable-admin-api\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

async fn run(
    server: &Server,
    metrics: fn(&Db, TimestampMs) -> Result<(), sonde_tsdb::Error>,
    spans: fn(&TraceDb, TimestampMs) -> Result<(), sonde_tracedb::Error>,
) -> Result<StatusCode, ApiError> {
    let db = Arc::clone(&server.core().ok_or_else(ApiError::starting)?.db);
    let traces = Arc::clone(&server.spans().ok_or_else(ApiError::starting)?.db);
    let now = server.clock.now_ms();
    let work = move || {
        // One store's failure does not keep the other from its work.
        let metrics = metrics(&db, now).map_err(|e| sonde_runtime::stage::with_causes(&e));
        let spans = spans(&traces, now).map_err(|e| sonde_runtime::stage::with_causes(&e));
        metrics.and(spans)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Ok(StatusCode::NO_CONTENT),
        Ok(Err(text)) => Err(ApiError::new(ErrorKind::Internal, text)),
        Err(_) => Err(ApiError::new(ErrorKind::Internal, "the work failed unexpectedly; the log says more")),
    }
}
