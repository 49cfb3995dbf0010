//! Exemplars lead to traces: from a stock SDK, from a Prometheus that remote-writes them, from a page that our agent scrapes.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use sonde_tests::{Sonde, Spawn, Tool, encode, free_port, get, now_ms, post_form, python, tool, wait_for};

const PATIENCE: Duration = Duration::from_secs(60);

/// Observations within spans, and one outside of any; prints the ids of trace and span and the value of each.
const PROGRAM: &str = r#"
import sys
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider, TraceBasedExemplarFilter
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
endpoint = sys.argv[1]
resource = Resource.create({"service.name": "shop"})
spans = TracerProvider(resource=resource)
spans.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=endpoint, insecure=True), export_interval_millis=3600000)
metrics = MeterProvider([reader], resource=resource, exemplar_filter=TraceBasedExemplarFilter())
latency = metrics.get_meter("shop").create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0, 10.0])
for value in (0.05, 0.5, 5.0, 50.0):
    with spans.get_tracer("shop").start_as_current_span("order") as span:
        latency.record(value)
        context = span.get_span_context()
        print(format(context.trace_id, "032x"), format(context.span_id, "016x"), value)
latency.record(0.25)
ok = metrics.force_flush() and spans.force_flush()
metrics.shutdown(); spans.shutdown()
sys.exit(0 if ok else 1)
"#;

#[test]
fn exemplars_of_a_python_program_lead_to_its_traces() {
    let Some(python) = python("exemplars of a stock Python SDK") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let mut sonde = Sonde::collector(dir.path(), &[]);
    let endpoint = format!("http://{}", sonde.otlp_grpc);
    let output = Command::new(python).args(["-c", PROGRAM, &endpoint]).output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected: Vec<Vec<&str>> = printed.lines().map(|line| line.split(' ').collect()).collect();
    assert_eq!(expected.len(), 4);

    let check = |sonde: &Sonde| {
        for (line, le) in expected.iter().zip(["0.1", "1", "10", "+Inf"]) {
            let [trace, span, value] = line[..] else { panic!("{line:?}") };
            let query = format!("histogram_quantile(0.9, rate(latency_seconds_bucket{{le=\"{le}\"}}[5m]))");
            let found = exemplars(&sonde.base, &query);
            let [(_, labels, found_value, at)] = &found[..] else { panic!("{le}: {found:?}") };
            assert_eq!((&labels["trace_id"], &labels["span_id"]), (&trace.into(), &span.into()), "{labels}");
            assert_eq!(found_value.parse::<f64>(), value.parse::<f64>());
            assert!((*at - now_ms() as f64 / 1000.0).abs() < 300.0, "{at}");
            let spans = wait_for("the trace", PATIENCE, || {
                let reply = sonde.get(&format!("/api/traces/{trace}"));
                if reply.status == 200 { Ok(reply.text()) } else { Err(reply.text()) }
            });
            assert!(spans.contains("order"), "{spans}");
        }
        assert_eq!(exemplars(&sonde.base, "latency_seconds_count").len(), 0);
    };
    check(&sonde);
    sonde.server.kill();
    sonde.restart();
    check(&sonde);
    // The metrics of the same spans lead there, too.
    let derived = wait_for("exemplars of span metrics", PATIENCE, || {
        let found = exemplars(&sonde.base, "traces_spanmetrics_latency_bucket{span_name=\"order\"}");
        if found.is_empty() { Err("none yet".to_owned()) } else { Ok(found) }
    });
    for (_, labels, ..) in derived {
        assert!(expected.iter().any(|line| labels["traceID"] == line[0]), "{labels}");
    }
}

