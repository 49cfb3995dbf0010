//! The life of the span store: opened beside the metrics store, maintained, closed last.

use std::sync::Arc;

use sonde_disk::Fs;
use sonde_runtime::Stage;
use sonde_tracedb::{OpenReport, TraceDb};
use tokio_util::sync::CancellationToken;

use super::store::MAINTENANCE_INTERVAL;
use crate::server::Server;
use crate::settings::span_options;
use crate::telemetry;

/// Opens the span store.
pub(super) fn spawn(server: &Arc<Server>, fs: Arc<dyn Fs>, storage: &Stage) {
    let (server, token) = (Arc::clone(server), storage.token());
    storage.spawn("spans", async move {
        let opener = Arc::clone(&server);
        let opening = tokio::task::spawn_blocking(move || open(&opener, fs));
        let db = opening.await.map_err(|e| Error::Panicked(e.to_string()))??;
        server.set_spans(Arc::clone(&db));
        telemetry::register_spans(&server);
        maintain(&server, &db, &token).await;
        let closing = tokio::task::spawn_blocking(move || db.close());
        closing.await.map_err(|e| Error::Panicked(e.to_string()))
    });
}

/// Why the span store is not there.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the span store")]
    Store(#[source] sonde_tracedb::Error),
    #[error("the span store failed unexpectedly: {0}")]
    Panicked(String),
}

fn open(server: &Server, fs: Arc<dyn Fs>) -> Result<Arc<TraceDb>, Error> {
    let dir = server.flags.data_dir.join("traces");
    let started = server.clock.monotonic();
    let options = span_options(&server.config.load());
    let (db, report) = TraceDb::open(fs, &dir, options, server.clock.now_ms()).map_err(Error::Store)?;
    let took = server.clock.monotonic().saturating_sub(started);
    let (spans, blocks) = (report.spans, report.blocks);
    tracing::info!(spans, blocks, ?took, "the span store in {} is open", dir.display());
    tell_damage(&report);
    Ok(db)
}

/// Says what was lost or set aside, each range and each file.
fn tell_damage(report: &OpenReport) {
    if let Some(tail) = &report.wal.truncated_tail {
        let bytes = tail.bytes;
        tracing::warn!("{bytes} bytes at the end of the log of spans, never acknowledged, were cut off");
    }
    for range in &report.wal.damage {
        tracing::error!("damage in the log of spans, spans were lost: {range}");
    }
    for block in &report.quarantined {
        tracing::error!("damage in a block of spans, it was set aside as {}: {}", block.path.display(), block.reason);
    }
    if let Some(reason) = &report.manifest_damage {
        tracing::error!("damage in the list of blocks of spans, all that can be read were taken: {reason}");
    }
    if let Some(reason) = &report.first_unreadable {
        let count = report.unreadable_records;
        tracing::error!("{count} records of the log of spans cannot be read, the first because: {reason}");
    }
}

/// Flushes when it is due, drops what is too old; until the token is cancelled.
async fn maintain(server: &Arc<Server>, db: &Arc<TraceDb>, token: &CancellationToken) {
    let mut failing = false;
    loop {
        tokio::select! {
            () = token.cancelled() => return,
            () = server.clock.sleep(MAINTENANCE_INTERVAL) => {}
        }
        let (db, now) = (Arc::clone(db), server.clock.now_ms());
        match tokio::task::spawn_blocking(move || db.maintain(now)).await {
            Ok(Ok(())) if failing => {
                failing = false;
                tracing::info!("the maintenance of the span store works again");
            }
            Ok(Ok(())) => {}
            // It is tried again every few seconds: one line when it begins is enough.
            Ok(Err(_)) if failing => {}
            Ok(Err(e)) => {
                failing = true;
                tracing::error!("the maintenance of the span store fails: {}", sonde_runtime::stage::with_causes(&e));
            }
            Err(e) => tracing::error!("the maintenance of the span store failed unexpectedly: {e}"),
        }
    }
}
