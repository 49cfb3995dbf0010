//! The JSON body of a request, bounded in size and time.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::{StatusCode, header};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sonde_model::TimestampMs;

use super::answer::Refusal;

/// The largest body: some ten thousand alerts.
const MAX_BODY_BYTES: usize = 16 << 20;
/// How long a body may take to come.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The bytes of a body of JSON.
#[derive(Debug)]
pub(super) struct JsonBody(bytes::Bytes);

impl JsonBody {
    /// A body that did not come over the network.
    #[cfg(fuzzing)]
    pub(super) fn of(bytes: bytes::Bytes) -> Self {
        JsonBody(bytes)
    }

    /// What the body says; `name` is that of the parameter, for errors.
    pub(super) fn parse<T: DeserializeOwned>(&self, name: &str) -> Result<T, Refusal> {
        if self.0.is_empty() {
            return Err(Refusal::required(name));
        }
        serde_json::from_slice(&self.0).map_err(|e| malformed(name, e))
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonBody {
    type Rejection = Refusal;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let words = format!("unsupported media type {kind:?}, only [application/json] are allowed");
            return Err(Refusal::Malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, 415, words));
        }
        let refused = |status: StatusCode, words: String| Refusal::Malformed(status, status.as_u16(), words);
        let too_slow =
            |_| refused(StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {READ_TIMEOUT:?}"));
        let too_large = |_| {
            let words = format!("the body cannot be read, or has more than {MAX_BODY_BYTES} bytes");
            refused(StatusCode::PAYLOAD_TOO_LARGE, words)
        };
        let read = tokio::time::timeout(READ_TIMEOUT, axum::body::to_bytes(body, MAX_BODY_BYTES));
        Ok(JsonBody(read.await.map_err(too_slow)?.map_err(too_large)?))
    }
}

/// A time of the body. Nothing, an empty text and Go's zero time are no time.
pub(super) fn time(name: &str, text: Option<&str>) -> Result<Option<TimestampMs>, Refusal> {
    /// The first moment of the year 1.
    const ZERO_TIME_MS: TimestampMs = -62_135_596_800_000;
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let time: Timestamp = text.parse().map_err(|e| malformed(name, format!("parsing time {text:?}: {e}")))?;
    Ok(Some(time.as_millisecond()).filter(|ms| *ms != ZERO_TIME_MS))
}

fn malformed(name: &str, reason: impl std::fmt::Display) -> Refusal {
    let words = format!("parsing {name} body from \"\" failed, because {reason}");
    Refusal::Malformed(StatusCode::BAD_REQUEST, 400, words)
}
