//! The HTTP API, request by request, asked of us and of Debian's Prometheus 2.42 over the same data; and Debian's promtool as
//! a client.
//!
//! What differs has a class, and each class stands in `docs/differences.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use sonde_proto::remote_write::{Label, MetricMetadata, Sample, TimeSeries, WriteRequest, encode as encode_write};
use sonde_tests::{Prometheus, Reply, Sonde, Tool, post, request, tool, workspace_root};

/// The requests. `>` is a request to both (method, path, form), whose status and body have to be the same but for the words of
/// errors; `~ CLASS` behind it says why they differ. T is a time within the data in seconds.
const CASES: &str = include_str!("fixtures/api_peer.txt");

/// Both servers with the same data.
struct Peers {
    sonde: Sonde,
    prometheus: Prometheus,
    /// A whole second, in which there are samples.
    at: i64,
}

impl Peers {
    fn start(program: PathBuf, dir: &Path) -> Self {
        let sonde = Sonde::collector(dir, &[]);
        let prometheus = Prometheus::receiver(program, dir);
        let at = sonde_tests::now_ms() / 60_000 * 60 - 600;
        let body = snap::raw::Encoder::new().compress_vec(&encode_write(&data(at * 1_000))).expect("it is small");
        for url in [sonde.url("/api/v1/write"), prometheus.url("/api/v1/write")] {
            let headers = [("content-encoding", "snappy"), ("content-type", "application/x-protobuf")];
            let reply = post(&url, &headers, body.clone()).expect("an answer");
            assert!(matches!(reply.status, 200 | 204), "{url}: {} {}", reply.status, reply.text());
        }
        Peers { sonde, prometheus, at }
    }
}

/// Ten minutes of a few series.
fn data(end: i64) -> WriteRequest {
    let series = |labels: &[(&str, &str)], value: &dyn Fn(i64) -> f64| TimeSeries {
        labels: labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect(),
        samples: (0..=40).map(|i| Sample { timestamp: end - (40 - i) * 15_000, value: value(i) }).collect(),
        ..TimeSeries::default()
    };
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e-7, 1e21, 0.1, -0.0, 123_456_789.125];
    let timeseries = vec![
        series(&[("__name__", "odd"), ("job", "b")], &|i| odd[i as usize % odd.len()]),
        series(&[("__name__", "requests_total"), ("code", "200"), ("job", "a")], &|i| i as f64 * 3.0),
        series(&[("__name__", "requests_total"), ("code", "500"), ("job", "a")], &|i| (i / 7) as f64),
        series(&[("__name__", "up"), ("instance", "1"), ("job", "a")], &|_| 1.0),
        series(&[("__name__", "up"), ("instance", "2 \"x\"\n"), ("job", "b")], &|i| (i % 2) as f64),
    ];
    let metadata = MetricMetadata {
        kind: 1,
        metric_family_name: "requests_total".into(),
        help: "Requests.".into(),
        ..MetricMetadata::default()
    };
    WriteRequest { timeseries, metadata: vec![metadata] }
}

/// A request of the table.
struct Case {
    method: String,
    path: String,
    form: String,
    /// Why the answers differ.
    class: Option<String>,
}

fn cases(at: i64) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in CASES.lines() {
        if let Some(request) = line.strip_prefix("> ") {
            let request = request.replace("@T", &at.to_string());
            let (method, rest) = request.split_once(' ').expect("a method");
            let (path, form) = rest.split_once(' ').unwrap_or((rest, ""));
            cases.push(Case { method: method.into(), path: path.into(), form: form.into(), class: None });
        } else if let Some(class) = line.strip_prefix("~ ") {
            cases.last_mut().expect("a request before").class = Some(class.to_owned());
        }
    }
    cases
}

