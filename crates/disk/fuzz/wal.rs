//! Opening a WAL on arbitrary bytes. Whatever they are: no panic, no unbounded memory, the same answer twice.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonde_disk::{Fs, MemFs, Position, Wal, WalError, WalOptions};

const DIR: &str = "/wal";

/// The path of a segment, for those who prepare input.
pub fn segment(number: u64) -> PathBuf {
    Path::new(DIR).join(format!("{number:012}.wal"))
}

/// Opens a WAL whose segments 1, 2, ... hold these bytes; checks what holds for any bytes.
pub fn open_arbitrary(segments: &[&[u8]]) {
    let fs = MemFs::new();
    fs.create_dir_all(Path::new(DIR)).expect("memory does not fail");
    for (number, bytes) in (1..).zip(segments) {
        fs.create(&segment(number)).and_then(|file| file.write_at(bytes, 0)).expect("memory does not fail");
    }
    let Some(first) = open_and_read(&fs) else { return };
    let second = open_and_read(&fs).expect("what opened once opens again");
    assert_eq!(first, second, "the second opening found something else");
}

/// The records, or `None` if the bytes claim to be of a newer format.
fn open_and_read(fs: &MemFs) -> Option<Vec<Vec<u8>>> {
    let mut replayed = Vec::new();
    let replay = &mut |position: Position, record: &[u8]| replayed.push((position, record.to_vec()));
    let (wal, report) = match Wal::open(Arc::new(fs.clone()), Path::new(DIR), WalOptions::default(), replay) {
        Ok(opened) => opened,
        Err(WalError::UnsupportedVersion { .. }) => return None,
        Err(error) => panic!("damage is no error: {error:?}"),
    };
    assert_eq!(report.records, replayed.len() as u64);
    assert!(replayed.is_sorted_by(|a, b| a.0 < b.0), "positions grow");
    let mut reader = wal.reader(Position::START);
    let mut read = Vec::new();
    loop {
        match reader.next() {
            Ok(Some((position, next, record))) => {
                assert!(next > position);
                read.push((position, record));
            }
            Ok(None) => break,
            Err(WalError::Damaged(_)) => {}
            Err(error) => panic!("damage is no error of the file system: {error:?}"),
        }
    }
    assert_eq!(read, replayed, "the reader and the replay differ");
    Some(replayed.into_iter().map(|(_, record)| record).collect())
}
