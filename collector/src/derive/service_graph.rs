//! Who calls whom: requests between services, paired from the spans of their two sides, under Tempo's names.
//!
//! It knows nothing of stores: spans go in, the growth of counters comes out. What is not decided yet can be taken out
//! and put in again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sonde_model::TimestampMs;
use sonde_model::span::{AttributeValue, ScopedSpan, Span, SpanId, SpanKind, StatusCode, TraceId, get};

use super::latency::{Latency, Shape};
use super::row::{Row, Rows, label_value};
use super::span_metrics::IDLE_MS;
use waiting::{Key, Waiting, hex, hex_or_empty};

/// The attributes that say that a call goes to a database; the first one is its name where nothing better is known.
const DATABASE: [&str; 4] = ["db.namespace", "db.name", "db.system", "db.system.name"];
/// The attributes that name a peer that sends no spans.
const PEER: [&str; 4] = ["peer.service", "db.name", "db.system", "db.system.name"];
/// Bytes of the labels of all pairs at most: what grew has to fit into one record of the metrics store.
const LABEL_BYTES: usize = 256 << 10;

const SERVER_SECONDS: Shape = Shape {
    bucket: "traces_service_graph_request_server_seconds_bucket",
    sum: "traces_service_graph_request_server_seconds_sum",
    count: "traces_service_graph_request_server_seconds_count",
    first: 0.1,
    bounds: 8,
};
const CLIENT_SECONDS: Shape = Shape {
    bucket: "traces_service_graph_request_client_seconds_bucket",
    sum: "traces_service_graph_request_client_seconds_sum",
    count: "traces_service_graph_request_client_seconds_count",
    first: 0.1,
    bounds: 8,
};

/// The bounds of a graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct GraphOptions {
    /// How long the other side of a request is waited for.
    pub(super) wait_ms: i64,
    /// How many requests wait at most.
    pub(super) max_open: usize,
    /// How many pairs of services are counted at most.
    pub(super) max_pairs: usize,
}

/// What a graph decided and what it had no room for, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Decided {
    /// Requests that were counted.
    pub(super) counted: u64,
    /// Requests whose other side did not come in time and is not known otherwise.
    pub(super) expired: u64,
    /// Spans that were left out because too many requests wait.
    pub(super) too_many_open: u64,
    /// Requests that were left out because there are too many pairs.
    pub(super) too_many_pairs: u64,
}

/// The requests between services since the last collection, and those that wait for their other side.
#[derive(Debug)]
pub(super) struct ServiceGraph {
    options: GraphOptions,
    waiting: Waiting,
    pairs: BTreeMap<Pair, Requests>,
    label_bytes: usize,
    decided: Decided,
}

/// A request of which one side is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    #[serde(with = "hex")]
    trace: TraceId,
    #[serde(with = "hex_or_empty")]
    caller: Option<SpanId>,
    since: TimestampMs,
    client: Box<str>,
    server: Box<str>,
    peer: Box<str>,
    connection: Connection,
    client_seconds: f64,
    server_seconds: f64,
    failed: bool,
}

/// The value of `connection_type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Connection {
    #[default]
    Direct,
    Messaging,
    Database,
    Virtual,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    client: Box<str>,
    server: Box<str>,
    connection: Connection,
}

#[derive(Debug)]
struct Requests {
    total: u64,
    failed: u64,
    ever_failed: bool,
    client: Latency,
    server: Latency,
    fresh: bool,
    seen: TimestampMs,
}

impl ServiceGraph {
    /// A graph in which these requests wait, in their order.
    pub(super) fn new(options: GraphOptions, open: Vec<Open>) -> Self {
        let mut waiting = Waiting::default();
        open.into_iter().for_each(|open| waiting.push(open));
        ServiceGraph { options, waiting, pairs: BTreeMap::new(), label_bytes: 0, decided: Decided::default() }
    }

    /// The requests that wait, in their order.
    pub(super) fn open(&self) -> Vec<Open> {
        self.waiting.in_order().cloned().collect()
    }

    /// What was decided since the graph was made.
    pub(super) fn decided(&self) -> Decided {
        self.decided
    }

    /// Takes a span.
    pub(super) fn take(&mut self, scoped: &ScopedSpan, now: TimestampMs) {
        let (span, service) = (&scoped.span, scoped.resource.service_name());
        let (calls, connection) = match span.kind {
            SpanKind::Client => (true, Connection::Direct),
            SpanKind::Producer => (true, Connection::Messaging),
            SpanKind::Server => (false, Connection::Direct),
            SpanKind::Consumer => (false, Connection::Messaging),
            SpanKind::Unspecified | SpanKind::Internal => return,
        };
        if service.is_empty() {
            return;
        }
        let caller = if calls { Some(span.span_id) } else { span.parent_span_id };
        let key = (span.trace_id, caller);
        if let Some(open) = self.waiting.get_mut(&key) {
            open.add(span, service, calls, connection);
            if open.is_complete()
                && let Some(open) = self.waiting.remove(&key)
            {
                self.count(&open, now);
            }
            return;
        }
        let mut open = Open { trace: key.0, caller: key.1, since: now, ..Open::default() };
        open.add(span, service, calls, connection);
        if open.is_complete() {
            self.count(&open, now);
        } else if self.waiting.len() < self.options.max_open {
            self.waiting.push(open);
        } else {
            self.decided.too_many_open += 1;
        }
    }

