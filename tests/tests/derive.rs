//! What is derived from spans: as Tempo derives it, and exactly once whenever the process dies.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Text;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::Value as Json;
use sonde_tests::{Sonde, Stopwatch, now_ms, post, wait_for};

/// How many recorded series have the recorded value; it may only rise.
const FLOOR: usize = 1201;
/// How often the collector is killed. `SONDE_KILLS` asks for more.
const KILLS: u64 = 12;
/// How long everything may take to be derived.
const DEADLINE: Duration = Duration::from_secs(60);
/// Derives often, so that the kills meet it at work.
const CONFIG: &str = "traces: {retention: 36500d}\nderive: {interval: 200ms, service_graph: {wait: 1s}}\n";

/// A collector that derives often.
fn collector(dir: &std::path::Path) -> Sonde {
    let config = dir.join("collector.yml");
    std::fs::write(&config, CONFIG).expect("a configuration");
    Sonde::collector(dir, &["--config", &config.to_string_lossy()])
}

/// Labels without those that say who made them.
fn labels(of: &Json) -> BTreeMap<String, String> {
    let pairs = of.as_object().into_iter().flatten();
    let kept = pairs.filter(|(name, _)| !["__metrics_gen_instance", "job", "instance"].contains(&name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn derived(sonde: &Sonde) -> Result<BTreeMap<BTreeMap<String, String>, f64>, String> {
    let series = sonde.query(r#"{__name__=~"traces_(spanmetrics|service_graph)_.*"}"#)?;
    Ok(series.iter().map(|(of, value)| (labels(of), *value)).collect())
}

#[test]
fn the_recorded_metrics() {
    let folder = std::env::var_os("SONDE_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"), PathBuf::from)
        .join("tempo");
    let Ok(lines) = std::fs::read_to_string(folder.join("generated-metrics.jsonl")) else {
        let required = std::env::var("SONDE_CONFORMANCE_REQUIRED").is_ok_and(|v| v == "1");
        assert!(!required, "{} is missing", folder.display());
        record("SONDE_NOT_RUN", "tempo generated metrics: the conformance data is not there");
        return;
    };
    let recorded: Vec<Json> = lines.lines().map(|line| serde_json::from_str(line).expect("a series")).collect();
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = collector(dir.path());
    let spans = std::fs::read(folder.join("input-otlp.json")).expect("the spans");
    let reply = post(&sonde.url("/v1/traces"), &[("content-type", "application/json")], spans).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());

    let check = |ours: &BTreeMap<BTreeMap<String, String>, f64>| -> Vec<String> {
        let differs = |series: &&Json| {
            let recorded = series["value"].as_f64().unwrap_or(f64::NAN);
            let ours = ours.get(&labels(&series["labels"])).copied().unwrap_or(f64::NAN);
            // Sums of floats depend on their order.
            let same = (ours - recorded).abs() <= 1e-9 * recorded.abs();
            !same
        };
        let name = |series: &Json| labels(&series["labels"]);
        recorded
            .iter()
            .filter(differs)
            .map(|s| format!("{:?}: {:?} instead of {}", name(s), ours.get(&name(s)), s["value"]))
            .collect()
    };
    // Requests without a second side are decided last.
    wait_for("the service graph", DEADLINE, || {
        sonde.value(r#"sum(traces_service_graph_request_total{connection_type="virtual_node"})"#).and_then(|sum| {
            let decided = sonde.own_metric("sonde_derive_open_requests") == 0.0;
            if decided && sum > 0.0 { Ok(()) } else { Err(format!("{sum}")) }
        })
    });
    let ours = derived(&sonde).expect("an answer");
    let differences = check(&ours);
    let passed = recorded.len() - differences.len();
    differences.iter().for_each(|line| record("", line));
    record("SONDE_PASSED", &format!("tempo generated metrics {passed}/{}", recorded.len()));
    assert!(passed >= FLOOR, "{passed} passed, {FLOOR} did before");
    assert_eq!(ours.len(), recorded.len(), "no series that Tempo does not have");
}

/// One batch: a root that a service serves, and its call to another service.
fn batch(number: u64) -> Vec<u8> {
    let nanos = now_ms().unsigned_abs() * 1_000_000;
    let span = |id: u8, parent: Option<u8>, kind: i32| Span {
        trace_id: u128::from(number).to_be_bytes().to_vec(),
        span_id: vec![id; 8],
        parent_span_id: parent.map(|id| vec![id; 8]).unwrap_or_default(),
        name: format!("operation {}", number % 3),
        kind,
        start_time_unix_nano: nanos,
        end_time_unix_nano: nanos + 1_000_000,
        ..Span::default()
    };
    let of = |service: &str, spans: Vec<Span>| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![KeyValue {
                key: "service.name".into(),
                value: Some(AnyValue { value: Some(Text::StringValue(service.into())) }),
                ..KeyValue::default()
            }],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans { spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    };
    let (server, client, internal) = (2, 3, 1);
    let front = vec![span(1, None, server), span(2, Some(1), client), span(3, Some(1), internal)];
    let back = vec![span(4, Some(2), server)];
    ExportTraceServiceRequest { resource_spans: vec![of("front", front), of("back", back)] }.encode_to_vec()
}

#[test]
fn nothing_is_derived_twice_and_nothing_is_lost() {
    let seed = std::env::var("SONDE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| fastrand::u64(..));
    let kills = std::env::var("SONDE_KILLS").ok().and_then(|s| s.parse().ok()).unwrap_or(KILLS);
    record("", &format!("SONDE_SEED={seed} SONDE_KILLS={kills}"));
    let mut random = fastrand::Rng::with_seed(seed);
    let dir = tempfile::tempdir().expect("a folder");
    let mut sonde = collector(dir.path());
    let agent = format!("{:032x}", random.u128(..));
    let mut sent = 0u64;
    for _ in 0..kills {
        let life = Stopwatch::start();
        let length = Duration::from_millis(random.u64(50..900));
        while life.elapsed() < length {
            sent += 1;
            deliver(&sonde, &agent, sent, &batch(sent));
        }
        sonde.server.kill();
        sonde.restart();
    }
    let all = |sonde: &Sonde| -> Result<[f64; 4], String> {
        let calls = sonde.value("sum(traces_spanmetrics_calls_total)")?;
        let durations = sonde.value("sum(traces_spanmetrics_latency_count)")?;
        let direct = sonde.value(r#"traces_service_graph_request_total{client="front",server="back"}"#)?;
        let of_users = sonde.value(r#"traces_service_graph_request_total{client="user",server="front"}"#)?;
        Ok([calls, durations, direct, of_users])
    };
    let n = sent as f64;
    let expected = [4.0 * n, 4.0 * n, n, n];
    let found = wait_for("all spans", DEADLINE, || {
        let found = all(&sonde)?;
        if found.iter().zip(expected).all(|(found, expected)| *found >= expected) {
            return Ok(found);
        }
        Err(format!("{found:?} of {expected:?}"))
    });
    assert_eq!(found, expected, "nothing more than was acknowledged");
    // Once more, with nothing new to read.
    sonde.server.kill();
    sonde.restart();
    deliver(&sonde, &agent, sent + 1, &batch(sent + 1));
    let found = wait_for("the last batch", DEADLINE, || {
        let found = all(&sonde)?;
        if found[3] > n { Ok(found) } else { Err(format!("{found:?}")) }
    });
    assert_eq!(found, [4.0 * n + 4.0, 4.0 * n + 4.0, n + 1.0, n + 1.0]);
    record("", &format!("{} spans, {kills} kills", 4 * sent + 4));
}

/// Sends a batch under its number until it is acknowledged.
fn deliver(sonde: &Sonde, agent: &str, seq: u64, body: &[u8]) {
    let seq = seq.to_string();
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("sonde-agent-id", agent),
        ("sonde-epoch", "1"),
        ("sonde-seq", seq.as_str()),
    ];
    wait_for("the batch", DEADLINE, || match post(&sonde.url("/v1/traces"), &headers, body.to_vec())? {
        reply if reply.status == 200 => Ok(()),
        reply => Err(format!("{}: {}", reply.status, reply.text())),
    });
}

/// Prints a line, and appends it to the file that an environment variable names, for the summary of the whole run.
#[expect(clippy::print_stdout, reason = "the count belongs in the output of the test")]
fn record(variable: &str, line: &str) {
    println!("{line}");
    if let Some(path) = std::env::var_os(variable).filter(|_| !variable.is_empty()) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the summary");
        writeln!(file, "{line}").expect("a line");
    }
}
