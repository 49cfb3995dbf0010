//! Each class of damage: what is lost, what is reported, and that nothing else is lost.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;

use sonde_disk::fs::Operation;
use sonde_disk::wal::DamageReason;
use sonde_disk::{FaultFs, Fs, MemFs, OpenReport, Position, Wal, WalError, WalOptions};

const DIR: &str = "/data/wal";
/// Where frames begin, and what a frame adds to a record: docs/format/wal.md.
const FRAMES_AT: u64 = 4160;
const FRAME: u64 = 32;
/// All records are so long, frames included.
const STEP: u64 = 100;

type Records = Vec<(Position, Vec<u8>)>;

fn open(fs: impl Fs + 'static) -> (Wal, OpenReport, Records) {
    let mut records = Vec::new();
    let (wal, report) =
        Wal::open(Arc::new(fs), Path::new(DIR), options(), &mut |at, r| records.push((at, r.to_vec()))).unwrap();
    (wal, report, records)
}

/// Few zeros ahead: looking at half a megabyte of them takes its time in a debug build.
fn options() -> WalOptions {
    WalOptions { zeros_ahead_bytes: 1_000, ..WalOptions::default() }
}

fn append(wal: &Wal, record: Vec<u8>) -> Result<Position, WalError> {
    let (sender, receiver) = sync_channel(1);
    wal.append(record, Box::new(move |result| sender.send(result).unwrap()))?;
    receiver.recv().unwrap()
}

fn record(n: u64) -> Vec<u8> {
    let mut record = format!("record {n} ").into_bytes();
    record.resize(usize::try_from(STEP - FRAME).unwrap(), b'.');
    record
}

fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("{number:012}.wal"))
}

/// Records 0 to 4 in segment 1, 5 to 9 in segment 2, 10 to 14 in segment 3, each synced on its own; not closed.
fn three_segments() -> (MemFs, Wal) {
    let fs = MemFs::new();
    let (wal, ..) = open(fs.clone());
    for n in 0..15 {
        append(&wal, record(n)).unwrap();
        if n == 4 || n == 9 {
            wal.rotate().unwrap();
        }
    }
    (fs, wal)
}

fn at(segment: u64, offset: u64) -> Position {
    Position { segment, offset }
}

struct Expected {
    lost: &'static [u64],
    /// The damaged range: from, to, records lost, reason.
    damage: Option<(Position, Position, Option<u64>, DamageReason)>,
    /// Where the tail was cut, and how many bytes.
    tail: Option<(Position, u64)>,
}

/// Damages the three segments, closed in order or killed, and opens them twice: both times the same must be found.
fn check(name: &str, closed: bool, damage: impl FnOnce(&MemFs), expected: &Expected) {
    let (fs, wal) = three_segments();
    let fs = if closed {
        wal.close();
        fs
    } else {
        fs.fork()
    };
    damage(&fs);
    let all = (0..15).filter(|n| !expected.lost.contains(n)).map(record).collect::<Vec<_>>();
    for opening in 1..=2 {
        let (examined, seen) = examine(name, &fs);
        let (wal, report, records) = open(fs.clone());
        let found = records.iter().map(|(_, record)| record.clone()).collect::<Vec<_>>();
        assert_eq!((examined, &seen), (report.clone(), &found), "{name}, examined before opening {opening}");
        assert_eq!(found, all, "{name}, opening {opening}: {report}");
        let mut damage = report.damage.iter().map(|d| (d.from, d.to, d.lost_records, d.reason)).collect::<Vec<_>>();
        if opening == 1 {
            assert_eq!(report.truncated_tail.map(|tail| (tail.at, tail.bytes)), expected.tail, "{name}: {report}");
        } else if let (Some(found), Some(expected)) = (damage.first_mut(), &expected.damage) {
            // The first opening may have written the record behind the damage again, elsewhere.
            found.1 = expected.1;
        }
        assert_eq!(damage, expected.damage.into_iter().collect::<Vec<_>>(), "{name}, opening {opening}: {report}");
        check_reader(name, &wal, &records, expected.damage.is_some());
    }
    let (wal, ..) = open(fs.clone());
    append(&wal, record(99)).unwrap();
    drop(wal);
    let (_, _, records) = open(fs);
    assert_eq!(records.last().unwrap().1, record(99), "{name}: what is appended after damage is found");
    assert_eq!(records.len(), all.len() + 1, "{name}");
}

