//! `POST /api/v1/write`: Prometheus remote write, 1.0 and 2.0, told apart by the content type. Statuses as senders expect
//! them: 4xx is dropped by them, 429 and 5xx are sent again. Answers to 2.0 say how much was written, errors too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sonde_proto::remote_write::{Version, decompress_into};
use sonde_tsdb::Source;

use crate::ingest::{Ingest, IngestError, IngestStats, Stored, WriteError, Written};
use crate::server::Server;

/// How long a body may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(30);
/// Compressed bodies up to this are decoded where they arrived: about a millisecond of work is cheaper than another
/// thread.
const INLINE_BYTES: usize = 128 << 10;
/// Seconds after which a sender should come again when there is no room.
const BUSY_RETRY_SECONDS: u64 = 1;
/// Seconds after which a sender should come again when the disk does not take anything.
const FAILED_RETRY_SECONDS: u64 = 5;
/// What a 2.0 sender is told that was written.
const SAMPLES_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-samples-written");
const HISTOGRAMS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-histograms-written");
const EXEMPLARS_WRITTEN: HeaderName = HeaderName::from_static("x-prometheus-remote-write-exemplars-written");

/// Why a request is not answered with success.
enum Failure {
    /// It is wrong; sending it again is no use.
    Wrong(StatusCode, String),
    /// There is no room now.
    Busy(String),
    /// The store cannot write.
    Failed(String),
    /// A part was refused, the rest is stored.
    Partial(String, Stored),
}

/// `POST /api/v1/write`
pub(super) async fn write(State(server): State<Arc<Server>>, request: Request) -> Response {
    respond(&server, Source::Push, request).await
}

/// `POST /api/v1/backfill/write`: the same for samples of any age within the retention.
pub(super) async fn backfill(State(server): State<Arc<Server>>, request: Request) -> Response {
    respond(&server, Source::AgentLink, request).await
}

async fn respond(server: &Server, source: Source, request: Request) -> Response {
    let version = negotiate(request.headers());
    let says_written = matches!(version, Ok(Version::V2));
    let (mut response, stored) = answer(server, version, source, request).await;
    if says_written {
        let headers = response.headers_mut();
        headers.insert(SAMPLES_WRITTEN, HeaderValue::from(stored.samples));
        headers.insert(HISTOGRAMS_WRITTEN, HeaderValue::from(stored.histograms));
        headers.insert(EXEMPLARS_WRITTEN, HeaderValue::from(stored.exemplars));
    }
    response
}

async fn answer(
    server: &Server,
    version: Result<Version, Failure>,
    source: Source,
    request: Request,
) -> (Response, Stored) {
    let nothing = Stored::default();
    let Some(core) = server.core() else {
        let text = "the store is being opened".into();
        return (retry(StatusCode::SERVICE_UNAVAILABLE, BUSY_RETRY_SECONDS, text), nothing);
    };
    let result = match version {
        Ok(version) => take(server, &core.ingest, version, source, request).await,
        Err(failure) => Err(failure),
    };
    count(core.ingest.stats(), &result).fetch_add(1, Relaxed);
    match result {
        Ok(stored) => (StatusCode::NO_CONTENT.into_response(), stored),
        Err(Failure::Wrong(status, text)) => ((status, text + "\n").into_response(), nothing),
        Err(Failure::Partial(text, stored)) => ((StatusCode::BAD_REQUEST, text + "\n").into_response(), stored),
        Err(Failure::Busy(text)) => (retry(StatusCode::TOO_MANY_REQUESTS, BUSY_RETRY_SECONDS, text), nothing),
        Err(Failure::Failed(text)) => (retry(StatusCode::SERVICE_UNAVAILABLE, FAILED_RETRY_SECONDS, text), nothing),
    }
}

async fn take(
    server: &Server,
    ingest: &Arc<Ingest>,
    version: Version,
    source: Source,
    request: Request,
) -> Result<Stored, Failure> {
    let (parts, body) = request.into_parts();
    let (max_body, max_decoded) = {
        let limits = &server.config.load().ingest;
        (limits.max_body.0 as usize, limits.max_decoded_body.0 as usize)
    };
    // Memory for the body and for what it may decompress to is reserved before either is read.
    let announced = content_length(&parts.headers).unwrap_or(max_body);
    if announced > max_body {
        return Err(too_large(announced, max_body));
    }
    let _body_memory = reserve(ingest, announced)?;
    let body = read(body, max_body).await?;
    let decoded_bytes = snappy_length(&body).min(max_decoded);
    let _decoded_memory = reserve(ingest, decoded_bytes)?;

    let written = if body.len() <= INLINE_BYTES {
        decode_and_write(ingest, version, source, &body, max_decoded)?
    } else {
        let ingest = Arc::clone(ingest);
        let work = tokio::task::spawn_blocking(move || decode_and_write(&ingest, version, source, &body, max_decoded));
        work.await.map_err(|_| Failure::Failed("decoding failed unexpectedly".into()))??
    };
    written.pending.durable().await.map_err(store_failure)?;
    match written.refused {
        None => Ok(written.stored),
        Some(text) => {
            tracing::debug!("remote write: {text}");
            Err(Failure::Partial(text, written.stored))
        }
    }
}

