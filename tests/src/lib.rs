//! What black-box tests share: where the binaries and peers are, starting and stopping them, asking over HTTP.
//!
//! This crate must not reach into the agent or the collector: it sees what users see.

mod agent;
mod clock;
mod http;
mod otlp;
mod peers;
mod process;
mod prometheus;
mod shop;
mod sonde;
mod wait;
mod webhook;

use std::path::{Path, PathBuf};

pub use agent::Agent;
pub use clock::{Stopwatch, now_ms};
pub use http::{Reply, encode, get, post, post_form, request};
pub use otlp::{Point, metrics_request, span_request};
pub use peers::{Tool, kubernetes_validate, node, not_run, python, python_with_parquet, tool};
pub use process::{Server, Spawn, free_port, sonde_binary};
pub use prometheus::Prometheus;
pub use shop::{Order, Shop};
pub use sonde::{Sonde, vector};
pub use wait::{eventually, wait_for};
pub use webhook::Webhook;

/// The root of the workspace.
pub fn workspace_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}

/// Where cargo put the test that is running, two folders up: `target/debug`.
pub fn target_profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this test");
    exe.ancestors().nth(2).expect("target/PROFILE/deps/TEST").to_path_buf()
}
