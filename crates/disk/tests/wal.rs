//! The WAL through its public interface, on the file system in memory and on the real one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};

use sonde_disk::fs::Operation;
use sonde_disk::{FaultFs, Fs, MemFs, OpenReport, OsFs, Position, SyncPolicy, Wal, WalError, WalOptions};

const DIR: &str = "/data/wal";

type Records = Vec<(Position, Vec<u8>)>;

fn open(fs: &Arc<dyn Fs>, dir: &Path, options: WalOptions) -> (Wal, OpenReport, Records) {
    let mut records = Vec::new();
    let (wal, report) = Wal::open(Arc::clone(fs), dir, options, &mut |position, record| {
        records.push((position, record.to_vec()));
    })
    .unwrap();
    (wal, report, records)
}

/// Appends and waits.
fn append(wal: &Wal, record: &[u8]) -> Result<Position, WalError> {
    let (sender, receiver) = sync_channel(1);
    wal.append(record.to_vec(), Box::new(move |result| sender.send(result).unwrap()))?;
    receiver.recv().unwrap()
}

fn numbered(n: u32) -> Vec<u8> {
    format!("record {n} {}", "x".repeat(n as usize % 50)).into_bytes()
}

fn read_all(wal: &Wal, from: Position) -> Records {
    let mut reader = wal.reader(from);
    let mut records = Vec::new();
    while let Some((position, _, record)) = reader.next().unwrap() {
        records.push((position, record));
    }
    records
}

fn check_round_trip(fs: Arc<dyn Fs>, dir: &Path) {
    let options = WalOptions { segment_bytes: 6_000, ..WalOptions::default() };
    let (wal, report, records) = open(&fs, dir, options.clone());
    assert_eq!((report, records.len()), (OpenReport::default(), 0));
    let mut written = Vec::new();
    for n in 0..100 {
        written.push((append(&wal, &numbered(n)).unwrap(), numbered(n)));
    }
    assert!(written.is_sorted_by(|a, b| a.0 < b.0), "positions grow");
    assert_eq!(read_all(&wal, Position::START), written);
    assert_eq!(read_all(&wal, written[50].0), written[50..]);
    drop(wal);

    let (wal, report, records) = open(&fs, dir, options.clone());
    assert_eq!(records, written);
    assert_eq!(report.rewritten_records, 0, "a closed WAL needs no repair: {report}");
    assert_eq!((report.records, report.truncated_tail, report.damage.len()), (100, None, 0));
    assert_eq!(read_all(&wal, Position::START), written);
    let start = wal.rotate().unwrap();
    assert_eq!(wal.rotate().unwrap(), start, "an empty segment is not followed by another");
    assert_eq!(append(&wal, b"behind").unwrap(), start);
    wal.truncate_before(start).unwrap();
    assert_eq!(wal.start(), start);
    assert_eq!(read_all(&wal, written[50].0), [(start, b"behind".to_vec())]);
    wal.truncate_before(wal.end()).unwrap();
    drop(wal);

    let (wal, _, records) = open(&fs, dir, options);
    assert_eq!(records, [(start, b"behind".to_vec())], "the last segment stays");
    assert!(append(&wal, b"more").unwrap() > start);
}

#[test]
fn records_come_back_from_memory() {
    check_round_trip(Arc::new(MemFs::new()), Path::new(DIR));
}

#[test]
fn records_come_back_from_the_real_file_system() {
    let dir = tempfile::tempdir().unwrap();
    check_round_trip(Arc::new(OsFs), &dir.path().join("data/wal"));
}

#[test]
fn callbacks_come_in_order_and_share_syncs() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let (wal, ..) = open(&fs, Path::new(DIR), WalOptions::default());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (entered, main_continues) = sync_channel(1);
    let (release, released) = sync_channel::<()>(1);
    // The first callback holds the WAL thread until the others wait.
    wal.append(
        b"first".to_vec(),
        Box::new(move |_| {
            entered.send(()).unwrap();
            released.recv().unwrap();
        }),
    )
    .unwrap();
    main_continues.recv().unwrap();
    for n in 0..50 {
        let seen = Arc::clone(&seen);
        wal.append(numbered(n), Box::new(move |result| seen.lock().unwrap().push((n, result.unwrap())))).unwrap();
    }
    release.send(()).unwrap();
    wal.close();
    let seen = seen.lock().unwrap();
    assert!(seen.is_sorted_by(|a, b| a.0 < b.0 && a.1 < b.1));
    assert_eq!(seen.len(), 50);
    assert_eq!(wal.stats().syncs.load(Ordering::Relaxed), 2);
    assert!(matches!(wal.append(Vec::new(), Box::new(|_| {})), Err(WalError::Closed)));
}

