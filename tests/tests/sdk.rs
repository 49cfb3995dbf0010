//! A stock OTLP SDK of another language sends metrics and spans over gRPC and HTTP; they come back exactly.

use std::process::Command;
use std::time::Duration;

use sonde_tests::{Sonde, encode, now_ms, python, wait_for};

/// Sends one of each instrument, with values that the queries below expect.
const PROGRAM: &str = r#"
import sys
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import View, ExponentialBucketHistogramAggregation
from opentelemetry.sdk.resources import Resource
protocol, endpoint = sys.argv[1:3]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
    exporter = OTLPMetricExporter(endpoint=endpoint, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    exporter = OTLPMetricExporter(endpoint=endpoint + "/v1/metrics")
resource = Resource.create({"service.name": "shop", "service.namespace": "test", "service.instance.id": protocol, "host.arch": "amd64"})
view = View(instrument_name="request.size", aggregation=ExponentialBucketHistogramAggregation())
provider = MeterProvider([PeriodicExportingMetricReader(exporter, export_interval_millis=3600000)], resource=resource, views=[view])
meter = provider.get_meter("test", "1.0")
orders = meter.create_counter("orders", unit="1")
for n in range(10):
    orders.add(n, {"kind": "book" if n % 2 else "pen"})
balance = meter.create_up_down_counter("balance", unit="By")
balance.add(7); balance.add(-9)
meter.create_observable_gauge("room.temperature", [lambda o: [__import__("opentelemetry.metrics").metrics.Observation(21.5, {"room": "a"})]], unit="Cel")
latency = meter.create_histogram("latency", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0, 10.0])
for v in (0.05, 0.5, 0.5, 5.0, 50.0):
    latency.record(v)
size = meter.create_histogram("request.size", unit="By")
for v in (1.0, 2.0, 4.0, 4.0):
    size.record(v)
ok = provider.force_flush()
provider.shutdown()
sys.exit(0 if ok else 1)
"#;

/// What must come back: an expression of one sample, and its value.
const EXPECTED: [(&str, f64); 13] = [
    ("orders_total{kind=\"book\"}", 25.0),
    ("orders_total{kind=\"pen\"}", 20.0),
    ("balance_bytes", -2.0),
    ("room_temperature_celsius{room=\"a\"}", 21.5),
    ("latency_seconds_count", 5.0),
    ("latency_seconds_sum", 56.05),
    ("latency_seconds_bucket{le=\"0.1\"}", 1.0),
    ("latency_seconds_bucket{le=\"1\"}", 3.0),
    ("latency_seconds_bucket{le=\"10\"}", 4.0),
    ("latency_seconds_bucket{le=\"+Inf\"}", 5.0),
    ("histogram_count(request_size_bytes)", 4.0),
    ("histogram_sum(request_size_bytes)", 11.0),
    ("target_info{host_arch=\"amd64\"}", 1.0),
];

/// A shop of three services that call each other: prints the id of each of its traces.
const SHOP: &str = r#"
import sys
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
protocol, endpoint = sys.argv[1:3]
if protocol == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    exporter = lambda: OTLPSpanExporter(endpoint=endpoint, insecure=True)
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    exporter = lambda: OTLPSpanExporter(endpoint=endpoint + "/v1/traces")
def service(name):
    provider = TracerProvider(resource=Resource.create({"service.name": name}))
    provider.add_span_processor(BatchSpanProcessor(exporter()))
    return provider
providers = [service(name) for name in ("gateway", "orders", "payments")]
gateway, orders, payments = [p.get_tracer("shop", "1.0") for p in providers]
for n in range(20):
    with gateway.start_as_current_span("POST /orders", kind=SpanKind.SERVER) as root:
        with gateway.start_as_current_span("create", kind=SpanKind.CLIENT):
            with orders.start_as_current_span("orders.Create", kind=SpanKind.SERVER, attributes={"order.number": n, "order.tags": ["a", "b"]}) as span:
                span.add_event("stored", {"row": n})
                with orders.start_as_current_span("charge", kind=SpanKind.CLIENT):
                    with payments.start_as_current_span("payments.Charge", kind=SpanKind.SERVER) as span:
                        if n % 5 == 0:
                            span.set_status(Status(StatusCode.ERROR, "card refused"))
        print(format(root.get_span_context().trace_id, "032x"))
ok = all([p.force_flush() for p in providers])
[p.shutdown() for p in providers]
sys.exit(0 if ok else 1)
"#;

#[test]
fn spans_of_three_python_services_make_whole_traces_over_grpc() {
    check_traces("grpc");
}

#[test]
fn spans_of_three_python_services_make_whole_traces_over_http() {
    check_traces("http");
}

#[test]
fn a_python_program_sends_over_grpc() {
    check("grpc");
}

#[test]
fn a_python_program_sends_over_http() {
    check("http");
}

fn check_traces(protocol: &str) {
    let Some(python) = python(&format!("spans of a stock Python SDK over {protocol}")) else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let endpoint = if protocol == "grpc" { &sonde.otlp_grpc } else { &sonde.otlp_http };
    let endpoint = format!("http://{endpoint}");
    let output = Command::new(python).args(["-c", SHOP, protocol, &endpoint]).output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ids: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    assert_eq!(ids.len(), 20);
    for (n, id) in ids.iter().enumerate() {
        let trace = sonde.get(&format!("/api/v2/traces/{id}")).json();
        let resources = trace["trace"]["resourceSpans"].as_array().unwrap_or_else(|| panic!("{trace}"));
        let mut names: Vec<&str> = resources
            .iter()
            .flat_map(|r| r["scopeSpans"].as_array().expect("scopes"))
            .flat_map(|s| s["spans"].as_array().expect("spans"))
            .map(|s| s["name"].as_str().expect("a name"))
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["POST /orders", "charge", "create", "orders.Create", "payments.Charge"], "trace {n}");
    }
    for (query, expected) in [
        ("{ resource.service.name = \"payments\" && status = error }", 4),
        ("{ span.order.number = 7 }", 1),
        ("{ event:name = \"stored\" }", 20),
        ("{ resource.service.name = \"gateway\" } >> { name = \"payments.Charge\" }", 20),
        ("{ name = \"nothing\" }", 0),
    ] {
        let now = now_ms() / 1000;
        let range = format!("start={}&end={}", now - 600, now + 60);
        let found = sonde.get(&format!("/api/search?q={}&limit=100&{range}", encode(query))).json();
        assert_eq!(found["traces"].as_array().map(Vec::len), Some(expected), "{query}: {found}");
    }
}

fn check(protocol: &str) {
    let Some(python) = python(&format!("a stock Python SDK over {protocol}")) else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let sonde = Sonde::collector(dir.path(), &[]);
    let endpoint = if protocol == "grpc" { &sonde.otlp_grpc } else { &sonde.otlp_http };
    let endpoint = format!("http://{endpoint}");
    let output = Command::new(python).args(["-c", PROGRAM, protocol, &endpoint]).output().expect("python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (expr, expected) in EXPECTED {
        let value = wait_for(expr, Duration::from_secs(10), || sonde.value(expr));
        assert_eq!(value, expected, "{expr}");
    }
    let labels = sonde.query("orders_total{kind=\"pen\"}").expect("an answer").remove(0).0;
    assert_eq!((&labels["job"], &labels["instance"]), (&"test/shop".into(), &protocol.into()), "{labels}");
}
