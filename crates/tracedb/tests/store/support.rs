//! A store under test, spans to put into it, and short ways to use it.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use sonde_disk::Fs;
use sonde_model::span::{
    AttributeValue, Event, Link, Resource, Scope, ScopedSpan, Span, SpanId, SpanKind, StatusCode, Trace, TraceId,
};
use sonde_model::{AgentId, BatchId, Signal};
use sonde_tracedb::{
    AppendError, Compare, Condition, Error, Literal, OpenReport, Options, Outcome, Search, SpanBatch, SpanFilter,
    Target, TimeRange, TraceDb,
};

pub(crate) const SECOND: i64 = 1_000;
pub(crate) const HOUR: i64 = 3_600 * SECOND;
pub(crate) const DAY: i64 = 24 * HOUR;
pub(crate) const MINUTE: i64 = 60_000;
/// A point in time at which nothing special happens.
pub(crate) const NOW: i64 = 1_800_000_000_000;

/// How long a test waits for the disk before it is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn ns(ms: i64) -> u64 {
    ms as u64 * 1_000_000
}

pub(crate) fn open(fs: Arc<dyn Fs>, options: Options) -> (Arc<TraceDb>, OpenReport) {
    TraceDb::open(fs, Path::new("data"), options, NOW).expect("the store opens")
}

pub(crate) fn trace_id(n: u64) -> TraceId {
    let mut id = [0x5a; 16];
    id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    TraceId(id)
}

pub(crate) fn span_id(n: u64) -> SpanId {
    SpanId(n.wrapping_mul(0xff51_afd7_ed55_8ccd).max(1).to_be_bytes())
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::String(text.into())
}

/// A value of any type, nested ones included.
pub(crate) fn any_value(rng: &mut fastrand::Rng, depth: usize) -> AttributeValue {
    match rng.u8(0..if depth == 0 { 9 } else { 11 }) {
        0 => AttributeValue::Empty,
        1 => text(""),
        2 => text(["GET", "POST", "/api/cart", "ümlaut"][rng.usize(0..4)]),
        3 => text(&format!("id-{}", rng.u32(..))),
        4 => AttributeValue::Bool(rng.bool()),
        5 => AttributeValue::Int([0, -1, 200, i64::MIN, i64::MAX][rng.usize(0..5)]),
        6 => AttributeValue::Double([0.0, -0.0, 1.5, f64::INFINITY, f64::NAN][rng.usize(0..5)]),
        7 => AttributeValue::Int(rng.i64(..)),
        8 => AttributeValue::Bytes((0..rng.usize(0..5)).map(|_| rng.u8(..)).collect()),
        9 => AttributeValue::Array((0..rng.usize(0..4)).map(|_| any_value(rng, depth - 1)).collect()),
        _ => AttributeValue::Map(any_attributes(rng, depth - 1)),
    }
}

/// Attributes with keys that may come twice and in any order.
pub(crate) fn any_attributes(rng: &mut fastrand::Rng, depth: usize) -> Vec<(Box<str>, AttributeValue)> {
    let keys = ["http.method", "http.route", "status", "v", "ok", ""];
    (0..rng.usize(0..6)).map(|_| (keys[rng.usize(0..keys.len())].into(), any_value(rng, depth))).collect()
}

/// A span with something in every field.
pub(crate) fn any_span(rng: &mut fastrand::Rng, trace: u64, id: u64, start_ns: u64) -> ScopedSpan {
    let service = format!("service-{}", rng.u8(0..4));
    let mut attributes = vec![("service.name".into(), text(&service))];
    attributes.extend(any_attributes(rng, 1));
    let resource = Resource {
        attributes,
        dropped_attributes: rng.u32(0..2),
        schema_url: ["", "https://opentelemetry.io/schemas/1.44.0"][rng.usize(0..2)].into(),
    };
    let scope = Scope {
        name: ["", "lib"][rng.usize(0..2)].into(),
        version: "1".into(),
        attributes: any_attributes(rng, 0),
        dropped_attributes: 0,
        schema_url: "".into(),
    };
    let events = (0..rng.usize(0..3)).map(|i| Event {
        time_ns: start_ns.wrapping_add(rng.u64(0..10) * i as u64).wrapping_sub(3),
        name: "exception".into(),
        attributes: any_attributes(rng, 1),
        dropped_attributes: rng.u32(0..3),
    });
    let events = events.collect();
    let links = (0..rng.usize(0..2)).map(|_| Link {
        trace_id: trace_id(rng.u64(..)),
        span_id: span_id(rng.u64(..)),
        trace_state: "a=b".into(),
        flags: rng.u32(..),
        attributes: any_attributes(rng, 1),
        dropped_attributes: rng.u32(0..3),
    });
    let links = links.collect();
    let kinds = [SpanKind::Unspecified, SpanKind::Internal, SpanKind::Server, SpanKind::Client, SpanKind::Consumer];
    let span = Span {
        trace_id: trace_id(trace),
        span_id: span_id(id),
        parent_span_id: [None, Some(span_id(id / 2)), Some(span_id(rng.u64(..)))][rng.usize(0..3)],
        trace_state: ["", "ot=th:8"][rng.usize(0..2)].into(),
        flags: rng.u32(0..300),
        name: ["GET /cart", "query", ""][rng.usize(0..3)].into(),
        kind: kinds[rng.usize(0..kinds.len())],
        start_ns,
        end_ns: start_ns.wrapping_add(rng.u64(0..10_000_000_000)).wrapping_sub(5),
        attributes: any_attributes(rng, 2),
        dropped_attributes: rng.u32(0..2),
        events,
        dropped_events: rng.u32(0..2),
        links,
        dropped_links: rng.u32(0..2),
        status: [StatusCode::Unset, StatusCode::Ok, StatusCode::Error][rng.usize(0..3)],
        status_message: ["", "it broke"][rng.usize(0..2)].into(),
    };
    ScopedSpan { resource: Arc::new(resource), scope: Arc::new(scope), span }
}

