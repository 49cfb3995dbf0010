//! One run of the model: a WAL, a file system that fails, and what may happen to both.

use std::io;
use std::path::Path;
use std::sync::Arc;

use fastrand::Rng;
use sonde_disk::fs::{FaultRates, Operation};
use sonde_disk::{FaultFs, Fs, MemFs, OpenReport, Position, SyncPolicy, Wal, WalError, WalOptions};

use crate::reference::{Reference, State, record};

const DIR: &str = "/data/wal";

pub(crate) struct Run {
    rng: Rng,
    mem: MemFs,
    faults: FaultFs,
    wal: Wal,
    reference: Reference,
    /// The greatest position that was asked to be truncated before.
    kept_from: Position,
    openings: u64,
    injected: u64,
}

type Replayed = Vec<(Position, Vec<u8>)>;

pub(crate) fn options(rng: &mut Rng) -> WalOptions {
    WalOptions {
        segment_bytes: rng.u64(5_000..40_000),
        max_pending_bytes: 1 << 20,
        max_record_bytes: 1 << 16,
        sync: SyncPolicy::Immediate,
        zeros_ahead_bytes: if rng.bool() { rng.usize(..4_000) } else { 0 },
    }
}

pub(crate) fn open(
    fs: &(impl Fs + Clone + 'static),
    options: WalOptions,
) -> Result<(Wal, OpenReport, Replayed), WalError> {
    let mut replayed = Vec::new();
    let (wal, report) = Wal::open(Arc::new(fs.clone()), Path::new(DIR), options, &mut |position, record| {
        replayed.push((position, record.to_vec()));
    })?;
    Ok((wal, report, replayed))
}

impl Run {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mem = MemFs::new();
        let faults = FaultFs::new(mem.clone(), rng.u64(..));
        let (wal, report, _) = open(&faults, options(&mut rng)).unwrap();
        assert_eq!(report, OpenReport::default());
        let reference = Reference::default();
        Self { rng, mem, faults, wal, reference, kept_from: Position::START, openings: 1, injected: 0 }
    }

    pub(crate) fn step(&mut self) {
        match self.rng.u8(..100) {
            0..35 => self.append(),
            35..40 => drop(self.wal.rotate()),
            40..48 => self.truncate(),
            48..56 => self.check_reader(),
            56..64 => self.fail_at_random(),
            64..72 => self.fail_once(),
            72..78 => self.fill_or_free_the_disk(),
            78..90 => self.stop_the_machine(),
            90..94 => self.power_fails_at_rest(),
            94..97 => self.process_is_killed(),
            _ => self.close_in_order(),
        }
    }

    /// Heals everything, restarts twice, and returns the records acknowledged and failed, openings and faults.
    pub(crate) fn finish(mut self) -> [u64; 4] {
        for _ in 0..2 {
            self.heal();
            self.process_is_killed();
            self.heal();
            let acknowledged = self.reference.acknowledged();
            self.reference.append_batch(&self.wal, 3);
            assert_eq!(self.reference.acknowledged(), acknowledged + 5, "a healed disk takes records again");
            self.check_reader();
        }
        let failed = self.reference.count(|state| matches!(state, State::Failed | State::Gone));
        [self.reference.acknowledged(), failed, self.openings, self.injected + self.faults.injected()]
    }

    fn append(&mut self) {
        let others = if self.rng.u8(..8) == 0 { self.rng.usize(..60) } else { self.rng.usize(..6) };
        self.reference.append_batch(&self.wal, others);
    }

    fn truncate(&mut self) {
        let durable = self.reference.durable();
        let Some((position, _)) = self.rng.choice(&durable) else { return };
        self.kept_from = self.kept_from.max(*position);
        // Whether it fails or not, only what lies before may be gone.
        drop(self.wal.truncate_before(*position));
        assert!(self.wal.start() <= self.kept_from);
    }

    /// The reader sees what is acknowledged, nothing else, from any record on.
    fn check_reader(&mut self) {
        let mut expected = self.reference.durable();
        expected.retain(|(position, _)| *position >= self.wal.start());
        let skip = if self.rng.bool() { 0 } else { self.rng.usize(..=expected.len()) };
        let expected = &expected[skip..];
        let from = match expected.first() {
            Some((position, _)) if skip > 0 => *position,
            _ if skip > 0 => self.wal.end(),
            _ => Position::START,
        };
        let mut reader = self.wal.reader(from);
        for (position, id) in expected {
            let (at, next, bytes) = reader.next().unwrap().unwrap_or_else(|| panic!("no record {id} at {position}"));
            assert_eq!((at, &bytes), (*position, &record(*id)), "record {id}");
            assert!(next > at && next == reader.position());
        }
        assert_eq!(reader.next().unwrap(), None, "the reader found more than was acknowledged");
    }

    fn fail_at_random(&mut self) {
        let mut rate = || if self.rng.bool() { self.rng.f64() * 0.4 } else { 0.0 };
        let rates = FaultRates { write: rate(), sync: rate(), name: rate() };
        self.faults.set_rates(if self.rng.bool() { rates } else { FaultRates::default() });
    }

    fn fail_once(&mut self) {
        use Operation::{Create, Remove, Rename, SetLen, Sync, SyncDir, Write};
        let operations = [Create, Remove, Rename, SetLen, Sync, Sync, SyncDir, Write, Write];
        let operation = operations[self.rng.usize(..operations.len())];
        let kind = if self.rng.bool() { io::ErrorKind::StorageFull } else { io::ErrorKind::Other };
        self.faults.fail(Some(operation), self.rng.u64(..4), self.rng.u64(1..4), kind);
        self.append();
    }

    fn fill_or_free_the_disk(&mut self) {
        let free = self.rng.u64(..20_000);
        self.mem.set_capacity(self.rng.bool().then(|| self.mem.used() + free));
        self.append();
    }

    /// From some operation on everything fails, as if the power had gone there; then it goes.
    fn stop_the_machine(&mut self) {
        self.faults.fail(None, self.rng.u64(..14), u64::MAX, io::ErrorKind::Other);
        for _ in 0..self.rng.u8(1..4) {
            self.append();
        }
        self.restart(|mem, rng| mem.crash(rng.u64(..)));
    }

    fn power_fails_at_rest(&mut self) {
        self.restart(|mem, rng| mem.crash(rng.u64(..)));
    }

    fn process_is_killed(&mut self) {
        self.restart(|mem, _| mem.fork());
    }

    fn close_in_order(&mut self) {
        self.wal.close();
        self.restart(|mem, _| mem.clone());
    }

    /// Opens the WAL on what `after` leaves of the file system, at times with the machine stopping on the way.
    fn restart(&mut self, after: impl Fn(&MemFs, &mut Rng) -> MemFs) {
        let full = self.mem.available_space(Path::new(DIR)).unwrap() < u64::MAX;
        let mut mem = after(&self.mem, &mut self.rng);
        let (wal, report, replayed) = loop {
            self.injected += self.faults.injected();
            self.faults = FaultFs::new(mem.clone(), self.rng.u64(..));
            if self.rng.u8(..4) == 0 {
                self.faults.fail(None, self.rng.u64(..8), u64::MAX, io::ErrorKind::Other);
            }
            match open(&self.faults, options(&mut self.rng)) {
                Ok(opened) => break opened,
                Err(error) => assert!(self.faults.injected() > 0, "cannot open (disk full: {full}): {error:?}"),
            }
            mem = if self.rng.bool() { mem.crash(self.rng.u64(..)) } else { mem.fork() };
        };
        self.openings += 1;
        assert!(report.damage.is_empty(), "damage was reported and there is none: {report}");
        assert_eq!(report.records, replayed.len() as u64);
        self.faults.heal();
        self.reference.check_restart(&replayed, self.kept_from);
        self.wal = wal;
        self.mem = mem;
        self.check_reader();
    }

    fn heal(&mut self) {
        self.faults.heal();
        self.mem.set_capacity(None);
    }
}
