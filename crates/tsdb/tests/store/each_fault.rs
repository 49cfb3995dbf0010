//! Every operation on the file system fails once: for each point n, a run in which the n-th operation fails, and one in
//! which the machine stops there. Afterwards a healthy disk opens with every acknowledged sample, each once, or the
//! opening says what is lost.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use sonde_disk::{FaultFs, MemFs};
use sonde_model::{AgentId, BatchId, Histogram, Labels, Matcher, Signal, Span, stale_nan};
use sonde_tsdb::{Batch, BatchSample, BatchValue, Db, OpenReport, Options, Source};

use crate::support::*;

const COUNTER: &[(&str, &str)] = &[("__name__", "batches_total")];
const NUMBERS: &[(&str, &str)] = &[("__name__", "numbers")];
const STALE: &[(&str, &str)] = &[("__name__", "sometimes")];
const SIZES: &[(&str, &str)] = &[("__name__", "sizes")];
const GONE: &[(&str, &str)] = &[("__name__", "gone")];

const SNAPSHOT: &str = "copies/one";

fn options() -> Options {
    Options { wal_segment_bytes: 5 << 10, retention_ms: 3 * DAY, retention_pause_ms: 100 * DAY, ..Options::default() }
}

fn histogram(n: u64) -> Histogram {
    Histogram {
        schema: 3,
        count: n as f64,
        sum: n as f64,
        positive_spans: vec![Span { offset: 0, length: 1 }],
        positive_buckets: vec![n as f64],
        ..Histogram::default()
    }
}

fn time(seq: u64) -> i64 {
    NOW + seq as i64 * HOUR
}

/// Batch `seq`: a delta, a number, at times a stale marker, a histogram, and something that is deleted later.
fn numbered(db: &Db, seq: u64) -> Batch {
    let id = BatchId { agent: AgentId([9; 16]), epoch: 1, signal: Signal::Metrics, seq };
    let at = |labels: &[(&str, &str)], value| BatchSample { series: series(db, labels), timestamp: time(seq), value };
    let sometimes = if seq.is_multiple_of(3) { stale_nan() } else { 1.0 };
    let samples = vec![
        at(COUNTER, BatchValue::FloatDelta(1.0)),
        at(NUMBERS, BatchValue::Float(seq as f64)),
        at(STALE, BatchValue::Float(sometimes)),
        at(SIZES, BatchValue::Histogram(Box::new(histogram(seq)))),
        at(GONE, BatchValue::Float(seq as f64)),
    ];
    Batch { cursor: Some((id, seq as u32)), ..batch(Source::AgentLink, samples) }
}

/// What is known after a run.
#[derive(Clone, Copy, Debug, Default)]
struct Acknowledged {
    batches: u64,
    /// Up to here `GONE` was deleted; the delete after it may or may not have happened.
    deleted: u64,
    deleting: u64,
    /// Of a snapshot, if there is one: up to where `GONE` was deleted by then.
    snapshot: Option<u64>,
}

/// Sends a batch until it is taken; gives up when the disk does not come back.
fn deliver(db: &Db, seq: u64) -> bool {
    (0..4).any(|_| send(db, numbered(db, seq), time(seq)).is_ok_and(|(_, durable)| wait(&durable).is_ok()))
}

/// Everything that a store does, in a few steps. Steps that fail are tried once more, as maintenance does.
fn live(fs: &FaultFs, known: &mut Acknowledged) {
    let open = || Db::open(Arc::new(fs.clone()), Path::new("data"), options(), NOW);
    let mut db = match open().or_else(|_| open()) {
        Ok((db, _)) => db,
        Err(_) => return,
    };
    for seq in 1..=24 {
        if !deliver(&db, seq) {
            return;
        }
        known.batches = seq;
        let now = time(seq);
        let twice = |step: &dyn Fn() -> bool| step() || step();
        match seq {
            3 | 6 | 9 | 12 | 18 => drop(twice(&|| db.flush(now).is_ok())),
            10 | 20 => {
                known.deleting = seq;
                let selectors = || vec![vec![Matcher::equal("__name__", "gone")]];
                if twice(&|| db.delete(selectors(), i64::MIN, time(seq), now).is_ok()) {
                    known.deleted = seq;
                }
            }
            13 => drop(twice(&|| db.compact(now).is_ok())),
            15 => drop(twice(&|| db.clean_tombstones(now).is_ok())),
            16 => {
                known.snapshot = db.snapshot(Path::new(SNAPSHOT), now).is_ok().then_some(known.deleted);
            }
            14 | 21 => {
                drop(db);
                db = match open().or_else(|_| open()) {
                    Ok((db, _)) => db,
                    Err(_) => return,
                };
            }
            22 => drop(twice(&|| db.maintain(now + 90 * MINUTE).is_ok())),
            _ => {}
        }
    }
    db.close();
}

fn lost(report: &OpenReport) -> bool {
    report.is_damaged()
}

