//! A snapshot is a store of its own with what was durable before it.

use std::path::Path;
use std::sync::Arc;

use sonde_disk::{Fs, MemFs, OsFs};
use sonde_model::{AgentId, BatchId, CursorVerdict, Matcher, Signal};
use sonde_tsdb::{Batch, Db, Error, Options, Source};

use crate::support::*;

const UP: &[(&str, &str)] = &[("__name__", "up")];
const GONE: &[(&str, &str)] = &[("__name__", "gone")];

fn numbered(db: &Db, seq: u64) -> CursorVerdict {
    let id = BatchId { agent: AgentId([1; 16]), epoch: 1, signal: Signal::Metrics, seq };
    let t = NOW + seq as i64;
    let samples = vec![float(series(db, UP), t, seq as f64), float(series(db, GONE), t, 1.0)];
    append(db, Batch { cursor: Some((id, 7)), ..batch(Source::AgentLink, samples) }, NOW).verdict
}

fn check(fs: Arc<dyn Fs>, root: &Path) {
    let (live, copy) = (root.join("live"), root.join("snapshots/one"));
    let (db, _) = Db::open(Arc::clone(&fs), &live, Options::default(), NOW).expect("it works");
    (1..=3).for_each(|seq| assert_eq!(numbered(&db, seq), CursorVerdict::New));
    db.flush(NOW).expect("it works");
    (4..=5).for_each(|seq| assert_eq!(numbered(&db, seq), CursorVerdict::New));
    db.delete(vec![vec![Matcher::equal("__name__", "gone")]], i64::MIN, i64::MAX, NOW).expect("it works");
    db.snapshot(&copy, NOW).expect("it works");
    let expected: Vec<(i64, f64)> = (1..=5).map(|i| (NOW + i, i as f64)).collect();
    assert!(matches!(db.snapshot(&copy, NOW), Err(Error::Io { .. })), "a snapshot is never written over");
    // What happens to the store afterwards does not touch the copy, nor the other way round.
    numbered(&db, 6);
    db.compact(NOW).expect("it works");
    db.clean_tombstones(NOW).expect("it works");
    for _ in 0..2 {
        let (copied, report) = Db::open(Arc::clone(&fs), &copy, Options::default(), NOW).expect("it works");
        assert!(!report.is_damaged(), "{report:?}");
        assert_eq!(floats(&copied, UP)[..5], expected);
        assert_eq!(floats(&copied, GONE), [], "what was deleted is deleted there too");
        assert_eq!(numbered(&copied, 5), CursorVerdict::Duplicate);
        copied.clean_tombstones(NOW).expect("it works");
        copied.compact(NOW).expect("it works");
    }
    let (copied, _) = Db::open(Arc::clone(&fs), &copy, Options::default(), NOW).expect("it works");
    assert_eq!(numbered(&copied, 6), CursorVerdict::New, "it came after the snapshot");
    assert_eq!(floats(&db, UP).len(), 6);
    assert_eq!(numbered(&db, 6), CursorVerdict::Duplicate);
}

#[test]
fn a_snapshot_is_a_store_of_its_own() {
    check(Arc::new(MemFs::new()), Path::new("data"));
    let dir = tempfile::tempdir().unwrap();
    check(Arc::new(OsFs), dir.path());
}

#[test]
fn a_snapshot_is_durable() {
    let fs = MemFs::new();
    let (db, _) = open(Arc::new(fs.clone()), Options::default());
    numbered(&db, 1);
    db.snapshot(Path::new("copies/one"), NOW).unwrap();
    for seed in 0..10 {
        let (copied, report) =
            Db::open(Arc::new(fs.crash(seed)), Path::new("copies/one"), Options::default(), NOW).unwrap();
        assert!(!report.is_damaged(), "{report:?}");
        assert_eq!(floats(&copied, UP), [(NOW + 1, 1.0)]);
        assert_eq!(numbered(&copied, 1), CursorVerdict::Duplicate);
    }
}

/// What a reader of the log holds back is in blocks: whether it is sound says nothing about a snapshot. What the snapshot
/// takes of the log has to be sound.
#[test]
fn damage_that_a_reader_holds_is_no_reason_not_to_copy() {
    let fs = MemFs::new();
    let (db, _) = open(Arc::new(fs.clone()), Options::default());
    db.hold_wal("sink", db.wal_start()).expect("it is held");
    for seq in 1..=3 {
        numbered(&db, seq);
        db.flush(NOW).expect("it works");
    }
    let segment = |number: u64| format!("data/wal/{number:012}.wal");
    fs.corrupt(Path::new(&segment(1)), 4200, 0x40).expect("it is there");
    db.snapshot(Path::new("copy"), NOW).expect("it works");
    drop(db);
    // After a start it is not known where the last flush was.
    let (db, _) = open(Arc::new(fs.clone()), Options::default());
    db.snapshot(Path::new("again"), NOW).expect("it works");
    for copy in ["copy", "again"] {
        let (copied, _) = Db::open(Arc::new(fs.clone()), Path::new(copy), Options::default(), NOW).expect("it works");
        assert_eq!((floats(&copied, UP).len(), numbered(&copied, 3)), (3, CursorVerdict::Duplicate), "{copy}");
    }
    fs.corrupt(Path::new(&segment(4)), 4200, 0x40).expect("it is there");
    assert!(db.snapshot(Path::new("none"), NOW).is_err(), "cursors are lost");
}
