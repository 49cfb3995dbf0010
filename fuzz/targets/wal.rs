//! A segment of a WAL whose header is good and whose frames are any bytes; checksums hold in this build.
#![cfg_attr(fuzzing, no_main)]

use std::path::Path;
use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use sonde_disk::{Fs, MemFs, Wal, WalOptions};

fuzz_target!(|bytes: &[u8]| {
    let (fs, dir) = (MemFs::new(), Path::new("wal"));
    let open = || Wal::open(Arc::new(fs.clone()), dir, WalOptions::default(), &mut |_, _| {});
    let (wal, _) = open().expect("it is new");
    wal.append(b"first".to_vec(), Box::new(|_| {})).expect("there is room");
    wal.close();
    let segment = dir.join(&fs.list(dir).expect("it is there")[0].name);
    // Behind both headers, and for longer inputs over the first frame.
    let file = fs.open(&segment).expect("it is there");
    file.write_at(bytes, file.len().expect("in memory").saturating_sub(bytes.len() as u64 % 64))
        .expect("there is room");
    let Ok((wal, _)) = open() else { return };
    let mut reader = wal.reader(wal.start());
    while let Ok(Some(_)) = reader.next() {}
});
