//! Who this is, and who is told of alerts.

use std::fmt::Write;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use super::answer;
use super::known::ShownReceiver;
use crate::server::Server;

/// The version of Alertmanager whose API this is; clients look at it.
const API_VERSION: &str = "0.28.0";

/// `GET /status`
pub(super) async fn status(State(server): State<Arc<Server>>) -> Response {
    // Alertmanager shows its configuration here. Ours holds more than routes, and addresses that are secrets.
    let mut original =
        String::from("# The names of the receivers; the configuration of Sonde has the rest.\nreceivers:\n");
    for name in receivers(&server) {
        writeln!(original, "- name: {}", json!(name)).expect("BUG: writing to a string failed");
    }
    answer::json(&json!({
        "cluster": {"peers": [], "status": "disabled"},
        "config": {"original": original},
        "uptime": answer::time(server.started),
        "versionInfo": {
            "branch": "sonde",
            "buildDate": "",
            "buildUser": "",
            "goVersion": "",
            "revision": concat!("sonde ", env!("CARGO_PKG_VERSION")),
            "version": API_VERSION,
        },
    }))
}

/// `GET /receivers`
pub(super) async fn list_receivers(State(server): State<Arc<Server>>) -> Response {
    let shown: Vec<_> = receivers(&server).into_iter().map(|name| ShownReceiver { name }).collect();
    answer::json(&shown)
}

fn receivers(server: &Server) -> Vec<String> {
    server.notifier.look(|dispatcher| dispatcher.plan().receivers().keys().map(ToString::to_string).collect())
}