/// What a look finds; it changes nothing.
fn examine(name: &str, fs: &MemFs) -> (OpenReport, Vec<Vec<u8>>) {
    let content = || {
        let files = fs.list(Path::new(DIR)).unwrap();
        let read = |name: &str| sonde_disk::read_all(fs, &Path::new(DIR).join(name), 1 << 24).unwrap();
        files.iter().map(|file| (file.name.clone(), read(&file.name))).collect::<Vec<_>>()
    };
    let before = content();
    let mut records = Vec::new();
    let report = Wal::examine(fs, Path::new(DIR), &mut |_, record| records.push(record.to_vec())).unwrap();
    assert!(content() == before, "{name}: a look changed a file");
    (report, records)
}

fn check_reader(name: &str, wal: &Wal, records: &Records, damaged: bool) {
    let mut reader = wal.reader(Position::START);
    let mut read = Vec::new();
    let mut damage_seen = 0;
    loop {
        match reader.next() {
            Ok(Some((position, _, record))) => read.push((position, record)),
            Ok(None) => break,
            Err(WalError::Damaged(_)) => damage_seen += 1,
            Err(error) => panic!("{name}: {error}"),
        }
    }
    assert_eq!(read, *records, "{name}: the reader");
    assert!(damaged || damage_seen == 0, "{name}: the reader saw damage where there is none");
}

fn flip(segment_number: u64, offset: u64) -> impl FnOnce(&MemFs) {
    move |fs| fs.corrupt(&segment(segment_number), offset, 0x10).unwrap()
}

fn write(segment_number: u64, offset: u64, bytes: Vec<u8>) -> impl FnOnce(&MemFs) {
    move |fs| fs.open(&segment(segment_number)).unwrap().write_at(&bytes, offset).unwrap()
}

fn cut(segment_number: u64, len: u64) -> impl FnOnce(&MemFs) {
    move |fs| fs.open(&segment(segment_number)).unwrap().set_len(len).unwrap()
}

const NOTHING: Expected = Expected { lost: &[], damage: None, tail: None };

#[test]
fn damage_in_a_sealed_segment_costs_what_it_hits() {
    let third = FRAMES_AT + 2 * STEP;
    for (name, offset, reason) in [
        ("a bit of a record", third + FRAME + 5, DamageReason::Record),
        ("a bit of a record's checksum", third + 24, DamageReason::FrameHeader),
        ("a bit of a frame's checksum", third + 28, DamageReason::FrameHeader),
        ("a bit of a frame's magic", third, DamageReason::FrameHeader),
        ("a bit of a length", third + 5, DamageReason::FrameHeader),
    ] {
        let damage = Some((at(1, third), at(1, third + STEP), Some(1), reason));
        check(name, false, flip(1, offset), &Expected { lost: &[2], damage, tail: None });
    }
    let damage = Some((at(1, FRAMES_AT), at(1, FRAMES_AT + 2 * STEP), Some(2), DamageReason::FrameHeader));
    let zeros = vec![0; usize::try_from(STEP + 50).unwrap()];
    check("zeros over two records", false, write(1, FRAMES_AT, zeros), &Expected { lost: &[0, 1], damage, tail: None });
    let from = FRAMES_AT + 4 * STEP;
    let damage = Some((at(1, from), at(2, FRAMES_AT), Some(1), DamageReason::Record));
    check(
        "a bit of the last record of a sealed segment",
        false,
        flip(1, from + 40),
        &Expected { lost: &[4], damage, tail: None },
    );
}

