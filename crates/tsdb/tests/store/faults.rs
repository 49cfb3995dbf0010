//! Failing syncs, full disks, damaged files: what was acknowledged stays, what was not can be sent again, and
//! whatever is lost is said.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::fs::{FaultRates, Operation};
use sonde_disk::{FaultFs, Fs, MemFs};
use sonde_model::{AgentId, BatchId, Signal};
use sonde_tsdb::{AppendError, Batch, BatchSample, BatchValue, Db, Error, Options, Source};

use crate::support::*;

const COUNTER: &[(&str, &str)] = &[("__name__", "batches_total")];
const NUMBERS: &[(&str, &str)] = &[("__name__", "numbers")];

fn numbered(db: &Db, seq: u64) -> Batch {
    let id = BatchId { agent: AgentId([9; 16]), epoch: 1, signal: Signal::Metrics, seq };
    let t = NOW + seq as i64 * 1000;
    let one = BatchSample { series: series(db, COUNTER), timestamp: t, value: BatchValue::FloatDelta(1.0) };
    let samples = vec![one, float(series(db, NUMBERS), t, seq as f64)];
    Batch { cursor: Some((id, seq as u32)), ..batch(Source::AgentLink, samples) }
}

/// Sends a batch again and again until it is durable, as an agent does. Faults end after some tries.
fn deliver(fs: &FaultFs, db: &Db, seq: u64) {
    let now = NOW + seq as i64 * 1000;
    for attempt in 0.. {
        if attempt == 6 {
            fs.heal();
        }
        assert!(attempt < 12, "batch {seq} is not taken by a healthy disk");
        match send(db, numbered(db, seq), now) {
            Ok((_, durable)) => match wait(&durable) {
                Ok(()) => return,
                Err(Error::NotWritten { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            Err(AppendError::StaleRef | AppendError::Wal { .. } | AppendError::Busy { .. }) => {}
            Err(error) => panic!("batch {seq}: {error}"),
        }
    }
}

fn check_all(db: &Db, seq: u64) {
    let expected = |value: fn(u64) -> f64| (1..=seq).map(|s| (NOW + s as i64 * 1000, value(s))).collect::<Vec<_>>();
    assert_eq!(floats(db, NUMBERS), expected(|s| s as f64));
    // Each delta was added once: the counter says how many batches there were.
    assert_eq!(floats(db, COUNTER), expected(|s| s as f64));
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_counts_twice() {
    let options = || Options { wal_segment_bytes: 5 << 10, idle_ms: 5_000, ..Options::default() };
    for seed in 0..30u64 {
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut fs = FaultFs::new(MemFs::new(), seed);
        let (mut db, _) = open(Arc::new(fs.clone()), options());
        let mut seq = 0;
        for _ in 0..80 {
            let now = NOW + seq as i64 * 1000;
            match rng.u32(0..12) {
                0..6 => {
                    seq += 1;
                    deliver(&fs, &db, seq);
                }
                6 => {
                    let rate = |rng: &mut fastrand::Rng| if rng.bool() { rng.f64() * 0.5 } else { 0.0 };
                    fs.set_rates(FaultRates { write: rate(&mut rng), sync: rate(&mut rng), name: rate(&mut rng) });
                }
                7 => fs.heal(),
                8 => drop(db.flush(now)),
                9 => drop(db.compact(now)),
                10 => check_all(&db, seq),
                _ => {
                    // A batch is on its way when the power goes; then it is sent again.
                    let on_its_way = send(&db, numbered(&db, seq + 1), now);
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
        db.flush(NOW + DAY).expect("a healthy disk");
        db.compact(NOW + DAY).expect("a healthy disk");
        drop(db);
        let (db, _) = open(Arc::new(fs), options());
        check_all(&db, seq);
    }
}

#[test]
fn a_failed_batch_is_not_judged_a_repetition() {
    let fs = FaultFs::new(MemFs::new(), 1);
    let (db, _) = open(Arc::new(fs.clone()), Options::default());
    let up = series(&db, NUMBERS);
    append(&db, batch(Source::Push, vec![float(up, NOW, 1.0)]), NOW);
    fs.set_rates(FaultRates { write: 1.0, sync: 1.0, name: 1.0 });
    let sent: Vec<_> = [1, 2, 3]
        .map(|i| send(&db, batch(Source::Push, vec![float(up, NOW + i, i as f64), float(up, NOW - i, 0.5)]), NOW))
        .into_iter()
        .collect();
    let mut failed = 0;
    for one in sent {
        match one {
            Ok((outcome, durable)) => {
                assert_eq!(outcome.accepted, 2);
                assert!(matches!(wait(&durable), Err(Error::NotWritten { .. })));
                failed += 1;
            }
            // The WAL knows already that the one before failed, and the judge is about to hear of it.
            Err(AppendError::Wal { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert!(failed > 0);
    assert_eq!(floats(&db, NUMBERS), [(NOW, 1.0)]);
    fs.heal();
    let again = append(&db, batch(Source::Push, vec![float(up, NOW + 1, 1.0), float(up, NOW - 1, 0.5)]), NOW);
    assert_eq!((again.accepted, again.duplicates), (2, 0));
    assert_eq!(floats(&db, NUMBERS), [(NOW - 1, 0.5), (NOW, 1.0), (NOW + 1, 1.0)]);
    assert_eq!(db.stats().failed_batches.load(Relaxed), failed);
}

/// A group of the WAL fails for good while a delta of the same series waits behind it: what waits must not be written
/// with a sum that includes the one that failed.
#[test]
fn deltas_behind_a_failed_one_fail_with_it() {
    let fs = FaultFs::new(MemFs::new(), 1);
    let (db, _) = open(Arc::new(fs.clone()), Options::default());
    let counter = series(&db, COUNTER);
    let one = |i: i64| BatchSample { series: counter, timestamp: NOW + i, value: BatchValue::FloatDelta(1.0) };
    // Series of such labels are defined in records that are too large to share a write.
    let label = "x".repeat(3 << 20);
    let large = |i: i64| {
        let name = format!("{i}{label}");
        let large = series(&db, &[("__name__", "large"), ("name", &name)]);
        batch(Source::Push, vec![one(i), float(large, NOW, 1.0)])
    };
    // The first callback holds the WAL thread until the others wait.
    let (entered, others_follow) = std::sync::mpsc::sync_channel(1);
    let (release, released) = std::sync::mpsc::sync_channel::<()>(1);
    let hold = move |_| {
        entered.send(()).expect("the test waits");
        released.recv().expect("the test releases");
    };
    db.append(batch(Source::Push, vec![one(1)]), NOW, hold).expect("taken");
    others_follow.recv().expect("the callback is called");
    let waiting = [2, 3].map(|i| send(&db, large(i), NOW).expect("taken").1);
    fs.fail(Some(Operation::Write), 0, 2, std::io::ErrorKind::StorageFull);
    release.send(()).expect("the callback waits");
    for durable in waiting {
        assert!(matches!(wait(&durable), Err(Error::NotWritten { .. })));
    }
    assert_eq!(floats(&db, COUNTER), [(NOW + 1, 1.0)]);
    for i in [2, 3] {
        append(&db, large(i), NOW);
    }
    assert_eq!(floats(&db, COUNTER), [(NOW + 1, 1.0), (NOW + 2, 2.0), (NOW + 3, 3.0)]);
    assert_eq!(db.stats().failed_batches.load(Relaxed), 2);
    db.flush(NOW).expect("a healthy disk");
    drop(db);
    let (db, _) = open(Arc::new(fs), Options::default());
    assert_eq!(floats(&db, COUNTER), [(NOW + 1, 1.0), (NOW + 2, 2.0), (NOW + 3, 3.0)]);
}

/// Several deltas are on their way at once over a disk that fails now and then: what is told to be durable is added
/// once, and nothing else.
#[test]
fn sums_of_deltas_hold_what_was_acknowledged() {
    for seed in 0..40u64 {
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let fs = FaultFs::new(MemFs::new(), seed);
        let (db, _) = open(Arc::new(fs.clone()), Options { wal_segment_bytes: 5 << 10, ..Options::default() });
        let counter = series(&db, COUNTER);
        let (mut sum, mut expected) = (0.0, Vec::new());
        for round in 0..60 {
            let rate = |rng: &mut fastrand::Rng| if rng.bool() { rng.f64() * 0.6 } else { 0.0 };
            fs.set_rates(FaultRates { write: rate(&mut rng), sync: rate(&mut rng), name: rate(&mut rng) });
            let sent: Vec<_> = (0..rng.i64(1..12))
                .filter_map(|i| {
                    let timestamp = NOW + round * 100 + i;
                    let one = BatchSample { series: counter, timestamp, value: BatchValue::FloatDelta(1.0) };
                    let sent = send(&db, batch(Source::Push, vec![one]), timestamp).ok()?;
                    Some((timestamp, sent.1))
                })
                .collect();
            if rng.u32(0..8) == 0 {
                drop(db.flush(NOW));
            }
            for (timestamp, durable) in sent {
                if wait(&durable).is_ok() {
                    sum += 1.0;
                    expected.push((timestamp, sum));
                }
            }
            assert!(floats(&db, COUNTER) == expected, "round {round}");
        }
        // A batch that failed may still be there after a restart, as long as nothing took its place.
        fs.heal();
        let last = BatchSample { series: counter, timestamp: NOW + 6000, value: BatchValue::FloatDelta(1.0) };
        append(&db, batch(Source::Push, vec![last]), NOW);
        expected.push((NOW + 6000, sum + 1.0));
        drop(db);
        let (db, report) = open(Arc::new(fs), Options::default());
        assert!(!report.is_damaged(), "{report:?}");
        assert!(floats(&db, COUNTER) == expected, "after a restart");
    }
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    let mut expected = Vec::new();
    let fill = |from: i64, n: i64| -> Vec<(i64, f64)> { (from..from + n).map(|i| (NOW + i, i as f64)).collect() };
    let put = |samples: &[(i64, f64)]| {
        let up = series(&db, NUMBERS);
        let samples = samples.iter().map(|(t, v)| float(up, *t, *v)).collect();
        send(&db, batch(Source::Push, samples), NOW).map(|(_, durable)| wait(&durable))
    };
    expected.extend(fill(0, 1000));
    assert!(matches!(put(&expected), Ok(Ok(()))));
    mem.set_capacity(Some(mem.used()));
    assert!(db.flush(NOW).is_err());
    assert_eq!(floats(&db, NUMBERS), expected);
    let refused = fill(1000, 1000);
    assert!(!matches!(put(&refused), Ok(Ok(()))));
    assert_eq!(floats(&db, NUMBERS), expected);
    assert!(db.stats().flush_failures.load(Relaxed) > 0);
    mem.set_capacity(None);
    assert!(matches!(put(&refused), Ok(Ok(()))));
    expected.extend(refused);
    assert_eq!(floats(&db, NUMBERS), expected);
    db.maintain(NOW + 3 * HOUR).expect("there is room again");
    assert_eq!((db.status().samples, floats(&db, NUMBERS)), (0, expected));
}

#[test]
fn a_damaged_wal_loses_what_it_says() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), Options { wal_segment_bytes: 5 << 10, ..Options::default() });
    let put = |db: &Db, i: i64| {
        let samples = vec![float(series(db, NUMBERS), NOW + i, i as f64)];
        append(db, batch(Source::Push, samples), NOW);
    };
    (0..100).for_each(|i| put(&db, i));
    drop(db);
    let segments = mem.list(Path::new("data/wal")).unwrap();
    let middle = &segments[segments.len() / 2];
    mem.corrupt(&Path::new("data/wal").join(&middle.name), middle.len - 50, 0x10).unwrap();
    let (db, report) = open(Arc::new(mem.clone()), Options::default());
    assert!(report.is_damaged());
    let lost: u64 = report.wal.damage.iter().filter_map(|d| d.lost_records).sum();
    let found = floats(&db, NUMBERS);
    assert!(lost > 0 && found.len() as u64 + lost == 100, "{lost} lost, {} found", found.len());
    assert!(found.iter().all(|(t, v)| t - NOW == *v as i64));
    put(&db, 100);
    assert_eq!(floats(&db, NUMBERS).len(), found.len() + 1);
}

#[test]
fn definitions_lost_with_a_damaged_wal_lose_their_samples_and_no_others() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    let (a, b) = (series(&db, NUMBERS), series(&db, COUNTER));
    append(&db, batch(Source::Push, vec![float(a, NOW, 1.0)]), NOW);
    append(&db, batch(Source::Push, vec![float(b, NOW, 2.0)]), NOW);
    (1..5).for_each(|i| {
        append(&db, batch(Source::Push, vec![float(a, NOW + i, 1.0), float(b, NOW + i, 2.0)]), NOW);
    });
    drop(db);
    let wal = Path::new("data/wal");
    let segment = &mem.list(wal).unwrap()[0];
    let path = wal.join(&segment.name);
    let bytes = sonde_disk::read_all(&mem, &path, 1 << 20).unwrap();
    let at = bytes.windows(7).position(|w| w == b"numbers").expect("the definition is in the WAL");
    mem.corrupt(&path, at as u64, 1).unwrap();
    let (db, report) = open(Arc::new(mem), Options::default());
    assert_eq!((report.wal.damage.len(), report.orphans), (1, 4));
    assert_eq!(floats(&db, NUMBERS), []);
    assert_eq!(floats(&db, COUNTER).len(), 5);
}

/// Two blocks, one of each day.
fn two_blocks(mem: &MemFs) -> (Arc<Db>, Vec<std::path::PathBuf>) {
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    let up = series(&db, NUMBERS);
    let samples = vec![float(up, NOW - 3 * DAY, 1.0), float(up, NOW, 2.0)];
    append(&db, batch(Source::AgentLink, samples), NOW);
    db.flush(NOW).expect("the flush works");
    let blocks = Path::new("data/blocks");
    let paths = mem.list(blocks).expect("there are blocks").iter().map(|e| blocks.join(&e.name)).collect();
    (db, paths)
}

#[test]
fn a_damaged_block_is_set_aside_at_the_start() {
    let mem = MemFs::new();
    let (db, paths) = two_blocks(&mem);
    drop(db);
    let len = mem.open(&paths[0]).unwrap().len().unwrap();
    mem.corrupt(&paths[0], len - 30, 0x40).unwrap();
    for start in 0..2 {
        let (db, report) = open(Arc::new(mem.clone()), Options::default());
        assert_eq!((report.quarantined.len(), report.blocks), (1 - start, 1));
        assert_eq!(floats(&db, NUMBERS), [(NOW, 2.0)]);
        assert_eq!(db.stats().blocks_quarantined.load(Relaxed), 1 - start as u64);
        for seed in 0..20 {
            let crashed = mem.crash(seed);
            open(Arc::new(crashed.clone()), Options::default());
            assert!(crashed.exists(&paths[0].with_extension("block.damaged")).unwrap(), "seed {seed}");
        }
    }
    assert!(mem.exists(&paths[0].with_extension("block.damaged")).unwrap());
}

#[test]
fn damage_met_by_a_query_is_an_error_and_then_set_aside() {
    let mem = MemFs::new();
    let (db, paths) = two_blocks(&mem);
    drop(db);
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    mem.corrupt(&paths[0], 20, 0x40).unwrap();
    let answer = db.select(&all(), i64::MIN, i64::MAX, &sonde_tsdb::SelectLimits::default());
    let error = answer.expect_err("a wrong answer would be worse");
    assert!(std::error::Error::source(&error).expect("there is a cause").to_string().contains(".block"), "{error:?}");
    db.maintain(NOW).unwrap();
    assert_eq!(floats(&db, NUMBERS), [(NOW, 2.0)]);
    assert_eq!(db.stats().blocks_quarantined.load(Relaxed), 1);
    drop(db);
    let (_, report) = open(Arc::new(mem), Options::default());
    assert!(!report.is_damaged(), "{report:?}");
}

/// To read a block from end to end takes long: what a query meets in a sound one is no reason to do so every few seconds.
#[test]
fn a_block_that_was_found_sound_is_left_alone_for_a_while() {
    let mem = MemFs::new();
    drop(two_blocks(&mem));
    let block = Path::new("data/blocks/0000000000000001.block");
    let fs = FaultFs::new(mem.clone(), 0);
    let (db, _) = open(Arc::new(fs.clone()), Options { cache_bytes: 0, ..Options::default() });
    // A read that goes wrong and is good again: the file is what it was.
    let misread = || {
        mem.corrupt(block, 20, 1).unwrap();
        let answer = db.select(&all(), i64::MIN, i64::MAX, &sonde_tsdb::SelectLimits::default());
        assert!(answer.is_err(), "a wrong answer would be worse");
        mem.corrupt(block, 20, 1).unwrap();
    };
    let operations = |now| {
        let before = fs.operations();
        db.maintain(now).unwrap();
        fs.operations() - before
    };
    misread();
    let verifying = operations(NOW);
    let idle = operations(NOW);
    assert!(verifying > idle, "{verifying} {idle}");
    misread();
    assert_eq!(operations(NOW + MINUTE), idle);
    let later = operations(NOW + 20 * MINUTE);
    assert!(later > idle, "it was misread since: {later} {idle}");
    assert_eq!(operations(NOW + 21 * MINUTE), idle);
    assert_eq!(db.stats().blocks_quarantined.load(Relaxed), 0);
    // Damage that stays is found all the same, later.
    misread();
    mem.corrupt(block, 20, 1).unwrap();
    db.maintain(NOW + 40 * MINUTE).unwrap();
    assert_eq!(db.stats().blocks_quarantined.load(Relaxed), 1);
}

#[test]
fn a_lost_manifest_is_built_again_from_the_blocks() {
    for damage in [true, false] {
        let mem = MemFs::new();
        let (db, _) = two_blocks(&mem);
        let batch = |db: &Db| Batch { cursor: numbered(db, 1).cursor, ..numbered(db, 1) };
        deliver(&FaultFs::new(mem.clone(), 0), &db, 1);
        db.flush(NOW).unwrap();
        append(&db, super::support::batch(Source::Push, vec![float(series(&db, NUMBERS), NOW + 5000, 5.0)]), NOW);
        let expected = floats(&db, NUMBERS);
        drop(db);
        let manifest = Path::new("data/manifest");
        if damage {
            mem.corrupt(manifest, 14, 1).unwrap()
        } else {
            mem.remove_file(manifest).unwrap()
        }
        let (db, report) = open(Arc::new(mem.clone()), Options::default());
        assert!(report.manifest_damage.is_some());
        assert_eq!(floats(&db, NUMBERS), expected);
        let (outcome, _) = send(&db, batch(&db), NOW).unwrap();
        assert_eq!(outcome.verdict, sonde_model::CursorVerdict::Duplicate, "the cursor came from the checkpoint");
        drop(db);
        assert!(!open(Arc::new(mem), Options::default()).1.is_damaged());
    }
}

#[test]
fn a_block_that_cannot_be_opened_now_is_not_given_up() {
    let mem = MemFs::new();
    drop(two_blocks(&mem));
    let fs = FaultFs::new(mem, 0);
    // The manifest is opened first, and a block three times.
    fs.fail(Some(Operation::Open), 1, 3, std::io::ErrorKind::Other);
    let (db, report) = open(Arc::new(fs.clone()), Options::default());
    assert_eq!((report.unavailable.len(), report.quarantined.len(), report.blocks), (1, 0, 1));
    assert_eq!(floats(&db, NUMBERS), [(NOW, 2.0)]);
    append(&db, batch(Source::Push, vec![float(series(&db, NUMBERS), NOW + 1, 3.0)]), NOW);
    db.flush(NOW).unwrap();
    let whole = [(NOW - 3 * DAY, 1.0), (NOW, 2.0), (NOW + 1, 3.0)];
    assert_eq!(floats(&db, NUMBERS), whole[1..]);
    db.maintain(NOW).unwrap();
    assert_eq!(floats(&db, NUMBERS), whole, "maintenance has opened it");
    drop(db);
    let (db, report) = open(Arc::new(fs), Options::default());
    assert!(!report.is_damaged(), "{report:?}");
    assert_eq!(floats(&db, NUMBERS), whole);
}
