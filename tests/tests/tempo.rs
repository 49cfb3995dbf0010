//! What was recorded of Tempo's HTTP API is asked of a running collector that was given the same spans.

use std::path::{Path, PathBuf};

use prost::Message;
use serde_json::{Value as Json, json};
use sonde_proto::otlp::ExportTraceServiceRequest;
use sonde_tests::{Reply, Sonde, encode, post, request};

/// How many recorded answers agree; it may only rise.
const FLOOR: usize = 369;

/// A `tempopb.TraceByIDResponse`.
#[derive(Clone, PartialEq, Message)]
struct TraceByIdResponse {
    #[prost(message, optional, tag = "1")]
    trace: Option<ExportTraceServiceRequest>,
    #[prost(int32, tag = "3")]
    status: i32,
    #[prost(string, tag = "4")]
    message: String,
}

/// A JSON value in a form whose order says nothing: lists are sorted, what was inspected is left out.
fn canonical(value: &Json) -> Json {
    match value {
        Json::Array(items) => {
            let mut items: Vec<Json> = items.iter().map(canonical).collect();
            items.sort_by_key(Json::to_string);
            Json::Array(items)
        }
        Json::Object(pairs) => {
            let kept = pairs.iter().filter(|(key, _)| *key != "metrics");
            kept.map(|(key, value)| (key.clone(), canonical_of(key, value))).collect()
        }
        other => other.clone(),
    }
}

fn canonical_of(key: &str, value: &Json) -> Json {
    match key {
        // Which spans share a message is no part of a trace.
        "batches" | "resourceSpans" => canonical(&spans(value)),
        // The first of the sets, whose order says nothing.
        "spanSet" => Json::Null,
        "traceID" => json!(format!("{:0>32}", value.as_str().unwrap_or_default())),
        _ => canonical(value),
    }
}

fn list(value: &Json) -> std::slice::Iter<'_, Json> {
    value.as_array().map_or([].iter(), |items| items.iter())
}

/// The spans of a list of `ResourceSpans`, each with its resource and scope.
fn spans(resource_spans: &Json) -> Json {
    let mut all = Vec::new();
    for of_resource in list(resource_spans) {
        for of_scope in list(&of_resource["scopeSpans"]) {
            let with = |span| json!([of_resource["resource"], of_scope["scope"], span]);
            all.extend(list(&of_scope["spans"]).map(with));
        }
    }
    json!(all)
}

/// Protobuf of a trace as JSON, so that it is compared in the same way.
fn of_protobuf(path: &str, bytes: &[u8]) -> Result<Json, String> {
    let of_trace = |trace: &ExportTraceServiceRequest| serde_json::to_value(trace).map_err(|e| e.to_string());
    if !path.starts_with("/api/v2/") {
        return of_trace(&ExportTraceServiceRequest::decode(bytes).map_err(|e| e.to_string())?);
    }
    let answer = TraceByIdResponse::decode(bytes).map_err(|e| e.to_string())?;
    let trace = answer.trace.as_ref().map(of_trace).transpose()?;
    Ok(json!({"trace": trace, "status": answer.status, "message": answer.message}))
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits: Vec<u32> = text.chars().filter_map(|c| DIGITS.find(c)).map(|at| at as u32).collect();
    let bytes = |quad: &[u32]| {
        let bits = (0..4).fold(0, |bits, i| bits << 6 | quad.get(i).copied().unwrap_or(0));
        bits.to_be_bytes()[1..quad.len()].to_vec()
    };
    digits.chunks(4).flat_map(bytes).collect()
}

fn text(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

fn ask(sonde: &Sonde, case: &Json) -> Result<Reply, String> {
    let parameter = |(name, value): (&String, &Json)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}={}", encode(name), encode(&value))
    };
    let query: Vec<String> = case["params"].as_object().into_iter().flatten().map(parameter).collect();
    let url = format!("{}{}?{}", sonde.base, text(&case["path"]), query.join("&"));
    request(text(&case["method"]), &url, &[("accept", text(&case["accept"]))], Vec::new())
}

