//! One gRPC call with one small message each way, for what is no export: read, answered or refused as bytes.
//!
//! Source: the gRPC protocol over HTTP/2. Messages are not compressed here: they are smaller than what says so.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
pub use tonic::{Code, Status};

/// The flag and the length before each message.
pub(crate) const PREFIX_BYTES: usize = 5;
/// How long a message may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the one message of a call, of at most `max_bytes`.
pub async fn read(body: Body, max_bytes: usize) -> Result<Bytes, Status> {
    let reading = axum::body::to_bytes(body, max_bytes.saturating_add(PREFIX_BYTES));
    let framed = match tokio::time::timeout(READ_TIMEOUT, reading).await {
        Ok(Ok(framed)) => framed,
        Ok(Err(_)) => {
            let text = format!("the call broke off, or holds more than {max_bytes} bytes");
            return Err(Status::invalid_argument(text));
        }
        Err(_) => return Err(Status::deadline_exceeded(format!("the call did not come within {READ_TIMEOUT:?}"))),
    };
    let Some((&[flag, a, b, c, d], message)) = framed.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(Status::invalid_argument("the call holds no message"));
    };
    if flag != 0 {
        return Err(Status::unimplemented("compressed messages are not taken here"));
    }
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err(Status::invalid_argument("the call does not hold one whole message"));
    }
    Ok(framed.slice(PREFIX_BYTES..))
}

/// The answer that holds `message`.
pub fn answer(message: &[u8]) -> Response {
    let mut framed = BytesMut::with_capacity(PREFIX_BYTES + message.len());
    framed.put_u8(0);
    framed.put_u32(message.len() as u32);
    framed.put_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(framed.freeze()).with_trailers(std::future::ready(Some(Ok(trailers))));
    ([(header::CONTENT_TYPE, "application/grpc")], Body::new(body)).into_response()
}

/// A refusal without a body: the status is in the headers.
pub fn refusal(code: Code, message: &str) -> Response {
    Status::new(code, message).into_http()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_bytes(bytes: &'static [u8]) -> Result<Bytes, Code> {
        read(Body::from(bytes), 4).await.map_err(|status| status.code())
    }

    #[tokio::test]
    async fn a_call_holds_one_bounded_message() {
        assert_eq!(read_bytes(b"\0\0\0\0\x03abc").await, Ok(Bytes::from_static(b"abc")));
        assert_eq!(read_bytes(b"\0\0\0\0\0").await, Ok(Bytes::new()));
        for bytes in [&b""[..], b"\0\0\0\0", b"\0\0\0\0\x03ab", b"\0\0\0\0\x02abc", b"\0\0\0\0\x05abcde"] {
            assert_eq!(read_bytes(bytes).await, Err(Code::InvalidArgument), "{bytes:?}");
        }
        assert_eq!(read_bytes(b"\x01\0\0\0\x03abc").await, Err(Code::Unimplemented));
    }

    #[tokio::test]
    async fn refusals_are_read_by_clients_of_grpc() {
        let response = refusal(Code::PermissionDenied, "not you");
        assert_eq!(response.headers()["grpc-status"], "7");
        assert_eq!(response.headers()["content-type"], "application/grpc");
        let body = axum::body::to_bytes(answer(b"abc").into_body(), 64).await.unwrap();
        assert_eq!(&body[..], b"\0\0\0\0\x03abc");
    }
}
