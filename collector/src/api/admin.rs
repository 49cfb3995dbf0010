//! Calls that change the store. They answer when the work is done.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sonde_model::TimestampMs;
use sonde_tracedb::TraceDb;
use sonde_tsdb::Db;

use super::answer::{Answer, ApiError, ErrorKind};
use super::form::Form;
use super::prometheus::{parameters, rfc3339};
use crate::server::Server;

/// `POST /api/v1/admin/tsdb/flush`: writes the heads of both stores into blocks.
pub(super) async fn flush(State(server): State<Arc<Server>>) -> Result<StatusCode, ApiError> {
    run(&server, Db::flush, TraceDb::flush).await
}

/// `POST /api/v1/admin/tsdb/compact`: merges the blocks of both stores until there is nothing more to merge.
pub(super) async fn compact(State(server): State<Arc<Server>>) -> Result<StatusCode, ApiError> {
    run(&server, Db::compact, TraceDb::compact).await
}

/// `POST /api/v1/admin/tsdb/delete_series`: deletes what the metrics store has of the series of `match[]` from `start` to
/// `end`. It is gone when this answers; its space comes back with maintenance.
pub(super) async fn delete_series(State(server): State<Arc<Server>>, form: Form) -> Result<StatusCode, ApiError> {
    let selectors = parameters::selectors(&form)?;
    if selectors.is_empty() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let (from, to) = parameters::time_range(&form)?;
    metrics(&server, move |db, now| db.delete(selectors, from, to, now)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/admin/tsdb/clean_tombstones`: gives the space of all deleted samples back.
pub(super) async fn clean_tombstones(State(server): State<Arc<Server>>) -> Result<StatusCode, ApiError> {
    metrics(&server, Db::clean_tombstones).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/admin/tsdb/snapshot`: a data directory with a copy of the metrics store, under `snapshots` in ours.
pub(super) async fn snapshot(State(server): State<Arc<Server>>) -> Result<Answer, ApiError> {
    let time: String = rfc3339(server.clock.now_ms()).chars().filter(|c| !"-:".contains(*c)).collect();
    let name = format!("{time}-{:016x}", fastrand::u64(..));
    let dir = server.flags.data_dir.join("snapshots").join(&name);
    let store = dir.join("tsdb");
    metrics(&server, move |db, now| db.snapshot(&store, now)).await?;
    let directory = std::path::absolute(&dir).unwrap_or(dir).display().to_string();
    Ok(Answer::new(|json| {
        json.raw("{").key("name").string(&name).raw(",").key("directory").string(&directory).raw("}");
    }))
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
    blocking(work).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Runs work on the metrics store.
async fn metrics(
    server: &Server,
    work: impl FnOnce(&Db, TimestampMs) -> Result<(), sonde_tsdb::Error> + Send + 'static,
) -> Result<(), ApiError> {
    let db = Arc::clone(&server.core().ok_or_else(ApiError::starting)?.db);
    let now = server.clock.now_ms();
    blocking(move || work(&db, now).map_err(|e| sonde_runtime::stage::with_causes(&e))).await
}

async fn blocking(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(text)) => Err(ApiError::new(ErrorKind::Internal, text)),
        Err(_) => Err(ApiError::new(ErrorKind::Internal, "the work failed unexpectedly; the log says more")),
    }
}
