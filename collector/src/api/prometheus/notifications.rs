//! `/notifications`: what an operator should know about this process, in the shape of Prometheus.

use std::sync::Arc;

use axum::extract::State;

use super::result::write_list;
use super::status::rfc3339;
use crate::api::answer::Answer;
use crate::server::Server;

/// `/notifications`
pub(super) async fn notifications(State(server): State<Arc<Server>>) -> Answer {
    let mut active = Vec::new();
    for part in server.health.waiting() {
        active.push((format!("{} is not ready: {}", part.component, part.reason), server.started));
    }
    let reloaded = server.reloaded();
    if reloaded.failed {
        active.push(("Configuration reload has failed.".to_owned(), reloaded.tried_at));
    }
    if server.core().is_some_and(|core| core.db.status().retention_paused) {
        let text = "Retention by age is paused: the clock has leapt forward and is not proved.";
        active.push((text.to_owned(), server.clock.now_ms()));
    }
    Answer::new(|json| {
        write_list(json, &active, |json, (text, date)| {
            json.raw("{").key("text").string(text).raw(",").key("date").string(&rfc3339(*date));
            json.raw(",").key("active").raw("true}");
        });
    })
}