    /// Decides about requests that have waited long enough: what is missing may be something that sends no spans.
    pub(super) fn expire(&mut self, now: TimestampMs) {
        while let Some(open) = self.waiting.oldest() {
            // A clock that was set back must not make requests wait for ever.
            if (open.since..open.since.saturating_add(self.options.wait_ms)).contains(&now) {
                return;
            }
            let key = open.key();
            let Some(mut open) = self.waiting.remove(&key) else { return };
            open.connection = Connection::Virtual;
            if open.client.is_empty() && open.caller.is_none() {
                open.client = if open.peer.is_empty() { "user".into() } else { open.peer.clone() };
            } else if open.server.is_empty() && !open.peer.is_empty() {
                open.server = open.peer.clone();
            } else {
                self.decided.expired += 1;
                continue;
            }
            self.count(&open, now);
        }
    }

    fn count(&mut self, open: &Open, now: TimestampMs) {
        let pair = Pair { client: open.client.clone(), server: open.server.clone(), connection: open.connection };
        if !self.pairs.contains_key(&pair) {
            let bytes = pair.bytes();
            if self.pairs.len() >= self.options.max_pairs || self.label_bytes + bytes > LABEL_BYTES {
                self.decided.too_many_pairs += 1;
                return;
            }
            self.label_bytes += bytes;
        }
        let requests = self.pairs.entry(pair).or_insert_with(|| Requests {
            total: 0,
            failed: 0,
            ever_failed: false,
            client: Latency::default(),
            server: Latency::default(),
            fresh: true,
            seen: now,
        });
        requests.total += 1;
        requests.failed += u64::from(open.failed);
        requests.seen = now;
        CLIENT_SECONDS.observe(&mut requests.client, open.client_seconds, open.trace);
        SERVER_SECONDS.observe(&mut requests.server, open.server_seconds, open.trace);
        self.decided.counted += 1;
    }

    /// What grew since the last collection, and what is still in sight.
    pub(super) fn collect(&mut self, now: TimestampMs, into: &mut Vec<Row>) {
        let label_bytes = &mut self.label_bytes;
        self.pairs.retain(|pair, requests| {
            let kept = requests.total > 0 || now.saturating_sub(requests.seen) < IDLE_MS;
            if !kept {
                *label_bytes -= pair.bytes();
            }
            kept
        });
        for (pair, requests) in &mut self.pairs {
            let connection_type = pair.connection.label();
            let labels = [("client", &*pair.client), ("connection_type", connection_type), ("server", &*pair.server)];
            let fresh = std::mem::take(&mut requests.fresh);
            let mut rows = Rows { into, labels: &labels, fresh };
            rows.counter("traces_service_graph_request_total", std::mem::take(&mut requests.total) as f64, None);
            if requests.failed > 0 || requests.ever_failed {
                rows.fresh = !requests.ever_failed;
                requests.ever_failed = true;
                let failed = std::mem::take(&mut requests.failed) as f64;
                rows.counter("traces_service_graph_request_failed_total", failed, None);
                rows.fresh = fresh;
            }
            CLIENT_SECONDS.rows(&mut requests.client, &mut rows);
            SERVER_SECONDS.rows(&mut requests.server, &mut rows);
        }
    }
}

impl Open {
    fn key(&self) -> Key {
        (self.trace, self.caller)
    }

    /// Whether both sides are known.
    fn is_complete(&self) -> bool {
        !self.client.is_empty() && !self.server.is_empty()
    }

    /// Adds what a span knows of the request.
    fn add(&mut self, span: &Span, service: &str, calls: bool, connection: Connection) {
        let seconds = span.duration_ns() as f64 / 1e9;
        self.connection = connection;
        self.failed |= span.status == StatusCode::Error;
        if let Some(peer) = first(span, &PEER) {
            self.peer = label_value(&peer).into();
        }
        if !calls {
            self.server = label_value(service).into();
            self.server_seconds = seconds;
            return;
        }
        self.client = label_value(service).into();
        self.client_seconds = seconds;
        if let Some(name) = first(span, &DATABASE) {
            // A database sends no spans: the calling side is all that there will be.
            self.connection = Connection::Database;
            self.server = label_value(&database(span, name)).into();
            self.server_seconds = seconds;
        }
    }
}

/// The name of a database in the graph.
fn database(span: &Span, name: String) -> String {
    let text = |key| get(&span.attributes, key).and_then(text_of).filter(|text| !text.is_empty());
    if let Some(named) = text("peer.service").or_else(|| text("server.address")) {
        return named;
    }
    match (text("network.peer.address"), text("network.peer.port")) {
        (Some(address), Some(port)) => format!("{address}:{port}"),
        (Some(address), None) => address,
        (None, _) => name,
    }
}

fn first(span: &Span, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| get(&span.attributes, key).and_then(text_of).filter(|text| !text.is_empty()))
}

fn text_of(value: &AttributeValue) -> Option<String> {
    match value {
        AttributeValue::String(text) => Some(text.to_string()),
        AttributeValue::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

impl Pair {
    fn bytes(&self) -> usize {
        self.client.len() + self.server.len()
    }
}

impl Connection {
    fn label(self) -> &'static str {
        match self {
            Connection::Direct => "",
            Connection::Messaging => "messaging_system",
            Connection::Database => "database",
            Connection::Virtual => "virtual_node",
        }
    }
}

mod waiting;

#[cfg(test)]
mod tests;
