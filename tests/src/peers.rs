//! Real peers: Debian's servers and a stock SDK of another language. `cargo xtask test` unpacks them.

use std::io::Write;
use std::path::PathBuf;

use crate::workspace_root;

/// A program that tests start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Debian's `prometheus`.
    Prometheus,
    /// Debian's `promtool`.
    Promtool,
    /// Debian's `amtool`.
    Amtool,
    /// Debian's `victoria-metrics`.
    VictoriaMetrics,
}

/// The path of a program, or `None` after saying that `test` did not run for want of it.
pub fn tool(tool: Tool, test: &str) -> Option<PathBuf> {
    let (path, name) = match tool {
        Tool::Prometheus => ("prometheus/usr/bin/prometheus", "Debian's prometheus"),
        Tool::Promtool => ("prometheus/usr/bin/promtool", "Debian's promtool"),
        Tool::Amtool => ("prometheus-alertmanager/usr/bin/amtool", "Debian's amtool"),
        Tool::VictoriaMetrics => ("victoria-metrics/usr/bin/victoria-metrics", "Debian's victoria-metrics"),
    };
    found(tools_dir().join(path), test, name)
}

/// The interpreter of the virtual environment with the stock OTLP SDK.
pub fn python(test: &str) -> Option<PathBuf> {
    let python = tools_dir().join("python");
    found(python.join("complete"), test, "Python's opentelemetry-sdk").map(|_| python.join("bin/python"))
}

/// Node and the folder of packages with its stock OTLP SDK: the program and what `NODE_PATH` has to be.
pub fn node(test: &str) -> Option<(PathBuf, PathBuf)> {
    let folder = tools_dir().join("node");
    let node = found(folder.join("complete"), test, "Node with @opentelemetry/sdk-trace-node");
    node.map(|_| ("node".into(), folder.join("node_modules")))
}

/// The validator of Kubernetes manifests with the published schemas in it.
pub fn kubernetes_validate(test: &str) -> Option<PathBuf> {
    let venv = tools_dir().join("kubernetes");
    found(venv.join("complete"), test, "PyPI's kubernetes-validate").map(|_| venv.join("bin/kubernetes-validate"))
}

/// The interpreter of the virtual environment with DuckDB, pandas and pyarrow; `cargo xtask soak` makes it.
pub fn python_with_parquet(test: &str) -> Option<PathBuf> {
    let venv = tools_dir().join("parquet");
    found(venv.join("complete"), test, "PyPI's duckdb, pandas and pyarrow").map(|_| venv.join("bin/python"))
}

/// Records that `test` did not run because of what this machine is, for the summary of the whole run.
pub fn not_run(test: &str, why: &str) {
    if let Some(path) = std::env::var_os("SONDE_NOT_RUN") {
        let mut file =
            std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the list of what did not run");
        writeln!(file, "{test}: {why}").expect("a line");
    }
}

/// A peer at its path. Where everything is required, a peer that could not be fetched is a failure.
fn found(path: PathBuf, test: &str, name: &str) -> Option<PathBuf> {
    if path.is_file() {
        return Some(path);
    }
    let why = format!("{name} is not there ({}); `cargo xtask` fetches it", path.display());
    let required = std::env::var("SONDE_CONFORMANCE_REQUIRED").is_ok_and(|v| v == "1");
    assert!(!required, "{test} did not run: {why}");
    not_run(test, &why);
    None
}

fn tools_dir() -> PathBuf {
    std::env::var_os("SONDE_TOOLS").map_or_else(|| workspace_root().join("target/tools"), PathBuf::from)
}
