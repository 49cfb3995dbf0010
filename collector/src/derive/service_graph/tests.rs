//! The traces of the conformance set, and what their graphs are.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value as Json;
use sonde_model::span::{Resource, SpanId, TraceId};

use super::*;

const OPTIONS: GraphOptions = GraphOptions { wait_ms: 10_000, max_open: 100, max_pairs: 100 };

/// The edges of a graph as `client > server (connection) requests/failed`, and how many requests expired.
fn edges(graph: &mut ServiceGraph) -> (Vec<String>, u64) {
    let mut rows = Vec::new();
    graph.collect(0, &mut rows);
    let of = |row: &Row, label: &str| row.labels.iter().find(|(name, _)| *name == label).map(|(_, v)| v.to_string());
    let growth = |name: &str, like: &Row| {
        let same = |row: &&Row| &*row.labels[0].1 == name && row.labels[1..] == like.labels[1..];
        rows.iter().find(same).map_or(0.0, |row| row.growth)
    };
    let mut edges: Vec<String> = rows
        .iter()
        .filter(|row| &*row.labels[0].1 == "traces_service_graph_request_total")
        .map(|row| {
            let label = |name| of(row, name).unwrap_or_default();
            let failed = growth("traces_service_graph_request_failed_total", row);
            let both = [
                "traces_service_graph_request_server_seconds_count",
                "traces_service_graph_request_client_seconds_count",
            ];
            assert!(both.iter().all(|name| growth(name, row) == row.growth), "{row:?}");
            let (client, server) = (label("client"), label("server"));
            format!("{client} > {server} ({}) {}/{failed}", label("connection_type"), row.growth)
        })
        .collect();
    edges.sort();
    (edges, graph.decided().expired)
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

/// The last bytes of an id, which the files write in base 64: they are told apart by the text as well.
fn bytes<const N: usize>(id: &Json) -> [u8; N] {
    let mut bytes = [0u8; N];
    for (at, byte) in text(id).bytes().enumerate() {
        bytes[at % N] = bytes[at % N].wrapping_mul(31).wrapping_add(byte);
    }
    bytes
}

fn spans(trace: &Json) -> Vec<ScopedSpan> {
    let list = |value: &Json| value.as_array().cloned().unwrap_or_default();
    let attributes = |value: &Json| {
        let value_of = |value: &Json| match value["stringValue"].as_str() {
            Some(text) => AttributeValue::String(text.into()),
            None => value["intValue"]
                .as_str()
                .and_then(|n| n.parse().ok())
                .map_or(AttributeValue::Empty, AttributeValue::Int),
        };
        list(value).iter().map(|a| (text(&a["key"]).into(), value_of(&a["value"]))).collect::<Vec<_>>()
    };
    let mut spans = Vec::new();
    for of_resource in [list(&trace["resourceSpans"]), list(&trace["batches"])].concat() {
        let resource =
            Resource { attributes: attributes(&of_resource["resource"]["attributes"]), ..Resource::default() };
        let resource = Arc::new(resource);
        let scopes = ["scopeSpans", "instrumentationLibrarySpans"].map(|key| list(&of_resource[key])).concat();
        for span in scopes.iter().flat_map(|of_scope| list(&of_scope["spans"])) {
            let kind = match text(&span["kind"]) {
                "SPAN_KIND_CLIENT" => SpanKind::Client,
                "SPAN_KIND_SERVER" => SpanKind::Server,
                "SPAN_KIND_PRODUCER" => SpanKind::Producer,
                "SPAN_KIND_CONSUMER" => SpanKind::Consumer,
                _ => SpanKind::Internal,
            };
            let failed = text(&span["status"]["code"]) == "STATUS_CODE_ERROR";
            let span = Span {
                trace_id: TraceId(bytes(&span["traceId"])),
                span_id: SpanId(bytes(&span["spanId"])),
                parent_span_id: span.get("parentSpanId").map(|id| SpanId(bytes(id))),
                kind,
                attributes: attributes(&span["attributes"]),
                status: if failed { StatusCode::Error } else { StatusCode::Unset },
                ..Span::default()
            };
            spans.push(ScopedSpan { resource: Arc::clone(&resource), span, ..ScopedSpan::default() });
        }
    }
    spans
}

/// Takes a trace in both orders, and with everything taken out and put in again between two spans.
fn check(file: &str, expected: &[&str], expired: u64) -> bool {
    let folder = std::env::var_os("SONDE_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"), PathBuf::from);
    let path = folder.join("servicegraphs").join(file);
    let Ok(bytes) = std::fs::read(&path) else {
        let required = std::env::var("SONDE_CONFORMANCE_REQUIRED").is_ok_and(|v| v == "1");
        assert!(!required, "{} is missing", path.display());
        return false;
    };
    let trace: Json = serde_json::from_slice(&bytes).expect("JSON");
    let forward = spans(&trace);
    assert!(!forward.is_empty(), "{file}");
    let backward: Vec<_> = forward.iter().rev().cloned().collect();
    for spans in [forward, backward] {
        let mut graph = ServiceGraph::new(OPTIONS, Vec::new());
        for span in &spans {
            graph.take(span, 0);
            // What was counted stays; what waits goes through the file and back.
            let saved = serde_json::to_vec(&graph.open()).expect("JSON");
            let again = ServiceGraph::new(OPTIONS, serde_json::from_slice(&saved).expect("what was saved"));
            assert_eq!(again.open(), graph.open());
            graph.waiting = again.waiting;
        }
        graph.expire(OPTIONS.wait_ms - 1);
        assert_eq!(graph.decided().expired, 0, "{file}: they wait");
        graph.expire(OPTIONS.wait_ms);
        assert_eq!(edges(&mut graph), (expected.iter().map(|e| (*e).to_owned()).collect(), expired), "{file}");
        assert!(graph.open().is_empty());
    }
    true
}

