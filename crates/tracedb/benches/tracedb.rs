//! What a span costs: appended, flushed, found by id and by a search, and on the disk.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench may fail by panicking, and tells sizes")]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sonde_disk::MemFs;
use sonde_model::span::{
    AttributeValue, Attributes, Resource, Scope, ScopedSpan, Span, SpanId, SpanKind, StatusCode, TraceId,
};
use sonde_tracedb::*;

const NOW: i64 = 1_800_000_000_000;
const TRACES: usize = 10_000;
const SPANS_PER_TRACE: usize = 20;
const SERVICES: [&str; 8] = ["gateway", "auth", "catalog", "cart", "checkout", "payment", "inventory", "shipping"];
const STATEMENTS: [&str; 3] = [
    "SELECT id, sku, title, amount, currency, updated_at FROM product WHERE id = $1 AND deleted_at IS NULL",
    "UPDATE stock SET quantity = quantity - $1, updated_at = now() WHERE sku = $2 AND quantity >= $1",
    "INSERT INTO orders (id, customer_id, amount, currency, created_at) VALUES ($1, $2, $3, $4, now())",
];

fn text(text: impl Into<Box<str>>) -> AttributeValue {
    AttributeValue::String(text.into())
}

fn resources() -> Vec<Arc<Resource>> {
    let of = |service: &str, pod: usize| {
        let attributes = [
            ("service.name", text(service)),
            ("service.version", text("1.4.2")),
            ("k8s.pod.name", text(format!("{service}-5c9d{pod}"))),
            ("k8s.namespace.name", text("shop")),
            ("host.name", text(format!("node-{pod}"))),
        ];
        let attributes = attributes.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Arc::new(Resource { attributes, ..Resource::default() })
    };
    SERVICES.iter().flat_map(|service| (0..3).map(move |pod| of(service, pod))).collect()
}

/// Requests through a shop: a tree of server, client and database spans, eight services, an error now and then.
fn shop(rng: &mut fastrand::Rng, traces: usize) -> Vec<ScopedSpan> {
    let resources = resources();
    let scope = Arc::new(Scope { name: "io.opentelemetry.http".into(), version: "1.32.0".into(), ..Scope::default() });
    let mut spans = Vec::with_capacity(traces * SPANS_PER_TRACE);
    for trace in 0..traces {
        let trace_id = TraceId(rng.u128(..).to_be_bytes());
        let begin = (NOW - 600_000) as u64 * 1_000_000 + trace as u64 * 50_000_000 + rng.u64(0..50_000_000);
        let ids: Vec<SpanId> = (0..SPANS_PER_TRACE).map(|_| SpanId(rng.u64(1..).to_be_bytes())).collect();
        for i in 0..SPANS_PER_TRACE {
            let service = i * SERVICES.len() / SPANS_PER_TRACE;
            let failed = rng.u32(0..100) == 0;
            let (name, kind, attributes) = operation(rng, i, failed);
            let start_ns = begin + (i as u64 * 700 + rng.u64(0..600)) * 1_000;
            let span = Span {
                trace_id,
                span_id: ids[i],
                parent_span_id: (i > 0).then(|| ids[(i - 1) / 2]),
                name: name.into(),
                kind,
                start_ns,
                end_ns: start_ns + rng.u64(20..20_000) * 1_000,
                attributes,
                flags: 0x101,
                status: if failed { StatusCode::Error } else { StatusCode::Unset },
                ..Span::default()
            };
            let resource = Arc::clone(&resources[service * 3 + trace % 3]);
            spans.push(ScopedSpan { resource, scope: Arc::clone(&scope), span });
        }
    }
    spans
}

fn operation(rng: &mut fastrand::Rng, i: usize, failed: bool) -> (&'static str, SpanKind, Attributes) {
    let status = AttributeValue::Int(if failed { 500 } else { 200 });
    let (name, kind, attributes) = match i % 3 {
        0 => {
            let attributes = vec![
                ("http.request.method", text("GET")),
                ("http.route", text("/api/products/{id}")),
                ("url.path", text(format!("/api/products/{}", rng.u32(0..900_000)))),
                ("http.response.status_code", status),
                ("user_agent.original", text("Mozilla/5.0 (X11; Linux x86_64; rv:119.0) Gecko/20100101 Firefox/119.0")),
                ("client.address", text(format!("10.{}.{}.{}", rng.u8(..), rng.u8(..), rng.u8(..)))),
                ("server.port", AttributeValue::Int(8080)),
            ];
            ("GET /api/products/{id}", SpanKind::Server, attributes)
        }
        1 => {
            let attributes = vec![
                ("rpc.system", text("grpc")),
                ("rpc.service", text("shop.v1.Catalog")),
                ("rpc.method", text("Find")),
                ("rpc.grpc.status_code", AttributeValue::Int(if failed { 14 } else { 0 })),
                ("server.address", text("catalog.shop.svc.cluster.local")),
            ];
            ("shop.v1.Catalog/Find", SpanKind::Client, attributes)
        }
        _ => {
            let attributes = vec![
                ("db.system.name", text("postgresql")),
                ("db.namespace", text("shop")),
                ("db.query.text", text(STATEMENTS[rng.usize(0..3)])),
                ("db.response.returned_rows", AttributeValue::Int(rng.i64(0..24))),
                ("server.address", text("postgresql-0.catalog.svc.cluster.local")),
                ("server.port", AttributeValue::Int(5432)),
            ];
            ("SELECT product", SpanKind::Client, attributes)
        }
    };
    (name, kind, attributes.into_iter().map(|(key, value)| (key.into(), value)).collect())
}