#[test]
fn gathering_ends_when_enough_waits_or_someone_is_in_a_hurry() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let sync = SyncPolicy::Gather(std::time::Duration::from_secs(3_600));
    let (wal, ..) = open(&fs, Path::new(DIR), WalOptions { sync, ..WalOptions::default() });
    let first = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&first);
    wal.append(numbered(1), Box::new(move |result| *seen.lock().unwrap() = Some(result.unwrap()))).unwrap();
    let large = append(&wal, &vec![7; 1 << 20]).unwrap();
    assert!(first.lock().unwrap().unwrap() < large);
    assert_eq!(wal.stats().syncs.load(Ordering::Relaxed), 1);
    wal.append(numbered(2), Box::new(|result| assert!(result.is_ok()))).unwrap();
    wal.rotate().unwrap();
    wal.append(numbered(3), Box::new(|result| assert!(result.is_ok()))).unwrap();
    drop(wal);
    assert_eq!(open(&fs, Path::new(DIR), WalOptions::default()).2.len(), 4);
}

/// More than one write takes: several batches, larger and smaller than a segment, in order and whole.
#[test]
fn large_records_cross_no_segment() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let options = WalOptions { segment_bytes: 1 << 20, ..WalOptions::default() };
    let (wal, ..) = open(&fs, Path::new(DIR), options.clone());
    let written = Arc::new(Mutex::new(Vec::new()));
    for n in 0..12 {
        let record = vec![n; if n % 3 == 0 { 3 << 20 } else { 100 }];
        let written = Arc::clone(&written);
        wal.append(record, Box::new(move |result| written.lock().unwrap().push((result.unwrap(), n)))).unwrap();
    }
    wal.rotate().unwrap();
    let read = read_all(&wal, Position::START).into_iter().map(|(position, record)| (position, record[0]));
    assert_eq!(read.collect::<Vec<_>>(), *written.lock().unwrap());
    assert!(written.lock().unwrap().iter().map(|(_, n)| *n).eq(0..12));
    drop(wal);
    let (wal, report, records) = open(&fs, Path::new(DIR), options);
    assert_eq!((records.len(), report.bytes), (12, 4 * (3 << 20) + 800));
    assert_eq!(wal.size_bytes(), fs.list(Path::new(DIR)).unwrap().iter().map(|entry| entry.len).sum::<u64>());
}

/// A group fails for good while a record that builds on it and one that does not wait behind it.
#[test]
fn what_builds_on_a_failed_record_fails_with_it() {
    let mem = MemFs::new();
    let faults = FaultFs::new(mem, 1);
    let fs: Arc<dyn Fs> = Arc::new(faults.clone());
    let (wal, ..) = open(&fs, Path::new(DIR), WalOptions::default());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let tell = |name: &'static str| -> sonde_disk::wal::OnDurable {
        let seen = Arc::clone(&seen);
        Box::new(move |result| seen.lock().unwrap().push((name, result.is_ok())))
    };
    // The first callback holds the WAL thread until the others wait; those are too large to share a write.
    let (entered, others_follow) = sync_channel(1);
    let (release, released) = sync_channel::<()>(1);
    let hold = move |_| {
        entered.send(()).unwrap();
        released.recv().unwrap();
    };
    wal.append_after(0, b"first".to_vec(), Box::new(hold)).unwrap();
    others_follow.recv().unwrap();
    let large = || vec![7; 3 << 20];
    wal.append_after(0, large(), tell("failed")).unwrap();
    wal.append_after(0, large(), tell("chained")).unwrap();
    wal.append(large(), tell("alone")).unwrap();
    // The write where it belongs fails, and the new segment.
    faults.fail(Some(Operation::Write), 0, 2, std::io::ErrorKind::StorageFull);
    release.send(()).unwrap();
    wal.rotate().unwrap();
    assert_eq!(*seen.lock().unwrap(), [("failed", false), ("chained", false), ("alone", true)]);
    assert_eq!(wal.stats().failed_records.load(Ordering::Relaxed), 2);
    assert_eq!(wal.stats().pending_bytes.load(Ordering::Relaxed), 0);
    assert!(matches!(wal.append_after(0, large(), tell("behind")), Err(WalError::BasisFailed)));
    wal.append_after(1, b"went back".to_vec(), tell("back")).unwrap();
    wal.rotate().unwrap();
    assert_eq!(seen.lock().unwrap().last(), Some(&("back", true)));
    assert_eq!(read_all(&wal, Position::START).len(), 3);
}
