//! Random appends, crashes, kills, failed syncs, short writes and full disks against a reference: every acknowledged
//! record is found again, in order, and nothing is invented.
//!
//! `SONDE_MODEL_RUNS` sets how many runs there are, `SONDE_MODEL_SEED` repeats one run; a failing run prints its seed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::print_stdout, reason = "seeds and totals are for who reads the test's output")]

mod reference;
mod run;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fastrand::Rng;
use reference::Reference;
use run::Run;
use sonde_disk::{MemFs, Wal};

/// What takes about ten seconds in a debug build on one core.
const DEFAULT_RUNS: u64 = 300;

const STEPS_PER_RUN: usize = 60;

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Prints the seed if the run fails.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("repeat with SONDE_MODEL_SEED={}", self.0);
        }
    }
}

fn for_each_seed(test: impl Fn(u64)) {
    if let Some(seed) = from_environment("SONDE_MODEL_SEED") {
        let _print = PrintSeed(seed);
        return test(seed);
    }
    let first = fastrand::u64(..u64::MAX / 2);
    let runs = from_environment("SONDE_MODEL_RUNS").unwrap_or(DEFAULT_RUNS);
    println!("{runs} runs, seeds from {first}");
    for seed in first..first + runs {
        let _print = PrintSeed(seed);
        test(seed);
    }
}

/// One thread, every fault at a place that the seed decides.
#[test]
fn acknowledged_records_survive_every_fault() {
    let totals = [const { AtomicU64::new(0) }; 4];
    for_each_seed(|seed| {
        let mut run = Run::new(seed);
        for _ in 0..STEPS_PER_RUN {
            run.step();
        }
        for (total, count) in totals.iter().zip(run.finish()) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    });
    let [acknowledged, failed, openings, faults] = totals.map(AtomicU64::into_inner);
    println!("{acknowledged} records acknowledged, {failed} failed or truncated, {openings} openings, {faults} faults");
}

/// Many threads append while the power fails; only what was acknowledged before must be there.
#[test]
fn acknowledged_records_survive_a_crash_under_load() {
    const THREADS: u64 = 4;
    const RECORDS: u64 = 50;
    for_each_seed(|seed| {
        let mut rng = Rng::with_seed(seed);
        let mem = MemFs::new();
        let reference = Reference::default();
        let (wal, _, _) = run::open(&mem, run::options(&mut rng)).unwrap();
        let (wal, appending) = (Arc::new(wal), AtomicU64::new(THREADS));
        let (crashed, must_be_found) = std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for _ in 0..RECORDS {
                        reference.append(&wal);
                    }
                    appending.fetch_sub(1, Ordering::Relaxed);
                });
            }
            let crash_after = rng.u64(..THREADS * RECORDS);
            while reference.acknowledged() < crash_after && appending.load(Ordering::Relaxed) > 0 {
                std::thread::yield_now();
            }
            // What is acknowledged from here on may be missing.
            let must_be_found = reference.acknowledged_ids();
            (if rng.bool() { mem.crash(rng.u64(..)) } else { mem.fork() }, must_be_found)
        });
        drop(wal);
        let (_wal, report, replayed) = run::open(&crashed, run::options(&mut rng)).unwrap();
        assert!(report.damage.is_empty(), "{report}");
        let found = replayed.iter().map(|(_, bytes)| reference::id_of(bytes)).collect::<Vec<_>>();
        assert!(must_be_found.iter().all(|id| found.contains(id)), "an acknowledged record is missing: {report}");
        // One lock orders ids and appends, so the WAL holds a beginning of what was sent and has no holes.
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
    });
}

/// The WAL works on, and may be dropped, from its own callbacks.
#[test]
fn a_callback_may_append_and_drop_the_wal() {
    let mem = MemFs::new();
    let (wal, ..) = run::open(&mem, run::options(&mut Rng::with_seed(1))).unwrap();
    let wal = Arc::new(wal);
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let inner: Arc<Wal> = Arc::clone(&wal);
    let callback = move |result: Result<_, _>| {
        result.unwrap();
        assert!(matches!(inner.rotate(), Err(sonde_disk::WalError::OnWalThread { .. })));
        inner.append(b"second".to_vec(), Box::new(move |result| sender.send(result).unwrap())).unwrap();
    };
    wal.append(b"first".to_vec(), Box::new(callback)).unwrap();
    drop(wal);
    receiver.recv().unwrap().unwrap();
}
