//! Debian's Prometheus as a peer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Server, Spawn, encode, free_port, get, wait_for};

/// A running Prometheus and how to reach it.
#[derive(Debug)]
pub struct Prometheus {
    /// The process.
    pub server: Server,
    /// Its address, `http://127.0.0.1:PORT`.
    pub base: String,
}

impl Prometheus {
    /// One that scrapes nothing and takes remote writes, with data, configuration and logs in `dir`.
    pub fn receiver(program: PathBuf, dir: &Path) -> Self {
        Self::start(program, dir, |_| "global: {}\n".to_owned(), &["--web.enable-remote-write-receiver"])
    }

    /// One that scrapes itself every second and writes what it scraped to `target`.
    pub fn sender(program: PathBuf, dir: &Path, target: &str) -> Self {
        let config = |address: &str| {
            format!(
                "global: {{scrape_interval: 1s}}\n\
                 scrape_configs:\n- job_name: prometheus\n  static_configs: [{{targets: ['{address}']}}]\n\
                 remote_write:\n- url: {target}\n  queue_config: {{batch_send_deadline: 200ms}}\n"
            )
        };
        Self::start(program, dir, config, &[])
    }

    fn start(program: PathBuf, dir: &Path, config: impl FnOnce(&str) -> String, more: &[&str]) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        std::fs::write(dir.join("prometheus.yml"), config(&address)).expect("its configuration");
        let storage = format!("--storage.tsdb.path={}", dir.join("prometheus-data").display());
        let listen = format!("--web.listen-address={address}");
        let args = [&["--config.file=prometheus.yml", &storage, &listen][..], more].concat();
        let mut server = Spawn::program(program, dir, "prometheus", &args).start();
        let base = format!("http://{address}");
        server.ready(&format!("{base}/-/ready"));
        // Ready is not yet answering: the engine starts a moment later.
        wait_for("an answer of Prometheus", Duration::from_secs(20), || {
            let reply = get(&format!("{base}/api/v1/query?query={}", encode("vector(1)")))?;
            if reply.status == 200 { Ok(()) } else { Err(reply.text()) }
        });
        Prometheus { server, base }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}
