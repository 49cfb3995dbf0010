//! What the crates depend on, as cargo sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;
use sonde_tests::workspace_root;

/// The edges of the architecture: a crate, and the crates of ours that it may use. Dev-dependencies are apart.
const ALLOWED: [(&str, &[&str]); 18] = [
    ("sonde-model", &[]),
    ("sonde-disk", &[]),
    ("sonde-runtime", &[]),
    ("sonde-proto", &["sonde-model"]),
    ("sonde-tls", &[]),
    ("sonde-otlp", &["sonde-model", "sonde-proto", "sonde-runtime", "sonde-tls"]),
    ("sonde-translate", &["sonde-model", "sonde-proto"]),
    ("sonde-tsdb", &["sonde-model", "sonde-disk"]),
    ("sonde-tracedb", &["sonde-model", "sonde-disk"]),
    ("sonde-promql", &["sonde-model"]),
    ("sonde-traceql", &["sonde-model"]),
    ("sonde-detect", &[]),
    ("sonde-alerting", &["sonde-model", "sonde-promql", "sonde-detect"]),
    (
        "sonde-agent",
        &["sonde-model", "sonde-disk", "sonde-runtime", "sonde-proto", "sonde-tls", "sonde-otlp", "sonde-translate"],
    ),
    (
        "sonde-collector",
        &[
            "sonde-model",
            "sonde-disk",
            "sonde-runtime",
            "sonde-proto",
            "sonde-tls",
            "sonde-otlp",
            "sonde-translate",
            "sonde-tsdb",
            "sonde-tracedb",
            "sonde-promql",
            "sonde-traceql",
            "sonde-detect",
            "sonde-alerting",
        ],
    ),
    (
        "sonde",
        &[
            "sonde-model",
            "sonde-disk",
            "sonde-runtime",
            "sonde-proto",
            "sonde-tls",
            "sonde-otlp",
            "sonde-translate",
            "sonde-tsdb",
            "sonde-tracedb",
            "sonde-promql",
            "sonde-traceql",
            "sonde-detect",
            "sonde-alerting",
            "sonde-agent",
            "sonde-collector",
        ],
    ),
    ("sonde-tests", &["sonde-model", "sonde-proto", "sonde-promql"]),
    ("xtask", &[]),
];

/// Licences that may ship.
const LICENCES: [&str; 13] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Zlib",
    "BSL-1.0",
    "CC0-1.0",
    "0BSD",
    "MIT-0",
    "Unlicense",
    "Unicode-3.0",
];
const MORE_LICENCES: [&str; 1] = ["CDLA-Permissive-2.0"];

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

impl Package {
    /// The names of normal and build dependencies.
    fn uses(&self) -> impl Iterator<Item = &str> {
        self.dependencies.iter().filter(|d| d.kind.as_deref() != Some("dev")).map(|d| d.name.as_str())
    }
}

/// Of what is built by default.
fn metadata() -> Metadata {
    metadata_with(&[])
}

/// Of what can be built.
fn metadata_of_all_features() -> Metadata {
    metadata_with(&["--all-features"])
}

fn metadata_with(more: &[&str]) -> Metadata {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--locked"])
        .args(more)
        .current_dir(workspace_root())
        .output()
        .expect("cargo metadata");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the metadata of cargo")
}

fn members(metadata: &Metadata) -> Vec<&Package> {
    metadata.packages.iter().filter(|p| metadata.workspace_members.contains(&p.id)).collect()
}

/// Fails on an edge between our crates that the table does not have, and on a crate that it does not know.
pub(crate) fn check() {
    let metadata = metadata();
    let allowed: BTreeMap<&str, &[&str]> = ALLOWED.into_iter().collect();
    let ours: BTreeSet<&str> = members(&metadata).into_iter().map(|p| p.name.as_str()).collect();
    for package in members(&metadata) {
        let Some(edges) = allowed.get(package.name.as_str()) else {
            panic!("crate {} is not in the table of edges", package.name);
        };
        for used in package.uses().filter(|used| ours.contains(used)) {
            assert!(edges.contains(&used), "{} must not depend on {used}", package.name);
        }
    }
}

/// Fails where one of `crates` is a direct dependency of a member outside `members_allowed`.
pub(crate) fn check_only_in(crates: &[&str], members_allowed: &[&str]) {
    let metadata = metadata();
    for package in members(&metadata) {
        if members_allowed.contains(&package.name.as_str()) || matches!(package.name.as_str(), "sonde-tests" | "xtask")
        {
            continue;
        }
        for used in package.uses() {
            assert!(!crates.contains(&used), "{} must not depend on {used}", package.name);
        }
    }
}

/// Fails where one of `crates` is there in two versions.
pub(crate) fn check_single(crates: &[&str]) {
    let metadata = metadata_of_all_features();
    for name in crates {
        let versions: Vec<&str> =
            metadata.packages.iter().filter(|p| p.name == *name).map(|p| p.version.as_str()).collect();
        assert!(versions.len() <= 1, "{name} is there in versions {versions:?}");
    }
}

/// Fails where one of `crates` is there at all, with whatever features.
pub(crate) fn check_absent(crates: &[&str]) {
    absent(crates, &metadata_of_all_features());
}

/// Fails where one of `crates` is there by default.
pub(crate) fn check_absent_by_default(crates: &[&str]) {
    absent(crates, &metadata());
}

fn absent(crates: &[&str], metadata: &Metadata) {
    for package in &metadata.packages {
        assert!(!crates.contains(&package.name.as_str()), "{} is banned", package.name);
    }
}

/// Fails where a dependency has no alternative among the licences of the list.
pub(crate) fn check_licences() {
    let ok = |licence: &str| LICENCES.contains(&licence) || MORE_LICENCES.contains(&licence);
    for package in metadata_of_all_features().packages {
        let text = package.license.unwrap_or_default().replace(['(', ')'], "").replace('/', " OR ");
        let any = text.split(" OR ").any(|choice| choice.split(" AND ").all(|licence| ok(licence.trim())));
        assert!(any, "{} {} has licence {text:?}", package.name, package.version);
    }
}
