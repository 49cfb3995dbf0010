//! Why a request was not taken, before it is said in the words of a protocol.

use std::time::Duration;

use axum::http::StatusCode;
use sonde_proto::agent_link::AgentLinkError;
use sonde_proto::otlp::ScanError;
use tonic::Code;

use super::stats::Reason;
use crate::consumer::Refused;

/// When a sender should come again that found too many others here.
const CONCURRENCY_RETRY: Duration = Duration::from_secs(1);
/// When a sender should come again whose data cannot be stored, for instance because the disk is full.
const RETRY_WHEN_UNAVAILABLE: Duration = Duration::from_secs(1);

/// A refusal with everything that either protocol says about it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) code: Code,
    pub(super) http: StatusCode,
    pub(super) message: String,
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn new(reason: Reason, code: Code, http: StatusCode, message: impl Into<String>) -> Self {
        Failure { reason, code, http, message: message.into(), retry_after: None }
    }

    /// Bytes that cannot be read as what they should be.
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Failure::new(Reason::Malformed, Code::InvalidArgument, StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn too_large(what: &str, limit: usize) -> Self {
        let message = format!("the body is larger than {limit} bytes {what}: send smaller requests");
        Failure::new(Reason::TooLarge, Code::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// No room for another request, or for its bytes.
    pub(super) fn crowded(what: &str) -> Self {
        Failure {
            retry_after: Some(CONCURRENCY_RETRY),
            ..Failure::new(
                Reason::Concurrency,
                Code::ResourceExhausted,
                StatusCode::TOO_MANY_REQUESTS,
                format!("too many {what} at one time: come again"),
            )
        }
    }
}

impl From<ScanError> for Failure {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Wire(wire) => Failure::malformed(format!("{error}: {wire}")),
            ScanError::TooMany { .. } => {
                Failure::new(Reason::TooMany, Code::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE, error.to_string())
            }
            ScanError::TooDeep { .. } => {
                Failure::new(Reason::TooMany, Code::InvalidArgument, StatusCode::BAD_REQUEST, error.to_string())
            }
        }
    }
}

impl From<AgentLinkError> for Failure {
    fn from(error: AgentLinkError) -> Self {
        Failure::new(Reason::AgentLink, Code::InvalidArgument, StatusCode::BAD_REQUEST, error.to_string())
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Invalid(message) => {
                Failure::new(Reason::Invalid, Code::InvalidArgument, StatusCode::BAD_REQUEST, message)
            }
            Refused::TooLarge(message) => {
                Failure::new(Reason::TooLarge, Code::InvalidArgument, StatusCode::PAYLOAD_TOO_LARGE, message)
            }
            Refused::Busy { retry_after, reason } => Failure {
                retry_after: Some(retry_after),
                ..Failure::new(Reason::Busy, Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS, reason)
            },
            Refused::Conflict(message) => {
                Failure::new(Reason::Conflict, Code::FailedPrecondition, StatusCode::CONFLICT, message)
            }
            Refused::Unavailable(message) => Failure {
                retry_after: Some(RETRY_WHEN_UNAVAILABLE),
                ..Failure::new(Reason::Unavailable, Code::Unavailable, StatusCode::SERVICE_UNAVAILABLE, message)
            },
            Refused::Unsupported(message) => {
                Failure::new(Reason::Unsupported, Code::Unimplemented, StatusCode::NOT_FOUND, message)
            }
        }
    }
}