#[test]
fn requests_are_answered_as_prometheus_answers_them() {
    let Some(program) = tool(Tool::Prometheus, "the HTTP API beside Prometheus") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let peers = Peers::start(program, dir.path());
    let listed = std::fs::read_to_string(workspace_root().join("docs/differences.md")).expect("the list");
    let cases = cases(peers.at);
    assert!(cases.len() > 60, "only {} cases were read", cases.len());
    let mut failures = Vec::new();
    for case in &cases {
        let ask = |base: &str| {
            let headers = [("content-type", "application/x-www-form-urlencoded")];
            request(&case.method, &format!("{base}{}", case.path), &headers, case.form.clone().into_bytes())
        };
        let [ours, theirs] = [&peers.sonde.base, &peers.prometheus.base].map(|base| ask(base).expect("an answer"));
        let is_same = ours.status == theirs.status && comparable(&ours) == comparable(&theirs);
        let name = format!("{} {} {}", case.method, case.path, case.form);
        match &case.class {
            None if !is_same => {
                failures.push(format!("{name}\n  ours   {}\n  theirs {}", shown(&ours), shown(&theirs)))
            }
            Some(class) if is_same => failures.push(format!("{name}: no difference of the class {class:?} any more")),
            Some(class) if !listed.contains(&format!("| {class} |")) => {
                failures.push(format!("{name}: the class {class:?} is not in docs/differences.md"));
            }
            _ => {}
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

/// What of an answer has to be the same: everything but the words of an error, the parser's apart, which clients show at the
/// place that they name.
fn comparable(reply: &Reply) -> Value {
    let Ok(mut json) = serde_json::from_slice::<Value>(&reply.body) else {
        return Value::String(if reply.status < 300 { reply.text() } else { String::new() });
    };
    let error = json["error"].as_str().unwrap_or_default().to_owned();
    if json["status"] == "error" && !error.contains("parse error") {
        json["error"] = Value::Null;
    }
    json
}

fn shown(reply: &Reply) -> String {
    format!("{} {}", reply.status, reply.text().chars().take(600).collect::<String>().trim_end())
}

/// Runs promtool and gives what it printed; it has to succeed.
fn promtool(program: &Path, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().expect("promtool");
    assert!(output.status.success(), "{args:?}: {}", words(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn promtool_asks_us_as_it_asks_prometheus() {
    let Some(promtool_program) = tool(Tool::Promtool, "promtool as a client") else { return };
    let Some(program) = tool(Tool::Prometheus, "promtool as a client") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let peers = Peers::start(program, dir.path());
    let (from, at) = ((peers.at - 300).to_string(), peers.at.to_string());
    let time = format!("--time={at}");
    let (start, end) = (format!("--start={from}"), format!("--end={at}"));
    for args in [
        vec!["query", "instant", &time, "BASE", "sort(requests_total)"],
        vec!["query", "instant", &time, "BASE", "odd"],
        vec!["query", "instant", &time, "BASE", "42"],
        vec!["query", "instant", "-o", "json", &time, "BASE", "sum by (job) (up)"],
        vec!["query", "range", &start, &end, "--step=60s", "BASE", "sum by (code) (requests_total)"],
        vec!["query", "range", "-o", "json", &start, &end, "--step=60s", "BASE", "odd"],
        vec!["query", "series", "--match=up", "--match=odd", &start, &end, "BASE"],
        vec!["query", "labels", &start, &end, "BASE", "job"],
        vec!["query", "labels", &start, &end, "BASE", "__name__"],
        vec!["query", "labels", "--match=odd", "--match=up", &start, &end, "BASE", "job"],
    ] {
        let of = |base: &str| {
            let args: Vec<&str> = args.iter().map(|arg| if *arg == "BASE" { base } else { arg }).collect();
            let mut lines: Vec<String> = promtool(&promtool_program, &args).lines().map(str::to_owned).collect();
            // Series come in the order of their labels here, in that of the store there.
            lines.sort();
            lines
        };
        let [ours, theirs] = [&peers.sonde.base, &peers.prometheus.base].map(|base| of(base));
        assert!(!ours.is_empty(), "{args:?}");
        assert_eq!(ours, theirs, "{args:?}");
    }
}

#[test]
fn promtool_makes_blocks_of_rules_that_we_evaluate() {
    let Some(promtool_program) = tool(Tool::Promtool, "promtool tsdb create-blocks-from rules") else { return };
    let Some(program) = tool(Tool::Prometheus, "promtool tsdb create-blocks-from rules") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let peers = Peers::start(program, dir.path());
    let rules = dir.path().join("rules.yml");
    let group = "groups:\n- name: g\n  interval: 30s\n  rules:\n";
    let rule = "  - {record: 'code:requests:sum', expr: 'sum by (code) (requests_total)', labels: {made: later}}\n";
    std::fs::write(&rules, format!("{group}{rule}")).expect("a file");
    let [start, end] = [("start", peers.at - 300), ("end", peers.at)].map(|(name, at)| format!("--{name}={at}"));
    let [ours, theirs] = [("ours", &peers.sonde.base), ("theirs", &peers.prometheus.base)].map(|(name, base)| {
        let blocks = dir.path().join(name);
        // It wants to see a log, too.
        std::fs::create_dir_all(blocks.join("wal")).expect("a folder");
        let blocks = blocks.to_string_lossy().into_owned();
        let (url, out) = (format!("--url={base}"), format!("--output-dir={blocks}"));
        let from = ["tsdb", "create-blocks-from", "rules", &start, &end, &url, &out];
        promtool(&promtool_program, &[&from[..], &[&*rules.to_string_lossy()]].concat());
        let dump = promtool(&promtool_program, &["tsdb", "dump", &blocks]);
        let mut samples: Vec<String> = dump.lines().filter(|l| l.starts_with('{')).map(str::to_owned).collect();
        samples.sort();
        samples
    });
    assert!(ours.len() > 5 && ours[0].contains("code:requests:sum"), "{ours:?}");
    assert_eq!(ours, theirs);
}

#[test]
fn promtool_packs_our_metrics() {
    let Some(program) = tool(Tool::Promtool, "promtool debug metrics") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let output = Command::new(&program).current_dir(dir.path()).args(["debug", "metrics", &sonde.base]).output();
    let output = output.expect("promtool");
    assert!(output.status.success(), "{}", words(&output));
    let packed = std::fs::read(dir.path().join("debug.tar.gz")).expect("what it packed");
    assert!(packed.starts_with(&[0x1f, 0x8b]) && packed.len() > 1_000, "{} bytes", packed.len());
}

#[test]
fn promtool_checks_what_we_write() {
    let Some(program) = tool(Tool::Promtool, "promtool check metrics") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let page = sonde.get("/metrics").text();
    std::fs::write(dir.path().join("metrics.txt"), &page).expect("a file");
    let input = std::fs::File::open(dir.path().join("metrics.txt")).expect("the file");
    let output = Command::new(&program).args(["check", "metrics"]).stdin(input).output().expect("promtool");
    // It also has opinions on names, and says so with status 3; what cannot be read is 1.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", words(&output));
    assert!(!words(&output).contains("error while linting"), "{}", words(&output));
    assert!(page.lines().count() > 100);
}

#[test]
fn promtool_tests_our_rules() {
    let Some(program) = tool(Tool::Promtool, "promtool test rules") else { return };
    let folder = workspace_root().join("alert-rules/tests");
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("tests of rules")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{}", folder.display());
    let output = Command::new(program).args(["test", "rules"]).args(&files).output().expect("promtool");
    assert!(output.status.success(), "{}", words(&output));
}
