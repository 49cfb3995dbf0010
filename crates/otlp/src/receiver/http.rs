//! OTLP over HTTP: protobuf and JSON, answered in the encoding of the request.

use axum::Json;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sonde_model::Signal;
use sonde_proto::otlp::{
    ExportMetricsPartialSuccess, ExportMetricsServiceResponse, ExportTracePartialSuccess, ExportTraceServiceResponse,
    Message,
};
use tonic::Code;

use super::body::{Encoding, Held, inflate, read};
use super::failure::Failure;
use super::handle::{Shared, no_logs};
use super::json;
use super::stats::Reason;
use crate::consumer::{Accepted, Consumer};
use crate::status::RpcStatus;

const PROTOBUF: &str = "application/x-protobuf";

/// How messages are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Protobuf,
    Json,
}

/// Answers one request; `None` stands for logs.
pub(super) async fn export<C: Consumer>(shared: &Shared<C>, signal: Option<Signal>, request: Request) -> Response {
    let (in_flight, room) = shared.begin();
    let format = format(request.headers());
    let result = match room {
        Ok(mut held) => post(shared, signal, format, request, &mut held).await,
        Err(failure) => Err(failure),
    };
    in_flight.finish(&result);
    // Whoever sends something that is neither can read JSON.
    let format = format.unwrap_or(Format::Json);
    match result {
        Ok(accepted) => answer(signal.unwrap_or(Signal::Metrics), format, &accepted),
        Err(failure) => refusal(format, &failure),
    }
}

async fn post<C: Consumer>(
    shared: &Shared<C>,
    signal: Option<Signal>,
    format: Option<Format>,
    request: Request,
    held: &mut Held,
) -> Result<Accepted, Failure> {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return Err(refused_method(&head.method));
    }
    let signal = signal.ok_or_else(no_logs)?;
    let unsupported = |reason, message: &str| {
        Failure::new(reason, Code::InvalidArgument, StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
    };
    let format = format.ok_or_else(|| {
        unsupported(Reason::ContentType, "expected content-type application/x-protobuf or application/json")
    })?;
    let encoding = head.headers.get(header::CONTENT_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
    let encoding = Encoding::parse(encoding).ok_or_else(|| {
        unsupported(Reason::ContentEncoding, "expected content-encoding gzip, zstd, deflate or identity")
    })?;
    let limits = &shared.limits;
    let body = read(body, limits.max_compressed_bytes, limits.read_timeout, held).await?;
    shared.count_received(&body);
    let mut body = inflate(encoding, body, limits.max_body_bytes, held)?;
    if format == Format::Json {
        body = json::to_protobuf(signal, &body, &shared.scan_limits(), held)?;
    }
    shared.consume(signal, &head.headers, body, held).await
}

fn format(headers: &HeaderMap) -> Option<Format> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    match content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Format::Protobuf),
        "application/json" => Some(Format::Json),
        _ => None,
    }
}

pub(super) fn refused_method(method: &Method) -> Failure {
    let message = format!("{method} is not allowed here: use POST");
    Failure::new(Reason::NotFound, Code::Unimplemented, StatusCode::METHOD_NOT_ALLOWED, message)
}

/// The answer of both protocols as protobuf.
pub(super) fn protobuf_answer(signal: Signal, accepted: &Accepted) -> Vec<u8> {
    let rejected = i64::try_from(accepted.rejected).unwrap_or(i64::MAX);
    let error_message = accepted.message.clone();
    let any = *accepted != Accepted::default();
    match signal {
        Signal::Metrics => {
            let partial = ExportMetricsPartialSuccess { rejected_data_points: rejected, error_message };
            ExportMetricsServiceResponse { partial_success: any.then_some(partial) }.encode_to_vec()
        }
        Signal::Traces => {
            let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message };
            ExportTraceServiceResponse { partial_success: any.then_some(partial) }.encode_to_vec()
        }
    }
}

fn answer(signal: Signal, format: Format, accepted: &Accepted) -> Response {
    match format {
        Format::Protobuf => ([(header::CONTENT_TYPE, PROTOBUF)], protobuf_answer(signal, accepted)).into_response(),
        Format::Json if *accepted == Accepted::default() => Json(json!({})).into_response(),
        Format::Json => {
            let rejected = match signal {
                Signal::Metrics => "rejectedDataPoints",
                Signal::Traces => "rejectedSpans",
            };
            // Protobuf's JSON writes 64-bit numbers as strings.
            let partial = json!({ rejected: accepted.rejected.to_string(), "errorMessage": accepted.message });
            Json(json!({ "partialSuccess": partial })).into_response()
        }
    }
}

fn refusal(format: Format, failure: &Failure) -> Response {
    let code = failure.code as i32;
    let mut response = match format {
        Format::Protobuf => {
            let status = RpcStatus::new(code, failure.message.as_str(), failure.retry_after);
            (failure.http, [(header::CONTENT_TYPE, PROTOBUF)], status.encode_to_vec()).into_response()
        }
        Format::Json => {
            let mut status = json!({ "code": code, "message": failure.message });
            if let Some(after) = failure.retry_after {
                let delay = format!("{}s", after.as_secs_f64());
                status["details"] =
                    json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }]);
            }
            (failure.http, Json(status)).into_response()
        }
    };
    let headers = response.headers_mut();
    if let Some(after) = failure.retry_after {
        // The header knows whole seconds only; coming early would be refused again.
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    }
    match failure.reason {
        Reason::NotFound => headers.insert(header::ALLOW, HeaderValue::from_static("POST")),
        Reason::ContentEncoding => {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd, deflate, identity"))
        }
        _ => None,
    };
    response
}
