//! What a receiver hands to its owner, and the answers that it understands.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use sonde_model::{BatchId, Signal};

/// Takes what was received. The answer is sent when the future is ready: only then does the sender forget the batch.
pub trait Consumer: Send + Sync + 'static {
    /// Takes one request.
    fn consume(&self, export: Export) -> impl Future<Output = Result<Accepted, Refused>> + Send;

    /// Whether it proves requests of a signal itself as it reads them, and bounds what it makes of them. The receiver
    /// then only counts their items.
    fn proves(&self, _signal: Signal) -> bool {
        false
    }
}

/// A request, received or to be sent.
#[derive(Clone, Debug)]
pub struct Export {
    /// What the body holds.
    pub signal: Signal,
    /// A protobuf `ExportMetricsServiceRequest` or `ExportTraceServiceRequest`, by the signal. A receiver has proven
    /// its size, and its structure and its text unless [`Consumer::proves`] them.
    pub body: Bytes,
    /// The number of the batch, when the sender is an agent.
    pub batch: Option<BatchId>,
    /// Data points or spans in the body.
    pub items: u64,
}

/// A request was taken, perhaps not all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Data points or spans that were left out for good: sending them again is no use.
    pub rejected: u64,
    /// Why they were left out, or a warning; for people.
    pub message: String,
}

/// A request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The request is wrong and stays wrong. gRPC `INVALID_ARGUMENT`, HTTP 400.
    Invalid(String),
    /// The request is beyond a limit, which the text names: it will never be taken as it is. gRPC `INVALID_ARGUMENT`, HTTP
    /// 413: not to be retried.
    TooLarge(String),
    /// There is no room now. gRPC `RESOURCE_EXHAUSTED` with `RetryInfo`, HTTP 429 with `Retry-After`.
    Busy {
        /// When to come again.
        retry_after: Duration,
        /// What there is no room in.
        reason: String,
    },
    /// The number of the batch was taken by another content. gRPC `FAILED_PRECONDITION`, HTTP 409.
    Conflict(String),
    /// The owner cannot store now. gRPC `UNAVAILABLE` with `RetryInfo`, HTTP 503 with `Retry-After`.
    Unavailable(String),
    /// The signal is not taken here. gRPC `UNIMPLEMENTED`, HTTP 404.
    Unsupported(String),
}
