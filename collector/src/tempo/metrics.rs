//! `/api/metrics/query` and `/api/metrics/query_range`: TraceQL for series is understood, but not evaluated yet.

use axum::response::Response;
use http::StatusCode;
use sonde_traceql::ast::Root;

use super::answer::TempoError;
use super::form::TempoForm;
use super::parameters::go_duration;

/// Both calls: what is wrong with the request is told before what is missing here.
pub(super) async fn query(TempoForm(form): TempoForm) -> Result<Response, TempoError> {
    let text = form.get("q").or_else(|| form.get("query")).unwrap_or_default();
    let query = sonde_traceql::parse(text).map_err(TempoError::query)?;
    sonde_traceql::validate(&query).map_err(TempoError::query)?;
    let Root::Metrics(_) = query.root else { return Err(TempoError::bad("not a metrics query")) };
    if let Some(step) = form.get("step") {
        check_step(step)?;
    }
    let text = format!("{query} is not evaluated yet: TraceQL metrics are understood here, but not computed");
    Err(TempoError::new(StatusCode::NOT_IMPLEMENTED, text))
}

/// Seconds, or a duration as Go writes it.
fn check_step(text: &str) -> Result<(), TempoError> {
    let error = |why: &str| TempoError::bad(format!("rpc error: code = Code(400) desc = cannot parse {text:?}{why}"));
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite());
    let step =
        seconds.or_else(|| go_duration(text).map(|ns| ns as f64)).ok_or_else(|| error(" to a valid duration"))?;
    if step > 0.0 { Ok(()) } else { Err(error(": step must be positive")) }
}
