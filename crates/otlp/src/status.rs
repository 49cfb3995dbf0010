//! `google.rpc.Status` and `google.rpc.RetryInfo`: how errors and push-back travel.
//!
//! Written by hand after `google/rpc/status.proto` and `google/rpc/error_details.proto`: three messages.

use std::time::Duration;

use prost::Message;

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status`: the body of an error over HTTP, and of `grpc-status-details-bin`.
#[derive(Clone, PartialEq, Message)]
pub struct RpcStatus {
    /// A gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// For people.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Typed details.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Any {
    /// Which message `value` is.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The encoded message.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<ProtoDuration>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct ProtoDuration {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl RpcStatus {
    /// A status; `retry_after` becomes a `RetryInfo`.
    pub fn new(code: i32, message: impl Into<String>, retry_after: Option<Duration>) -> Self {
        let details = retry_after.map(|delay| {
            let retry_delay = ProtoDuration {
                seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
                nanos: delay.subsec_nanos().cast_signed(),
            };
            let value = RetryInfo { retry_delay: Some(retry_delay) }.encode_to_vec();
            Any { type_url: RETRY_INFO.to_owned(), value }
        });
        RpcStatus { code, message: message.into(), details: details.into_iter().collect() }
    }

    /// The delay of the first `RetryInfo`, if there is one that makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        let info = self.details.iter().find(|any| any.type_url == RETRY_INFO)?;
        let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
        let seconds = u64::try_from(delay.seconds).ok()?;
        let nanos = u32::try_from(delay.nanos).ok().filter(|n| *n < 1_000_000_000)?;
        Some(Duration::new(seconds, nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_info_comes_back() {
        for delay in [None, Some(Duration::ZERO), Some(Duration::from_millis(1_500))] {
            let status = RpcStatus::new(8, "no room", delay);
            assert_eq!(RpcStatus::decode(status.encode_to_vec().as_slice()).unwrap().retry_after(), delay);
        }
        let mut odd = RpcStatus::new(8, "", Some(Duration::from_secs(1)));
        odd.details[0].value = RetryInfo { retry_delay: Some(ProtoDuration { seconds: -1, nanos: 0 }) }.encode_to_vec();
        assert_eq!(odd.retry_after(), None);
    }
}
