//! Answers and errors in the shapes of Alertmanager: a string, or an object with a code where the request is malformed.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use sonde_model::TimestampMs;

use crate::silences::ChangeError;

/// Go's zero time.
const ZERO_TIME: &str = "0001-01-01T00:00:00.000Z";

/// Why a request is not answered as it wishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The status, and a JSON string.
    Said(StatusCode, String),
    /// The status alone.
    Bare(StatusCode),
    /// The body or a parameter does not have the form that it must have: the status, a code of go-openapi, words.
    Malformed(StatusCode, u16, String),
}

impl Refusal {
    /// A request that makes no sense.
    pub(super) fn bad_request(words: impl ToString) -> Self {
        Refusal::Said(StatusCode::BAD_REQUEST, words.to_string())
    }

    /// The collector cannot do it now.
    pub(super) fn unavailable(words: impl ToString) -> Self {
        Refusal::Said(StatusCode::SERVICE_UNAVAILABLE, words.to_string())
    }

    /// The store is not open yet.
    pub(super) fn starting() -> Self {
        Self::unavailable("the store is being opened; GET /-/ready says when it is done")
    }

    /// Too many others want to change something.
    pub(super) fn busy() -> Self {
        Self::unavailable("too many requests want to change alerts or silences; ask again later")
    }

    /// The work of a request panicked.
    pub(super) fn failed() -> Self {
        Refusal::Said(StatusCode::INTERNAL_SERVER_ERROR, "the work failed unexpectedly; the log says more".to_owned())
    }

    /// A field of the body that must be there is not.
    pub(super) fn required(name: &str) -> Self {
        Refusal::Malformed(StatusCode::UNPROCESSABLE_ENTITY, 602, format!("{name} in body is required"))
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        use sonde_alerting::silence::SilenceError;
        match error {
            ChangeError::Refused(SilenceError::NotFound) => {
                Refusal::Said(StatusCode::NOT_FOUND, SilenceError::NotFound.to_string())
            }
            ChangeError::Refused(other) => Refusal::bad_request(other),
            ChangeError::NotDurable(error) => Refusal::unavailable(sonde_runtime::stage::with_causes(&error)),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, mut response) = match self {
            Refusal::Said(status, words) => (status, json(&words)),
            Refusal::Bare(status) => (status, Response::default()),
            Refusal::Malformed(status, code, words) => (status, json(&json!({"code": code, "message": words}))),
        };
        *response.status_mut() = status;
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A JSON answer that no cache keeps.
pub(super) fn json(value: &impl Serialize) -> Response {
    let mut text = serde_json::to_vec(value).expect("BUG: answers have string keys only");
    text.push(b'\n');
    let mut response = Response::new(text.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A time as Alertmanager writes it: always with milliseconds.
pub(super) fn time(at: TimestampMs) -> String {
    Timestamp::from_millisecond(at)
        .map_or_else(|_| ZERO_TIME.to_owned(), |time| time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// Any other method of a path that has `GET` and `POST`.
pub(super) async fn only_get_and_post(method: Method) -> Response {
    not_allowed(&method, "GET,POST")
}

/// Any other method of a path that has `GET` and `DELETE`.
pub(super) async fn only_get_and_delete(method: Method) -> Response {
    not_allowed(&method, "DELETE,GET")
}

/// Any other method of a path that has `GET` only.
pub(super) async fn only_get(method: Method) -> Response {
    not_allowed(&method, "GET")
}

fn not_allowed(method: &Method, allowed: &'static str) -> Response {
    let words = format!("method {method} is not allowed, but [{allowed}] are");
    let mut response = Refusal::Malformed(StatusCode::METHOD_NOT_ALLOWED, 405, words).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    response
}
