//! Deletes: what was written before is gone at once and for good, what comes later stays, and the space comes back.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::{Fs, MemFs};
use sonde_model::{MatchOp, Matcher};
use sonde_tsdb::{BatchSample, BatchValue, Db, Error, Options, Source};

use crate::support::*;

const UP: &[(&str, &str)] = &[("__name__", "up"), ("job", "a")];
const DOWN: &[(&str, &str)] = &[("__name__", "down"), ("job", "b")];

fn delete(db: &Db, name: &str, from: i64, to: i64) {
    db.delete(vec![vec![Matcher::equal("__name__", name)]], from, to, NOW).expect("the delete works");
}

fn put(db: &Db, labels: &[(&str, &str)], times: impl IntoIterator<Item = i64>) {
    let series = series(db, labels);
    let samples = times.into_iter().map(|t| float(series, t, (t - NOW) as f64)).collect();
    append(db, batch(Source::AgentLink, samples), NOW);
}

fn times(db: &Db, labels: &[(&str, &str)]) -> Vec<i64> {
    floats(db, labels).iter().map(|(t, _)| t - NOW).collect()
}

#[test]
fn what_was_written_before_goes_and_what_comes_later_stays() {
    for clean in [false, true] {
        let fs = Arc::new(MemFs::new());
        let (db, _) = open(Arc::clone(&fs) as _, Options::default());
        put(&db, UP, (0..10).map(|i| NOW + i));
        db.flush(NOW).unwrap();
        put(&db, UP, (10..20).map(|i| NOW + i));
        put(&db, DOWN, (0..5).map(|i| NOW + i));
        delete(&db, "up", NOW + 3, NOW + 15);
        let left = [0, 1, 2, 16, 17, 18, 19];
        assert_eq!(times(&db, UP), left);
        if clean {
            db.clean_tombstones(NOW).unwrap();
        }
        delete(&db, "up", NOW + 19, i64::MAX);
        // What is deleted may come again, the newest sample too.
        put(&db, UP, [NOW + 5, NOW + 19]);
        let left = [0, 1, 2, 5, 16, 17, 18, 19];
        assert_eq!(times(&db, UP), left);
        drop(db);
        let (db, report) = open(Arc::clone(&fs) as _, Options::default());
        assert!(!report.is_damaged(), "{report:?}");
        assert_eq!((times(&db, UP), times(&db, DOWN)), (left.to_vec(), vec![0, 1, 2, 3, 4]));
        db.flush(NOW).unwrap();
        db.compact(NOW).unwrap();
        db.clean_tombstones(NOW).unwrap();
        assert_eq!((times(&db, UP), times(&db, DOWN)), (left.to_vec(), vec![0, 1, 2, 3, 4]));
        assert_eq!(db.status().block_samples, 13, "nothing deleted is left in a file");
        drop(db);
        assert_eq!(times(&open(fs, Options::default()).0, UP), left);
    }
}

#[test]
fn a_deleted_counter_begins_anew() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    let one = |db: &Db, t| {
        let sample = BatchSample { series: series(db, UP), timestamp: t, value: BatchValue::FloatDelta(1.0) };
        append(db, batch(Source::Push, vec![sample]), NOW);
    };
    (1..=4).for_each(|i| one(&db, NOW + i));
    delete(&db, "up", NOW + 3, i64::MAX);
    one(&db, NOW + 5);
    assert_eq!(floats(&db, UP), [(NOW + 1, 1.0), (NOW + 2, 2.0), (NOW + 5, 3.0)], "it goes on from what is left");
    delete(&db, "up", i64::MIN, i64::MAX);
    one(&db, NOW + 6);
    assert_eq!(floats(&db, UP), [(NOW + 6, 1.0)]);
}

