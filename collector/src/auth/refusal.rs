//! How callers are told that they may not: exact statuses, in the words of the protocol that they speak.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sonde_otlp::unary::{self, Code};

use super::routes::Surface;
use super::stats::Reason;
use crate::api::json::JsonWriter;

/// What clients can show. Basic makes browsers ask for a password.
const CHALLENGES: [&str; 2] = [r#"Bearer realm="sonde""#, r#"Basic realm="sonde", charset="UTF-8""#];
/// Seconds after which a caller should come again while the state database is being opened.
const STARTING_RETRY_SECONDS: u64 = 1;

/// A request that goes no further.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Refusal { reason, message: message.into() }
    }

    /// What was shown cannot be used, or nothing was.
    pub(super) fn unauthenticated(reason: Reason) -> Self {
        let message = match reason {
            Reason::Malformed => "expected `Authorization: Bearer TOKEN`, or HTTP Basic with the token as password",
            Reason::Unknown => "there is no such token, or it was revoked",
            Reason::Expired => "the time of this token is over",
            Reason::Starting => "the tokens are not known yet; GET /-/ready says when the start is done",
            _ => "a token is needed: send `Authorization: Bearer TOKEN`",
        };
        Refusal::new(reason, message)
    }

    /// The answer.
    pub(super) fn answer(self, surface: Surface, path: &str) -> Response {
        let (status, code) = self.status();
        if surface == Surface::Grpc {
            return unary::refusal(code, &self.message);
        }
        let mut response = if path.starts_with("/api/v1/") && !path.starts_with("/api/v1/otlp/") {
            self.as_json(status)
        } else {
            (status, format!("{}\n", self.message)).into_response()
        };
        let headers = response.headers_mut();
        if status == StatusCode::UNAUTHORIZED {
            for challenge in CHALLENGES {
                headers.append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
        }
        if self.reason == Reason::Starting {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(STARTING_RETRY_SECONDS));
        }
        response
    }

    fn status(&self) -> (StatusCode, Code) {
        match self.reason {
            Reason::Missing | Reason::Malformed | Reason::Unknown | Reason::Expired => {
                (StatusCode::UNAUTHORIZED, Code::Unauthenticated)
            }
            Reason::Role | Reason::Agent | Reason::Origin | Reason::NoRoute => {
                (StatusCode::FORBIDDEN, Code::PermissionDenied)
            }
            Reason::Starting => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        }
    }

    /// The envelope of Prometheus's API.
    fn as_json(&self, status: StatusCode) -> Response {
        let kind = match self.reason {
            Reason::Starting => "unavailable",
            Reason::Role | Reason::Agent | Reason::Origin | Reason::NoRoute => "forbidden",
            _ => "unauthorized",
        };
        let mut json = JsonWriter::new();
        json.raw(r#"{"status":"error","errorType":"#).string(kind).raw(",").key("error").string(&self.message).raw("}");
        let headers = [(header::CONTENT_TYPE, "application/json")];
        (status, headers, Body::new(json.into_body())).into_response()
    }
}
