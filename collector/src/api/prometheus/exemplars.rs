//! `/query_exemplars`: the exemplars of the series that an expression selects.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use sonde_model::{Exemplar, Matcher};
use sonde_promql::Expr;
use sonde_promql::ast::ExprKind;
use sonde_tsdb::SeriesExemplars;

use super::query::queue_error;
use super::{parameters, result};
use crate::api::answer::{Answer, ApiError};
use crate::api::form::Form;
use crate::api::json::JsonWriter;
use crate::query::{Client, Expired};
use crate::server::Server;

/// `/query_exemplars`. How many there are at most is a setting of the store, so that the answer needs no other bound.
pub(super) async fn exemplars(
    State(server): State<Arc<Server>>,
    client: Client,
    form: Form,
) -> Result<Response, ApiError> {
    let (from, to) = parameters::time_range(&form)?;
    let expr = sonde_promql::parse(form.get("query").unwrap_or_default()).map_err(ApiError::bad_data)?;
    let mut selectors = Vec::new();
    collect(&expr, &mut selectors)?;
    if selectors.is_empty() {
        // Where there is nothing to look for Prometheus has nothing to say.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let core = server.core().ok_or_else(ApiError::starting)?;
    let db = Arc::clone(&core.db);
    let timeout = server.config.load().query.timeout.0;
    let work = move |_: Expired<'_>| {
        let found = db.exemplars(&selectors, from, to, usize::MAX);
        Answer::new(|json| result::write_list(json, &found, write_series)).into_response()
    };
    server.queries.run_for(&client, timeout, work).await.map_err(queue_error)
}

/// Collects the matchers of each selector in an expression. Offsets and times of the selectors do not count, as in
/// Prometheus. The parser has bounded how deep expressions lie in each other.
fn collect(expr: &Expr, into: &mut Vec<Vec<Matcher>>) -> Result<(), ApiError> {
    let selector = match &expr.kind {
        ExprKind::Vector(selector) => Some(selector),
        ExprKind::Matrix(matrix) => Some(&matrix.selector),
        _ => None,
    };
    if let Some(selector) = selector {
        into.push(selector.compile().map_err(|e| ApiError::parameter("query", e))?);
    }
    expr.children().into_iter().try_for_each(|child| collect(child, into))
}

fn write_series(json: &mut JsonWriter, series: &SeriesExemplars) {
    json.raw("{").key("seriesLabels");
    result::write_labels(json, &series.labels);
    json.raw(",").key("exemplars");
    result::write_list(json, &series.exemplars, write_exemplar);
    json.raw("}");
}

fn write_exemplar(json: &mut JsonWriter, exemplar: &Exemplar) {
    json.raw("{").key("labels");
    result::write_labels(json, &exemplar.labels);
    json.raw(",").key("value").value(exemplar.value);
    json.raw(",").key("timestamp").timestamp(exemplar.timestamp);
    json.raw("}");
}