#[test]
fn deleted_names_are_not_listed() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    put(&db, UP, [NOW]);
    put(&db, &[("__name__", "down"), ("zone", "b")], [NOW]);
    delete(&db, "down", i64::MIN, i64::MAX);
    let check = || {
        let (from, to) = (i64::MIN, i64::MAX);
        assert_eq!(db.label_names(&[], from, to, 100).unwrap(), ["__name__", "job"]);
        assert_eq!(db.label_values("__name__", &[], from, to, 100).unwrap(), ["up"]);
        assert_eq!(db.label_values("zone", &[], from, to, 100).unwrap(), [""; 0]);
        let matcher = Matcher::new("__name__", MatchOp::Regex, ".+").unwrap();
        assert_eq!(db.label_values("__name__", std::slice::from_ref(&matcher), from, to, 100).unwrap(), ["up"]);
        assert_eq!(db.series(&[matcher], from, to, 100).unwrap().len(), 1);
    };
    check();
    db.clean_tombstones(NOW).unwrap();
    check();
    assert_eq!(db.status().block_samples, 1);
}

/// A store that fills its disk but for what is left of the smallest block.
#[test]
fn space_comes_back_block_by_block() {
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, Options::default());
    for day in 0..6 {
        let mut rng = fastrand::Rng::with_seed(day);
        let (up, down) = (series(&db, UP), series(&db, DOWN));
        let samples =
            (0..4000).map(|i| float(if i % 4 == 0 { down } else { up }, NOW - day as i64 * DAY + i, rng.f64()));
        append(&db, batch(Source::AgentLink, samples.collect()), NOW);
    }
    db.flush(NOW).unwrap();
    let before = db.status().block_bytes;
    delete(&db, "up", i64::MIN, i64::MAX);
    fs.set_capacity(Some(fs.used() + before / 12));
    db.clean_tombstones(NOW).unwrap();
    assert_eq!((db.status().blocks, db.status().block_samples), (6, 6000));
    assert_eq!(db.stats().blocks_cleaned.load(Relaxed), 6);
    let after = db.status().block_bytes;
    assert!(after < before / 2, "{after} of {before}");
    delete(&db, "down", i64::MIN, i64::MAX);
    db.maintain(NOW).unwrap();
    assert_eq!(db.status().blocks, 5, "maintenance does one at a time");
    db.clean_tombstones(NOW).unwrap();
    assert_eq!(db.status().blocks, 0);
}

#[test]
fn a_damaged_file_of_deletes_is_told() {
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, Options::default());
    put(&db, UP, [NOW]);
    delete(&db, "up", i64::MIN, i64::MAX);
    drop(db);
    fs.corrupt(Path::new("data/tombstones"), 12, 1).unwrap();
    let (db, report) = open(Arc::clone(&fs) as _, Options::default());
    assert!(report.is_damaged() && report.tombstone_damage.is_some());
    assert_eq!(times(&db, UP), [0], "it is back, and that was said");
    drop(db);
    assert!(fs.exists(Path::new("data/tombstones.damaged")).unwrap());
    assert!(!open(fs, Options::default()).1.is_damaged());
}

/// The newest block goes first, because nothing is left of it, and the store starts again before the others are cleaned.
#[test]
fn what_comes_after_a_delete_outlives_starts() {
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, Options::default());
    put(&db, UP, [NOW - DAY]);
    put(&db, DOWN, [NOW - DAY]);
    db.flush(NOW).unwrap();
    put(&db, UP, [NOW]);
    delete(&db, "up", i64::MIN, i64::MAX);
    db.maintain(NOW).unwrap();
    assert_eq!(db.status().blocks, 1);
    drop(db);
    let (db, _) = open(Arc::clone(&fs) as _, Options::default());
    put(&db, UP, [NOW + 1]);
    db.flush(NOW).unwrap();
    drop(db);
    let (db, _) = open(fs, Options::default());
    assert_eq!((times(&db, UP), times(&db, DOWN)), (vec![1], vec![-DAY]));
}

#[test]
fn deletes_that_no_start_would_read_are_refused() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    put(&db, UP, [NOW]);
    db.flush(NOW).unwrap();
    let matcher = Matcher::equal("__name__", &"x".repeat(65 << 20));
    let refused = db.delete(vec![vec![matcher]], i64::MIN, i64::MAX, NOW);
    assert!(matches!(refused, Err(Error::DeletesTooLarge { .. })), "{refused:?}");
    delete(&db, "up", i64::MIN, i64::MAX);
}

