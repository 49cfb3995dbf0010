//! A stock multi-service program in two languages, over the agent: whole traces, the right service graph, exact rates,
//! errors and durations, exemplars that lead to the traces.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use sonde_tests::{Agent, Order, Shop, Sonde, encode, now_ms, wait_for};

/// Orders that are placed; every fifth is refused.
const ORDERS: usize = 20;
const REFUSED: usize = 4;
const CHARGED: usize = ORDERS - REFUSED;
/// Asking for a page that always fails.
const FAILURES: usize = 3;
/// How long spans may take to be derived.
const DEADLINE: Duration = Duration::from_secs(30);
/// Derives often, and decides soon about requests without a second side.
const CONFIG: &str = "derive: {interval: 200ms, service_graph: {wait: 2s}}\n";

/// What an order is that goes well: service, name, kind, status and language of each span below its parent.
const CHARGED_TRACE: &str = "
storefront POST SERVER UNSET nodejs
  storefront POST CLIENT UNSET nodejs
    orders POST /orders SERVER UNSET python
      orders INSERT orders CLIENT UNSET python
      orders POST /charge CLIENT UNSET python
        payments POST SERVER UNSET nodejs
      orders publish shipments PRODUCER UNSET python
        shipping process shipments CONSUMER UNSET python
          shipping book CLIENT UNSET python
";
/// What an order is whose card is refused.
const REFUSED_TRACE: &str = "
storefront POST SERVER ERROR nodejs
  storefront POST CLIENT ERROR nodejs
    orders POST /orders SERVER ERROR python
      orders INSERT orders CLIENT UNSET python
      orders POST /charge CLIENT ERROR python
        payments POST SERVER ERROR nodejs
";
/// What the page is that always fails.
const FAILED_TRACE: &str = "
storefront POST SERVER ERROR nodejs
";

/// The requests between services: client, server, kind of connection, how many, how many of them failed.
const GRAPH: [(&str, &str, &str, usize, usize); 6] = [
    ("user", "storefront", "virtual_node", ORDERS + FAILURES, REFUSED + FAILURES),
    ("storefront", "orders", "", ORDERS, REFUSED),
    ("orders", "orders-db", "database", ORDERS, 0),
    ("orders", "payments", "", ORDERS, REFUSED),
    ("orders", "shipping", "messaging_system", CHARGED, 0),
    ("shipping", "carrier", "virtual_node", CHARGED, 0),
];

/// A span as the API shows it.
#[derive(Clone, Debug)]
struct Span {
    trace: String,
    service: String,
    language: String,
    name: String,
    kind: String,
    status: String,
    id: String,
    parent: String,
    start_ns: u64,
    seconds: f64,
}

/// What the metrics of spans tell apart: service, name, kind, status.
type Group = [String; 4];

#[test]
fn a_shop_of_two_languages() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = dir.path().join("collector.yml");
    std::fs::write(&config, CONFIG).expect("a configuration");
    let sonde = Sonde::collector(dir.path(), &["--config", &config.to_string_lossy()]);
    let mut agent = Agent::start(dir.path(), &sonde, "host: {receivers: []}\n");
    let Some(shop) = Shop::start(dir.path(), &agent, "a stock program of Node and Python services") else { return };
    let orders: Vec<Order> = (0..ORDERS).map(|number| shop.buy(number)).collect();
    let failures: Vec<Order> = (0..FAILURES).map(|_| shop.fail()).collect();
    shop.close();
    agent.server.stop();

    let mut all = Vec::new();
    for (n, order) in orders.iter().enumerate() {
        let refused = n % 5 == 0;
        assert_eq!(order.status, if refused { 502 } else { 200 }, "order {n}");
        all.extend(check_trace(&sonde, order, if refused { REFUSED_TRACE } else { CHARGED_TRACE }));
    }
    for failure in &failures {
        assert_eq!(failure.status, 500);
        all.extend(check_trace(&sonde, failure, FAILED_TRACE));
    }
    check_searches(&sonde);
    check_graph(&sonde);
    check_span_metrics(&sonde, &all);
    check_exemplars(&sonde, &all);
}