fn open() -> Arc<TraceDb> {
    let options = Options { head_bytes: 8 << 30, ..Options::default() };
    TraceDb::open(Arc::new(MemFs::new()), Path::new("data"), options, NOW).unwrap().0
}

fn append(db: &TraceDb, spans: Vec<ScopedSpan>) {
    let (sender, receiver) = sync_channel(1);
    db.append(SpanBatch { cursor: None, spans }, NOW, move |result| sender.send(result).unwrap()).unwrap();
    receiver.recv().unwrap().unwrap();
}

fn filled(spans: &[ScopedSpan]) -> Arc<TraceDb> {
    let db = open();
    spans.chunks(1_000).for_each(|some| append(&db, some.to_vec()));
    db
}

fn writing(c: &mut Criterion) {
    let spans = shop(&mut fastrand::Rng::with_seed(1), 1_000);
    let mut group = c.benchmark_group("write");
    group.throughput(Throughput::Elements(spans.len() as u64)).sample_size(10);
    group.bench_function("append", |b| {
        b.iter_batched(
            || (open(), spans.chunks(1_000).map(<[ScopedSpan]>::to_vec).collect::<Vec<_>>()),
            |(db, batches)| {
                batches.into_iter().for_each(|batch| append(&db, batch));
                db
            },
            BatchSize::PerIteration,
        );
    });
    group.bench_function("flush", |b| {
        b.iter_batched(|| filled(&spans), |db| db.flush(NOW).unwrap(), BatchSize::PerIteration);
    });
    group.finish();
}

fn reading(c: &mut Criterion) {
    let spans = shop(&mut fastrand::Rng::with_seed(2), TRACES);
    let head = filled(&spans);
    let blocks = filled(&spans);
    let head_bytes = head.status().bytes;
    blocks.flush(NOW).unwrap();
    let status = blocks.status();
    println!(
        "{} spans: {:.1} bytes a span in the head, {:.1} on the disk",
        spans.len(),
        head_bytes as f64 / spans.len() as f64,
        status.block_bytes as f64 / status.block_spans as f64
    );
    let attribute = |scope, key: &str| Target::Attribute(scope, key.into());
    let equal = |target, value: &str| Condition { target, op: Compare::Equal, value: Literal::String(value.into()) };
    let rare = spans.iter().find_map(|s| match sonde_model::span::get(&s.span.attributes, "url.path") {
        Some(AttributeValue::String(path)) => Some(path.clone()),
        _ => None,
    });
    let searches = [
        ("nothing", equal(attribute(TagScope::Any, "http.route"), "/nowhere")),
        ("absent key", equal(attribute(TagScope::Span, "absent"), "x")),
        ("rare value", equal(attribute(TagScope::Any, "url.path"), &rare.unwrap())),
        ("service", equal(attribute(TagScope::Resource, "service.name"), "payment")),
        ("error", Condition { target: Target::Status, op: Compare::Equal, value: Literal::Status(StatusCode::Error) }),
        ("slow", Condition { target: Target::Duration, op: Compare::Greater, value: Literal::Number(19.99e6) }),
    ];
    let mut rng = fastrand::Rng::with_seed(3);
    for (place, db) in [("head", &head), ("block", &blocks)] {
        let mut group = c.benchmark_group(place);
        group.measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500)).sample_size(10);
        group.bench_function("trace by id", |b| {
            b.iter(|| {
                let id = spans[rng.usize(0..spans.len())].span.trace_id;
                assert_eq!(db.trace(black_box(id), None).unwrap().unwrap().spans.len(), SPANS_PER_TRACE);
            });
        });
        for (name, condition) in &searches {
            let filters = vec![SpanFilter { conditions: vec![condition.clone()] }];
            let search = Search { range: TimeRange::ALL, filters };
            group.bench_function(format!("search {name}, 20 traces"), |b| {
                b.iter(|| {
                    let mut n = 0;
                    db.search(black_box(&search), &mut |_| {
                        n += 1;
                        if n < 20 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                    })
                    .unwrap();
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, writing, reading);
criterion_main!(benches);
