//! gRPC: unary calls, framed here, so that bodies stay bytes and each bound has its own answer.
//!
//! Source: the gRPC protocol over HTTP/2. Requests may be compressed, answers are small and never are.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use sonde_model::Signal;
use sonde_proto::otlp::Message;
use tonic::{Code, Status};

use super::body::{Encoding, Held, inflate, read};
use super::failure::Failure;
use super::handle::{Shared, no_logs};
use super::http::{protobuf_answer, refused_method};
use super::stats::Reason;
use crate::consumer::{Accepted, Consumer};
use crate::status::RpcStatus;
use crate::unary::{self, PREFIX_BYTES};

const ACCEPTED_ENCODINGS: &str = "identity,gzip,zstd";

/// Answers one call; `None` stands for logs.
pub(super) async fn export<C: Consumer>(shared: &Shared<C>, signal: Option<Signal>, request: Request) -> Response {
    let (in_flight, room) = shared.begin();
    let result = match room {
        Ok(mut held) => call(shared, signal, request, &mut held).await,
        Err(failure) => Err(failure),
    };
    in_flight.finish(&result);
    match result {
        Ok(accepted) => answer(signal.unwrap_or(Signal::Metrics), &accepted),
        Err(failure) => refusal(failure),
    }
}

async fn call<C: Consumer>(
    shared: &Shared<C>,
    signal: Option<Signal>,
    request: Request,
    held: &mut Held,
) -> Result<Accepted, Failure> {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return Err(refused_method(&head.method));
    }
    let content_type = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !matches!(content_type, b"application/grpc" | b"application/grpc+proto") {
        let message = "this is a gRPC service: expected content-type application/grpc";
        return Err(Failure::new(
            Reason::ContentType,
            Code::InvalidArgument,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            message,
        ));
    }
    let signal = signal.ok_or_else(no_logs)?;
    let max = shared.limits.max_compressed_bytes;
    let framed = read(body, max.saturating_add(PREFIX_BYTES), shared.limits.read_timeout, held).await?;
    shared.count_received(&framed);
    let (compressed, message) = unframe(framed)?;
    let encoding = if compressed { encoding(&head.headers)? } else { Encoding::Identity };
    let message = inflate(encoding, message, shared.limits.max_body_bytes, held)?;
    shared.consume(signal, &head.headers, message, held).await
}

/// The one message of a body, and whether it is compressed.
fn unframe(framed: Bytes) -> Result<(bool, Bytes), Failure> {
    let Some((prefix, message)) = framed.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(Failure::malformed("the call holds no message"));
    };
    let [flag, a, b, c, d] = *prefix;
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length != message.len() {
        let message = format!("the call holds {} bytes of one message of {length}", message.len());
        return Err(Failure::malformed(message));
    }
    match flag {
        0 | 1 => Ok((flag == 1, framed.slice(PREFIX_BYTES..))),
        _ => Err(Failure::malformed(format!("the compression flag is {flag}, neither 0 nor 1"))),
    }
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Failure> {
    match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
        Some(b"gzip") => Ok(Encoding::Gzip),
        Some(b"zstd") => Ok(Encoding::Zstd),
        None | Some(b"identity") => Err(Failure::malformed("the message is flagged as compressed without an encoding")),
        Some(other) => Err(Failure::new(
            Reason::ContentEncoding,
            Code::Unimplemented,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("grpc-encoding {:?} is not known: use gzip, zstd or identity", String::from_utf8_lossy(other)),
        )),
    }
}

fn answer(signal: Signal, accepted: &Accepted) -> Response {
    unary::answer(&protobuf_answer(signal, accepted))
}

/// A refusal without a body: the status is in the headers. What is no gRPC call is refused in the words of HTTP.
fn refusal(failure: Failure) -> Response {
    if matches!(failure.reason, Reason::ContentType | Reason::NotFound) {
        return (failure.http, failure.message).into_response();
    }
    let details = match failure.retry_after {
        None => Bytes::new(),
        after => RpcStatus::new(failure.code as i32, failure.message.as_str(), after).encode_to_vec().into(),
    };
    let mut response = Status::with_details(failure.code, failure.message, details).into_http::<Body>();
    if failure.reason == Reason::ContentEncoding {
        response.headers_mut().insert("grpc-accept-encoding", HeaderValue::from_static(ACCEPTED_ENCODINGS));
    }
    response
}