/// A trace is whole: every span, below its parent, with its resource.
fn check_trace(sonde: &Sonde, order: &Order, expected: &str) -> Vec<Span> {
    let spans = spans(&order.trace, &sonde.get(&format!("/api/v2/traces/{}", order.trace)).json());
    let mut drawn = String::from("\n");
    draw(&spans, "", 0, &mut drawn);
    assert_eq!(drawn, expected, "trace {}: {spans:#?}", order.trace);
    assert_eq!(drawn.lines().count() - 1, spans.len(), "every span hangs below the root: {spans:#?}");
    spans
}

/// Writes the spans below a parent, one a line, in the order of their starts.
fn draw(spans: &[Span], parent: &str, depth: usize, out: &mut String) {
    let mut children: Vec<&Span> = spans.iter().filter(|span| span.parent == parent).collect();
    children.sort_by_key(|span| span.start_ns);
    for Span { service, name, kind, status, language, id, .. } in children {
        out.push_str(&format!("{:1$}{service} {name} {kind} {status} {language}\n", "", 2 * depth));
        draw(spans, id, depth + 1, out);
    }
}

fn spans(id: &str, trace: &Value) -> Vec<Span> {
    let mut found = Vec::new();
    for resource in list(&trace["trace"]["resourceSpans"]) {
        let attribute = |key: &str| {
            let mut attributes = list(&resource["resource"]["attributes"]);
            let found = attributes.find(|a| a["key"] == key).unwrap_or_else(|| panic!("no {key}: {resource}"));
            text(&found["value"]["stringValue"])
        };
        assert_eq!(attribute("service.namespace"), "shop");
        for span in list(&resource["scopeSpans"]).flat_map(|scope| list(&scope["spans"])) {
            let nanos = |key: &str| text(&span[key]).parse::<u64>().unwrap_or_else(|e| panic!("{key}: {e}: {span}"));
            let (start_ns, end_ns) = (nanos("startTimeUnixNano"), nanos("endTimeUnixNano"));
            let status = span["status"]["code"].as_str().unwrap_or("STATUS_CODE_UNSET");
            found.push(Span {
                trace: id.to_owned(),
                service: attribute("service.name"),
                language: attribute("telemetry.sdk.language"),
                name: text(&span["name"]),
                kind: text(&span["kind"]).trim_start_matches("SPAN_KIND_").to_owned(),
                status: status.trim_start_matches("STATUS_CODE_").to_owned(),
                id: text(&span["spanId"]),
                parent: span["parentSpanId"].as_str().unwrap_or_default().to_owned(),
                start_ns,
                seconds: (end_ns - start_ns) as f64 / 1e9,
            });
        }
    }
    found
}

/// TraceQL over services of both languages.
fn check_searches(sonde: &Sonde) {
    for (query, expected) in [
        ("{ resource.service.name = \"payments\" && status = error }", REFUSED),
        ("{ span.order.number = 7 }", 1),
        ("{ event:name = \"label printed\" }", CHARGED),
        ("{ kind = producer } > { kind = consumer && span.messaging.system = \"queue\" }", CHARGED),
        ("{ resource.telemetry.sdk.language = \"nodejs\" } >> { span.db.system.name = \"postgresql\" }", ORDERS),
        ("{ status = error } | count() = 1", FAILURES),
    ] {
        let now = now_ms() / 1000;
        let range = format!("start={}&end={}", now - 600, now + 60);
        let found = sonde.get(&format!("/api/search?q={}&limit=100&{range}", encode(query))).json();
        assert_eq!(list(&found["traces"]).count(), expected, "{query}: {found}");
    }
}

/// The service graph has these edges and no others, with these numbers on both of its histograms, too.
fn check_graph(sonde: &Sonde) {
    let counts = |metric: &str| -> Result<BTreeMap<[String; 3], f64>, String> {
        let samples = sonde.query(&format!("traces_service_graph_request_{metric}"))?;
        let of = |labels: &Value| ["client", "server", "connection_type"].map(|name| text(&labels[name]));
        Ok(samples.iter().map(|(labels, value)| (of(labels), *value)).collect())
    };
    let expected = |number: &dyn Fn(usize, usize) -> usize| -> BTreeMap<[String; 3], f64> {
        let edges = GRAPH.iter().map(|(client, server, connection, total, failed)| {
            ([client, server, connection].map(|s| (*s).to_owned()), number(*total, *failed) as f64)
        });
        edges.filter(|(_, number)| *number > 0.0).collect()
    };
    let totals = expected(&|total, _| total);
    wait_for("the service graph", DEADLINE, || {
        let found = counts("total")?;
        if found == totals { Ok(()) } else { Err(format!("{found:?} instead of {totals:?}")) }
    });
    assert_eq!(counts("failed_total"), Ok(expected(&|_, failed| failed)));
    for metric in ["server_seconds_count", "client_seconds_count", "server_seconds_bucket{le=\"+Inf\"}"] {
        assert_eq!(counts(metric).as_ref(), Ok(&totals), "{metric}");
    }
}

