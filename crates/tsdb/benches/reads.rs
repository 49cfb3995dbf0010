//! What a read costs a series: instant vectors and listings over the head, over small blocks, over a large one.

#![expect(clippy::unwrap_used, reason = "a bench may fail by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sonde_disk::MemFs;
use sonde_model::{MatchOp, Matcher};
use sonde_tsdb::{Batch, BatchSample, BatchValue, Db, Options, SelectLimits, SeriesRef, Source};

const START: i64 = 1_800_000_000_000;
const INTERVAL: i64 = 15_000;
const NOW: i64 = START + (1 << 40);

fn open() -> Arc<Db> {
    let options = Options {
        retention_ms: i64::MAX / 4,
        head_bytes: 8 << 30,
        idle_ms: i64::MAX / 4,
        cache_bytes: 1 << 30,
        ..Options::default()
    };
    Db::open(Arc::new(MemFs::new()), Path::new("data"), options, START).unwrap().0
}

/// Hosts with 100 metrics each.
fn make_series(db: &Db, n: usize) -> Vec<SeriesRef> {
    let one = |i: usize| {
        let (name, host, id) = (format!("metric_{}", i % 100), format!("host-{:05}", i / 100), format!("{i}"));
        let labels = [("__name__", &*name), ("id", &*id), ("instance", &*host), ("job", "node"), ("zone", "eu-1")];
        db.series_ref(&labels).unwrap()
    };
    (0..n).map(one).collect()
}

fn scrape(db: &Db, series: &[SeriesRef], ticks: std::ops::Range<i64>) {
    for tick in ticks {
        let sample = |(i, series): (usize, &SeriesRef)| BatchSample {
            series: *series,
            timestamp: START + tick * INTERVAL,
            value: BatchValue::Float((tick * 37 + i as i64) as f64 / if i % 2 == 0 { 1.0 } else { 100.0 }),
        };
        for part in series.chunks(10_000) {
            let samples = part.iter().enumerate().map(sample).collect();
            let batch = Batch {
                source: Source::Push,
                cursor: None,
                samples,
                starts: Vec::new(),
                metadata: Vec::new(),
                exemplars: Vec::new(),
            };
            let (sender, durable) = sync_channel(1);
            db.append(batch, NOW, move |r| sender.send(r).unwrap()).unwrap();
            durable.recv().unwrap().unwrap();
        }
    }
}

/// A store with 10,000 series, 240 samples each, and where they lie.
fn places() -> Vec<(&'static str, Arc<Db>)> {
    let head = open();
    let series = make_series(&head, 10_000);
    scrape(&head, &series, 0..240);
    let parts = open();
    let series = make_series(&parts, 10_000);
    for part in 0..4 {
        scrape(&parts, &series, part * 60..part * 60 + 60);
        parts.flush(NOW).unwrap();
    }
    let block = open();
    let series = make_series(&block, 10_000);
    scrape(&block, &series, 0..240);
    block.flush(NOW).unwrap();
    let long = open();
    let series = make_series(&long, 10_000);
    scrape(&long, &series, 0..1440);
    long.flush(NOW).unwrap();
    vec![("head", head), ("four_blocks", parts), ("block", block), ("long_block", long)]
}

/// Five minutes of 10,000 series.
fn instant(c: &mut Criterion) {
    let all = [Matcher::equal("job", "node")];
    let mut group = c.benchmark_group("instant_10k");
    group.throughput(Throughput::Elements(10_000)).sample_size(10);
    for (place, db) in places() {
        let end = db.status().max_time.or(db.status().block_max_time).unwrap();
        for (range, from) in [("newest", end - 300_000), ("oldest", START)] {
            group.bench_function(BenchmarkId::new(place, range), |b| {
                b.iter(|| {
                    let found = db.select(&all, from, from + 300_000, &SelectLimits::default()).unwrap();
                    assert_eq!(found.len(), 10_000);
                    found
                });
            });
        }
    }
    group.finish();
}

fn listings(c: &mut Criterion) {
    for n in [10_000, 100_000] {
        let db = open();
        let series = make_series(&db, n);
        scrape(&db, &series, 0..4);
        let mut group = c.benchmark_group(format!("listing_{n}"));
        group.sample_size(10);
        for place in ["head", "block"] {
            let metric = [Matcher::equal("__name__", "metric_1")];
            let hosts = [Matcher::new("instance", MatchOp::Regex, ".*0.*").unwrap()];
            let to = START + 4 * INTERVAL;
            group.bench_function(BenchmarkId::new("names", place), |b| {
                b.iter(|| db.label_names(&[], START, to, usize::MAX).unwrap());
            });
            group.bench_function(BenchmarkId::new("values_of_id", place), |b| {
                b.iter(|| db.label_values("id", &[], START, to, usize::MAX).unwrap());
            });
            group.bench_function(BenchmarkId::new("names_of_metric", place), |b| {
                b.iter(|| db.label_names(&metric, START, to, usize::MAX).unwrap());
            });
            group.bench_function(BenchmarkId::new("values_of_instance_of_metric", place), |b| {
                b.iter(|| db.label_values("instance", &metric, START, to, usize::MAX).unwrap());
            });
            group.bench_function(BenchmarkId::new("values_of_id_by_regex", place), |b| {
                b.iter(|| db.label_values("id", &hosts, START, to, usize::MAX).unwrap());
            });
            group.bench_function(BenchmarkId::new("series_of_metric", place), |b| {
                b.iter(|| db.series(&metric, START, to, usize::MAX).unwrap());
            });
            group.bench_function(BenchmarkId::new("series_by_regex", place), |b| {
                b.iter(|| db.series(&hosts, START, to, usize::MAX).unwrap());
            });
            db.flush(NOW).unwrap();
        }
    }
}

criterion_group!(benches, instant, listings);
criterion_main!(benches);
