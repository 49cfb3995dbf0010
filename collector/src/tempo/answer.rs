//! Answers as Tempo gives them: JSON, or an error as plain text; and the work for them on a thread of the pool.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use sonde_tracedb::ReadError;
use sonde_traceql::engine::QueryError;

use super::TraceSource;
use crate::api::json::JsonWriter;
use crate::query::QueueError;
use crate::server::Server;

/// An error: a status and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TempoError {
    status: StatusCode,
    text: String,
}

impl TempoError {
    pub(super) fn new(status: StatusCode, text: impl ToString) -> Self {
        TempoError { status, text: text.to_string() }
    }

    /// The request is wrong.
    pub(super) fn bad(text: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// The query does not parse or makes no sense.
    pub(super) fn query(reason: impl std::fmt::Display) -> Self {
        Self::bad(format!("invalid TraceQL query: {reason}"))
    }
}

impl IntoResponse for TempoError {
    fn into_response(self) -> Response {
        let headers = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
        let unavailable = self.status == StatusCode::SERVICE_UNAVAILABLE;
        let mut response = (self.status, headers, self.text).into_response();
        if unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<QueryError> for TempoError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Invalid(e) => Self::query(e),
            QueryError::NotImplemented(_) => Self::new(StatusCode::NOT_IMPLEMENTED, error),
            QueryError::Fetch(e) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, sonde_runtime::stage::with_causes(&e)),
            QueryError::Interrupted => {
                let text = "the query took longer than query.timeout; ask for a shorter range, or name a service";
                Self::new(StatusCode::GATEWAY_TIMEOUT, text)
            }
        }
    }
}

impl From<ReadError> for TempoError {
    fn from(error: ReadError) -> Self {
        let status = match error {
            ReadError::TraceTooLarge { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            ReadError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, sonde_runtime::stage::with_causes(&error))
    }
}

impl From<QueueError> for TempoError {
    fn from(error: QueueError) -> Self {
        let status = match error {
            QueueError::Full | QueueError::Timeout => StatusCode::SERVICE_UNAVAILABLE,
            QueueError::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error)
    }
}

/// A whole JSON text as an answer.
pub(super) fn json(json: JsonWriter) -> Response {
    let mut response = Response::new(Body::new(json.into_body()));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Runs work over the span store when its turn has come, within `query.timeout`. It is handed the question whether it
/// has to stop.
pub(super) async fn read<T: Send + 'static>(
    server: &Server,
    work: impl FnOnce(&TraceSource, &dyn Fn() -> bool) -> Result<T, TempoError> + Send + 'static,
) -> Result<T, TempoError> {
    let Some(spans) = server.spans() else {
        let text = "the span store is being opened; GET /-/ready says when it is done";
        return Err(TempoError::new(StatusCode::SERVICE_UNAVAILABLE, text));
    };
    let source = TraceSource::new(std::sync::Arc::clone(&spans.db));
    let timeout = server.config.load().query.timeout.0;
    server.queries.run(timeout, move |expired| work(&source, &|| expired().is_some())).await?
}