/// Rates, errors and durations are those of the spans that the traces hold.
fn check_span_metrics(sonde: &Sonde, spans: &[Span]) {
    let mut expected: BTreeMap<Group, Vec<f64>> = BTreeMap::new();
    for span in spans {
        let group = [&span.service, &span.name, &span.kind, &span.status].map(String::clone);
        expected.entry(group).or_default().push(span.seconds);
    }
    let read = |expr: &str| -> Result<BTreeMap<Group, f64>, String> {
        let of = |labels: &Value| {
            let value = |name: &str| text(&labels[name]);
            let (kind, status) = (value("span_kind"), value("status_code"));
            let kind = kind.trim_start_matches("SPAN_KIND_").to_owned();
            [value("service"), value("span_name"), kind, status.trim_start_matches("STATUS_CODE_").to_owned()]
        };
        Ok(sonde.query(expr)?.iter().map(|(labels, value)| (of(labels), *value)).collect())
    };
    let count = |seconds: &[f64], bound: f64| seconds.iter().filter(|s| **s <= bound).count() as f64;
    let check = |metric: &str, value: &dyn Fn(&[f64]) -> f64| {
        let expected: BTreeMap<Group, f64> = expected.iter().map(|(g, seconds)| (g.clone(), value(seconds))).collect();
        wait_for(metric, DEADLINE, || {
            let found = read(metric)?;
            let same = |(a, b): ((&Group, &f64), (&Group, &f64))| a.0 == b.0 && (a.1 - b.1).abs() <= 1e-9 * b.1.abs();
            let all = found.len() == expected.len() && found.iter().zip(&expected).all(same);
            if all { Ok(()) } else { Err(format!("{found:#?} instead of {expected:#?}")) }
        });
    };
    check("traces_spanmetrics_calls_total", &|seconds| seconds.len() as f64);
    check("traces_spanmetrics_latency_count", &|seconds| seconds.len() as f64);
    check("traces_spanmetrics_latency_sum", &|seconds| seconds.iter().sum());
    for exponent in 0..14 {
        let bound = 0.002 * f64::from(1u32 << exponent);
        check(&format!("traces_spanmetrics_latency_bucket{{le=\"{bound}\"}}"), &|seconds| count(seconds, bound));
    }
    let errors = "sum(traces_spanmetrics_calls_total{status_code=\"STATUS_CODE_ERROR\"})";
    // A refused order fails on five spans, a failed page on one.
    assert_eq!(sonde.value(errors), Ok((5 * REFUSED + FAILURES) as f64));
}

/// Every operation has exemplars, and each leads to a trace that has a span of the operation and of that duration.
fn check_exemplars(sonde: &Sonde, spans: &[Span]) {
    let end = now_ms() / 1000 + 60;
    let path = format!(
        "/api/v1/query_exemplars?query={}&start={}&end={end}",
        encode("traces_spanmetrics_latency_bucket"),
        end - 600
    );
    let found = sonde.get(&path).json();
    assert_eq!(found["status"], "success", "{found}");
    let mut seen = BTreeSet::new();
    for series in list(&found["data"]) {
        let label = |name: &str| text(&series["seriesLabels"][name]);
        let (service, name, le) = (label("service"), label("span_name"), label("le"));
        let bound: f64 = le.parse().expect("a bound");
        for exemplar in list(&series["exemplars"]) {
            let trace = text(&exemplar["labels"]["traceID"]);
            let value: f64 = text(&exemplar["value"]).parse().expect("a duration");
            let is_meant = |span: &Span| {
                (&span.trace, &span.service, &span.name) == (&trace, &service, &name) && span.seconds == value
            };
            assert!(value <= bound && spans.iter().any(is_meant), "{series}");
            seen.insert((service.clone(), name.clone()));
        }
    }
    let operations: BTreeSet<_> = spans.iter().map(|span| (span.service.clone(), span.name.clone())).collect();
    assert_eq!(seen, operations, "every operation has an exemplar");
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
