//! Which refusals are worth another attempt.
//!
//! Source: the OTLP specification's table of gRPC codes, with three deviations that all err on the side of keeping
//! data. `RESOURCE_EXHAUSTED` is retried without `RetryInfo` too: it says that there is no room now. What broke on the
//! way is retried whatever code our own client gives it. And a refused identity is retried: it says something about
//! the set-up, which an operator can mend, and nothing about the batch.

use std::error::Error;
use std::io;

use prost::Message;
use tonic::{Code, Status};

use super::{ExportError, FailureKind};
use crate::status::RpcStatus;

/// What to do about a status; `numbered` says whether the request had the number of a batch.
pub(super) fn status(status: &Status, numbered: bool) -> (FailureKind, ExportError) {
    let kind = match kind(status) {
        // Without a number there is nothing to conflict with: another backend means something else by the code.
        FailureKind::Conflict if !numbered => FailureKind::Refused,
        kind => kind,
    };
    let reason = format!("{:?}: {}", status.code(), describe(status));
    let error = match kind {
        FailureKind::Refused => ExportError::Permanent { reason },
        FailureKind::Conflict => ExportError::Conflict { reason },
        _ => {
            let after = RpcStatus::decode(status.details()).ok().and_then(|details| details.retry_after());
            ExportError::Retry { after, reason }
        }
    };
    (kind, error)
}

fn kind(status: &Status) -> FailureKind {
    // A status that was made here because of another error did not come from the receiver.
    if let Some(source) = status.source() {
        return if is_tls(source) { FailureKind::Tls } else { FailureKind::Unreachable };
    }
    match status.code() {
        Code::Unavailable => FailureKind::Unreachable,
        Code::DeadlineExceeded => FailureKind::Timeout,
        Code::ResourceExhausted => FailureKind::Busy,
        Code::Unauthenticated | Code::PermissionDenied => FailureKind::Unauthorized,
        Code::FailedPrecondition => FailureKind::Conflict,
        Code::Cancelled | Code::Aborted | Code::OutOfRange | Code::DataLoss => FailureKind::Server,
        _ => FailureKind::Refused,
    }
}

/// Whether TLS is what broke.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    inner.is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>())
        || is_alert(error)
        || error.source().is_some_and(is_tls)
}

/// Whether the other side said why it leaves. In TLS 1.3 that comes after the handshake, and HTTP/2 hands on the words of an
/// error only.
fn is_alert(error: &(dyn Error + 'static)) -> bool {
    error.source().is_none() && error.to_string().contains("received fatal alert")
}

/// The message, and what lies below it where our own client made the status.
fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = status.source();
    while let Some(error) = source {
        let below = error.to_string();
        if !text.contains(&below) {
            text = format!("{text}: {below}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn codes_are_classified() {
        for (code, expected) in [
            (Code::Cancelled, FailureKind::Server),
            (Code::DeadlineExceeded, FailureKind::Timeout),
            (Code::Aborted, FailureKind::Server),
            (Code::OutOfRange, FailureKind::Server),
            (Code::Unavailable, FailureKind::Unreachable),
            (Code::DataLoss, FailureKind::Server),
            (Code::ResourceExhausted, FailureKind::Busy),
            (Code::Unauthenticated, FailureKind::Unauthorized),
            (Code::PermissionDenied, FailureKind::Unauthorized),
            (Code::Unknown, FailureKind::Refused),
            (Code::InvalidArgument, FailureKind::Refused),
            (Code::NotFound, FailureKind::Refused),
            (Code::AlreadyExists, FailureKind::Refused),
            (Code::FailedPrecondition, FailureKind::Conflict),
            (Code::Unimplemented, FailureKind::Refused),
            (Code::Internal, FailureKind::Refused),
        ] {
            let (kind, error) = status(&Status::new(code, "why"), true);
            assert_eq!(kind, expected, "{code:?}");
            assert_eq!(matches!(error, ExportError::Permanent { .. }), expected == FailureKind::Refused, "{code:?}");
            assert_eq!(matches!(error, ExportError::Conflict { .. }), expected == FailureKind::Conflict, "{code:?}");
        }
        let (kind, error) = status(&Status::new(Code::FailedPrecondition, "why"), false);
        assert!(kind == FailureKind::Refused && matches!(error, ExportError::Permanent { .. }));
    }

    #[test]
    fn what_broke_on_the_way_is_retried_and_says_why() {
        let mut broken = Status::internal("transport error");
        broken.set_source(Arc::new(io::Error::other("connection reset")));
        let (kind, error) = status(&broken, true);
        assert_eq!(kind, FailureKind::Unreachable);
        assert_eq!(error.to_string(), "to be retried: Internal: transport error: connection reset");
    }

    #[test]
    fn retry_info_is_read() {
        let delay = Duration::from_millis(2_500);
        let details = RpcStatus::new(8, "full", Some(delay)).encode_to_vec();
        let (_, error) = status(&Status::with_details(Code::ResourceExhausted, "full", details.into()), true);
        let reason = "ResourceExhausted: full".to_owned();
        assert_eq!(error, ExportError::Retry { after: Some(delay), reason });
    }
}
