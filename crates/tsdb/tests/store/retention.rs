//! Retention by classes: series that are kept for another time than the others.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::{Fs, MemFs};
use sonde_model::{MatchOp, Matcher};
use sonde_tsdb::{Db, Options, RejectReason, Retention, RetentionClass, SelectLimits, Source};

use crate::support::*;

const SLOS: &[(&str, &str)] = &[("__name__", "slo"), ("job", "web")];
const DEBUG: &[(&str, &str)] = &[("__name__", "calls"), ("job", "debug")];
const OTHER: &[(&str, &str)] = &[("__name__", "calls"), ("job", "web")];

fn class(name: &str, value: &str, keep: i64) -> RetentionClass {
    RetentionClass { matchers: vec![Matcher::new(name, MatchOp::Regex, value).expect("valid")], keep_ms: keep }
}

fn options() -> Options {
    Options {
        retention_ms: 10 * DAY,
        retention_classes: vec![class("__name__", "slo", 30 * DAY), class("job", "debug|web2", 2 * DAY)],
        retention_pause_ms: i64::MAX,
        ..Options::default()
    }
}

/// A sample of each series on each of 12 days, the newest today.
fn fill(db: &Db) {
    for day in 0..12 {
        let t = NOW - day * DAY;
        let samples = [SLOS, DEBUG, OTHER].map(|labels| float(series(db, labels), t, 1.0));
        append(db, batch(Source::AgentLink, samples.to_vec()), NOW);
    }
    db.flush(NOW).expect("the flush works");
}

fn days(db: &Db) -> [usize; 3] {
    [SLOS, DEBUG, OTHER].map(|labels| floats(db, labels).len())
}

/// Maintenance until it has nothing more to do: it writes one block at a time again.
fn maintain(db: &Db, now: i64) {
    (0..20).for_each(|_| db.maintain(now).expect("maintenance works"));
}

#[test]
fn each_class_has_its_time_and_its_space_comes_back() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), options());
    fill(&db);
    assert_eq!(days(&db), [12, 12, 12]);
    db.maintain(NOW).unwrap();
    // A block that ends today, and those of the two days before, are younger than any class.
    assert_eq!(days(&db), [12, 3, 11], "hidden at once");
    maintain(&db, NOW);
    assert_eq!((db.status().block_samples, db.status().blocks), (12 + 3 + 11, 12), "and then written again");
    let written = db.stats().blocks_cleaned.load(Relaxed);
    maintain(&db, NOW);
    assert_eq!(db.stats().blocks_cleaned.load(Relaxed), written, "once");
    maintain(&db, NOW + 25 * DAY);
    assert_eq!((days(&db), db.status().blocks), ([6, 0, 0], 6), "nothing is left of the newest blocks but one class");
    maintain(&db, NOW + 31 * DAY);
    assert_eq!(db.status().blocks, 0);
}

/// What only a class with a long retention has left is merged into wide blocks, and what a class lets go soon does not wait
/// for a wide block to become old.
#[test]
fn blocks_are_as_wide_as_what_they_hold_is_kept() {
    let classes = vec![class("__name__", "slo", 320 * DAY), class("job", "debug", DAY)];
    let options = Options {
        retention_ms: 4 * DAY,
        retention_classes: classes,
        retention_pause_ms: i64::MAX,
        ..Options::default()
    };
    let mem = MemFs::new();
    let start = NOW / (11 * DAY) * (11 * DAY);
    let (db, _) = Db::open(Arc::new(mem.clone()), Path::new("data"), options.clone(), start).expect("it opens");
    for day in 0..66 {
        let now = start + day * DAY;
        for hour in 0..24 {
            let samples = [SLOS, DEBUG, OTHER].map(|labels| float(series(&db, labels), now + hour * HOUR, 1.0));
            append(&db, batch(Source::AgentLink, samples.to_vec()), now + hour * HOUR);
        }
        db.flush(now + 23 * HOUR).expect("memory");
        maintain(&db, now + 23 * HOUR);
    }
    let end = start + 66 * DAY - HOUR;
    maintain(&db, end);
    let samples = [SLOS, DEBUG, OTHER].map(|labels| floats(&db, labels).len() / 24);
    assert!(samples[0] == 66 && samples[1] <= 3 && samples[2] <= 6, "{samples:?}");
    let status = db.status();
    assert_eq!(
        status.block_samples,
        floats(&db, SLOS).len() as u64 + floats(&db, DEBUG).len() as u64 + floats(&db, OTHER).len() as u64,
        "its space came back"
    );
    // Five of eleven days, and a few of one.
    assert!(status.blocks <= 5 + 4 * 4, "{} blocks", status.blocks);
    db.compact(end).expect("memory");
    assert!(db.status().blocks <= 5 + 11, "{} blocks", db.status().blocks);
    assert_eq!(floats(&db, SLOS).len(), 66 * 24);
    drop(db);
    let (db, report) = Db::open(Arc::new(mem), Path::new("data"), options, end).expect("it opens");
    assert!(!report.is_damaged() && floats(&db, SLOS).len() == 66 * 24);
}

