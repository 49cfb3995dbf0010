//! Stores made of the bytes that a fuzzer gives: what is on the disk is opened and read as after a restart.

use std::path::Path;
use std::sync::Arc;

use sonde_agent::payload::Encoded;
use sonde_agent::queue::{QueueOptions, Queues, Source};
use sonde_disk::{Fs, MemFs, Wal, WalOptions};
use sonde_model::span::TraceId;
use sonde_tsdb::SelectLimits;

/// The directory of the store.
pub const DIR: &str = "data";

/// A file system with these files.
pub fn files(files: &[(&str, &[u8])]) -> MemFs {
    let fs = MemFs::new();
    for (name, bytes) in files {
        let path = Path::new(DIR).join(name);
        fs.create_dir_all(path.parent().expect("it lies in the store")).expect("memory has room");
        let file = fs.create(&path).expect("each name comes once");
        file.write_at(bytes, 0).expect("memory has room");
    }
    fs
}

/// A file system with a WAL of these records, each behind a length of two bytes in `bytes`.
pub fn records(bytes: &[u8]) -> MemFs {
    records_in("wal", bytes)
}

/// The same in another folder.
pub fn records_in(folder: &str, mut bytes: &[u8]) -> MemFs {
    let fs = MemFs::new();
    let dir = Path::new(DIR).join(folder);
    let (wal, _) = Wal::open(Arc::new(fs.clone()), &dir, WalOptions::default(), &mut |_, _| {}).expect("it is new");
    while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
        let (record, rest) = rest.split_at(usize::from(u16::from_le_bytes(*len)).min(rest.len()));
        wal.append(record.to_vec(), Box::new(|_| {})).expect("there is room");
        bytes = rest;
    }
    wal.close();
    fs
}

/// Looks at a metrics store, opens it, reads everything in it, flushes and merges.
pub fn metrics(fs: &MemFs) {
    if let Ok(examiner) = sonde_tsdb::examine::Examiner::open(Arc::new(fs.clone()), Path::new(DIR)) {
        let _ = (examiner.inspect(&mut |_, _| {}), examiner.verify(&mut |_, _| {}));
    }
    let mut options = sonde_tsdb::Options { max_series: 10_000, ..sonde_tsdb::Options::default() };
    if fs.exists(&Path::new(DIR).join("tiers")).expect("memory answers") {
        options.tiers.push(sonde_tsdb::TierOptions { step_ms: 300_000, keep_ms: i64::MAX });
    }
    let Ok((db, _)) = sonde_tsdb::Db::open(Arc::new(fs.clone()), Path::new(DIR), options, 0) else { return };
    let (from, to) = (i64::MIN, i64::MAX);
    let limits = SelectLimits { max_series: 10_000, max_samples: 1_000_000 };
    let _ = db.select(&[], from, to, &limits);
    for name in db.label_names(&[], from, to, 100).unwrap_or_default() {
        let _ = db.label_values(&name, &[], from, to, 100);
    }
    let _ = (db.series(&[], from, to, 100), db.flush(0), db.compact(0), db.maintain(0));
}

/// Opens a span store, reads in it, flushes and merges.
pub fn spans(fs: &MemFs) {
    let options = sonde_tracedb::Options::default();
    let Ok((db, _)) = sonde_tracedb::TraceDb::open(Arc::new(fs.clone()), Path::new(DIR), options, 0) else { return };
    let _ = db.trace(TraceId([0; 16]), None);
    let _ = (db.flush(0), db.compact(0), db.maintain(0));
}

/// How the queues of an agent are opened.
pub const QUEUE_OPTIONS: QueueOptions =
    QueueOptions { max_bytes: 1 << 20, max_trace_bytes: 1 << 20, min_free_bytes: 0, max_body_bytes: 1 << 20 };

/// Opens the queues of an agent, sends what waits in that of the metrics, adds a batch and opens it again.
pub fn queue(fs: &MemFs) {
    let open = || Queues::open(Arc::new(fs.clone()), Path::new(DIR), &QUEUE_OPTIONS).map(|(queues, _)| queues);
    let Ok(queues) = open() else { return };
    let mut reader = queues.metrics.reader();
    for _ in 0..100 {
        match reader.next() {
            Ok(Some(batch)) => queues.metrics.delivered(&batch),
            Ok(None) => break,
            Err(_) => {}
        }
    }
    let _ = queues.metrics.persist_cursor();
    let batch = Encoded { body: vec![1; 500], items: 1 };
    queues.metrics.offer(Source::Host, &batch, 0);
    queues.close();
    drop((reader, queues));
    let queues = open().expect("it was opened before");
    queues.close();
}

/// A manifest that names block 1.
pub fn manifest(magic: [u8; 8], marks: &[u64]) -> Vec<u8> {
    sonde_disk::blocks::manifest::encode(magic, marks, &[1])
}

/// Where block 1 lies.
pub const BLOCK: &str = "blocks/0000000000000001.block";
