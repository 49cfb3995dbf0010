//! The envelope of every answer of the Prometheus API, and its errors with their codes.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::json::{JsonWriter, Pieces};

/// How many warnings and how many infos an answer lists; the rest is counted.
const MAX_ANNOTATIONS: usize = 10;

/// A successful answer that is being written.
#[derive(Debug)]
pub(crate) struct Answer(JsonWriter);

/// An answer that is written. A clone shares its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Encoded(Pieces);

/// An error in the words of Prometheus's API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    /// What kind it is; settles the status.
    pub(crate) kind: ErrorKind,
    /// What went wrong, for people.
    pub(crate) message: String,
}

/// The kinds of errors with their status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// 400: the request is wrong.
    BadData,
    /// 422: the expression cannot be evaluated on these data.
    Execution,
    /// 499: the client left.
    Canceled,
    /// 503: the time was over.
    Timeout,
    /// 500: the server failed.
    Internal,
    /// 401: who asks is not known any more.
    Unauthorized,
    /// 404: there is no such thing.
    NotFound,
    /// 503: the server cannot answer now.
    Unavailable,
}

impl ErrorKind {
    /// The word in the answer and the status.
    fn parts(self) -> (&'static str, u16) {
        match self {
            ErrorKind::BadData => ("bad_data", 400),
            ErrorKind::Execution => ("execution", 422),
            ErrorKind::Canceled => ("canceled", 499),
            ErrorKind::Timeout => ("timeout", 503),
            ErrorKind::Internal => ("internal", 500),
            ErrorKind::Unauthorized => ("unauthorized", 401),
            ErrorKind::NotFound => ("not_found", 404),
            ErrorKind::Unavailable => ("unavailable", 503),
        }
    }
}

impl Answer {
    /// An answer whose data `write` adds.
    pub(crate) fn new(write: impl FnOnce(&mut JsonWriter)) -> Self {
        let mut json = JsonWriter::new();
        json.raw(r#"{"status":"success","data":"#);
        write(&mut json);
        Answer(json)
    }

    /// Ends the answer with what the user should know about it.
    pub(crate) fn finish(mut self, warnings: &[String], infos: &[String]) -> Encoded {
        for (key, kind, texts) in [("warnings", "warning", warnings), ("infos", "info", infos)] {
            if texts.is_empty() {
                continue;
            }
            self.0.raw(",").key(key);
            let omitted = texts.len().saturating_sub(MAX_ANNOTATIONS);
            let more = (omitted > 0).then(|| format!("{omitted} more {kind} annotations omitted"));
            self.0.strings(texts.iter().take(MAX_ANNOTATIONS).chain(&more));
        }
        self.0.raw("}");
        Encoded(self.0.into_body())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        self.finish(&[], &[]).into_response()
    }
}

impl IntoResponse for Encoded {
    fn into_response(self) -> Response {
        json_response(StatusCode::OK, self.0)
    }
}

impl ApiError {
    /// An error of a kind.
    pub(crate) fn new(kind: ErrorKind, message: impl ToString) -> Self {
        ApiError { kind, message: message.to_string() }
    }

    /// A wrong request.
    pub(crate) fn bad_data(message: impl ToString) -> Self {
        Self::new(ErrorKind::BadData, message)
    }

    /// A parameter that cannot be read.
    pub(crate) fn parameter(name: &str, reason: impl std::fmt::Display) -> Self {
        Self::bad_data(format!("invalid parameter {name:?}: {reason}"))
    }

    /// The store is not open yet.
    pub(crate) fn starting() -> Self {
        Self::new(ErrorKind::Unavailable, "the store is being opened; GET /-/ready says when it is done")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (word, status) = self.kind.parts();
        let mut json = JsonWriter::new();
        json.raw(r#"{"status":"error","errorType":"#).string(word).raw(",").key("error").string(&self.message).raw("}");
        let mut response =
            json_response(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), json.into_body());
        if self.kind == ErrorKind::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

fn json_response(status: StatusCode, body: Pieces) -> Response {
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