#[test]
fn prometheus_writes_exemplars_to_us_and_our_agent_scrapes_the_same() {
    let Some(program) = tool(Tool::Prometheus, "prometheus remote-writes exemplars to us") else { return };
    let page = Page::serve();
    let dir = tempfile::tempdir().expect("a folder");
    let agent = dir.path().join("agent.yml");
    let target = format!("scrape:\n- job: app\n  interval: 1s\n  timeout: 1s\n  urls: ['http://{}/metrics']\n", page.0);
    std::fs::write(&agent, target).expect("a configuration");
    let scraping_dir = dir.path().join("scraping");
    std::fs::create_dir(&scraping_dir).expect("a folder");
    let scraping = Sonde::up(&scraping_dir, &["--agent-config", &agent.to_string_lossy()]);
    let written_dir = dir.path().join("written");
    std::fs::create_dir(&written_dir).expect("a folder");
    let written = Sonde::collector(&written_dir, &[]);

    let address = format!("127.0.0.1:{}", free_port());
    let config = format!(
        "global: {{scrape_interval: 1s}}\n\
         scrape_configs:\n- job_name: app\n  static_configs: [{{targets: ['{}']}}]\n\
         remote_write:\n- url: {}\n  send_exemplars: true\n  queue_config: {{batch_send_deadline: 200ms}}\n",
        page.0,
        written.url("/api/v1/write")
    );
    std::fs::write(dir.path().join("prometheus.yml"), config).expect("its configuration");
    let storage = format!("--storage.tsdb.path={}", dir.path().join("prometheus-data").display());
    let listen = format!("--web.listen-address={address}");
    let args = ["--config.file=prometheus.yml", "--enable-feature=exemplar-storage", &storage, &listen];
    let mut prometheus = Spawn::program(program, dir.path(), "prometheus", &args).start();
    let base = format!("http://{address}");
    prometheus.ready(&format!("{base}/-/ready"));

    for (query, count) in [
        ("took_seconds_bucket", 3),
        ("rate(requests_total[1m]) / took_seconds_bucket", 4),
        ("requests_total{code=\"200\"}", 1),
    ] {
        let whole = |base: &str| {
            let found = exemplars(base, query);
            if found.len() == count { Ok(found) } else { Err(format!("{found:?}")) }
        };
        // Exemplars come with the first scrape and are on the page all the time.
        let theirs = wait_for(&format!("Prometheus: {query}"), PATIENCE, || whole(&base));
        for (who, ours) in [("written", &written), ("scraped", &scraping)] {
            let found = wait_for(&format!("{who}: {query}"), PATIENCE, || whole(&ours.base));
            assert_eq!(found, theirs, "{who}: {query}");
        }
        let url = written.url("/api/v1/query_exemplars");
        let posted = post_form(&url, &[("query", query)]).expect("an answer").json();
        assert_eq!(posted, json(&format!("{url}?query={}", encode(query))), "GET and POST");
    }
    for path in ["query=1%2B1", "query=nothing", "query=up&start=60&end=0", "query=up&start=x", "query=up&end=x"] {
        let path = format!("/api/v1/query_exemplars?{path}");
        let [theirs, ours] = [&base, &written.base].map(|base| get(&format!("{base}{path}")).expect("an answer"));
        assert_eq!((ours.status, ours.text()), (theirs.status, theirs.text()), "{path}");
    }
}

fn json(url: &str) -> Value {
    get(url).expect("an answer").json()
}

/// Series, own labels, value and time in seconds of all exemplars of an expression.
fn exemplars(base: &str, query: &str) -> Vec<(Value, Value, String, f64)> {
    let asked = json(&format!("{base}/api/v1/query_exemplars?query={}", encode(query)));
    assert_eq!(asked["status"], "success", "{asked}");
    let mut found = Vec::new();
    for series in asked["data"].as_array().expect("a list") {
        for exemplar in series["exemplars"].as_array().expect("a list") {
            let value = exemplar["value"].as_str().expect("a text").to_owned();
            let at = exemplar["timestamp"].as_f64().expect("a number");
            found.push((series["seriesLabels"].clone(), exemplar["labels"].clone(), value, at));
        }
    }
    found
}

/// A page in OpenMetrics with exemplars, served until the test ends.
struct Page(String);

impl Page {
    fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let seconds = now_ms() / 1000;
        let body = format!(
            "# TYPE took_seconds histogram\n\
             took_seconds_bucket{{le=\"0.1\"}} 8 # {{trace_id=\"0af7651916cd43dd8448eb211c80319c\",span_id=\"b7ad6b7169203331\"}} 0.067 {seconds}.123\n\
             took_seconds_bucket{{le=\"0.5\"}} 11 # {{trace_id=\"KOO5S4vxi0o\"}} 0.37 {seconds}\n\
             took_seconds_bucket{{le=\"+Inf\"}} 17 # {{}} 9.8 {}.5\n\
             took_seconds_sum 32.7\ntook_seconds_count 17\n\
             # TYPE requests counter\n\
             requests_total{{code=\"200\"}} 17 # {{trace_id=\"00000000000000000000000000000001\",user=\"7\"}} 1 {seconds}.25\n\
             # EOF\n",
            seconds - 1
        );
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who breaks off comes again.
                let _ = answer(stream, &body);
            }
        });
        Page(address)
    }
}

fn answer(mut stream: TcpStream, body: &str) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}
