//! `/metadata`: type, help and unit of metrics, whoever sent them.

use std::sync::Arc;

use axum::extract::State;

use super::{parameters, result};
use crate::api::answer::{Answer, ApiError};
use crate::api::form::Form;
use crate::server::Server;

/// How many metrics are listed where the request names no limit.
const MAX_METRICS: usize = 100_000;

/// `/metadata`
pub(super) async fn metadata(State(server): State<Arc<Server>>, form: Form) -> Result<Answer, ApiError> {
    let core = server.core().ok_or_else(ApiError::starting)?;
    let limit = parameters::whole_number(&form, "limit")?.map_or(MAX_METRICS, |limit| limit.min(MAX_METRICS));
    // The store keeps one entry a metric, so that any limit per metric is held.
    parameters::whole_number(&form, "limit_per_metric")?;
    let found = core.db.metadata(form.get("metric"), limit);
    Ok(Answer::new(|json| {
        json.raw("{");
        for (i, (metric, metadata)) in found.iter().enumerate() {
            json.raw(if i > 0 { "," } else { "" }).string(metric).raw(":");
            result::write_list(json, std::slice::from_ref(metadata), |json, metadata| {
                json.object([
                    ("type", metadata.kind.as_str()),
                    ("help", metadata.help.as_str()),
                    ("unit", metadata.unit.as_str()),
                ]);
            });
        }
        json.raw("}");
    }))
}
