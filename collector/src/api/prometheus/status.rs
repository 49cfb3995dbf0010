//! `/status/...`: what runs here, since when, and what the store holds.

use std::sync::Arc;

use axum::extract::State;
use jiff::Timestamp;
use sonde_model::TimestampMs;

use crate::api::answer::{Answer, ApiError};
use crate::server::Server;

/// The version of the API that is spoken here. Clients, Grafana among them, switch on features by it.
const API_VERSION: &str = "3.14.0";

/// `/status/buildinfo`. `version` is that of the API, so that clients may rely on it; ours stands beside it.
pub(super) async fn build() -> Answer {
    Answer::new(|json| {
        json.object([
            ("version", API_VERSION),
            ("revision", ""),
            ("branch", ""),
            ("buildUser", ""),
            ("buildDate", ""),
            ("goVersion", ""),
            ("application", "Sonde"),
            ("sondeVersion", env!("CARGO_PKG_VERSION")),
        ]);
    })
}

/// `/status/runtimeinfo`
pub(super) async fn runtime(State(server): State<Arc<Server>>) -> Answer {
    let reloaded = server.reloaded();
    let config = server.config.load();
    let directory = std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default();
    Answer::new(|json| {
        json.raw("{").key("startTime").string(&rfc3339(server.started)).raw(",");
        json.key("CWD").string(&directory).raw(",");
        json.key("serverTime").string(&rfc3339(server.clock.now_ms())).raw(",");
        json.key("reloadConfigSuccess").raw(if reloaded.failed { "false," } else { "true," });
        json.key("lastConfigTime").string(&rfc3339(reloaded.succeeded_at)).raw(",");
        json.key("storageRetention").string(&config.storage.retention.to_string()).raw("}");
    })
}

/// `/status/flags`
pub(super) async fn flags(State(server): State<Arc<Server>>) -> Answer {
    Answer::new(|json| {
        json.object(server.flags.pairs());
    })
}

/// `/status/tsdb`: the head, and what Sonde adds about its blocks.
pub(super) async fn tsdb(State(server): State<Arc<Server>>) -> Result<Answer, ApiError> {
    let status = server.core().ok_or_else(ApiError::starting)?.db.status();
    Ok(Answer::new(|json| {
        json.raw("{").key("headStats").raw("{");
        let head = [
            ("numSeries", status.series as i64),
            ("numLabelPairs", status.label_pairs as i64),
            ("numSamples", status.samples as i64),
            ("bytes", status.bytes as i64),
            ("minTime", status.min_time.unwrap_or_default()),
            ("maxTime", status.max_time.unwrap_or_default()),
        ];
        write_numbers(json, &head);
        json.raw("},").key("blockStats").raw("{");
        let blocks = [
            ("numBlocks", status.blocks as i64),
            ("numSamples", status.block_samples as i64),
            ("bytes", status.block_bytes as i64),
            ("minTime", status.block_min_time.unwrap_or_default()),
            ("maxTime", status.block_max_time.unwrap_or_default()),
        ];
        write_numbers(json, &blocks);
        json.raw("},").key("walBytes").integer(status.wal_bytes as i64).raw("}");
    }))
}

fn write_numbers(json: &mut crate::api::json::JsonWriter, numbers: &[(&str, i64)]) {
    for (i, (key, n)) in numbers.iter().enumerate() {
        json.raw(if i > 0 { "," } else { "" }).key(key).integer(*n);
    }
}

/// A time as Go prints it in JSON.
pub(crate) fn rfc3339(ms: TimestampMs) -> String {
    Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default()
}
