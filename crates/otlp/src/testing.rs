//! What the tests of receiver and exporter share: a consumer that remembers, and requests to send.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use sonde_model::Signal;
use sonde_proto::otlp::common::{AnyValue, KeyValue, any_value::Value};
use sonde_proto::otlp::metrics::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use sonde_proto::otlp::resource::Resource;
use sonde_proto::otlp::{ExportMetricsServiceRequest, Message};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::consumer::{Accepted, Consumer, Export, Refused};
use crate::exporter::{Exporter, ExporterOptions};
use crate::receiver::{Limits, Stats, grpc_router, http_router};
use crate::serve::{ServeOptions, serve};

/// Remembers what it was given and gives the answers that it was told to, then success.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) taken: Mutex<Vec<Export>>,
    answers: Mutex<VecDeque<Result<Accepted, Refused>>>,
    /// A permit for each request that may be answered.
    pub(crate) gate: Semaphore,
}

impl Recorder {
    pub(crate) fn new(answers: impl IntoIterator<Item = Result<Accepted, Refused>>) -> Arc<Self> {
        Arc::new(Recorder {
            taken: Mutex::default(),
            answers: Mutex::new(answers.into_iter().collect()),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        })
    }
}

impl Consumer for Recorder {
    async fn consume(&self, export: Export) -> Result<Accepted, Refused> {
        self.taken.lock().push(export);
        self.gate.acquire().await.unwrap().forget();
        self.answers.lock().pop_front().unwrap_or_else(|| Ok(Accepted::default()))
    }
}

/// A request with this many points.
pub(crate) fn metrics(points: usize) -> ExportMetricsServiceRequest {
    let attribute = KeyValue {
        key: "host.name".to_owned(),
        value: Some(AnyValue { value: Some(Value::StringValue("a".to_owned())) }),
        ..KeyValue::default()
    };
    let point = |i| NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_000,
        value: Some(number_data_point::Value::AsInt(i as i64)),
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: "m".to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: (0..points).map(point).collect() })),
        ..Metric::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: vec![attribute], ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }],
    }
}

/// The same to be sent.
pub(crate) fn export(points: usize) -> Export {
    let body = Bytes::from(metrics(points).encode_to_vec());
    Export { signal: Signal::Metrics, body, batch: None, items: points as u64 }
}

/// Waits until `done` says so; fails after ten seconds.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let waiting = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(within(waiting).await.is_some(), "not within ten seconds: {what}");
}

/// The result of a future that must be ready within ten seconds.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(Duration::from_secs(10), future).await.ok()
}

/// A receiver of both protocols on a port of its own.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinSet<std::io::Result<()>>,
}

impl Server {
    pub(crate) async fn start(address: &str, consumer: &Arc<Recorder>, options: ServeOptions) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let stats = Arc::<Stats>::default();
        let grpc = grpc_router(Arc::clone(consumer), Limits::default(), Arc::clone(&stats));
        let http = http_router(Arc::clone(consumer), Limits::default(), stats);
        let mut task = JoinSet::new();
        task.spawn(serve(listener, grpc.merge(http), options, stop.clone()));
        Server { address, stop, task }
    }

    /// An exporter to it.
    pub(crate) fn exporter(&self) -> Exporter {
        let endpoint = format!("http://{}", self.address);
        Exporter::new(ExporterOptions { endpoint, timeout: Duration::from_secs(10), ..ExporterOptions::default() })
            .unwrap()
    }
}
