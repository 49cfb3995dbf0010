//! The table of all routes of all listeners, with the role that each asks for. The gate decides from it and from nothing else:
//! a route that is not here is refused. A test compares it with what the routers serve.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::role::Role;

/// What is served on a port. One port may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Surface {
    /// HTTP on the main port.
    Main,
    /// HTTP on the port of OTLP over HTTP.
    OtlpHttp,
    /// gRPC, on the main port and on the port of OTLP over gRPC.
    Grpc,
}

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing, ever.
    Open,
    /// The role, where callers are asked who they are.
    Needs(Role),
    /// The role, also where nobody else is asked: what gives rights away.
    Proven(Role),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    /// Where it is served.
    pub(crate) surface: Surface,
    /// The path as the routers write it.
    pub(crate) path: &'static str,
    /// The methods of this row; the same path may have another row for others. `HEAD` comes with `GET`.
    pub(crate) methods: &'static [&'static str],
    /// What it asks for.
    pub(crate) access: Access,
}

use Access::{Needs, Open, Proven};
use Role::{Admin, Enrol, Ingest, Read};
use Surface::{Grpc, Main, OtlpHttp};

const GET: &[&str] = &["GET"];
const POST: &[&str] = &["POST"];
const GET_POST: &[&str] = &["GET", "POST"];
const POST_PUT: &[&str] = &["POST", "PUT"];
const DELETE: &[&str] = &["DELETE"];

