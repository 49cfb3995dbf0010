//! Searches that were recorded of Tempo are asked of the engine over the same spans; the answers are compared.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};
use sonde_model::span::{Trace, TraceId};
use sonde_proto::otlp::ExportTraceServiceRequest;
use sonde_traceql::engine::{
    Fetch, FetchError, SearchOptions, SpanMatch, SpanSource, SpansetMatch, TraceMatch, Value, search,
};
use sonde_traceql::{parse, validate};

/// How many recorded searches agree; it may only rise.
const FLOOR: usize = 273;

/// Traces in memory.
struct Memory(Vec<Trace>);

impl Memory {
    fn load(path: &Path) -> Self {
        let text = std::fs::read(path).expect("the spans");
        let request: ExportTraceServiceRequest = serde_json::from_slice(&text).expect("OTLP JSON");
        let spans = sonde_translate::spans(request);
        assert!(spans.rejected.is_empty(), "{:?}", spans.rejected);
        let mut traces: BTreeMap<TraceId, Trace> = BTreeMap::new();
        for span in spans.spans {
            let id = span.span.trace_id;
            traces.entry(id).or_insert_with(|| Trace { id, spans: Vec::new() }).spans.push(span);
        }
        Memory(traces.into_values().collect())
    }
}

impl SpanSource for Memory {
    fn fetch(&self, fetch: &Fetch, visit: &mut dyn FnMut(Trace) -> ControlFlow<()>) -> Result<(), FetchError> {
        let within = |trace: &&Trace| {
            trace.spans.iter().any(|s| s.span.start_ns >= fetch.start_ns && s.span.start_ns <= fetch.end_ns)
        };
        for trace in self.0.iter().filter(within) {
            if visit(trace.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// An answer in a form whose order says nothing.
fn sorted(items: impl Iterator<Item = Json>) -> Json {
    let mut texts: Vec<String> = items.map(|item| item.to_string()).collect();
    texts.sort();
    json!(texts)
}

fn ours(found: &TraceMatch) -> Json {
    json!({
        "root": [found.root_service, found.root_name],
        "start": found.start_ns.to_string(),
        "duration": found.duration_ns / 1_000_000,
        "services": sorted(found.services.iter().map(|s| json!([s.service, s.spans, s.errors]))),
        "sets": sorted(found.sets.iter().map(our_set)),
    })
}

fn our_set(set: &SpansetMatch) -> Json {
    json!([set.matched, our_attributes(&set.attributes), sorted(set.spans.iter().map(our_span))])
}

fn our_span(span: &SpanMatch) -> Json {
    let name = span.name.as_deref().unwrap_or_default();
    let (start, duration) = (span.start_ns.to_string(), span.duration_ns.to_string());
    json!([span.span_id.to_string(), name, start, duration, our_attributes(&span.attributes)])
}

fn our_attributes(attributes: &[(String, Value)]) -> Json {
    sorted(attributes.iter().map(|(key, value)| {
        let value = match value {
            Value::Int(n) => json!({"intValue": n.to_string()}),
            Value::Float(x) => json!({"doubleValue": x}),
            Value::Bool(b) => json!({"boolValue": b}),
            text => json!({"stringValue": text.to_string()}),
        };
        json!([key, value])
    }))
}

fn items(json: &Json) -> std::slice::Iter<'_, Json> {
    json.as_array().map_or([].iter(), |items| items.iter())
}

fn text(json: &Json) -> &str {
    json.as_str().unwrap_or_default()
}

fn theirs(found: &Json) -> Json {
    let count = |stats: &Json, key: &str| stats[key].as_u64().unwrap_or(0);
    let services = found["serviceStats"].as_object().into_iter().flatten();
    json!({
        "root": [text(&found["rootServiceName"]), text(&found["rootTraceName"])],
        "start": found["startTimeUnixNano"],
        "duration": found["durationMs"].as_u64().unwrap_or(0),
        "services": sorted(services.map(|(name, s)| json!([name, count(s, "spanCount"), count(s, "errorCount")]))),
        "sets": sorted(items(&found["spanSets"]).map(their_set)),
    })
}

fn their_set(set: &Json) -> Json {
    let span = |s: &Json| {
        let attributes = their_attributes(&s["attributes"]);
        json!([s["spanID"], text(&s["name"]), s["startTimeUnixNano"], s["durationNanos"], attributes])
    };
    json!([set["matched"], their_attributes(&set["attributes"]), sorted(items(&set["spans"]).map(span))])
}

fn their_attributes(attributes: &Json) -> Json {
    sorted(items(attributes).map(|a| json!([a["key"], a["value"]])))
}

/// Compares one recorded search; the error is what differs.
fn check(memory: &Memory, case: &Json) -> Result<(), String> {
    let parameters = &case["params"];
    let query = text(&parameters["q"]);
    let parsed =
        parse(query).map_err(|e| e.to_string()).and_then(|q| validate(&q).map(|()| q).map_err(|e| e.to_string()));
    let query = match (case["status"].as_u64(), parsed) {
        (Some(400), Err(_)) => return Ok(()),
        (Some(400), Ok(_)) => return Err("is not refused".into()),
        (_, Ok(query)) => query,
        (_, Err(e)) => return Err(format!("is refused: {e}")),
    };
    let number = |name: &str| parameters[name].as_u64().unwrap_or_default();
    let options = SearchOptions {
        start_ns: number("start") * 1_000_000_000,
        end_ns: number("end") * 1_000_000_000,
        limit: number("limit") as usize,
        spans_per_set: number("spss") as usize,
    };
    let result = search(memory, &query, &options, &|| false).map_err(|e| e.to_string())?;
    let ours: BTreeMap<String, Json> = result.traces.iter().map(|t| (t.trace_id.to_string(), ours(t))).collect();
    let id = |t: &Json| format!("{:0>32}", text(&t["traceID"]));
    let theirs: BTreeMap<String, Json> = items(&case["json"]["traces"]).map(|t| (id(t), theirs(t))).collect();
    if ours == theirs {
        return Ok(());
    }
    let differs = ours.keys().chain(theirs.keys()).find(|id| ours.get(*id) != theirs.get(*id)).expect("they differ");
    let show = |side: &BTreeMap<String, Json>| side.get(differs).map_or("nothing".to_owned(), Json::to_string);
    Err(format!(
        "{} traces, {} recorded; {differs}:\n  ours   {}\n  theirs {}",
        ours.len(),
        theirs.len(),
        show(&ours),
        show(&theirs)
    ))
}

#[test]
fn the_recorded_searches() {
    let folder = std::env::var_os("SONDE_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from)
        .join("tempo");
    let Ok(cases) = std::fs::read_to_string(folder.join("cases.jsonl")) else {
        let required = std::env::var("SONDE_CONFORMANCE_REQUIRED").is_ok_and(|v| v == "1");
        assert!(!required, "{} is missing", folder.display());
        record("SONDE_NOT_RUN", "tempo searches: the conformance data is not there");
        return;
    };
    let memory = Memory::load(&folder.join("input-otlp.json"));
    let (mut passed, mut failures) = (0, Vec::new());
    for line in cases.lines() {
        let case: Json = serde_json::from_str(line).expect("a case");
        let group = text(&case["group"]);
        let asked = case["path"] == "/api/search" && (group == "search" || group.starts_with("examples/"));
        if !asked || case["unstable"] == true {
            continue;
        }
        match check(&memory, &case) {
            Ok(()) => passed += 1,
            Err(why) => failures.push(format!("{group}: {}: {why}", text(&case["params"]["q"]))),
        }
    }
    record("SONDE_PASSED", &format!("tempo searches {passed}/{}", passed + failures.len()));
    assert!(passed >= FLOOR, "{passed} passed, {FLOOR} did before:\n{}", failures.join("\n"));
    tell(&failures);
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