/// The disk has not a byte left: a delete needs the reserve, and what comes back makes it again.
#[test]
fn a_full_disk_is_emptied_out_of_the_reserve() {
    let fs = Arc::new(MemFs::new());
    let options = Options { ballast_bytes: 1 << 20, ballast_from: 1, ..Options::default() };
    let (db, _) = open(Arc::clone(&fs) as _, options.clone());
    let ballast = Path::new("data/ballast");
    let (up, down) = (series(&db, UP), series(&db, DOWN));
    let mut rng = fastrand::Rng::with_seed(1);
    let samples = (0..6000).map(|i| float(if i % 100 == 0 { down } else { up }, NOW + i, rng.f64()));
    append(&db, batch(Source::AgentLink, samples.collect()), NOW);
    db.flush(NOW).unwrap();
    db.maintain(NOW).unwrap();
    assert!(fs.exists(ballast).unwrap(), "there is room");
    let (blocks, samples) = (db.status().block_bytes, db.status().block_samples);
    fs.set_capacity(Some(fs.used()));
    delete(&db, "up", i64::MIN, i64::MAX);
    assert!(!fs.exists(ballast).unwrap());
    db.clean_tombstones(NOW).unwrap();
    assert!(db.status().block_bytes < blocks / 10 && db.status().block_samples == samples / 100);
    assert_eq!(db.stats().ballast_released.load(Relaxed), 1);
    assert!(db.stats().merge_peak_bytes.load(Relaxed) < blocks + blocks / 10, "not twice the block");
    db.maintain(NOW).unwrap();
    assert!(!fs.exists(ballast).unwrap(), "the disk is too full for it");
    fs.set_capacity(Some(fs.used() + (4 << 20)));
    db.maintain(NOW).unwrap();
    assert_eq!(fs.open(ballast).unwrap().len().unwrap(), 1 << 20);
    drop(db);
    assert!(!open(fs, options).1.is_damaged());
}

/// The reserve is far too small for what is missing: to give it up and to make it again would be for nothing.
#[test]
fn the_reserve_is_kept_where_it_would_not_do() {
    let fs = Arc::new(MemFs::new());
    let options = Options { ballast_bytes: 1 << 10, ballast_from: 1, ..Options::default() };
    let (db, _) = open(Arc::clone(&fs) as _, options);
    let (up, down) = (series(&db, UP), series(&db, DOWN));
    let mut rng = fastrand::Rng::with_seed(1);
    let samples = (0..6000).map(|i| float(if i % 100 == 0 { up } else { down }, NOW + i, rng.f64()));
    append(&db, batch(Source::AgentLink, samples.collect()), NOW);
    db.flush(NOW).unwrap();
    db.maintain(NOW).unwrap();
    let ballast = Path::new("data/ballast");
    assert!(fs.exists(ballast).unwrap(), "there is room");
    delete(&db, "up", i64::MIN, i64::MAX);
    // Ten times the reserve is free, and the block needs more.
    fs.set_capacity(Some(fs.used() + (10 << 10)));
    for _ in 0..3 {
        db.maintain(NOW).unwrap();
    }
    assert!(matches!(db.clean_tombstones(NOW), Err(Error::NoSpace { .. })));
    assert_eq!((db.stats().ballast_released.load(Relaxed), db.stats().blocks_cleaned.load(Relaxed)), (0, 0));
    assert!(fs.exists(ballast).unwrap());
}

