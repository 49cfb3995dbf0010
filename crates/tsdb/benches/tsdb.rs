//! What a sample costs: encoded, decoded, appended, selected.

#![expect(clippy::unwrap_used, reason = "a bench may fail by panicking")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sonde_disk::MemFs;
use sonde_model::{FloatColumn, Matcher};
use sonde_tsdb::codec::sealed::{Extent, ReadScratch, Scratch, decode_floats, encode_floats};
use sonde_tsdb::{Batch, BatchSample, BatchValue, Db, Options, SelectLimits, SeriesRef, Source};

const START: i64 = 1_800_000_000_000;
const INTERVAL: i64 = 15_000;

/// Values as hosts and services have them, by shape.
fn shapes(n: usize) -> Vec<(&'static str, Vec<f64>)> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut total = 0.0;
    let mut counter = |step: fn(&mut fastrand::Rng) -> f64| -> Vec<f64> {
        (0..n)
            .map(|_| {
                total += step(&mut rng);
                total
            })
            .collect()
    };
    let bytes = counter(|rng| f64::from(rng.u32(0..200_000)));
    let seconds: Vec<f64> = counter(|rng| f64::from(rng.u32(0..300))).iter().map(|v| v / 100.0).collect();
    let percent = (0..n).map(|_| f64::from(rng.u32(0..10_000)) / 100.0).collect();
    let noise = (0..n).map(|_| rng.f64()).collect();
    vec![("bytes", bytes), ("seconds", seconds), ("percent", percent), ("noise", noise), ("constant", vec![1.0; n])]
}

fn chunks(c: &mut Criterion) {
    for n in [120, 1440] {
        let ts: Vec<i64> = (0..n as i64).map(|i| START + i * INTERVAL).collect();
        let extent = Extent { min: ts[0], max: ts[n - 1], samples: n as u32 };
        let mut group = c.benchmark_group(format!("chunk/{n}"));
        group.throughput(Throughput::Elements(n as u64));
        for (shape, values) in shapes(n) {
            let (mut scratch, mut bytes) = (Scratch::default(), Vec::new());
            group.bench_function(BenchmarkId::new("encode", shape), |b| {
                b.iter(|| {
                    bytes.clear();
                    encode_floats(&ts, black_box(&values), &[], &mut scratch, &mut bytes);
                });
            });
            let (mut scratch, mut column) = (ReadScratch::default(), FloatColumn::default());
            group.bench_function(BenchmarkId::new("decode", shape), |b| {
                b.iter(|| {
                    column.timestamps.clear();
                    column.values.clear();
                    decode_floats(black_box(&bytes), extent, &mut scratch, &mut column).unwrap();
                });
            });
        }
    }
}

fn open() -> Arc<Db> {
    let options = Options { retention_ms: i64::MAX / 4, head_bytes: 8 << 30, ..Options::default() };
    Db::open(Arc::new(MemFs::new()), Path::new("data"), options, START).unwrap().0
}

fn make_series(db: &Db, n: usize) -> Vec<SeriesRef> {
    let names: Vec<[String; 3]> =
        (0..n).map(|i| [format!("metric_{}", i % 100), format!("host-{:05}", i / 100), format!("{i}")]).collect();
    names
        .iter()
        .map(|[name, host, id]| {
            let labels =
                [("__name__", name.as_str()), ("id", id), ("instance", host), ("job", "node"), ("zone", "eu-1")];
            db.series_ref(&labels).unwrap()
        })
        .collect()
}

fn scrape(series: &[SeriesRef], tick: i64) -> Batch {
    let sample = |(i, series): (usize, &SeriesRef)| BatchSample {
        series: *series,
        timestamp: START + tick * INTERVAL,
        value: BatchValue::Float((tick * 37 + i as i64) as f64 / if i % 2 == 0 { 1.0 } else { 100.0 }),
    };
    let samples = series.iter().enumerate().map(sample).collect();
    Batch {
        source: Source::Push,
        cursor: None,
        samples,
        starts: Vec::new(),
        metadata: Vec::new(),
        exemplars: Vec::new(),
    }
}

/// From the batch to the callback, all of the store but the real disk: judge, record, WAL thread, head.
fn append(c: &mut Criterion) {
    const BATCH: usize = 2_000;
    let mut group = c.benchmark_group("append");
    group.throughput(Throughput::Elements(BATCH as u64)).sample_size(20).measurement_time(Duration::from_secs(3));
    for n in [10_000, 100_000] {
        let db = open();
        let series = make_series(&db, n);
        let batches: Vec<&[SeriesRef]> = series.chunks(BATCH).collect();
        let (sender, durable) = sync_channel(64);
        let mut next = 0;
        group.bench_function(BenchmarkId::new("series", n), |b| {
            b.iter_batched(
                || {
                    next += 1;
                    scrape(batches[next % batches.len()], (next / batches.len()) as i64)
                },
                |batch| {
                    let sender = sender.clone();
                    db.append(batch, START + i64::MAX / 8, move |result| sender.send(result).unwrap()).unwrap();
                    durable.recv().unwrap().unwrap();
                },
                criterion::BatchSize::SmallInput,
            );
        });
    }
}

/// 1,000 of 10,000 series, an hour at 15 s, from the head and from a block.
fn select(c: &mut Criterion) {
    let db = open();
    let series = make_series(&db, 10_000);
    for tick in 0..240 {
        let (sender, durable) = sync_channel(1);
        db.append(scrape(&series, tick), START + i64::MAX / 8, move |r| sender.send(r).unwrap()).unwrap();
        durable.recv().unwrap().unwrap();
    }
    let matchers: Vec<Matcher> = ["host-0000.", "host-0001.", "host-0002."]
        .map(|pattern| Matcher::new("instance", sonde_model::MatchOp::Regex, pattern).unwrap())
        .into_iter()
        .take(1)
        .collect();
    let mut group = c.benchmark_group("select_1000_series_240_samples");
    group.throughput(Throughput::Elements(240_000)).sample_size(20);
    for place in ["head", "block"] {
        group.bench_function(place, |b| {
            b.iter(|| {
                let found = db.select(&matchers, START, START + 240 * INTERVAL, &SelectLimits::default()).unwrap();
                assert_eq!(found.len(), 1000);
                found
            });
        });
        db.flush(START + 240 * INTERVAL).unwrap();
    }
}

criterion_group!(benches, chunks, append, select);
criterion_main!(benches);
