//! An agent in a process of its own, which takes OTLP from local programs.

use std::path::Path;
use std::time::Duration;

use crate::{Server, Sonde, Spawn, free_port, wait_for};

/// A running agent and where it listens.
#[derive(Debug)]
pub struct Agent {
    /// The process.
    pub server: Server,
    /// Where it takes OTLP over gRPC, `http://127.0.0.1:PORT`.
    pub otlp_grpc: String,
    /// Where it takes OTLP over HTTP, `http://127.0.0.1:PORT`.
    pub otlp_http: String,
}

impl Agent {
    /// Starts it with data, log and configuration in `dir`. It ships to `collector`; `more` are further lines of its
    /// configuration.
    pub fn start(dir: &Path, collector: &Sonde, more: &str) -> Self {
        let [grpc, http] = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
        let config = dir.join("agent.yml");
        let text = format!(
            "data_dir: {}\ncollector: {{endpoint: 'http://{}'}}\notlp: {{grpc_listen: '{grpc}', http_listen: '{http}'}}\n{more}",
            dir.join("agent-data").display(),
            collector.otlp_grpc,
        );
        std::fs::write(&config, text).expect("a configuration");
        let server = Spawn::sonde(dir, "agent", &["agent", "--config", &config.to_string_lossy()]).start();
        for address in [&grpc, &http] {
            wait_for("the agent listens", Duration::from_secs(30), || {
                let connected = std::net::TcpStream::connect(address);
                connected.map(drop).map_err(|e| format!("{address}: {e}: {}", server.output()))
            });
        }
        Agent { server, otlp_grpc: format!("http://{grpc}"), otlp_http: format!("http://{http}") }
    }
}
