//! `/api/v1/status/remote_write`: how far each receiver of remote write is, and what is wrong with it. Ours.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use serde_json::{Value, json};

use super::answer::Answer;
use super::prometheus::rfc3339;
use crate::config::ProtobufMessage;
use crate::export::Target;
use crate::server::Server;

/// `/api/v1/status/remote_write`
pub(super) async fn status(State(server): State<Arc<Server>>) -> Answer {
    // It was proven when it was loaded.
    let targets = Target::all(&server.config.load().remote_write).unwrap_or_default();
    let rows: Vec<Value> = targets.iter().map(|target| row(&server, target)).collect();
    Answer::new(|out| {
        out.raw(&json!({ "targets": rows }).to_string());
    })
}

fn row(server: &Server, target: &Target) -> Value {
    let stats = server.export_stats.of(target.name());
    let n = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
    let newest = stats.newest.load(Relaxed);
    let failure = stats.last_failure.lock().clone();
    let message = match target.message() {
        ProtobufMessage::V2 if !stats.has_fallen_back(server.clock.now_ms()) => "io.prometheus.write.v2.Request",
        _ => "prometheus.WriteRequest",
    };
    json!({
        "name": target.name(),
        "protobufMessage": message,
        "position": n(&stats.position),
        "caughtUp": stats.caught_up.load(Relaxed),
        "newestSample": (newest > 0).then(|| rfc3339(newest)),
        "behindSeconds": (newest > 0).then(|| (server.clock.now_ms() - newest).max(0) as f64 / 1e3),
        "samples": n(&stats.samples),
        "histograms": n(&stats.histograms),
        "exemplars": n(&stats.exemplars),
        "refused": n(&stats.refused),
        "retries": n(&stats.retries),
        "skippedRecords": n(&stats.skipped_records),
        "dropped": {
            "relabel": n(&stats.dropped_by_rules),
            "notConfigured": n(&stats.dropped_kind),
            "sampleAgeLimit": n(&stats.dropped_old),
            "unknownSeries": n(&stats.dropped_unknown),
        },
        "lastFailure": failure.map(|(at, reason)| json!({ "time": rfc3339(at), "reason": reason })),
    })
}
