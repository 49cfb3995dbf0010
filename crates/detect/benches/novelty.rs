//! What a sample costs the detector.

use criterion::{Criterion, criterion_group, criterion_main};
use sonde_detect::Novelty;

fn push(c: &mut Criterion) {
    let mut novelty = Novelty::default();
    let mut minute = 0i64;
    c.bench_function("novelty/push", |b| {
        b.iter(|| {
            minute += 1;
            novelty.push(minute * 60_000, (minute * 7919 % 1000) as f64)
        });
    });
}

criterion_group!(benches, push);
criterion_main!(benches);
