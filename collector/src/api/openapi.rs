//! `/api/v1/openapi.yaml`: the description of all of this for programs.

use axum::response::{IntoResponse, Response};
use http::header;

/// The document, in OpenAPI 3.1. A test compares it with the table of routes and with the answers.
pub(super) const DOCUMENT: &str = include_str!("openapi.yaml");

/// `/openapi.yaml`
pub(super) async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/yaml")], DOCUMENT).into_response()
}
