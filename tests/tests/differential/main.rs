//! The same generated queries on the same data, asked of us and of Debian's Prometheus.
//!
//! Debian ships 2.42; what 3.x changed is not generated, and listed with its reason in `docs/differences.md`. Everything
//! else must be equal within 1e-9.
//!
//! The seed is printed. `SONDE_SEED` asks with another one, `SONDE_QUERIES` asks more.

mod answer;
mod data;
mod generator;

use sonde_tests::{Prometheus, Sonde, Tool, get, post, tool};

use answer::Answer;
use data::Data;
use generator::{EXTREMES, Generator};

/// Queries that are asked.
const QUERIES: u64 = 2_400;

#[test]
fn generated_queries_are_answered_as_prometheus_answers_them() {
    let Some(program) = tool(Tool::Prometheus, "generated queries against Prometheus") else { return };
    let number = |name: &str, default: u64| std::env::var(name).map_or(default, |n| n.parse().expect("a number"));
    let (seed, queries) = (number("SONDE_SEED", 2_026), number("SONDE_QUERIES", QUERIES));
    println!("seed {seed}, {queries} queries");

    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let prometheus = Prometheus::receiver(program, dir.path());
    let base = &prometheus.base;
    let data = Data::new(seed, sonde_tests::now_ms());
    for body in data.requests() {
        for url in [sonde.url("/api/v1/write"), format!("{base}/api/v1/write")] {
            let headers = [("content-encoding", "snappy"), ("content-type", "application/x-protobuf")];
            let reply = post(&url, &headers, body.clone()).expect("an answer");
            assert!(matches!(reply.status, 200 | 204), "{url}: {} {}", reply.status, reply.text());
        }
    }

    let mut generator = Generator::new(seed, &data);
    let (mut empty, mut refused) = (0, 0);
    let mut differences = Vec::new();
    for _ in 0..queries {
        let question = generator.question();
        let [ours, theirs] = [&sonde.url(""), base].map(|base| ask(base, &question.path()));
        empty += u64::from(theirs.is_empty());
        refused += u64::from(matches!(theirs, Answer::Refused { .. }));
        let is_extreme = EXTREMES.iter().any(|op| question.expr.starts_with(op));
        let [ours, theirs] = [ours, theirs].map(|answer| if is_extreme { answer.without_labels() } else { answer });
        if let Some(difference) = ours.difference(&theirs) {
            differences.push(format!("{}\n  {}\n  {difference}", question.expr, question.path()));
        }
    }
    println!("{queries} compared, {empty} of them empty, {refused} refused by both");
    let shown = differences.iter().take(20).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "seed {seed}: {} of {queries} differ, such as\n{shown}", differences.len());
    assert!(empty * 4 < queries, "too many answers are empty to prove anything: {empty} of {queries}");
}

fn ask(base: &str, path: &str) -> Answer {
    let reply = get(&format!("{}{path}", base.trim_end_matches('/'))).expect("an answer");
    Answer::read(&reply.json())
}

#[test]
fn what_is_not_generated_is_listed() {
    let listed = std::fs::read_to_string(sonde_tests::workspace_root().join("docs/differences.md")).expect("the list");
    let sources = [include_str!("generator.rs"), include_str!("data.rs")].concat();
    let comments = sources.lines().filter(|line| line.trim_start().starts_with("//") && line.contains(" class"));
    let mut classes = 0;
    for class in comments.flat_map(|line| line.split('"').skip(1).step_by(2)) {
        assert!(listed.contains(&format!("| {class} |")), "the class {class:?} is not in docs/differences.md");
        classes += 1;
    }
    assert!(classes >= 8, "only {classes} classes were read");
}