#[test]
fn lost_ends_headers_and_files_are_reported() {
    let missing = DamageReason::MissingRecords;
    let damage = Some((at(1, FRAMES_AT + 3 * STEP), at(2, FRAMES_AT), Some(2), missing));
    check(
        "a sealed segment cut between records",
        false,
        cut(1, FRAMES_AT + 3 * STEP),
        &Expected { lost: &[3, 4], damage, tail: None },
    );
    let damage = Some((at(1, FRAMES_AT + 3 * STEP), at(2, FRAMES_AT), Some(2), DamageReason::Record));
    check(
        "a sealed segment cut inside a record",
        false,
        cut(1, FRAMES_AT + 3 * STEP + 50),
        &Expected { lost: &[3, 4], damage, tail: None },
    );
    check("one header", false, flip(2, 20), &NOTHING);
    check("the copy of a header", false, flip(2, 4096 + 60), &NOTHING);
    let lost = &[5, 6, 7, 8, 9];
    let damage = Some((at(2, 0), at(3, FRAMES_AT), Some(5), DamageReason::SegmentHeader));
    let both = |fs: &MemFs| {
        flip(2, 20)(fs);
        flip(2, 4096 + 20)(fs);
    };
    check("both headers", false, both, &Expected { lost, damage, tail: None });
    check("an empty file", false, cut(2, 0), &Expected { lost, damage, tail: None });
    let swapped = |fs: &MemFs| fs.rename(&segment(1), &segment(2)).unwrap();
    let damage = Some((at(2, 0), at(3, FRAMES_AT), None, DamageReason::SegmentHeader));
    check(
        "a segment under another's name",
        false,
        swapped,
        &Expected { lost: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], damage, tail: None },
    );
    let damage = Some((at(1, FRAMES_AT + 5 * STEP), at(3, FRAMES_AT), Some(5), missing));
    let remove = |fs: &MemFs| fs.remove_file(&segment(2)).unwrap();
    check("a missing segment", false, remove, &Expected { lost, damage, tail: None });
}

#[test]
fn only_the_unsynced_tail_of_the_last_segment_is_cut() {
    let end = FRAMES_AT + 5 * STEP;
    check("nothing", false, |_| {}, &NOTHING);
    check("zeros behind the end", false, write(3, end, vec![0; 5_000]), &NOTHING);
    let tail = Some((at(3, end), 77));
    check("bytes behind the end", false, write(3, end, vec![7; 77]), &Expected { lost: &[], damage: None, tail });
    let tail = Some((at(3, end), 50));
    let mut torn = vec![7; 50];
    torn.resize(600, 0);
    check("a torn write of a longer file", false, write(3, end, torn), &Expected { lost: &[], damage: None, tail });

    // The last record was acknowledged, but no later write says so: it looks like a torn one.
    let last = end - STEP;
    let tail = Some((at(3, last), STEP));
    check("a bit of the very last record", false, flip(3, last + 40), &Expected { lost: &[14], damage: None, tail });
    // After an orderly end there is a mark behind it that says so.
    let (fs, wal) = three_segments();
    drop(wal);
    flip(3, last + 40)(&fs);
    let (_, report, records) = open(fs);
    assert_eq!(records.len(), 14);
    assert_eq!(report.truncated_tail, None, "{report}");
    let damage = report.damage.iter().map(|d| (d.from, d.lost_records, d.reason)).collect::<Vec<_>>();
    assert_eq!(damage, [(at(3, last), Some(1), DamageReason::Record)]);

    let damage = Some((at(3, last - STEP), at(3, last), Some(1), DamageReason::Record));
    for closed in [false, true] {
        check(
            "a bit of the last record but one",
            closed,
            flip(3, last - 60),
            &Expected { lost: &[13], damage, tail: None },
        );
    }
}

#[test]
fn a_record_that_looks_like_a_frame_is_no_frame() {
    let fs = MemFs::new();
    let (wal, ..) = open(fs.clone());
    append(&wal, record(0)).unwrap();
    append(&wal, record(1)).unwrap();
    let mut frame = vec![0; usize::try_from(STEP).unwrap()];
    fs.open(&segment(1)).unwrap().read_exact_at(&mut frame, FRAMES_AT + STEP).unwrap();
    append(&wal, frame).unwrap();
    append(&wal, record(3)).unwrap();
    drop(wal);
    flip(1, FRAMES_AT + 2 * STEP + 3)(&fs);
    let (_, report, records) = open(fs);
    assert_eq!(records.iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), [record(0), record(1), record(3)]);
    assert_eq!(report.damage[0].lost_records, Some(1), "{report}");
}