/// The table.
pub(crate) const TABLE: &[Route] = &[
    // The process.
    route(Main, GET, "/", Needs(Read)),
    route(Main, GET, "/metrics", Needs(Read)),
    route(Main, GET, "/version", Needs(Read)),
    route(Main, GET, "/federate", Needs(Read)),
    route(Main, GET, "/-/healthy", Open),
    route(Main, GET, "/-/ready", Open),
    route(Main, POST_PUT, "/-/reload", Needs(Admin)),
    route(Main, POST_PUT, "/api/v1/admin/tsdb/flush", Needs(Admin)),
    route(Main, POST_PUT, "/api/v1/admin/tsdb/compact", Needs(Admin)),
    route(Main, POST_PUT, "/api/v1/admin/tsdb/delete_series", Needs(Admin)),
    route(Main, POST_PUT, "/api/v1/admin/tsdb/clean_tombstones", Needs(Admin)),
    route(Main, POST_PUT, "/api/v1/admin/tsdb/snapshot", Needs(Admin)),
    // What takes their place without --enable-admin-api.
    route(Main, POST_PUT, "/api/v1/admin/{*call}", Needs(Admin)),
    // Tokens.
    route(Main, GET, "/api/v1/tokens", Proven(Admin)),
    route(Main, POST, "/api/v1/tokens", Proven(Admin)),
    route(Main, DELETE, "/api/v1/tokens/{id}", Proven(Admin)),
    // Prometheus's API.
    route(Main, GET_POST, "/api/v1/query", Needs(Read)),
    route(Main, GET_POST, "/api/v1/query_range", Needs(Read)),
    route(Main, GET_POST, "/api/v1/query_exemplars", Needs(Read)),
    route(Main, GET_POST, "/api/v1/format_query", Needs(Read)),
    route(Main, GET_POST, "/api/v1/labels", Needs(Read)),
    route(Main, GET, "/api/v1/label/{name}/values", Needs(Read)),
    route(Main, GET_POST, "/api/v1/series", Needs(Read)),
    route(Main, GET, "/api/v1/metadata", Needs(Read)),
    route(Main, GET, "/api/v1/rules", Needs(Read)),
    route(Main, GET, "/api/v1/alerts", Needs(Read)),
    route(Main, GET, "/api/v1/alerts/history", Needs(Read)),
    route(Main, GET, "/api/v1/anomalies", Needs(Read)),
    route(Main, GET, "/api/v1/status/buildinfo", Needs(Read)),
    route(Main, GET, "/api/v1/status/runtimeinfo", Needs(Read)),
    route(Main, GET, "/api/v1/status/flags", Needs(Read)),
    route(Main, GET, "/api/v1/status/tsdb", Needs(Read)),
    route(Main, GET, "/api/v1/status/remote_write", Needs(Read)),
    route(Main, GET_POST, "/api/v1/parse_query", Needs(Read)),
    route(Main, GET, "/api/v1/targets", Needs(Read)),
    route(Main, GET, "/api/v1/targets/metadata", Needs(Read)),
    route(Main, GET, "/api/v1/scrape_pools", Needs(Read)),
    route(Main, GET, "/api/v1/alertmanagers", Needs(Read)),
    route(Main, GET, "/api/v1/status/tsdb/blocks", Needs(Read)),
    route(Main, GET, "/api/v1/status/config", Needs(Read)),
    route(Main, GET, "/api/v1/status/walreplay", Needs(Read)),
    route(Main, GET, "/api/v1/features", Needs(Read)),
    route(Main, GET, "/api/v1/openapi.yaml", Needs(Read)),
    route(Main, GET, "/api/v1/notifications", Needs(Read)),
    route(Main, POST, "/api/v1/read", Needs(Read)),
    // Alertmanager's API.
    route(Main, GET, "/api/v2/status", Needs(Read)),
    route(Main, GET, "/api/v2/receivers", Needs(Read)),
    route(Main, GET, "/api/v2/alerts", Needs(Read)),
    route(Main, POST, "/api/v2/alerts", Needs(Ingest)),
    route(Main, GET, "/api/v2/alerts/groups", Needs(Read)),
    route(Main, GET, "/api/v2/silences", Needs(Read)),
    route(Main, POST, "/api/v2/silences", Needs(Admin)),
    route(Main, GET, "/api/v2/silence/{id}", Needs(Read)),
    route(Main, DELETE, "/api/v2/silence/{id}", Needs(Admin)),
    // Tempo's API.
    route(Main, GET, "/ready", Open),
    route(Main, GET, "/api/echo", Needs(Read)),
    route(Main, GET, "/api/status/buildinfo", Needs(Read)),
    route(Main, GET, "/api/traces/{id}", Needs(Read)),
    route(Main, GET, "/api/v2/traces/{id}", Needs(Read)),
    route(Main, GET, "/api/search", Needs(Read)),
    route(Main, GET, "/api/search/tags", Needs(Read)),
    route(Main, GET, "/api/v2/search/tags", Needs(Read)),
    route(Main, GET, "/api/search/tag/{name}/values", Needs(Read)),
    route(Main, GET, "/api/v2/search/tag/{name}/values", Needs(Read)),
    route(Main, GET, "/api/metrics/query", Needs(Read)),
    route(Main, GET, "/api/metrics/query_range", Needs(Read)),
    // What takes data.
    route(Main, POST, "/api/v1/write", Needs(Ingest)),
    route(Main, POST, "/api/v1/import/prometheus", Needs(Ingest)),
    // The same without a bound for lateness: what comes this way may change what was told before.
    route(Main, POST, "/api/v1/backfill/write", Needs(Admin)),
    route(Main, POST, "/api/v1/backfill/prometheus", Needs(Admin)),
    route(Main, POST, "/v1/metrics", Needs(Ingest)),
    route(Main, POST, "/v1/traces", Needs(Ingest)),
    route(Main, POST, "/v1/logs", Needs(Ingest)),
    route(Main, POST, "/api/v1/otlp/v1/metrics", Needs(Ingest)),
    route(Main, POST, "/api/v1/otlp/v1/traces", Needs(Ingest)),
    route(Main, POST, "/api/v1/otlp/v1/logs", Needs(Ingest)),
    route(OtlpHttp, POST, "/v1/metrics", Needs(Ingest)),
    route(OtlpHttp, POST, "/v1/traces", Needs(Ingest)),
    route(OtlpHttp, POST, "/v1/logs", Needs(Ingest)),
    route(Grpc, POST, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", Needs(Ingest)),
    route(Grpc, POST, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", Needs(Ingest)),
    route(Grpc, POST, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", Needs(Ingest)),
    route(Grpc, POST, "/sonde.agent.v1.AgentService/Enrol", Proven(Enrol)),
];

const fn route(surface: Surface, methods: &'static [&'static str], path: &'static str, access: Access) -> Route {
    Route { surface, path, methods, access }
}

/// What the table says about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is there.
    Route(Access),
    /// The path is there with other methods.
    OtherMethods,
    /// It is not there.
    Nothing,
}

/// Looks a request up by the path as the routers write it.
pub(super) fn find(surface: Surface, method: &str, path: &str) -> Found {
    static ROWS: LazyLock<HashMap<(Surface, &str), Vec<&Route>>> = LazyLock::new(|| {
        let mut rows: HashMap<_, Vec<&Route>> = HashMap::new();
        for row in TABLE {
            rows.entry((row.surface, row.path)).or_default().push(row);
        }
        rows
    });
    let Some(rows) = ROWS.get(&(surface, path)) else { return Found::Nothing };
    // Browsers ask with it whether they may ask, without credentials; it does nothing.
    if method == "OPTIONS" {
        return Found::Route(Open);
    }
    let method = if method == "HEAD" { "GET" } else { method };
    let row = rows.iter().find(|row| row.methods.contains(&method));
    row.map_or(Found::OtherMethods, |row| Found::Route(row.access))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_row() {
        for (i, row) in TABLE.iter().enumerate() {
            for other in &TABLE[i + 1..] {
                let same = (row.surface, row.path) == (other.surface, other.path);
                assert!(!same || row.methods.iter().all(|m| !other.methods.contains(m)), "{row:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert_eq!(find(Main, "GET", "/"), Found::Route(Needs(Read)));
        assert_eq!(find(Main, "HEAD", "/-/ready"), Found::Route(Open));
        assert_eq!(find(Main, "OPTIONS", "/api/v1/query"), Found::Route(Open));
        assert_eq!(find(Main, "DELETE", "/"), Found::OtherMethods);
        assert_eq!(find(OtlpHttp, "GET", "/"), Found::Nothing);
    }
}
