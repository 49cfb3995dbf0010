//! How long parsing takes: a short query, one of a dashboard, and a long chain.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sonde_promql::parse;

fn parsing(criterion: &mut Criterion) {
    let dashboard =
        r#"sum by (instance, job) (rate(http_requests_total{job=~"api|web",code!~"5..",cluster="eu-1"}[5m] offset 1h))
        / on (instance) group_left (version) (sum by (instance) (rate(http_requests_total{cluster="eu-1"}[5m])) > 0)
        or histogram_quantile(0.99, sum by (le, job) (rate(latency_seconds_bucket{cluster="eu-1"}[$__interval:1m])))"#
            .replace("$__interval", "30m");
    let chain = (0..300).map(|i| format!("metric_{i}{{a=\"b\"}} * {i}")).collect::<Vec<_>>().join(" or ");
    let mut group = criterion.benchmark_group("parse");
    for (name, text) in [("short", "rate(up[5m])".to_owned()), ("dashboard", dashboard), ("chain", chain)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| parse(black_box(&text)).expect("valid")));
    }
    group.finish();
}

criterion_group!(benches, parsing);
criterion_main!(benches);
