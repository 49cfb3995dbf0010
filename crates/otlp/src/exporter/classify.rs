//! Which refusals are worth another attempt.
//!
//! Source: the OTLP specification's table of gRPC codes, with three deviations that all err on the side of keeping
//! data. `RESOURCE_EXHAUSTED` is retried without `RetryInfo` too: it says that there is no room now. What broke on the
//! way is retried whatever code our own client gives it. And a refused identity is retried: it says something about
//! the set-up, which an operator can mend, and nothing about the batch.

use std::error::Error;

use prost::Message;
use tonic::{Code, Status};

use super::{ExportError, FailureKind};
use crate::status::RpcStatus;

pub(super) fn status(status: &Status) -> (FailureKind, ExportError) {
    let kind = kind(status);
    let reason = format!("{:?}: {}", status.code(), describe(status));
    let error = match kind {
        FailureKind::Refused => ExportError::Permanent { reason },
        _ => {
            let after = RpcStatus::decode(status.details()).ok().and_then(|details| details.retry_after());
            ExportError::Retry { after, reason }
        }
    };
    (kind, error)
}

fn kind(status: &Status) -> FailureKind {
    // A status that was made here because of another error did not come from the receiver.
    if status.source().is_some() {
        return FailureKind::Unreachable;
    }
    match status.code() {
        Code::Unavailable => FailureKind::Unreachable,
        Code::DeadlineExceeded => FailureKind::Timeout,
        Code::ResourceExhausted => FailureKind::Busy,
        Code::Unauthenticated | Code::PermissionDenied => FailureKind::Unauthorized,
        Code::Cancelled | Code::Aborted | Code::OutOfRange | Code::DataLoss => FailureKind::Server,
        _ => FailureKind::Refused,
    }
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
    use std::io;
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
            (Code::FailedPrecondition, FailureKind::Refused),
            (Code::Unimplemented, FailureKind::Refused),
            (Code::Internal, FailureKind::Refused),
        ] {
            let (kind, error) = status(&Status::new(code, "why"));
            assert_eq!(kind, expected, "{code:?}");
            assert_eq!(matches!(error, ExportError::Permanent { .. }), expected == FailureKind::Refused, "{code:?}");
        }
    }

    #[test]
    fn what_broke_on_the_way_is_retried_and_says_why() {
        let mut broken = Status::internal("transport error");
        broken.set_source(Arc::new(io::Error::other("connection reset")));
        let (kind, error) = status(&broken);
        assert_eq!(kind, FailureKind::Unreachable);
        assert_eq!(error.to_string(), "to be retried: Internal: transport error: connection reset");
    }

    #[test]
    fn retry_info_is_read() {
        let delay = Duration::from_millis(2_500);
        let details = RpcStatus::new(8, "full", Some(delay)).encode_to_vec();
        let (_, error) = status(&Status::with_details(Code::ResourceExhausted, "full", details.into()));
        let reason = "ResourceExhausted: full".to_owned();
        assert_eq!(error, ExportError::Retry { after: Some(delay), reason });
    }
}