#[test]
fn a_bad_sector_costs_what_lies_in_it() {
    let (fs, _wal) = three_segments();
    let faults = FaultFs::new(fs.fork(), 1);
    faults.make_unreadable(&segment(1), 4096..4160);
    let third = FRAMES_AT + 2 * STEP;
    faults.make_unreadable(&segment(2), third..third + 1);
    let (_, report, records) = open(faults.clone());
    // What cannot be read is a block of 4 KiB, in which all records of the segment lie.
    let lost = [5, 6, 7, 8, 9];
    let expected = (0..15).filter(|n| !lost.contains(n)).map(record).collect::<Vec<_>>();
    assert_eq!(records.into_iter().map(|(_, r)| r).collect::<Vec<_>>(), expected, "{report}");
    assert_eq!(report.damage[0].lost_records, Some(5), "{report}");

    // In the tail it would be cut and gone, so the opening fails until the disk can be read.
    let last = FRAMES_AT + 4 * STEP;
    faults.heal();
    let faults = FaultFs::new(fs.fork(), 1);
    faults.make_unreadable(&segment(3), last..last + 1);
    let opened = Wal::open(Arc::new(faults.clone()), Path::new(DIR), WalOptions::default(), &mut |_, _| {});
    assert_eq!(opened.unwrap_err().to_string(), "cannot read /data/wal/000000000003.wal");
    faults.heal();
    let (_, report, records) = open(faults);
    assert_eq!((records.len(), report.damage.len()), (15, 0), "{report}");
}

#[test]
fn a_newer_format_is_refused_and_nothing_is_touched() {
    let (fs, wal) = three_segments();
    drop(wal);
    for copy in [0, 4096] {
        let file = fs.open(&segment(3)).unwrap();
        let mut header = [0; 64];
        file.read_exact_at(&mut header, copy).unwrap();
        header[8] = 2;
        let crc = sonde_disk::checksum::crc32(&header[..60]);
        header[60..].copy_from_slice(&crc.to_le_bytes());
        file.write_at(&header, copy).unwrap();
    }
    let before = fs.list(Path::new(DIR)).unwrap();
    let opened = Wal::open(Arc::new(fs.clone()), Path::new(DIR), WalOptions::default(), &mut |_, _| {});
    let error = opened.unwrap_err().to_string();
    assert_eq!(
        error,
        "/data/wal/000000000003.wal has format version 2, this release reads up to 1: start a newer release"
    );
    assert_eq!(fs.list(Path::new(DIR)).unwrap(), before);
}

#[test]
fn strange_files_are_left_alone_and_unnamed_segments_removed() {
    let (fs, wal) = three_segments();
    drop(wal);
    for name in ["000000000004.wal.tmp", "notes.txt", "12.wal", "x00000000001.wal"] {
        fs.create(&Path::new(DIR).join(name)).unwrap();
    }
    fs.create_dir_all(&Path::new(DIR).join("000000000009.wal")).unwrap();
    let (_, report, records) = open(fs.clone());
    assert_eq!((records.len(), report.damage.len(), report.segments), (15, 0, 3));
    assert!(!fs.exists(&Path::new(DIR).join("000000000004.wal.tmp")).unwrap());
    assert!(fs.exists(&Path::new(DIR).join("notes.txt")).unwrap());
}

#[test]
fn after_a_failed_sync_the_record_is_written_elsewhere_once() {
    let faults = FaultFs::new(MemFs::new(), 1);
    let (wal, ..) = open(faults.clone());
    append(&wal, record(0)).unwrap();
    faults.fail(Some(Operation::Sync), 0, 1, io::ErrorKind::Other);
    let position = append(&wal, record(1)).unwrap();
    assert_eq!(position.segment, 2);
    assert_eq!(wal.stats().abandoned_segments.load(Ordering::Relaxed), 1);
    for fs in [faults.mem().fork(), faults.mem().crash(7)] {
        let (_, report, records) = open(fs);
        assert_eq!(records.iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), [record(0), record(1)], "{report}");
        assert!(report.damage.is_empty(), "{report}");
    }
}

/// A process that is killed between a failed sync and its answer leaves a record that reads see and no disk holds.
#[test]
fn what_only_memory_holds_is_made_durable_before_it_is_replayed() {
    for seed in 0..20 {
        let faults = FaultFs::new(MemFs::new(), seed);
        let (wal, ..) = open(faults.clone());
        append(&wal, record(0)).unwrap();
        // The sync fails, and so does everything after it.
        faults.fail(Some(Operation::Sync), 0, 1, io::ErrorKind::Other);
        faults.fail(Some(Operation::Create), 0, 9, io::ErrorKind::Other);
        append(&wal, record(1)).unwrap_err();
        let after_kill = faults.mem().fork();
        let (_, report, records) = open(after_kill.clone());
        assert_eq!((records.len(), report.rewritten_records), (2, 1), "{report}");
        let (_, report, records) = open(after_kill.crash(seed));
        assert_eq!(records.len(), 2, "what was replayed once is there after the power fails: {report}");
    }
}

