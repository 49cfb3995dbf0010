//! `sonde query` against a collector: lists, explanations, the prompt.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use sonde_proto::remote_write::{Label, Sample, TimeSeries, WriteRequest, encode};
use sonde_tests::{Sonde, post, sonde_binary, wait_for};

fn write(sonde: &Sonde) {
    let now = sonde_tests::now_ms();
    let series = |labels: &[(&str, &str)]| TimeSeries {
        labels: labels.iter().map(|(name, value)| Label { name: (*name).into(), value: (*value).into() }).collect(),
        samples: (0..20).map(|i| Sample { timestamp: now - (20 - i) * 15_000, value: i as f64 }).collect(),
        ..TimeSeries::default()
    };
    let timeseries = vec![
        series(&[("__name__", "requests_total"), ("code", "200"), ("job", "a")]),
        series(&[("__name__", "requests_total"), ("code", "500"), ("job", "a")]),
        series(&[("__name__", "temperature"), ("http.route", "/x"), ("job", "b")]),
    ];
    let body = encode(&WriteRequest { timeseries, ..WriteRequest::default() });
    let body = snap::raw::Encoder::new().compress_vec(&body).expect("it is small");
    let headers = [("content-encoding", "snappy"), ("content-type", "application/x-protobuf")];
    assert_eq!(post(&sonde.url("/api/v1/write"), &headers, body).expect("an answer").status, 204);
    wait_for("the series", Duration::from_secs(10), || sonde.value("count(requests_total)"));
}

/// What the command prints, stdout and stderr, and whether it worked.
fn query(sonde: &Sonde, args: &[&str], input: &str) -> (bool, String, String) {
    let mut command = Command::new(sonde_binary());
    command.arg("query").args(args).args(["--url", &sonde.base]).env("COLUMNS", "100").env("HOME", &sonde.dir);
    command.env_remove("XDG_STATE_HOME").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("sonde");
    child.stdin.take().expect("stdin").write_all(input.as_bytes()).expect("input");
    let output = child.wait_with_output().expect("an end");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

fn printed(sonde: &Sonde, args: &[&str]) -> String {
    let (worked, text, errors) = query(sonde, args, "");
    assert!(worked, "{args:?}: {errors}");
    text
}

#[test]
fn what_there_is_and_what_it_costs() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    write(&sonde);

    let text = printed(&sonde, &["series", "requests_total", "temperature"]);
    assert_eq!(
        text,
        "requests_total{code=\"200\", job=\"a\"}\nrequests_total{code=\"500\", job=\"a\"}\n\
         temperature{\"http.route\"=\"/x\", job=\"b\"}\n"
    );
    let text = printed(&sonde, &["series", "requests_total", "--format", "csv"]);
    assert_eq!(text, "__name__,code,job\nrequests_total,200,a\nrequests_total,500,a\n");
    assert_eq!(printed(&sonde, &["labels", "temperature"]), "__name__\nhttp.route\njob\n");
    assert_eq!(printed(&sonde, &["values", "job", "requests_total", "temperature"]), "a\nb\n");
    assert_eq!(printed(&sonde, &["values", "http.route"]), "/x\n");
    let (worked, text, warning) =
        query(&sonde, &["values", "job", "temperature", "requests_total", "--limit", "1"], "");
    assert!(worked && text == "a\n" && warning.contains("--limit 1"), "{text}{warning}");
    let (worked, _, told) = query(&sonde, &["series", "requests_total{"], "");
    assert!(!worked && told.contains("is no selector"), "{told}");
    let (worked, _, told) = query(&sonde, &["series"], "");
    assert!(!worked && told.contains("no match[] parameter"), "{told}");

    let text = printed(&sonde, &["explain", "sum(rate(requests_total[1m])) + 1", "--range", "5m"]);
    assert!(text.starts_with("result: matrix of 1 series\nread: 2 series, "), "{text}");
    for part in ["  sum(rate(requests_total[1m])) + 1\n", "    sum(rate(requests_total[1m]))\n", "      rate("] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&printed(&sonde, &["explain", "-o", "json", "temperature"])).expect("JSON");
    assert_eq!(json["seriesRead"], 1);
    let (worked, _, told) = query(&sonde, &["explain", "rat(requests_total[1m])"], "");
    assert!(!worked && told.contains("did you mean rate?"), "{told}");
}

#[test]
fn the_prompt_answers_line_by_line() {
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    write(&sonde);
    let lines = "count(requests_total)\n\\rnage 1h\n\\range 5m\nsum(requests_total)\n\\range off\n\\format csv\n\
                 temperature\nrat(x[1m])\n\\explain temperature\n\\quit\nnever asked\n";
    let (worked, text, told) = query(&sonde, &["repl"], lines);
    assert!(worked, "{text}{told}");
    for part in ["    2\n", "range 5m  step off", "┤", "range off", "temperature,/x,b,", "read: 1 series"] {
        assert!(text.contains(part), "{part:?} is not in\n{text}\n{told}");
    }
    assert!(told.contains("did you mean \\range?") && told.contains("did you mean rate?"), "{told}");
    assert!(!told.contains("never asked"), "{told}");
    let history = std::fs::read_to_string(dir.path().join(".local/state/sonde/query_history")).expect("a history");
    assert!(history.contains("count(requests_total)") && !history.contains("never asked"), "{history}");
}
