//! A stock OTLP SDK of another language sends metrics over gRPC and HTTP; they come back exactly.

use std::process::Command;
use std::time::Duration;

use sonde_tests::{Sonde, python, wait_for};

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

#[test]
fn a_python_program_sends_over_grpc() {
    check("grpc");
}

#[test]
fn a_python_program_sends_over_http() {
    check("http");
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
