//! `/alertmanagers`: who is told of alerts. That is this collector itself, which speaks Alertmanager's API.

use std::sync::Arc;

use axum::extract::State;

use super::shown_url::without_user;
use crate::api::answer::Answer;
use crate::server::Server;
use crate::settings::external_url;

/// `/alertmanagers`
pub(super) async fn alertmanagers(State(server): State<Arc<Server>>) -> Answer {
    let base = without_user(&external_url(&server.config.load(), &server.flags));
    Answer::new(|json| {
        json.raw("{").key("activeAlertmanagers").raw("[").object([("url", format!("{base}/api/v2/alerts"))]).raw("],");
        json.key("droppedAlertmanagers").raw("[]}");
    })
}
