//! The receiver: one road for gRPC, HTTP protobuf and HTTP JSON.
//!
//! Read the body bounded, inflate it bounded, prove its structure bounded, hand it on, answer in the sender's tongue.

mod body;
mod failure;
mod grpc;
mod handle;
mod http;
mod json;
mod limits;
mod stats;

use std::sync::Arc;

use axum::Router;
use axum::routing::any;
use sonde_model::Signal;

pub use limits::Limits;
pub use stats::{Reason, Stats};

use crate::consumer::Consumer;
use handle::Shared;

const METRICS_SERVICE: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const TRACES_SERVICE: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
const LOGS_SERVICE: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// The two gRPC services, `Export` of metrics and of traces. `Export` of logs says that logs are not taken.
///
/// The router has no fallback, so that it can be merged with others that are served on the same port.
pub fn grpc_router<C: Consumer>(consumer: Arc<C>, limits: Limits, stats: Arc<Stats>) -> Router {
    let shared = Arc::new(Shared::new(consumer, limits, stats));
    let export = |signal: Option<Signal>| {
        let shared = Arc::clone(&shared);
        any(move |request| {
            let shared = Arc::clone(&shared);
            async move { grpc::export(&shared, signal, request).await }
        })
    };
    Router::new()
        .route(METRICS_SERVICE, export(Some(Signal::Metrics)))
        .route(TRACES_SERVICE, export(Some(Signal::Traces)))
        .route(LOGS_SERVICE, export(None))
}

/// `/v1/metrics` and `/v1/traces` over HTTP; `/v1/logs` says that logs are not taken.
///
/// The router has no fallback, so that it can be merged or nested.
pub fn http_router<C: Consumer>(consumer: Arc<C>, limits: Limits, stats: Arc<Stats>) -> Router {
    let shared = Arc::new(Shared::new(consumer, limits, stats));
    let export = |signal: Option<Signal>| {
        let shared = Arc::clone(&shared);
        any(move |request| {
            let shared = Arc::clone(&shared);
            async move { http::export(&shared, signal, request).await }
        })
    };
    Router::new()
        .route("/v1/metrics", export(Some(Signal::Metrics)))
        .route("/v1/traces", export(Some(Signal::Traces)))
        .route("/v1/logs", export(None))
}

#[cfg(test)]
mod tests;

/// What the fuzz targets ask: a request of JSON as protobuf, where it is one and within the limits.
#[cfg(fuzzing)]
pub fn read_json(signal: Signal, body: &[u8]) -> Option<bytes::Bytes> {
    let limits = Limits::default();
    let budget = Arc::new(tokio::sync::Semaphore::new(limits.max_in_flight_bytes));
    let mut held = body::Held::new(&budget, limits.max_in_flight_bytes);
    let Limits { max_items, max_messages, max_depth, .. } = limits;
    let limits = sonde_proto::otlp::ScanLimits { max_items, max_messages, max_depth };
    json::to_protobuf(signal, body, &limits, &mut held).ok()
}
