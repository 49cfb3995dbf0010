//! Our own program under test: `sonde up`, `sonde collector` and `sonde agent` on free ports.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{Reply, Server, Spawn, encode, free_port, get};

/// A running Sonde and how to reach it.
#[derive(Debug)]
pub struct Sonde {
    /// The process.
    pub server: Server,
    /// How it was started, to start it again.
    pub spawn: Spawn,
    /// The address of web page and HTTP APIs, `http://127.0.0.1:PORT`.
    pub base: String,
    /// The address of OTLP over gRPC, `127.0.0.1:PORT`.
    pub otlp_grpc: String,
    /// The address of OTLP over HTTP, `127.0.0.1:PORT`.
    pub otlp_http: String,
    /// Its folder: data, configuration and logs.
    pub dir: PathBuf,
}

impl Sonde {
    /// `sonde up` with data and logs in `dir`, ready to be asked.
    pub fn up(dir: &Path, more: &[&str]) -> Self {
        Self::start("up", dir, more)
    }

    /// `sonde collector` with data and logs in `dir`, ready to be asked.
    pub fn collector(dir: &Path, more: &[&str]) -> Self {
        Self::start("collector", dir, more)
    }

    fn start(command: &str, dir: &Path, more: &[&str]) -> Self {
        let [web, grpc, http] = [(); 3].map(|()| format!("127.0.0.1:{}", free_port()));
        let data = dir.join("data").to_string_lossy().into_owned();
        let mut args = vec![command, "--data-dir", &data, "--listen", &web];
        args.extend(["--otlp-grpc-listen", &grpc, "--otlp-http-listen", &http, "--enable-admin-api"]);
        args.extend(more);
        let spawn = Spawn::sonde(dir, command, &args);
        let server = spawn.start();
        let mut sonde = Sonde {
            server,
            spawn,
            base: format!("http://{web}"),
            otlp_grpc: grpc,
            otlp_http: http,
            dir: dir.to_path_buf(),
        };
        sonde.ready();
        sonde
    }

    /// Waits until it is ready.
    pub fn ready(&mut self) {
        let url = self.url("/-/ready");
        self.server.ready(&url);
    }

    /// Starts it again after it ended, with the same ports and data.
    pub fn restart(&mut self) {
        self.server = self.spawn.start();
        self.ready();
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// `GET` of a path; panics where there is no answer.
    pub fn get(&self, path: &str) -> Reply {
        get(&self.url(path)).unwrap_or_else(|e| panic!("{path}: {e}\n{}", self.server.output()))
    }

    /// The samples of an instant query: label sets as JSON and values.
    pub fn query(&self, expr: &str) -> Result<Vec<(Value, f64)>, String> {
        vector(&get(&self.url(&format!("/api/v1/query?query={}", encode(expr))))?)
    }

    /// The value of an instant query that gives one sample.
    pub fn value(&self, expr: &str) -> Result<f64, String> {
        match self.query(expr)?.as_slice() {
            [(_, value)] => Ok(*value),
            other => Err(format!("{expr}: {} samples: {other:?}", other.len())),
        }
    }

    /// The sum over all label sets of one of its own metrics, read from `/metrics`.
    pub fn own_metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with([' ', '{']) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        };
        text.lines().filter_map(of).sum()
    }
}

/// The samples of an answer to an instant query with a vector as result.
pub fn vector(reply: &Reply) -> Result<Vec<(Value, f64)>, String> {
    let json: Value = serde_json::from_slice(&reply.body).map_err(|e| format!("{e}: {}", reply.text()))?;
    if json["status"] != "success" {
        return Err(json.to_string());
    }
    let result = json["data"]["result"].as_array().ok_or_else(|| json.to_string())?;
    let sample = |s: &Value| {
        let value = s["value"][1].as_str()?.parse().ok()?;
        Some((s["metric"].clone(), value))
    };
    result.iter().map(|s| sample(s).ok_or_else(|| s.to_string())).collect()
}
