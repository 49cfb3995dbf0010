//! What an append costs without a disk, and what a commit costs with one.

#![expect(clippy::unwrap_used, reason = "a bench may fail by panicking")]

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sonde_disk::{Fs, MemFs, OsFs, Position, Wal, WalOptions};

fn open(fs: impl Fs + 'static, dir: &Path, options: WalOptions) -> Wal {
    Wal::open(Arc::new(fs), dir, options, &mut |_, _| {}).unwrap().0
}

/// Appends `records`, waits for the last and removes what segments were filled.
fn commit(wal: &Wal, records: Vec<Vec<u8>>, done: &SyncSender<Position>, wait: impl FnOnce() -> Position) {
    let last = records.len() - 1;
    for (n, record) in records.into_iter().enumerate() {
        let done = (n == last).then(|| done.clone());
        let callback = move |result: Result<Position, _>| {
            let position = result.unwrap();
            done.inspect(|done| done.send(position).unwrap());
        };
        wal.append(record, Box::new(callback)).unwrap();
    }
    wal.truncate_before(wait()).unwrap();
}

/// Append to callback in memory, 64 records at once: checksums, copies and the hand-over between threads.
fn append(c: &mut Criterion) {
    const RECORDS: usize = 64;
    let mut group = c.benchmark_group("wal/append_in_memory");
    for bytes in [256, 4 << 10, 64 << 10] {
        let wal = open(MemFs::new(), Path::new("/wal"), WalOptions::default());
        let (done, is_done) = sync_channel(1);
        group.throughput(Throughput::Bytes((RECORDS * bytes) as u64));
        group.bench_with_input(BenchmarkId::from_parameter(bytes), &bytes, |b, bytes| {
            b.iter_batched(
                || vec![vec![7; *bytes]; RECORDS],
                |records| commit(&wal, records, &done, || is_done.recv().unwrap()),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Append to callback on the disk under the build directory, fsync included: alone, alone without zeros ahead, and 64
/// that share it.
fn commit_on_disk(c: &mut Criterion) {
    const BYTES: usize = 4 << 10;
    // Not in the directory for temporary files, which may be memory.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut group = c.benchmark_group("wal/commit_on_disk");
    let default = WalOptions::default().zeros_ahead_bytes;
    for (name, records, zeros_ahead_bytes) in [("1", 1, default), ("1_without_zeros", 1, 0), ("64", 64, default)] {
        let options = WalOptions { zeros_ahead_bytes, ..WalOptions::default() };
        let wal = open(OsFs, &dir.path().join(name), options);
        let (done, is_done) = sync_channel(1);
        group.throughput(Throughput::Elements(records));
        group.bench_with_input(BenchmarkId::from_parameter(name), &records, |b, records| {
            b.iter_batched(
                || vec![vec![7; BYTES]; usize::try_from(*records).unwrap()],
                |records| commit(&wal, records, &done, || is_done.recv().unwrap()),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// Opening a WAL of 16 MiB in memory: what a restart pays for reading and checking.
fn replay(c: &mut Criterion) {
    let fs = MemFs::new();
    let wal = open(fs.clone(), Path::new("/wal"), WalOptions::default());
    for _ in 0..4096 {
        wal.append(vec![7; 4 << 10], Box::new(|result| assert!(result.is_ok()))).unwrap();
    }
    drop(wal);
    let mut group = c.benchmark_group("wal/replay_in_memory");
    group.throughput(Throughput::Bytes(16 << 20));
    group.bench_function("16MiB", |b| {
        b.iter(|| {
            let mut bytes = 0;
            let fs = Arc::new(fs.clone());
            let opened = Wal::open(fs, Path::new("/wal"), WalOptions::default(), &mut |_, r| bytes += r.len());
            black_box(opened.unwrap());
            assert_eq!(bytes, 16 << 20);
        });
    });
    group.finish();
}

criterion_group!(benches, append, commit_on_disk, replay);
criterion_main!(benches);