/// What a healthy disk gives back. A batch that was not acknowledged may be there or not.
fn check(fs: &MemFs, dir: &str, known: Acknowledged, seen: &mut Vec<OpenReport>) {
    let (db, report) = Db::open(Arc::new(fs.clone()), Path::new(dir), options(), NOW).expect("a healthy disk opens");
    if lost(&report) {
        seen.push(report);
        return;
    }
    let numbers = floats(&db, NUMBERS);
    let there = numbers.len() as u64;
    assert!(there == known.batches || there == known.batches + 1, "{there} batches, {known:?}");
    let expected = |value: fn(u64) -> f64| (1..=there).map(|s| (time(s), value(s))).collect::<Vec<_>>();
    assert_eq!(numbers, expected(|s| s as f64));
    assert_eq!(floats(&db, COUNTER), expected(|s| s as f64), "each delta counts once");
    let stale: Vec<bool> = floats(&db, STALE).iter().map(|(_, v)| sonde_model::is_stale(*v)).collect();
    assert_eq!(stale, (1..=there).map(|s| s.is_multiple_of(3)).collect::<Vec<_>>());
    let found = select(&db, &[Matcher::equal("__name__", "sizes")], i64::MIN, i64::MAX);
    let counts: Vec<f64> = found.iter().flat_map(|s| s.histograms.values.iter().map(|h| h.count)).collect();
    assert_eq!(counts, (1..=there).map(|s| s as f64).collect::<Vec<_>>());
    let gone: Vec<i64> = floats(&db, GONE).iter().map(|(t, _)| *t).collect();
    let after = |deleted: u64| (deleted + 1..=there).map(time).collect::<Vec<_>>();
    assert!(gone == after(known.deleted) || gone == after(known.deleting), "{gone:?} {known:?}");
    // What was taken is a repetition, and the store goes on.
    for seq in 1..=there {
        let again = send(&db, numbered(&db, seq), time(seq)).expect("it is judged").0;
        assert_eq!(again.verdict, sonde_model::CursorVerdict::Duplicate, "batch {seq}");
    }
    assert!(deliver(&db, there + 1));
    db.flush(time(there + 1)).expect("a healthy disk");
    assert_eq!(floats(&db, NUMBERS).len() as u64, there + 1);
    let labels = Labels::from_pairs(NUMBERS.iter().copied());
    assert!(select(&db, &all(), i64::MIN, i64::MAX).iter().any(|s| s.labels == labels));
}

/// One run whose operations from the `point`-th on fail `times` times. True if there was a fault.
fn run(fs: &FaultFs, point: u64, times: u64, kind: io::ErrorKind, crash: bool, losses: &mut Vec<OpenReport>) -> bool {
    fs.fail(None, point, times, kind);
    let mut known = Acknowledged::default();
    live(fs, &mut known);
    let hit = fs.injected() > 0;
    let after = if crash { fs.mem().crash(point) } else { fs.mem().fork() };
    check(&after, "data", known, losses);
    if let Some(deleted) = known.snapshot {
        // Taken after batch 16, and after a delete up to 10 that may have failed.
        let copied = Acknowledged { batches: 16, deleting: 10, deleted, snapshot: None };
        check(&after, SNAPSHOT, copied, losses);
    }
    hit
}

/// Runs all points, or every `step`-th of them; `SONDE_POINT=n` runs one alone.
fn each_point(times: u64, kind: io::ErrorKind, crash: bool, step: usize) {
    let mut losses = Vec::new();
    if let Ok(point) = std::env::var("SONDE_POINT") {
        let point = point.parse().expect("SONDE_POINT is a number");
        run(&FaultFs::new(MemFs::new(), point), point, times, kind, crash, &mut losses);
        assert!(losses.is_empty(), "{losses:?}");
        return;
    }
    let mut points = 0;
    for point in (0..).step_by(step) {
        let ran = catch_unwind(AssertUnwindSafe(|| {
            run(&FaultFs::new(MemFs::new(), point), point, times, kind, crash, &mut losses)
        }));
        assert!(ran.is_ok(), "fault point {point}, {times} times {kind:?}, crash {crash}");
        if ran.is_ok_and(|hit| !hit) {
            break;
        }
        points += 1;
    }
    assert!(points > 100 / step, "{points} fault points of {kind:?}");
    assert!(losses.is_empty(), "a single fault loses nothing here: {losses:?}");
}

/// All points with `SONDE_SOAK=1`, a part of them otherwise.
fn step() -> usize {
    if std::env::var_os("SONDE_SOAK").is_some() { 1 } else { 29 }
}

#[test]
fn a_single_fault_loses_nothing() {
    each_point(1, io::ErrorKind::Other, false, step());
    each_point(1, io::ErrorKind::StorageFull, true, step());
}

#[test]
fn two_faults_in_a_row_lose_nothing() {
    each_point(2, io::ErrorKind::Other, true, step());
}

/// The second fault comes some time after the first, which is when what the first left half-done is mended.
#[test]
fn two_faults_apart_lose_nothing() {
    let mut losses = Vec::new();
    let (step, pairs) = if step() == 1 { (1, 3) } else { (53, 1) };
    let mut rng = fastrand::Rng::with_seed(1);
    for point in (0..).step_by(step) {
        let mut hit = false;
        for _ in 0..pairs {
            let (apart, crash) = (rng.u64(1..300), rng.bool());
            let fs = FaultFs::new(MemFs::new(), point);
            fs.fail(None, point + apart, 1, io::ErrorKind::StorageFull);
            let ran = catch_unwind(AssertUnwindSafe(|| run(&fs, point, 1, io::ErrorKind::Other, crash, &mut losses)));
            assert!(ran.is_ok(), "fault point {point}, another one {apart} later, crash {crash}");
            hit |= ran.is_ok_and(|hit| hit);
        }
        if !hit {
            break;
        }
    }
    assert!(losses.is_empty(), "two faults lose nothing here: {losses:?}");
}

#[test]
fn a_machine_that_stops_anywhere_loses_nothing() {
    each_point(u64::MAX, io::ErrorKind::Other, true, step());
}
