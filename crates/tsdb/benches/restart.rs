//! How long a large store needs to come back, and what memory it takes, beside what it took before it died:
//!
//! `cargo bench -p sonde-tsdb --bench restart -- write DIR [SERIES] [TICKS]` fills a new store in DIR, flushed and merged
//! as in a program, and dies as from `kill -9`; `-- open DIR` opens it. Without numbers: a million series, two hours at
//! 15 s.

#![expect(clippy::unwrap_used, reason = "a bench may fail by panicking")]
#![expect(clippy::print_stdout, reason = "this program talks to the person who typed it")]
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering::Relaxed};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use sonde_disk::OsFs;
use sonde_tsdb::{Batch, BatchSample, BatchValue, Db, Options, SeriesRef, Source};

const START: i64 = 1_800_000_000_000;
const INTERVAL: i64 = 15_000;
const BATCH: usize = 10_000;

fn main() {
    // Cargo adds a flag for benches.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["write", dir] => write(Path::new(dir), 1_000_000, 480),
        ["write", dir, series, ticks] => write(Path::new(dir), series.parse().unwrap(), ticks.parse().unwrap()),
        ["open", dir] => open(Path::new(dir)),
        _ => println!("not measured: say `write DIR [SERIES] [TICKS]`, then `open DIR`"),
    }
}

fn write(dir: &Path, series: usize, ticks: i64) {
    let (db, _) = Db::open(Arc::new(OsFs), dir, Options::default(), START).unwrap();
    let refs: Vec<SeriesRef> = (0..series).map(|i| make(&db, i)).collect();
    let (now, done) = (AtomicI64::new(START), AtomicBool::new(false));
    std::thread::scope(|scope| {
        // As the collector does it.
        scope.spawn(|| {
            while !done.load(Relaxed) {
                db.maintain(now.load(Relaxed)).unwrap();
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        for tick in 0..ticks {
            now.store(START + tick * INTERVAL, Relaxed);
            refs.chunks(BATCH).enumerate().for_each(|(part, refs)| scrape(&db, refs, part * BATCH, tick));
        }
        done.store(true, Relaxed);
    });
    let status = db.status();
    let (mib, blocks) = (status.wal_bytes >> 20, status.blocks);
    println!("{} series, {} samples in the head, {mib} MiB of log, {blocks} blocks", status.series, status.samples);
    println!("before: {}", memory());
    std::process::abort();
}

fn make(db: &Db, i: usize) -> SeriesRef {
    let (name, id) = (format!("http_requests_{}_total", i % 1_000), format!("{:x}", i * 0x9e37_79b1));
    let (host, pod) = (format!("node-{:04}.example.org:9100", i / 1_000), format!("frontend-{:05}", i / 100));
    db.series_ref(&[
        ("__name__", &name),
        ("code", "200"),
        ("handler", "/api/v1/query"),
        ("id", &id),
        ("instance", &host),
        ("job", "kubernetes-pods"),
        ("method", "GET"),
        ("namespace", "production"),
        ("pod", &pod),
        ("zone", "eu-west-1a"),
    ])
    .unwrap()
}

fn scrape(db: &Db, refs: &[SeriesRef], first: usize, tick: i64) {
    let sample = |(i, series): (usize, &SeriesRef)| {
        let (i, noise) = ((first + i) as i64, (tick * 7919 + i as i64 * 31) % 97);
        let value = match i % 4 {
            0 => 1.0,
            1 => (tick * 37 + noise) as f64,
            2 => noise as f64 / 100.0,
            _ => (tick * 1_234_567 + noise * 1_000) as f64,
        };
        BatchSample {
            series: *series,
            timestamp: START + tick * INTERVAL + i % 15_000,
            value: BatchValue::Float(value),
        }
    };
    let samples = refs.iter().enumerate().map(sample).collect();
    let batch = Batch {
        source: Source::Push,
        cursor: None,
        samples,
        starts: Vec::new(),
        metadata: Vec::new(),
        exemplars: Vec::new(),
    };
    let (sender, durable) = sync_channel(1);
    db.append(batch, START + tick * INTERVAL, move |result| sender.send(result).unwrap()).unwrap();
    durable.recv().unwrap().unwrap();
}

fn open(dir: &Path) {
    let began = Instant::now();
    let (db, report) = Db::open(Arc::new(OsFs), dir, Options::default(), START).unwrap();
    println!("open after {:.2?}: {} samples of {} series replayed", began.elapsed(), report.samples, report.series);
    println!("after: {}", memory());
    db.close();
}

/// Memory of this process, now and at most.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or(" unknown").trim().to_owned();
    format!("{} resident, {} at most", of("VmRSS:"), of("VmHWM:"))
}
