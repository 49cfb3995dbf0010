//! Failing syncs, full disks, damaged files: what was acknowledged stays, what was not can be sent again, what is
//! derived counts once, and whatever is lost is said.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::fs::FaultRates;
use sonde_disk::{FaultFs, Fs, MemFs};
use sonde_model::span::SpanId;
use sonde_tracedb::*;

use crate::support::*;

fn spans_of(seq: u64) -> Vec<sonde_model::span::ScopedSpan> {
    (0..3).map(|i| span(seq * 3 + i, seq * 3 + i, ns(NOW + seq as i64 * SECOND), &[])).collect()
}

/// Sends a batch again and again until it is durable, as an agent does. Faults end after some tries.
fn deliver(fs: &FaultFs, db: &TraceDb, seq: u64) {
    let now = NOW + seq as i64 * SECOND;
    for attempt in 0.. {
        if attempt == 6 {
            fs.heal();
        }
        assert!(attempt < 12, "batch {seq} is not taken by a healthy disk");
        match send(db, numbered(seq, spans_of(seq)), now) {
            Ok((_, durable)) => match wait(&durable) {
                Ok(()) => return,
                Err(Error::NotWritten { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            Err(AppendError::Wal { .. } | AppendError::Busy { .. }) => {}
            Err(error) => panic!("batch {seq}: {error}"),
        }
    }
}

fn check_all(db: &TraceDb, last: u64) {
    for seq in 1..=last {
        for span in spans_of(seq) {
            assert_eq!(printed(db, span.span.trace_id), [print(&span)], "batch {seq}");
        }
    }
    assert_eq!(found(db, TimeRange::ALL, &[]).len() as u64, last * 3);
}

/// Something that is derived from committed batches: it survives crashes of the store together with its position.
#[derive(Default)]
struct Derived {
    position: Position,
    spans: Vec<SpanId>,
}

impl Derived {
    /// Follows to the end; an unreadable disk is tried again later.
    fn follow(&mut self, db: &TraceDb) {
        let mut committed = db.committed(self.position);
        while let Ok(Some((next, spans))) = committed.next() {
            self.spans.extend(spans.iter().map(|s| s.span.span_id));
            self.position = next;
        }
        // A disk that fails keeps more than it has to.
        let _ = db.release_before(self.position);
    }

    fn check(&self, last: u64) {
        let expected: Vec<SpanId> = (1..=last).flat_map(spans_of).map(|s| s.span.span_id).collect();
        assert_eq!(self.spans, expected);
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_derived_twice() {
    let options = || Options { wal_segment_bytes: 3 << 10, hold_for_derivations: true, ..Options::default() };
    for seed in 0..15u64 {
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut fs = FaultFs::new(MemFs::new(), seed);
        let (mut db, _) = open(Arc::new(fs.clone()), options());
        let mut derived = Derived::default();
        let mut seq = 0;
        for _ in 0..60 {
            let now = NOW + seq as i64 * SECOND;
            match rng.u32(0..12) {
                0..5 => {
                    seq += 1;
                    deliver(&fs, &db, seq);
                }
                5 => derived.follow(&db),
                6 => {
                    let rate = |rng: &mut fastrand::Rng| if rng.bool() { rng.f64() * 0.5 } else { 0.0 };
                    fs.set_rates(FaultRates { write: rate(&mut rng), sync: rate(&mut rng), name: rate(&mut rng) });
                }
                7 => fs.heal(),
                8 => drop(db.flush(now)),
                9 => drop(db.compact(now)),
                10 => drop(db.maintain(now)),
                _ => {
                    // A batch is on its way when the power goes; then it is sent again.
                    let on_its_way = send(&db, numbered(seq + 1, spans_of(seq + 1)), now);
                    derived.follow(&db);
                    let crashed = fs.mem().crash(rng.u64(..));
                    drop((db, on_its_way));
                    fs = FaultFs::new(crashed, rng.u64(..));
                    let (opened, report) = open(Arc::new(fs.clone()), options());
                    assert!(!report.is_damaged(), "{report:?}");
                    db = opened;
                    seq += 1;
                    deliver(&fs, &db, seq);
                }
            }
        }
        fs.heal();
        check_all(&db, seq);
        db.flush(NOW + HOUR).expect("a healthy disk");
        db.compact(NOW + HOUR).expect("a healthy disk");
        drop(db);
        let (db, _) = open(Arc::new(fs), options());
        check_all(&db, seq);
        derived.follow(&db);
        derived.check(seq);
    }
}

#[test]
fn a_full_head_and_a_held_wal_push_back() {
    let fs = FaultFs::new(MemFs::new(), 1);
    let (db, _) = open(Arc::new(fs.clone()), Options { head_bytes: 1, head_overrun: 1, ..Options::default() });
    append(&db, batch(spans_of(1)), NOW);
    assert!(matches!(send(&db, batch(spans_of(2)), NOW), Err(AppendError::Busy { .. })));
    fs.set_rates(FaultRates { write: 1.0, sync: 1.0, name: 1.0 });
    assert!(db.maintain(NOW).is_err());
    assert_eq!(db.stats().flush_failures.load(Relaxed), 1);
    fs.heal();
    db.maintain(NOW).unwrap();
    append(&db, batch(spans_of(2)), NOW);
    assert_eq!(db.stats().busy_batches.load(Relaxed), 1);
    let options = Options { hold_for_derivations: true, held_wal_bytes: 0, ..Options::default() };
    let (db, _) = open(Arc::new(MemFs::new()), options);
    append(&db, batch(spans_of(1)), NOW);
    assert!(matches!(send(&db, batch(spans_of(2)), NOW), Err(AppendError::Busy { .. })));
}

/// Two blocks, one of each day.
fn two_blocks(mem: &MemFs) -> Vec<std::path::PathBuf> {
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    append(&db, batch(vec![span(1, 1, ns(NOW - 3 * DAY), &[]), span(2, 2, ns(NOW), &[])]), NOW);
    db.flush(NOW).expect("the flush works");
    let blocks = Path::new("data/blocks");
    mem.list(blocks).expect("there are blocks").iter().map(|e| blocks.join(&e.name)).collect()
}

#[test]
fn a_damaged_block_is_set_aside_at_the_start() {
    let mem = MemFs::new();
    let paths = two_blocks(&mem);
    let len = mem.open(&paths[0]).unwrap().len().unwrap();
    mem.corrupt(&paths[0], len - 40, 0x40).unwrap();
    for start in 0..2 {
        let (db, report) = open(Arc::new(mem.clone()), Options::default());
        assert_eq!((report.quarantined.len(), report.blocks), (1 - start, 1));
        assert_eq!((printed(&db, trace_id(1)).len(), printed(&db, trace_id(2)).len()), (0, 1));
    }
    assert!(mem.exists(&paths[0].with_extension("block.damaged")).unwrap());
}

#[test]
fn damage_met_by_a_read_is_an_error_and_then_set_aside() {
    let mem = MemFs::new();
    let paths = two_blocks(&mem);
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    mem.corrupt(&paths[0], 20, 0x40).unwrap();
    db.trace(trace_id(1), None).expect_err("a wrong answer would be worse");
    db.maintain(NOW).unwrap();
    assert_eq!((printed(&db, trace_id(1)).len(), printed(&db, trace_id(2)).len()), (0, 1));
    assert_eq!(db.stats().blocks_quarantined.load(Relaxed), 1);
    drop(db);
    assert!(!open(Arc::new(mem), Options::default()).1.is_damaged());
}

#[test]
fn a_flipped_byte_of_a_block_is_noticed_or_harmless() {
    let mem = MemFs::new();
    let paths = two_blocks(&mem);
    let expected = {
        let (db, _) = open(Arc::new(mem.clone()), Options::default());
        printed(&db, trace_id(1))
    };
    let len = mem.open(&paths[0]).unwrap().len().unwrap();
    for at in (0..len).step_by(3) {
        let mem = mem.fork();
        mem.corrupt(&paths[0], at, 1 << (at % 8)).unwrap();
        let (db, report) = open(Arc::new(mem), Options::default());
        match db.trace(trace_id(1), None) {
            Ok(Some(trace)) => assert_eq!(trace.spans.iter().map(print).collect::<Vec<_>>(), expected, "byte {at}"),
            Ok(None) => assert_eq!(report.quarantined.len(), 1, "byte {at}"),
            Err(_) => {}
        }
    }
}

#[test]
fn a_lost_manifest_is_built_again_from_the_blocks() {
    for damage in [true, false] {
        let mem = MemFs::new();
        two_blocks(&mem);
        let (db, _) = open(Arc::new(mem.clone()), Options::default());
        append(&db, numbered(1, vec![span(3, 3, ns(NOW), &[])]), NOW);
        db.flush(NOW).unwrap();
        append(&db, batch(vec![span(4, 4, ns(NOW), &[])]), NOW);
        drop(db);
        let manifest = Path::new("data/manifest");
        if damage {
            mem.corrupt(manifest, 14, 1).unwrap()
        } else {
            mem.remove_file(manifest).unwrap()
        }
        let (db, report) = open(Arc::new(mem.clone()), Options::default());
        assert!(report.manifest_damage.is_some());
        (1..=4).for_each(|n| assert_eq!(printed(&db, trace_id(n)).len(), 1, "trace {n}"));
        let outcome = append(&db, numbered(1, vec![span(3, 3, ns(NOW), &[])]), NOW);
        assert_eq!(outcome.verdict, sonde_model::CursorVerdict::Duplicate, "the cursor came from the checkpoint");
    }
}
