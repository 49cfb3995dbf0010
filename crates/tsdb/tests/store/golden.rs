//! Stores that released formats wrote, kept in tests/golden and opened by every later program.
//!
//! `SONDE_GOLDEN=v3 cargo test -p sonde-tsdb --test store golden` writes tests/golden/v3, when a format has changed. What is
//! there is never changed. `SONDE_GOLDEN_EXEMPLARS=v1` writes the file of exemplars of tests/golden_exemplars.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonde_disk::{Fs, MemFs, OsFs, read_all};
use sonde_model::{AgentId, BatchId, CursorVerdict, Exemplar, Histogram, Labels, Matcher, Signal, Span, stale_nan};
use sonde_tsdb::{Batch, BatchExemplar, BatchSample, BatchValue, Db, Metadata, MetricKind, Options, Source};

use crate::support::*;

const UP: &[(&str, &str)] = &[("__name__", "up"), ("instance", "näher"), ("job", "a")];
const NOISE: &[(&str, &str)] = &[("__name__", "noise")];
const SIZES: &[(&str, &str)] = &[("__name__", "sizes")];
const GONE: &[(&str, &str)] = &[("__name__", "gone")];
/// Batches before the flush, and after it: the latter lie in the WAL.
const FLUSHED: u64 = 700;
const ALL: u64 = 720;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn time(seq: u64) -> i64 {
    NOW + seq as i64 * 15_000
}

fn noise(seq: u64) -> f64 {
    (seq as f64 * 0.7).sin() * 1e3
}

fn up(seq: u64) -> f64 {
    if seq.is_multiple_of(100) { stale_nan() } else { (seq % 50) as f64 / 10.0 }
}

/// A counter that begins anew now and then.
fn noise_start(seq: u64) -> i64 {
    time(seq / 250 * 250) - 1
}

/// A histogram that always knew its start, but at first.
fn sizes_start(seq: u64) -> i64 {
    if seq < 10 { 0 } else { NOW - DAY }
}

fn histogram(seq: u64) -> Histogram {
    Histogram {
        schema: 2,
        count: seq as f64,
        sum: seq as f64 * 1.5,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: -2, length: 2 }],
        positive_buckets: vec![1.0, seq as f64 - 1.0],
        ..Histogram::default()
    }
}

fn numbered(db: &Db, seq: u64) -> Batch {
    let id = BatchId { agent: AgentId([7; 16]), epoch: 1, signal: Signal::Metrics, seq };
    let at = |labels: &[(&str, &str)], value| BatchSample { series: series(db, labels), timestamp: time(seq), value };
    let starts = vec![0, noise_start(seq), sizes_start(seq), 0];
    let samples = vec![
        at(UP, BatchValue::Float(up(seq))),
        at(NOISE, BatchValue::Float(noise(seq))),
        at(SIZES, BatchValue::Histogram(Box::new(histogram(seq)))),
        at(GONE, BatchValue::Float(1.0)),
    ];
    let help = Metadata { kind: MetricKind::Gauge, help: "is it up?".to_owned(), unit: String::new() };
    let metadata = vec![("up".to_owned(), help)];
    Batch { cursor: Some((id, 7)), metadata, starts, ..batch(Source::AgentLink, samples) }
}

fn make(dir: &Path) {
    let (db, _) = Db::open(Arc::new(OsFs), dir, Options::default(), NOW).expect("it is new");
    for seq in 1..=ALL {
        append(&db, numbered(&db, seq), time(seq));
        if seq == FLUSHED {
            db.delete(vec![vec![Matcher::equal("__name__", "gone")]], i64::MIN, time(600), time(seq)).expect("room");
        }
    }
    db.close();
}

/// The files of a directory, in memory.
fn copy(from: &Path, to: &Path, fs: &MemFs) {
    fs.create_dir_all(to).expect("memory");
    for entry in OsFs.list(from).expect("the files are part of the repository") {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy(&from, &to, fs);
            continue;
        }
        let bytes = read_all(&OsFs, &from, 1 << 20).expect("golden files are small");
        fs.create(&to).and_then(|file| file.write_at(&bytes, 0)).expect("memory");
    }
}