/// A process that is killed before it syncs the removal of a segment: once a restart has not seen it, it stays away.
#[test]
fn what_an_opening_did_not_find_does_not_come_back() {
    let (fs, wal) = three_segments();
    drop(wal);
    fs.remove_file(&segment(1)).unwrap();
    let after_kill = fs.fork();
    assert_eq!(open(after_kill.clone()).2.len(), 10);
    for seed in 0..20 {
        let (_, report, records) = open(after_kill.crash(seed));
        assert_eq!(records.len(), 10, "{report}");
    }
}

#[test]
fn a_full_disk_is_told_and_gets_better() {
    let fs = MemFs::new();
    let (wal, ..) = open(fs.clone());
    append(&wal, record(0)).unwrap();
    fs.set_capacity(Some(fs.used() + 50));
    for n in 1..4 {
        let error = append(&wal, record(n)).unwrap_err();
        assert!(matches!(error, WalError::DiskFull { .. }), "{error}");
        assert!(error.to_string().starts_with("no space left on the disk: cannot"), "{error}");
    }
    assert!(wal.stats().disk_full.load(Ordering::Relaxed) >= 3);
    assert!(wal.rotate().is_err());
    let (_, _, records) = open(fs.fork());
    assert_eq!(records, [(at(1, FRAMES_AT), record(0))], "a full disk can be opened");
    fs.set_capacity(None);
    append(&wal, record(4)).unwrap();
    drop(wal);
    let (_, report, records) = open(fs);
    assert_eq!(records.iter().map(|(_, r)| r.clone()).collect::<Vec<_>>(), [record(0), record(4)], "{report}");
    assert!(report.damage.is_empty(), "{report}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let options = WalOptions { max_record_bytes: 1_000, max_pending_bytes: 1_500, ..WalOptions::default() };
    let (wal, _) = Wal::open(Arc::new(MemFs::new()), Path::new(DIR), options.clone(), &mut |_, _| {}).unwrap();
    let error = append(&wal, vec![0; 1_001]).unwrap_err().to_string();
    assert_eq!(error, "a record of 1001 bytes exceeds max_record_bytes of 1000");
    let (entered, first_is_written) = sync_channel(1);
    let (release, released) = sync_channel::<()>(1);
    let hold = move |_| {
        entered.send(()).unwrap();
        released.recv().unwrap();
    };
    wal.append(vec![0; 10], Box::new(hold)).unwrap();
    first_is_written.recv().unwrap();
    wal.append(vec![0; 1_000], Box::new(|_| {})).unwrap();
    let error = wal.append(vec![0; 1_000], Box::new(|_| panic!("it was refused"))).unwrap_err().to_string();
    assert_eq!(error, "the WAL is busy: 1032 bytes wait for the disk, max_pending_bytes is 1500");
    release.send(()).unwrap();
    wal.rotate().unwrap();
    append(&wal, vec![0; 1_000]).unwrap();

    for options in [
        WalOptions { max_record_bytes: 0, ..options.clone() },
        WalOptions { max_record_bytes: 1 << 40, ..options.clone() },
        WalOptions { max_pending_bytes: 1_031, ..options },
    ] {
        let opened = Wal::open(Arc::new(MemFs::new()), Path::new(DIR), options, &mut |_, _| {});
        assert!(matches!(opened, Err(WalError::InvalidOptions { .. })));
    }
}

#[test]
fn a_callback_that_panics_harms_nobody() {
    let (wal, ..) = open(MemFs::new());
    wal.append(record(0), Box::new(|_| panic!("on purpose"))).unwrap();
    append(&wal, record(1)).unwrap();
    assert_eq!(wal.stats().callback_panics.load(Ordering::Relaxed), 1);
}

#[test]
fn the_report_reads_without_its_context() {
    let (fs, _wal) = three_segments();
    flip(1, FRAMES_AT + 40)(&fs);
    write(3, FRAMES_AT + 5 * STEP, vec![1; 9])(&fs);
    let (_, report, _) = open(fs.fork());
    assert_eq!(
        report.to_string(),
        "14 records (952 bytes) in 3 segments; the last 1 written again; unsynced tail of 9 bytes cut at 3:4660; \
         damaged from 1:4160 to 1:4260: a record does not match its checksum, 1 record lost"
    );
}
