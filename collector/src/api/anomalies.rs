//! `/api/v1/anomalies`: the alarms of late, with why.

use std::sync::Arc;

use axum::extract::State;

use super::answer::{Answer, ApiError};
use super::rfc3339;
use crate::anomaly::Alarm;
use crate::server::Server;

/// `/anomalies`
pub(super) async fn anomalies(State(server): State<Arc<Server>>) -> Result<Answer, ApiError> {
    let core = server.core().ok_or_else(ApiError::starting)?;
    let alarms = core.anomalies.alarms();
    Ok(Answer::new(|json| {
        json.raw("{").key("anomalies").raw("[");
        for (i, alarm) in alarms.iter().enumerate() {
            let Alarm { watch, labels, at, score, why } = alarm;
            json.raw(if i > 0 { ",{" } else { "{" });
            json.key("anomaly").string(watch).raw(",").key("labels").object(labels.iter()).raw(",");
            json.key("time").string(&rfc3339(*at)).raw(",").key("score").value(*score).raw(",");
            json.key("why").string(why).raw("}");
        }
        json.raw("]}");
    }))
}