fn check(version: &str) {
    let fs = MemFs::new();
    copy(&golden().join(version), Path::new("data"), &fs);
    for _ in 0..2 {
        let (db, report) =
            Db::open(Arc::new(fs.clone()), Path::new("data"), Options::default(), time(ALL)).expect("opens");
        assert!(!report.is_damaged(), "{version}: {report:?}");
        let bits = |samples: Vec<(i64, f64)>| samples.into_iter().map(|(t, v)| (t, v.to_bits())).collect::<Vec<_>>();
        let expected = |value: fn(u64) -> f64| bits((1..=ALL).map(|seq| (time(seq), value(seq))).collect());
        assert_eq!(bits(floats(&db, UP)), expected(up), "{version}");
        assert_eq!(bits(floats(&db, NOISE)), expected(noise), "{version}");
        assert_eq!(floats(&db, GONE).len() as u64, ALL - 600, "{version}");
        let found = select(&db, &[Matcher::equal("__name__", "sizes")], i64::MIN, i64::MAX);
        assert_eq!(found[0].histograms.len() as u64, ALL);
        assert!((1..=ALL).zip(&found[0].histograms.values).all(|(seq, h)| h.same_data(&histogram(seq))), "{version}");
        // What came before start timestamps has none.
        let starts = |start: fn(u64) -> i64| if version == "v2" { vec![] } else { (1..=ALL).map(start).collect() };
        assert_eq!(found[0].histograms.starts, starts(sizes_start), "{version}");
        let noisy = select(&db, &[Matcher::equal("__name__", "noise")], i64::MIN, i64::MAX);
        assert_eq!(noisy[0].floats.starts, starts(noise_start), "{version}");
        assert_eq!(db.metadata(Some("up"), 1)[0].1.help, "is it up?");
        let again = send(&db, numbered(&db, 3), time(ALL)).expect("it is judged").0;
        assert_eq!(again.verdict, CursorVerdict::Duplicate, "{version}");
        // Everything is written again as this program does it, and read once more.
        db.flush(time(ALL)).expect("memory");
        db.compact(time(ALL)).expect("memory");
        db.clean_tombstones(time(ALL)).expect("memory");
    }
}

#[test]
fn golden_files_open_for_ever() {
    if let Ok(version) = std::env::var("SONDE_GOLDEN") {
        make(&golden().join(version));
    }
    let versions = OsFs.list(&golden()).expect("the files are part of the repository");
    assert!(!versions.is_empty());
    versions.iter().for_each(|version| check(&version.name));
}

/// What lies in the files of exemplars: several of a series, values that are no numbers, labels in other alphabets.
fn exemplars() -> Vec<(&'static [(&'static str, &'static str)], Exemplar)> {
    let one = |labels: &[(&str, &str)], value, timestamp| Exemplar {
        labels: Labels::from_pairs(labels.iter().copied()),
        value,
        timestamp: NOW + timestamp,
    };
    vec![
        (NOISE, one(&[], -0.0, -5)),
        (UP, one(&[("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")], 0.25, 0)),
        (UP, one(&[("span_id", "00f067aa0ba902b7"), ("trace_id", "4bf92f3577b34da6a3ce929d0e0e4736")], 1e300, 1)),
        (UP, one(&[("trace_id", "näher")], f64::INFINITY, 70_000)),
    ]
}

#[test]
fn golden_files_of_exemplars_are_read_for_ever() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden_exemplars");
    let found = |db: &Db| -> Vec<(Labels, Exemplar)> {
        let all = db.exemplars(&[Vec::new()], i64::MIN, i64::MAX, usize::MAX);
        all.iter().flat_map(|s| s.exemplars.iter().map(|e| (s.labels.clone(), e.clone()))).collect()
    };
    if let Ok(version) = std::env::var("SONDE_GOLDEN_EXEMPLARS") {
        let fs = MemFs::new();
        let (db, _) = open(Arc::new(fs.clone()), Options::default());
        let added =
            exemplars().into_iter().map(|(labels, exemplar)| BatchExemplar { series: series(&db, labels), exemplar });
        let samples = vec![BatchSample { series: series(&db, UP), timestamp: NOW, value: BatchValue::Float(1.0) }];
        append(&db, Batch { exemplars: added.collect(), ..batch(Source::AgentLink, samples) }, NOW);
        db.flush(NOW).expect("memory");
        let bytes = read_all(&fs, Path::new("data/exemplars"), 1 << 20).expect("it was written");
        OsFs.create_dir_all(&golden).expect("the directory can be made");
        OsFs.create(&golden.join(version)).and_then(|file| file.write_at(&bytes, 0)).expect("it is new");
    }
    let files = OsFs.list(&golden).expect("the files are part of the repository");
    assert!(!files.is_empty());
    for file in files {
        let fs = MemFs::new();
        fs.create_dir_all(Path::new("data")).expect("memory");
        let bytes = read_all(&OsFs, &golden.join(&file.name), 1 << 20).expect("golden files are small");
        fs.create(Path::new("data/exemplars")).and_then(|copy| copy.write_at(&bytes, 0)).expect("memory");
        let (db, report) = open(Arc::new(fs), Options::default());
        assert!(!report.is_damaged(), "{}: {report:?}", file.name);
        let expected: Vec<_> =
            exemplars().into_iter().map(|(labels, e)| (Labels::from_pairs(labels.iter().copied()), e)).collect();
        assert_eq!(found(&db), expected, "{}", file.name);
    }
}