/// A plain span of a service.
pub(crate) fn span(trace: u64, id: u64, start_ns: u64, attributes: &[(&str, AttributeValue)]) -> ScopedSpan {
    let resource = Resource { attributes: vec![("service.name".into(), text("shop"))], ..Resource::default() };
    let span = Span {
        trace_id: trace_id(trace),
        span_id: span_id(id),
        name: "GET /".into(),
        start_ns,
        end_ns: start_ns + 1_000_000,
        attributes: attributes.iter().map(|(key, value)| ((*key).into(), value.clone())).collect(),
        ..Span::default()
    };
    ScopedSpan { resource: Arc::new(resource), scope: Arc::default(), span }
}

pub(crate) fn batch(spans: Vec<ScopedSpan>) -> SpanBatch {
    SpanBatch { cursor: None, spans }
}

pub(crate) fn numbered(seq: u64, spans: Vec<ScopedSpan>) -> SpanBatch {
    let id = BatchId { agent: AgentId([7; 16]), epoch: 1, signal: Signal::Traces, seq };
    SpanBatch { cursor: Some((id, seq as u32)), spans }
}

pub(crate) type Durable = Receiver<Result<(), Error>>;

/// Appends and gives what tells of durability.
pub(crate) fn send(db: &TraceDb, batch: SpanBatch, now: i64) -> Result<(Outcome, Durable), AppendError> {
    let (sender, receiver) = sync_channel(1);
    let outcome = db.append(batch, now, move |result| {
        // A test that has crashed the store no longer listens.
        let _ = sender.send(result);
    })?;
    Ok((outcome, receiver))
}

pub(crate) fn wait(durable: &Durable) -> Result<(), Error> {
    durable.recv_timeout(PATIENCE).expect("on_durable is called")
}

/// Appends and waits until it is durable.
pub(crate) fn append(db: &TraceDb, batch: SpanBatch, now: i64) -> Outcome {
    let (outcome, durable) = send(db, batch, now).expect("the batch is taken");
    wait(&durable).expect("the batch is durable");
    outcome
}

/// A text that two spans share only if they are the same, bit for bit: NaN prints, and so does the sign of zero.
pub(crate) fn print(scoped: &ScopedSpan) -> String {
    format!("{scoped:?}")
}

/// The spans of a trace as texts, sorted.
pub(crate) fn printed(db: &TraceDb, id: TraceId) -> Vec<String> {
    let trace = db.trace(id, None).expect("the trace is readable");
    let mut spans: Vec<String> = trace.map_or(Vec::new(), |t| t.spans.iter().map(print).collect());
    spans.sort();
    spans
}

/// The traces that a search delivers, sorted by id.
pub(crate) fn found(db: &TraceDb, range: TimeRange, filters: &[&[Condition]]) -> Vec<Trace> {
    let filters = filters.iter().map(|c| SpanFilter { conditions: c.to_vec() }).collect();
    let mut traces = Vec::new();
    let visit = &mut |trace| {
        traces.push(trace);
        ControlFlow::Continue(())
    };
    db.search(&Search { range, filters }, visit).expect("the search works");
    traces.sort_by_key(|t| t.id);
    traces
}

pub(crate) fn condition(target: Target, op: Compare, value: Literal) -> Condition {
    Condition { target, op, value }
}