/// A delete covers a block that cannot be opened now: it waits for that block, and later deletes do not wait with it.
#[test]
fn deletes_retire_beside_a_block_that_cannot_be_opened() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    put(&db, UP, [NOW - 3 * DAY]);
    db.flush(NOW).unwrap();
    put(&db, UP, [NOW]);
    put(&db, DOWN, [NOW]);
    db.flush(NOW).unwrap();
    drop(db);
    let later = Path::new("data/blocks/0000000000000002.block");
    let len = mem.open(later).unwrap().len().unwrap();
    let version = |version: u32| {
        let file = mem.open(later).unwrap();
        file.write_at(&version.to_le_bytes(), 8).unwrap();
        file.write_at(&version.to_le_bytes(), len - 8).unwrap();
    };
    let mut written = [0; 4];
    mem.open(later).unwrap().read_exact_at(&mut written, 8).unwrap();
    version(u32::MAX);
    let stored = || mem.open(Path::new("data/tombstones")).unwrap().len().unwrap();
    let (db, report) = open(Arc::new(mem.clone()), Options::default());
    assert_eq!(report.unavailable.len(), 1);
    delete(&db, "up", i64::MIN, i64::MAX);
    let with_delete = stored();
    db.clean_tombstones(NOW).unwrap();
    assert_eq!((db.status().blocks, stored()), (0, with_delete), "the other block has its samples still");
    drop(db);
    version(u32::from_le_bytes(written));
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    assert_eq!((times(&db, UP), times(&db, DOWN)), (vec![], vec![0]));
    db.clean_tombstones(NOW).unwrap();
    assert!(stored() < with_delete);
}

/// A block of a format that is not read any more is told once and has its end.
#[test]
fn outdated_blocks_go_with_the_retention() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    put(&db, UP, [NOW]);
    db.flush(NOW).unwrap();
    drop(db);
    let block = Path::new("data/blocks/0000000000000001.block");
    let len = mem.open(block).unwrap().len().unwrap();
    for at in [8, len - 8] {
        mem.open(block).unwrap().write_at(&1u32.to_le_bytes(), at).unwrap();
    }
    let (db, report) = open(Arc::new(mem.clone()), Options::default());
    assert_eq!((report.blocks, report.quarantined.len(), report.unavailable.len()), (0, 1, 0));
    let aside = |mem: &MemFs| {
        let found = mem.list(Path::new("data/blocks")).unwrap();
        found.iter().filter(|entry| entry.name.contains("outdated")).count()
    };
    for seed in 0..20 {
        let crashed = mem.crash(seed);
        open(Arc::new(crashed.clone()), Options::default());
        assert_eq!(aside(&crashed), 1, "a crash after the start, seed {seed}");
    }
    delete(&db, "up", i64::MIN, i64::MAX);
    db.clean_tombstones(NOW).unwrap();
    drop(db);
    let options = Options { retention_pause_ms: i64::MAX, ..Options::default() };
    let (db, report) = open(Arc::new(mem.clone()), options);
    assert!(!report.is_damaged(), "{report:?}");
    let left = || mem.list(Path::new("data/blocks")).unwrap().len();
    for (days, expected) in [(14, 1), (16, 0)] {
        db.maintain(NOW + days * DAY).unwrap();
        assert_eq!(left(), expected, "after {days} days");
    }
}

/// Whoever reads the log holds what was deleted. The manifest knows that it lies in blocks; without it the deletes have to.
#[test]
fn what_readers_hold_of_the_log_does_not_bring_it_back() {
    for clean in [false, true] {
        let fs = Arc::new(MemFs::new());
        let (db, _) = open(Arc::clone(&fs) as _, Options::default());
        db.hold_wal("receiver", db.wal_start()).unwrap();
        put(&db, UP, (0..10).map(|i| NOW + i));
        put(&db, DOWN, (0..5).map(|i| NOW + i));
        delete(&db, "up", i64::MIN, NOW + 7);
        if clean {
            db.clean_tombstones(NOW).unwrap();
        }
        put(&db, UP, [NOW + 3, NOW + 20]);
        let left = [3, 8, 9, 20];
        assert_eq!(times(&db, UP), left);
        drop(db);
        fs.remove_file(Path::new("data/manifest")).unwrap();
        let (db, report) = open(Arc::clone(&fs) as _, Options::default());
        assert!(report.manifest_damage.is_some());
        assert_eq!((times(&db, UP), times(&db, DOWN)), (left.to_vec(), vec![0, 1, 2, 3, 4]), "cleaned: {clean}");
        db.flush(NOW).unwrap();
        drop(db);
        assert_eq!(times(&open(fs, Options::default()).0, UP), left);
    }
}
