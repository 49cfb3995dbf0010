//! `/status/...`: what runs here, since when, and what the store holds.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use jiff::Timestamp;
use sonde_model::{AgentId, TimestampMs};

use super::parameters;
use super::result::write_list;
use crate::api::answer::{Answer, ApiError, ErrorKind};
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::server::Server;

/// The version of the API that is spoken here. Clients, Grafana among them, switch on features by it.
const API_VERSION: &str = "3.14.0";

/// `/status/buildinfo`. `version` is that of the API, so that clients may rely on it; ours stands beside it.
pub(super) async fn build() -> Answer {
    Answer::new(write_build)
}

/// `/version`: the same without an envelope.
pub(in crate::api) async fn version() -> Response {
    let mut json = JsonWriter::new();
    write_build(&mut json);
    ([(header::CONTENT_TYPE, "application/json")], axum::body::Body::new(json.into_body())).into_response()
}

fn write_build(json: &mut JsonWriter) {
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
}

/// `/status/runtimeinfo`
pub(super) async fn runtime(State(server): State<Arc<Server>>) -> Answer {
    let reloaded = server.reloaded();
    let config = server.config.load();
    let directory = std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default();
    let corrupt = server.core().map_or(0, |core| core.db.stats().blocks_quarantined.load(Relaxed));
    let parallel = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Answer::new(|json| {
        json.raw("{").key("startTime").string(&rfc3339(server.started)).raw(",");
        json.key("CWD").string(&directory).raw(",");
        json.key("serverTime").string(&rfc3339(server.clock.now_ms())).raw(",");
        json.key("reloadConfigSuccess").raw(if reloaded.failed { "false," } else { "true," });
        json.key("lastConfigTime").string(&rfc3339(reloaded.succeeded_at)).raw(",");
        json.key("hostname").string(&host).raw(",");
        json.key("corruptionCount").integer(corrupt as i64).raw(",");
        // The nearest that there is to them here: tasks, and threads that run at once.
        json.key("goroutineCount").integer(tasks as i64).raw(",").key("GOMAXPROCS").integer(parallel as i64).raw(",");
        json.key("GOMEMLIMIT").integer(i64::MAX).raw(",").key("GOGC").string("").raw(",").key("GODEBUG").string("");
        json.raw(",").key("storageRetention").string(&config.storage.retention.to_string()).raw("}");
    })
}

/// `/status/flags`
pub(super) async fn flags(State(server): State<Arc<Server>>) -> Answer {
    Answer::new(|json| {
        json.object(server.flags.pairs());
    })
}

/// `/status/tsdb`: the head and what it is made of, and what Sonde adds about its blocks and its limits.
pub(super) async fn tsdb(State(server): State<Arc<Server>>, form: Form) -> Result<Answer, ApiError> {
    const MAX: usize = 10_000;
    let limit = parameters::limit(&form)?.unwrap_or(10);
    if limit > MAX {
        return Err(ApiError::parameter("limit", format!("limit must not exceed {MAX}")));
    }
    let db = Arc::clone(&server.core().ok_or_else(ApiError::starting)?.db);
    // It looks at every label of the head.
    let asked = tokio::task::spawn_blocking(move || (db.status(), db.cardinality(limit))).await;
    let (status, cardinality) =
        asked.map_err(|_| ApiError::new(ErrorKind::Internal, "counting failed unexpectedly"))?;
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
        json.raw("},").key("walBytes").integer(status.wal_bytes as i64);
        let pairs: Vec<(String, u64)> =
            cardinality.pairs.iter().map(|((name, value), n)| (format!("{name}={value}"), *n)).collect();
        let by_agent =
            |agents: &[(AgentId, u64)]| agents.iter().map(|(id, n)| (id.to_string(), *n)).collect::<Vec<_>>();
        for (key, ranking) in [
            ("seriesCountByMetricName", &cardinality.metrics),
            ("labelValueCountByLabelName", &cardinality.label_values),
            ("memoryInBytesByLabelName", &cardinality.label_bytes),
            ("seriesCountByLabelValuePair", &pairs),
            ("seriesCountByAgent", &by_agent(&cardinality.agents)),
            ("refusedSeriesByMetricName", &cardinality.refused_metrics),
            ("refusedSeriesByAgent", &by_agent(&cardinality.refused_agents)),
        ] {
            json.raw(",").key(key);
            write_list(json, ranking, |json, (name, n)| {
                json.raw("{").key("name").string(name).raw(",").key("value").integer(*n as i64).raw("}");
            });
        }
        json.raw("}");
    }))
}

/// `/status/tsdb/blocks`: the blocks, in the words of Prometheus as far as they fit: `maxTime` is the first millisecond after
/// the block, `ulid` its number.
pub(super) async fn blocks(State(server): State<Arc<Server>>) -> Result<Answer, ApiError> {
    let blocks = server.core().ok_or_else(ApiError::starting)?.db.blocks();
    Ok(Answer::new(|json| {
        json.raw("{").key("blocks");
        write_list(json, &blocks, |json, block| {
            json.raw("{").key("ulid").string(&block.number.to_string()).raw(",");
            write_numbers(json, &[("minTime", block.min_time), ("maxTime", block.max_time.saturating_add(1))]);
            json.raw(",").key("stats").raw("{");
            let stats = [("numSamples", block.samples as i64), ("numSeries", block.series as i64)];
            write_numbers(json, &stats);
            json.raw(",").key("numBytes").integer(block.bytes as i64).raw("},").key("compaction").raw("{");
            json.key("level").integer(i64::from(block.merges) + 1).raw("},").key("version").raw("1}");
        });
        json.raw("}");
    }))
}

/// `/status/walreplay`: also before the store is open. How far the replay is cannot be told yet, only whether it is done.
pub(super) async fn wal_replay(State(server): State<Arc<Server>>) -> Answer {
    let state = if server.core().is_some() { "done" } else { "in progress" };
    Answer::new(|json| {
        json.raw("{");
        write_numbers(json, &[("min", 0), ("max", 0), ("current", 0)]);
        json.raw(",").key("state").string(state).raw("}");
    })
}

fn write_numbers(json: &mut JsonWriter, numbers: &[(&str, i64)]) {
    for (i, (key, n)) in numbers.iter().enumerate() {
        json.raw(if i > 0 { "," } else { "" }).key(key).integer(*n);
    }
}

/// A time as Go prints it in JSON.
pub(crate) fn rfc3339(ms: TimestampMs) -> String {
    Timestamp::from_millisecond(ms).map(|t| t.to_string()).unwrap_or_default()
}
