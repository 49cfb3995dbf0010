//! A small collector for tests: takes numbered batches exactly once, and misbehaves as told.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sonde_model::{AgentId, BatchId, Cursor, CursorVerdict, Signal};
use sonde_otlp::{Accepted, Consumer, Export, Refused, ServeOptions, receiver, serve};
use sonde_proto::otlp::{ExportMetricsServiceRequest, ExportTraceServiceRequest, Message};
use sonde_translate::{Options, Row, RowValue, translate};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// What the collector does with the next batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Takes it.
    Take,
    /// Takes it, and the answer is lost on the way.
    TakeAndFail,
    /// Pushes back.
    Busy,
    /// Cannot store now.
    Unavailable,
    /// Never takes it.
    Invalid,
    /// Has other content under the number.
    Conflict,
}

/// What the collector has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) cursors: BTreeMap<(AgentId, u64, Signal), Cursor>,
    /// The batches of metrics that were stored, in the order of storing.
    pub(crate) stored: Vec<(BatchId, ExportMetricsServiceRequest)>,
    /// The batches of spans that were stored, in the order of storing.
    pub(crate) traces: Vec<(BatchId, ExportTraceServiceRequest)>,
    /// Batches that came again and were not stored again.
    pub(crate) duplicates: u64,
    /// Batches without content.
    pub(crate) empty: u64,
    /// Points of the batches that were stored.
    pub(crate) points: u64,
    /// Spans of the batches that were stored.
    pub(crate) spans: u64,
    script: VecDeque<Answer>,
    /// What is done when the script has ended.
    default: Option<Answer>,
    /// What is done with every batch of spans, whatever the script says.
    for_traces: Option<Answer>,
}

/// The state of the collector; it outlives the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct State(pub(crate) Arc<Mutex<Seen>>);

/// A collector that listens.
#[derive(Debug)]
pub(crate) struct Collector {
    pub(crate) state: State,
    pub(crate) address: SocketAddr,
    stop: CancellationToken,
    server: JoinSet<std::io::Result<()>>,
}

impl State {
    /// Does this with the next batches, one after the other.
    pub(crate) fn script(&self, answers: impl IntoIterator<Item = Answer>) {
        self.0.lock().script.extend(answers);
    }

    /// Does this with every batch that the script does not speak of.
    pub(crate) fn always(&self, answer: Answer) {
        self.0.lock().default = Some(answer);
    }

    /// Does this with every batch of spans; the script and the rest is for metrics then.
    pub(crate) fn always_for_traces(&self, answer: Option<Answer>) {
        self.0.lock().for_traces = answer;
    }

    /// The names of the spans that were stored.
    pub(crate) fn span_names(&self) -> Vec<String> {
        let seen = self.0.lock();
        let spans = seen.traces.iter().flat_map(|(_, request)| &request.resource_spans);
        let spans = spans.flat_map(|resource| &resource.scope_spans).flat_map(|scope| &scope.spans);
        spans.map(|span| span.name.clone()).collect()
    }

    /// The names of the metrics that were stored.
    pub(crate) fn names(&self) -> Vec<String> {
        let seen = self.0.lock();
        let metrics = seen.stored.iter().flat_map(|(_, request)| &request.resource_metrics);
        let metrics = metrics.flat_map(|resource| &resource.scope_metrics).flat_map(|scope| &scope.metrics);
        metrics.map(|metric| metric.name.clone()).collect()
    }
}

impl State {
    /// The series that were stored, as `name{labels} value`.
    pub(crate) fn rows(&self) -> Vec<String> {
        let mut rows = Vec::new();
        for (_, request) in &self.0.lock().stored {
            translate(request, &Options::default(), &mut |row: Row<'_>| {
                let RowValue::Float(value) = row.value else { return };
                let name = row.labels.iter().find(|(name, _)| *name == "__name__").map_or("", |(_, name)| *name);
                let labels = row.labels.iter().filter(|(name, _)| *name != "__name__");
                let labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
                let value = if sonde_model::is_stale(value) { "stale".to_owned() } else { value.to_string() };
                rows.push(format!("{name}{{{}}} {value}", labels.join(",")));
            });
        }
        rows
    }
}

impl Collector {
    /// Listens on `address`; port 0 is any free one.
    pub(crate) async fn start(state: State, address: &str) -> Self {
        let listener = bind(address).await;
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let consumer = Arc::new(state.clone());
        let router = receiver::grpc_router(consumer, receiver::Limits::default(), Arc::default());
        let mut server = JoinSet::new();
        server.spawn(serve(listener, router, ServeOptions::default(), stop.clone()));
        Collector { state, address, stop, server }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops listening.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while self.server.join_next().await.is_some() {}
    }
}

/// A port that was in use a moment ago may still be held by the system.
async fn bind(address: &str) -> TcpListener {
    for _ in 0..200 {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("cannot listen on {address}");
}

impl Consumer for State {
    async fn consume(&self, export: Export) -> Result<Accepted, Refused> {
        let mut seen = self.0.lock();
        let default = seen.default.unwrap_or(Answer::Take);
        let for_traces = seen.for_traces.filter(|_| export.signal == Signal::Traces);
        let answer = for_traces.unwrap_or_else(|| seen.script.pop_front().unwrap_or(default));
        match answer {
            Answer::Busy => {
                return Err(Refused::Busy { retry_after: Duration::from_millis(20), reason: "told so".into() });
            }
            Answer::Unavailable => return Err(Refused::Unavailable("told so".into())),
            Answer::Invalid => return Err(Refused::Invalid("told so".into())),
            Answer::Conflict => return Err(Refused::Conflict("told so".into())),
            Answer::Take | Answer::TakeAndFail => {}
        }
        let id = export.batch.expect("an agent numbers its batches");
        let checksum = crc(&export.body);
        let cursor = seen.cursors.entry((id.agent, id.epoch, id.signal)).or_default();
        match cursor.judge(id.seq, checksum) {
            CursorVerdict::New => cursor.record(id.seq, checksum),
            CursorVerdict::Duplicate => {
                seen.duplicates += 1;
                return Ok(Accepted::default());
            }
            CursorVerdict::Conflict => return Err(Refused::Conflict("another content under this number".into())),
        }
        assert_eq!(id.signal, export.signal);
        seen.empty += u64::from(export.body.is_empty());
        match id.signal {
            Signal::Metrics => {
                seen.points += export.items;
                seen.stored.push((id, ExportMetricsServiceRequest::decode(export.body).unwrap()));
            }
            Signal::Traces => {
                seen.spans += export.items;
                seen.traces.push((id, ExportTraceServiceRequest::decode(export.body).unwrap()));
            }
        }
        match answer {
            Answer::TakeAndFail => {
                Err(Refused::Busy { retry_after: Duration::from_millis(20), reason: "the answer was lost".into() })
            }
            _ => Ok(Accepted::default()),
        }
    }
}

/// Any checksum that tells contents apart.
fn crc(body: &[u8]) -> u32 {
    body.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
