//! Real peers for the tests: Debian's servers and another language's OTLP SDK, unpacked below the target folder.
//!
//! Nothing is installed into the system: packages are unpacked, Python packages go into a virtual environment. What
//! cannot be had is said, and the tests that need it say that they did not run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::command;

/// Debian packages whose programs the tests start.
const DEBIAN_PACKAGES: [&str; 3] = ["prometheus", "prometheus-alertmanager", "victoria-metrics"];

/// Python packages of the stock OTLP SDK, with both of its exporters.
const PYTHON_PACKAGES: [&str; 3] =
    ["opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-grpc", "opentelemetry-exporter-otlp-proto-http"];

/// Packages of Node's stock OTLP SDK with both exporters and the instrumentation of HTTP.
const NODE_PACKAGES: [&str; 7] = [
    "@opentelemetry/api@1",
    "@opentelemetry/sdk-trace-node@2",
    "@opentelemetry/resources@2",
    "@opentelemetry/exporter-trace-otlp-grpc@0.223",
    "@opentelemetry/exporter-trace-otlp-proto@0.223",
    "@opentelemetry/instrumentation@0.223",
    "@opentelemetry/instrumentation-http@0.223",
];

/// The published JSON schemas of Kubernetes and what validates against them.
const KUBERNETES_PACKAGES: [&str; 1] = ["kubernetes-validate"];

/// What people read Parquet with; half a gigabyte, for [`install_parquet_readers`] alone.
const PARQUET_PACKAGES: [&str; 3] = ["duckdb", "pandas", "pyarrow"];

/// Where the tools lie; tests find it through `SONDE_TOOLS`.
pub(crate) fn dir() -> PathBuf {
    command::target_dir().join("tools")
}

/// Unpacks what is missing. Says for each tool that cannot be had why, and goes on.
pub(crate) fn install() -> Vec<String> {
    let mut missing = Vec::new();
    for package in DEBIAN_PACKAGES {
        if let Err(error) = debian_package(package) {
            missing.push(format!("Debian's {package}: {error:#}"));
        }
    }
    for (folder, what, packages) in [
        ("python", "Python's opentelemetry-sdk", &PYTHON_PACKAGES[..]),
        ("kubernetes", "PyPI's kubernetes-validate", &KUBERNETES_PACKAGES),
    ] {
        if let Err(error) = python_packages(folder, what, packages) {
            missing.push(format!("{what}: {error:#}"));
        }
    }
    if let Err(error) = node_packages() {
        missing.push(format!("Node's OTLP SDK: {error:#}"));
    }
    missing
}

/// Installs what reads Parquet.
pub(crate) fn install_parquet_readers() -> Result<()> {
    python_packages("parquet", "PyPI's duckdb, pandas and pyarrow", &PARQUET_PACKAGES)
}

fn debian_package(package: &str) -> Result<()> {
    let root = dir().join(package);
    if root.join("usr/bin").is_dir() {
        return Ok(());
    }
    if !command::on_path("apt-get") || !command::on_path("dpkg") {
        bail!("this is no Debian system (no apt-get)");
    }
    let download = dir().join("download");
    std::fs::create_dir_all(&download)?;
    if fetch(package, &download).is_err() {
        // A fresh machine has no package lists yet; updating them needs root.
        command::run_quietly(Command::new("apt-get").args(["update", "-q"])).context("no package lists")?;
        fetch(package, &download)?;
    }
    let archive = find_archive(package, &download)?;
    let half = dir().join(format!("{package}.unpacking"));
    command::run_quietly(Command::new("dpkg").arg("-x").arg(&archive).arg(&half))?;
    std::fs::rename(&half, &root)?;
    println!("unpacked {package}");
    Ok(())
}

fn fetch(package: &str, into: &Path) -> Result<()> {
    command::run_quietly(Command::new("apt-get").args(["download", "-q", package]).current_dir(into))
}

fn find_archive(package: &str, dir: &Path) -> Result<PathBuf> {
    let prefix = format!("{package}_");
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)) {
            return Ok(path);
        }
    }
    bail!("apt-get left no archive")
}

fn python_packages(folder: &str, what: &str, packages: &[&str]) -> Result<()> {
    let venv = dir().join(folder);
    if venv.join("complete").is_file() {
        return Ok(());
    }
    if !command::on_path("python3") {
        bail!("no python3 on the PATH");
    }
    std::fs::create_dir_all(dir())?;
    command::run_quietly(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        .context("no virtual environment (Debian: apt-get install python3-venv)")?;
    let pip = venv.join("bin/pip");
    command::run_quietly(Command::new(pip).args(["install", "--quiet"]).args(packages))?;
    // Written last: a half-finished environment is made again.
    std::fs::write(venv.join("complete"), "")?;
    println!("installed {what}");
    Ok(())
}

fn node_packages() -> Result<()> {
    let folder = dir().join("node");
    if folder.join("complete").is_file() {
        return Ok(());
    }
    if !command::on_path("node") || !command::on_path("npm") {
        bail!("no node and npm on the PATH");
    }
    std::fs::create_dir_all(&folder)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--no-save", "--ignore-scripts", "--prefix"]).arg(&folder);
    command::run_quietly(npm.args(NODE_PACKAGES))?;
    // Written last: a half-finished folder is made again.
    std::fs::write(folder.join("complete"), "")?;
    println!("installed Node's OTLP SDK");
    Ok(())
}