fn decode_and_write(
    ingest: &Ingest,
    version: Version,
    source: Source,
    body: &[u8],
    max_decoded: usize,
) -> Result<Written, Failure> {
    let wrong = |text: String| Failure::Wrong(StatusCode::BAD_REQUEST, text);
    ingest.buffers().with(|decoded| {
        decompress_into(body, max_decoded, decoded).map_err(|e| wrong(sonde_runtime::stage::with_causes(&e)))?;
        ingest.write(version, source, decoded).map_err(|error| match error {
            WriteError::Invalid(text) => wrong(text),
            WriteError::Store(e) => store_failure(e),
        })
    })
}

fn store_failure(error: IngestError) -> Failure {
    let text = error.to_string();
    match error {
        IngestError::Busy(_) => Failure::Busy(text),
        IngestError::Conflict(_) => Failure::Wrong(StatusCode::CONFLICT, text),
        IngestError::TooLarge(_) => Failure::Wrong(StatusCode::PAYLOAD_TOO_LARGE, text),
        IngestError::Unavailable(_) => Failure::Failed(text),
    }
}

fn count<'a>(stats: &'a IngestStats, result: &Result<Stored, Failure>) -> &'a AtomicU64 {
    match result {
        Ok(_) | Err(Failure::Partial(..)) => &stats.remote_write_requests,
        Err(Failure::Wrong(..)) => &stats.remote_write_invalid,
        Err(Failure::Busy(_)) => &stats.remote_write_busy,
        Err(Failure::Failed(_)) => &stats.remote_write_failed,
    }
}

/// Which version the body is: it must say that it is remote write in snappy, or say nothing and be 1.0.
fn negotiate(headers: &HeaderMap) -> Result<Version, Failure> {
    let unsupported = |text: String| Err(Failure::Wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
    let text_of = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or("?").trim());
    match text_of(header::CONTENT_ENCODING) {
        None | Some("" | "snappy") => {}
        Some(other) => return unsupported(format!("{other:?} is no content encoding of remote write: use snappy")),
    }
    let Some(content_type) = text_of(header::CONTENT_TYPE).filter(|text| !text.is_empty()) else {
        return Ok(Version::V1);
    };
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/x-protobuf")) {
        return unsupported(format!("expected application/x-protobuf as the first (media) part, got {content_type:?}"));
    }
    let Some(proto) = parts.find_map(|part| part.strip_prefix("proto=")).map(|proto| proto.trim_matches('"')) else {
        return Ok(Version::V1);
    };
    match Version::ALL.into_iter().find(|version| version.message_name() == proto) {
        Some(version) => Ok(version),
        None => unsupported(format!(
            "{proto} is not accepted by this server; send {} (remote write 1.0) or {} (2.0)",
            Version::V1.message_name(),
            Version::V2.message_name()
        )),
    }
}

async fn read(body: Body, max_bytes: usize) -> Result<Bytes, Failure> {
    let reading = axum::body::to_bytes(body, max_bytes);
    match tokio::time::timeout(READ_TIMEOUT, reading).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => Err(Failure::Wrong(
            StatusCode::BAD_REQUEST,
            format!("the body ended early, or has more than {max_bytes} bytes (ingest.max_body)"),
        )),
        Err(_) => {
            Err(Failure::Wrong(StatusCode::REQUEST_TIMEOUT, format!("the body did not come in {READ_TIMEOUT:?}")))
        }
    }
}

fn reserve(ingest: &Ingest, bytes: usize) -> Result<crate::ingest::Reservation, Failure> {
    let full = || Failure::Busy("too many bytes of requests are being worked on (ingest.max_inflight)".into());
    ingest.budget().reserve(bytes).ok_or_else(full)
}

fn too_large(bytes: usize, limit: usize) -> Failure {
    let text = format!("the body has {bytes} bytes, ingest.max_body is {limit}: send smaller requests");
    Failure::Wrong(StatusCode::PAYLOAD_TOO_LARGE, text)
}

fn content_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// What a snappy block says that it decompresses to; 0 where it is none, which decompression will say.
fn snappy_length(body: &[u8]) -> usize {
    snap::raw::decompress_len(body).unwrap_or(0)
}

fn retry(status: StatusCode, seconds: u64, text: String) -> Response {
    let mut response = (status, text + "\n").into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    response
}