/// Compares one answer; the error is what differs.
fn check(sonde: &Sonde, case: &Json) -> Result<(), String> {
    let reply = ask(sonde, case)?;
    if Some(u64::from(reply.status)) != case["status"].as_u64() {
        return Err(format!("{} instead of {}: {}", reply.status, case["status"], reply.text()));
    }
    let recorded = text(&case["text"]);
    let (ours, theirs) = if let Some(recorded) = case.get("json") {
        let body: Json = serde_json::from_slice(&reply.body).map_err(|e| format!("{e}: {}", reply.text()))?;
        (canonical(&body), canonical(recorded))
    } else if let Some(recorded) = case.get("b64") {
        let path = text(&case["path"]);
        let theirs = of_protobuf(path, &from_base64(text(recorded)))?;
        (canonical(&of_protobuf(path, &reply.body)?), canonical(&theirs))
    } else if text(&case["group"]).starts_with("examples/")
        || recorded.contains("TraceQL")
        || recorded.contains("parse error")
    {
        // Both refuse the query; each says so in its own words.
        return Ok(());
    } else {
        (json!(reply.text()), json!(recorded))
    };
    if ours == theirs { Ok(()) } else { Err(format!("\n  ours   {ours}\n  theirs {theirs}")) }
}

/// Asks all cases; what passed, and what did not.
fn replay(sonde: &Sonde, cases: &[Json]) -> (usize, Vec<String>) {
    let mut failures = Vec::new();
    for case in cases {
        if let Err(why) = check(sonde, case) {
            failures.push(format!("{}: {} {}: {why}", text(&case["group"]), text(&case["path"]), case["params"]));
        }
    }
    (cases.len() - failures.len(), failures)
}

fn cases(folder: &Path) -> Option<Vec<Json>> {
    let lines = std::fs::read_to_string(folder.join("cases.jsonl")).ok()?;
    let all = lines.lines().map(|line| serde_json::from_str(line).expect("a case"));
    // The group asks relative to the time of the recording; unstable ones differ between two runs of Tempo itself.
    let stable = |case: &Json| case["unstable"] != true && case["group"] != "metrics-params-now";
    Some(all.filter(stable).collect())
}

#[test]
fn the_recorded_answers() {
    let folder = std::env::var_os("SONDE_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"), PathBuf::from)
        .join("tempo");
    let Some(cases) = cases(&folder) else {
        let required = std::env::var("SONDE_CONFORMANCE_REQUIRED").is_ok_and(|v| v == "1");
        assert!(!required, "{} is missing", folder.display());
        record("SONDE_NOT_RUN", "tempo API: the conformance data is not there");
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("collector.yml");
    // The spans have absolute times.
    std::fs::write(&config, "traces: {retention: 36500d}\n").expect("a configuration");
    let mut sonde = Sonde::collector(dir.path(), &["--config", &config.to_string_lossy()]);
    let spans = std::fs::read(folder.join("input-otlp.json")).expect("the spans");
    let json = [("content-type", "application/json")];
    let reply = post(&sonde.url("/v1/traces"), &json, spans).expect("an answer");
    assert_eq!(reply.status, 200, "{}", reply.text());

    let (passed, failures) = replay(&sonde, &cases);
    record("SONDE_PASSED", &format!("tempo API {passed}/{}", cases.len()));
    tell(&failures);
    assert!(passed >= FLOOR, "{passed} passed, {FLOOR} did before");

    let reply = post(&sonde.url("/api/v1/admin/tsdb/flush"), &[], Vec::new()).expect("an answer");
    assert_eq!(reply.status, 204, "{}", reply.text());
    assert_eq!(replay(&sonde, &cases), (passed, failures.clone()), "blocks answer as the head does");
    sonde.server.kill();
    sonde.restart();
    assert_eq!(replay(&sonde, &cases), (passed, failures), "what was acknowledged is there after kill -9");
}

#[expect(clippy::print_stdout, reason = "what differs belongs in the output of the test")]
fn tell(failures: &[String]) {
    for failure in failures {
        println!("{failure}");
    }
}

/// Appends a line to the file that an environment variable names, for the summary of the whole run.
#[expect(clippy::print_stdout, reason = "the count belongs in the output of the test")]
fn record(variable: &str, line: &str) {
    use std::io::Write;
    println!("{line}");
    if let Some(path) = std::env::var_os(variable) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the summary");
        writeln!(file, "{line}").expect("a line");
    }
}