#[test]
fn what_was_too_old_is_not_seen_again_after_a_start() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), options());
    fill(&db);
    db.maintain(NOW).unwrap();
    drop(db);
    let (db, report) = open(Arc::new(mem.crash(1)), options());
    assert!(!report.is_damaged());
    assert_eq!(days(&db), [12, 3, 11]);
}

#[test]
fn the_longest_class_decides_what_is_refused() {
    let (db, _) = open(Arc::new(MemFs::new()), options());
    let late = |days: i64| {
        let samples = vec![float(series(&db, SLOS), NOW - days * DAY, 1.0)];
        append(&db, batch(Source::AgentLink, samples), NOW).rejected.first().map(|r| r.reason)
    };
    assert_eq!((late(29), late(31)), (None, Some(RejectReason::TooLate)));
}

#[test]
fn classes_change_while_the_store_is_open() {
    let (db, _) = open(Arc::new(MemFs::new()), Options { retention_classes: Vec::new(), ..options() });
    fill(&db);
    let set = |classes| db.set_retention(Retention { keep_ms: 10 * DAY, classes });
    set(vec![class("job", "web", 30 * DAY), class("__name__", "slo|calls", 5 * DAY)]);
    assert_eq!(db.retention().longest(), 30 * DAY);
    maintain(&db, NOW);
    assert_eq!(
        days(&db),
        [11, 6, 11],
        "what was refused is not there, and the first class that selects a series counts"
    );
    set(vec![class("job", "web", 3 * DAY)]);
    maintain(&db, NOW);
    assert_eq!(days(&db), [4, 6, 4]);
    set(Vec::new());
    maintain(&db, NOW + 6 * DAY);
    assert_eq!(days(&db), [4, 5, 4]);
}

/// Which series of a block are too old is asked of its index, which may be damaged.
#[test]
fn damage_is_no_reason_not_to_start() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), options());
    fill(&db);
    db.flush(NOW).expect("the flush works");
    drop(db);
    let block = Path::new("data/blocks/0000000000000001.block");
    let len = mem.open(block).unwrap().len().unwrap();
    for at in (16..len).step_by(24) {
        let mem = mem.crash(1);
        mem.corrupt(block, at, 0x40).unwrap();
        let fs: Arc<dyn Fs> = Arc::new(mem);
        let opened = Db::open(Arc::clone(&fs), Path::new("data"), options(), NOW);
        let (db, _) = opened.unwrap_or_else(|error| panic!("byte {at} of {len}: {error}"));
        // What is damaged is set aside, and the other blocks are served at once.
        let younger = |days: i64| db.select(&all(), NOW - days * DAY, NOW, &SelectLimits::default()).unwrap();
        let samples: Vec<usize> = younger(9).iter().map(|s| s.floats.len()).collect();
        assert_eq!(samples, [3, 10, 10], "byte {at} of {len}");
        for _ in 0..3 {
            let _ = db.maintain(NOW);
        }
        db.maintain(NOW).expect("the damaged block is set aside");
    }
}