fn check_database(file: &str, database: &str) -> bool {
    let call = "mythical-requester > mythical-server () 1/0";
    let message = "mythical-requester > mythical-recorder (messaging_system) 1/0";
    check(file, &[message, call, &format!("mythical-server > {database} (database) 1/0")], 4)
}

#[test]
fn the_recorded_traces() {
    let checked = [
        check_database("trace-with-both-db-attributes.json", "priority-db"),
        check_database("trace-with-db-namespace.json", "mydb"),
        check_database("trace-with-db-system-and-system-name.json", "mssql"),
        check_database("trace-with-db-system-name.json", "postgresql"),
        check_database("trace-with-queue-database.json", "postgres"),
        check_database("trace-with-queue-database2.json", "mythical-database"),
        check_database("trace-with-queue-database3.json", "mythical-database"),
        check_database("trace-with-queue-database4.json", "mythical-database:5432"),
        check_database("trace-with-queue-database5.json", "mythical-database"),
        check_database("trace-without-database-name.json", "mythical-database"),
        check("trace.json", &[], 0),
        check(
            "trace-with-expired-edges.json",
            &[
                "mythical-requester > mysql (database) 1/0",
                "mythical-server > mythical-requester () 1/0",
                "user > mythical-server (virtual_node) 1/0",
            ],
            1,
        ),
        check(
            "trace-with-failed-requests.json",
            &["mythical-requester > mythical-server () 1/1", "mythical-server > postgres (database) 1/1"],
            4,
        ),
        check(
            "trace-with-virtual-nodes.json",
            &[
                "external-producer > internal-consumer (virtual_node) 1/0",
                "mythical-requester > external-payments-platform (virtual_node) 1/0",
                "user > mythical-server (virtual_node) 1/0",
            ],
            0,
        ),
    ];
    let text = format!("service graphs {}/14\n", checked.iter().filter(|read| **read).count());
    let variable = if checked.contains(&true) { "SONDE_PASSED" } else { "SONDE_NOT_RUN" };
    if let Some(path) = std::env::var_os(variable) {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the summary");
        file.write_all(text.as_bytes()).expect("a line");
    }
}

#[test]
fn bounds_hold() {
    let options = GraphOptions { wait_ms: 10, max_open: 2, max_pairs: 1 };
    let mut graph = ServiceGraph::new(options, Vec::new());
    let service = AttributeValue::String("a".into());
    let resource = Arc::new(Resource { attributes: vec![("service.name".into(), service)], ..Resource::default() });
    for id in 1..=3u8 {
        let peer = AttributeValue::String(format!("peer-{id}").into());
        let span = Span {
            span_id: SpanId([id; 8]),
            kind: SpanKind::Client,
            attributes: vec![("peer.service".into(), peer)],
            ..Span::default()
        };
        graph.take(&ScopedSpan { resource: Arc::clone(&resource), span, ..ScopedSpan::default() }, 0);
    }
    graph.expire(-1);
    let decided = Decided { counted: 1, expired: 0, too_many_open: 1, too_many_pairs: 1 };
    assert_eq!(graph.decided(), decided, "a clock that was set back makes nothing wait for ever");
}

#[test]
fn what_waits_lies_in_the_file_as_hex_texts() {
    let text =
        r#"{"trace":"0000000000000000000000000000002a","caller":"","since":7,"client":"a","server":"","peer":"","#
            .to_owned()
            + r#""connection":"Direct","client_seconds":0.5,"server_seconds":0.0,"failed":false}"#;
    let open: Open = serde_json::from_str(&text).expect("what a file says");
    assert_eq!((open.trace, open.caller), (TraceId(42u128.to_be_bytes()), None));
    assert_eq!(serde_json::to_string(&open).expect("JSON"), text);
    let called = Open { caller: Some(SpanId([1; 8])), ..open };
    let text = serde_json::to_string(&called).expect("JSON");
    assert_eq!(serde_json::from_str::<Open>(&text).ok(), Some(called));
}

#[test]
fn nothing_is_kept_of_requests_that_are_decided() {
    let mut waiting = Waiting::default();
    let open = |id: u8| Open { trace: TraceId([id; 16]), ..Open::default() };
    let traces = |waiting: &Waiting| waiting.in_order().map(|open| open.trace.0[0]).collect::<Vec<_>>();
    [1, 2, 3, 1].into_iter().for_each(|id| waiting.push(open(id)));
    assert_eq!((traces(&waiting), waiting.len()), (vec![2, 3, 1], 3));
    assert_eq!(waiting.oldest().map(|open| open.trace), Some(TraceId([2; 16])));
    [2, 3, 1].into_iter().for_each(|id| drop(waiting.remove(&open(id).key())));
    assert_eq!((traces(&waiting), waiting.len()), (vec![], 0));
}
