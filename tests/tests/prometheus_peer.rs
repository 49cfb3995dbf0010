//! Debian's Prometheus and promtool against us: remote write in, equal answers, rules that pass.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sonde_tests::{Prometheus, Sonde, Tool, encode, get, tool, wait_for, workspace_root};

/// Expressions that both must answer alike, at one instant in the past.
const EXPRESSIONS: [&str; 14] = [
    "prometheus_build_info",
    "sum by (code) (prometheus_http_requests_total)",
    "prometheus_tsdb_head_series",
    "go_memstats_alloc_bytes",
    "go_gc_duration_seconds",
    "count({job=\"prometheus\"})",
    "count by (__name__) ({__name__=~\"prometheus_.+\"})",
    "max_over_time(go_goroutines[20s])",
    "avg_over_time(process_resident_memory_bytes[20s])",
    "process_resident_memory_bytes / 1024 > bool 10",
    "topk(3, prometheus_tsdb_compaction_chunk_range_seconds_bucket)",
    "histogram_quantile(0.9, prometheus_tsdb_compaction_chunk_range_seconds_bucket)",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")",
    "absent(nothing_of_this_name)",
];

#[test]
fn prometheus_writes_to_us_and_we_answer_like_it() {
    let Some(program) = tool(Tool::Prometheus, "prometheus remote-writes to us") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let prometheus = Prometheus::sender(program, dir.path(), &sonde.url("/api/v1/write"));
    let base = &prometheus.base;
    // Wait until 15 scrapes have arrived, then ask for an instant that both have whole: the scrape before the last.
    let arrived = wait_for("remote-written scrapes", Duration::from_secs(60), || {
        match sonde.value("count_over_time(up{job=\"prometheus\"}[1m])")? {
            n if n >= 15.0 => sonde.value("timestamp(up{job=\"prometheus\"})"),
            n => Err(format!("{n} scrapes so far")),
        }
    });
    let at = format!("{:.3}", arrived - 1.5);
    for expr in EXPRESSIONS {
        let path = format!("/api/v1/query?query={}&time={at}", encode(expr));
        let theirs = result(&format!("{base}{path}"));
        let ours = result(&sonde.url(&path));
        assert!(agree(&ours, &theirs), "{expr}:\nours   {ours:?}\ntheirs {theirs:?}");
        assert!(!theirs.is_empty(), "{expr}: both answer nothing");
    }
    for path in
        ["/api/v1/labels?", "/api/v1/label/job/values?", "/api/v1/label/__name__/values?match[]={job=\"prometheus\"}&"]
    {
        let path = format!("{path}start={at}&end={at}");
        assert_eq!(json(&sonde.url(&path))["data"], json(&format!("{base}{path}"))["data"], "{path}");
    }
}

#[test]
fn promtool_queries_us() {
    let Some(promtool) = tool(Tool::Promtool, "promtool query instant") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let output =
        Command::new(promtool).args(["query", "instant", &sonde.base, "vector(42)"]).output().expect("promtool");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("=> 42 @["), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn promtool_accepts_our_rules() {
    let Some(promtool) = tool(Tool::Promtool, "promtool check rules") else { return };
    let mut files: Vec<_> = std::fs::read_dir(workspace_root().join("alert-rules"))
        .expect("alert-rules")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yml"))
        .collect();
    files.sort();
    assert!(files.len() >= 2, "{files:?}");
    let output = Command::new(promtool).args(["check", "rules"]).args(&files).output().expect("promtool");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn json(url: &str) -> Value {
    get(url).expect("an answer").json()
}

/// The result of an instant query as a sorted list of label sets and values.
fn result(url: &str) -> Vec<(String, f64)> {
    let json = json(url);
    assert_eq!(json["status"], "success", "{url}: {json}");
    let row = |sample: &Value| {
        let value = sample["value"][1].as_str().and_then(|v| v.parse().ok());
        (sample["metric"].to_string(), value.unwrap_or_else(|| panic!("{sample}")))
    };
    let mut rows: Vec<(String, f64)> = json["data"]["result"].as_array().expect("a list").iter().map(row).collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

/// Whether two results agree: the same label sets, values within 1e-9 of each other.
///
/// Not bit for bit: how a mean is summed up changed between Debian's release and 3.x.
fn agree(ours: &[(String, f64)], theirs: &[(String, f64)]) -> bool {
    let close = |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.0 == b.0 && close(a.1, b.1))
}
