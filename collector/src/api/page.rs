//! `/`: a plain page with the state, a query box and links. One file, nothing from elsewhere.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use sonde_model::TimestampMs;
use sonde_runtime::numbers::thousands;

use super::{firing, rfc3339};
use crate::server::Server;

/// The page; `<!--STATE-->` stands where the state belongs.
const PAGE: &str = include_str!("page.html");
const STATE: &str = "<!--STATE-->";
/// How many agents are listed.
const MAX_AGENTS: usize = 50;
/// Everything is in the page itself: no other origin is needed or allowed.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// `/`
pub(super) async fn page(State(server): State<Arc<Server>>) -> Response {
    let page = PAGE.replacen(STATE, &state(&server), 1);
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, page).into_response()
}

/// The state as the rows of a table.
fn state(server: &Server) -> String {
    let mut rows = Rows::default();
    let now = server.clock.now_ms();
    rows.add("build", &format!("Sonde {}", env!("CARGO_PKG_VERSION")));
    rows.add("running since", &format!("{} ({})", rfc3339(server.started), ago(now, server.started)));
    rows.add("data", &server.flags.data_dir.join("tsdb").display().to_string());
    let waiting = server.health.waiting();
    if waiting.is_empty() {
        rows.add("ready", "yes");
    }
    for part in waiting {
        rows.add("not ready", &format!("{}: {}", part.component, part.reason));
    }
    let Some(core) = server.core() else { return rows.0 };

    let status = core.db.status();
    rows.add("series in the head", &thousands(status.series as u64));
    rows.add("samples per second", &format!("{:.1}", server.watch.samples_per_second()));
    rows.add("samples in the head", &thousands(status.samples));
    let blocks = format!(
        "{} ({} samples, {} bytes)",
        status.blocks,
        thousands(status.block_samples),
        thousands(status.block_bytes)
    );
    rows.add("blocks", &blocks);
    rows.add("write-ahead log", &format!("{} bytes", thousands(status.wal_bytes)));
    if let Some(newest) = status.max_time.max(status.block_max_time) {
        rows.add("newest sample", &format!("{} ({})", rfc3339(newest), ago(now, newest)));
    }
    if let Some(spans) = server.spans() {
        rows.add("spans", &span_state(&spans.db.status(), now));
    }
    let groups = core.rules.snapshot();
    let rules: usize = groups.iter().map(|group| group.rules.len()).sum();
    rows.add("rules", &format!("{rules} in {} groups; {} alerts fire", groups.len(), firing(&groups)));
    let agents = core.ingest.agents().all();
    rows.add("agents", &agents.len().to_string());
    for agent in agents.iter().take(MAX_AGENTS) {
        let last = agent.last_batch;
        let text = format!("epoch {}, batch {}, {}", last.epoch, last.seq, ago(now, agent.last_time));
        rows.add(&format!("agent {}", last.agent), &text);
    }
    rows.0
}

/// The span store in one row.
fn span_state(status: &sonde_tracedb::HeadStatus, now: TimestampMs) -> String {
    let mut text = format!(
        "{} in the head ({} traces), {} in {} blocks ({} bytes)",
        thousands(status.spans),
        thousands(status.traces as u64),
        thousands(status.block_spans),
        status.blocks,
        thousands(status.block_bytes)
    );
    if let Some(newest) = status.max_start_ns.max(status.block_max_start_ns) {
        let newest = i64::try_from(newest / 1_000_000).unwrap_or(TimestampMs::MAX);
        write!(text, "; newest {} ({})", rfc3339(newest), ago(now, newest)).expect("BUG: writing to a string failed");
    }
    text
}

#[derive(Default)]
struct Rows(String);

impl Rows {
    fn add(&mut self, name: &str, value: &str) {
        let (name, value) = (escape(name), escape(value));
        write!(self.0, "<tr><th>{name}</th><td>{value}</td></tr>").expect("BUG: writing to a string failed");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn ago(now: TimestampMs, then: TimestampMs) -> String {
    let seconds = now.saturating_sub(then).div_euclid(1_000);
    match seconds {
        ..0 => format!("in {} s", -seconds),
        0..120 => format!("{seconds} s ago"),
        120..7_200 => format!("{} min ago", seconds / 60),
        _ => format!("{} h ago", seconds / 3_600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_for_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let now = 100_000_000;
        let texts = [-5_000, 0, 119_000, 120_000, 7_200_000].map(|ms| ago(now, now - ms));
        assert_eq!(texts, ["in 5 s", "0 s ago", "119 s ago", "2 min ago", "2 h ago"]);
        assert_eq!(escape("<a href=\"x\">&"), "&lt;a href=&quot;x&quot;&gt;&amp;");
    }

    #[test]
    fn the_page_has_its_place_for_the_state() {
        assert_eq!(PAGE.matches(STATE).count(), 1);
        assert!(!PAGE.contains("http://") && !PAGE.contains("https://"), "nothing comes from elsewhere");
    }
}
