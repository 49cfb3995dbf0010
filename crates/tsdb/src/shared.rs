//! What the store shares with the callbacks of its WAL. It does not hold the WAL, so that nothing keeps itself alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};
use sonde_disk::WalError;
use sonde_model::{BatchId, TimestampMs};

use crate::batch::SeriesRef;
use crate::cut::Cut;
use crate::data::{Accepted, Data, Frozen};
use crate::exemplar;
use crate::exemplar::store::Exemplars;
use crate::head::Registry;
use crate::judge::{Judge, MetadataEntries};
use crate::refusals::Refusals;
use crate::{Error, Options, Retention, Stats};

/// What is called when the batch before is durable, or has failed.
pub(crate) type Waiter = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// The state of a store. Locks are taken in the order of the fields: judge, registry, data, exemplars.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) judge: Mutex<Judge>,
    pub(crate) registry: RwLock<Registry>,
    pub(crate) data: RwLock<Data>,
    pub(crate) exemplars: RwLock<Exemplars>,
    /// Where the log may be cut. No other lock is taken while it is held.
    pub(crate) cut: Mutex<Cut>,
    /// A copy of what `data` says about its bytes, to be read without its lock.
    pub(crate) head_bytes: AtomicUsize,
    /// The latest reading of the clock that is believed.
    pub(crate) believed: AtomicI64,
    pub(crate) retention_paused: AtomicBool,
    /// How long samples are kept, and how often that has changed.
    pub(crate) retention: RwLock<(u64, Arc<Retention>)>,
    pub(crate) options: Options,
    pub(crate) stats: Stats,
    pub(crate) refusals: Refusals,
}

/// What has to be done when a batch is durable or has failed.
pub(crate) struct Completion {
    pub(crate) accepted: Arc<Vec<Accepted>>,
    /// The start timestamps of what was accepted; empty where there are none.
    pub(crate) starts: Vec<TimestampMs>,
    pub(crate) metadata: Arc<MetadataEntries>,
    pub(crate) exemplars: Vec<exemplar::Accepted>,
    /// The series that the record defines.
    pub(crate) defined: Vec<SeriesRef>,
    pub(crate) epoch: u32,
    pub(crate) cursor: Option<BatchId>,
    /// The failures of the WAL that it allows for.
    pub(crate) failures: u64,
    pub(crate) on_durable: Waiter,
}

impl Shared {
    /// The time before which samples are refused, whatever class they are of. While the clock is not believed it is not the clock that counts:
    /// otherwise a leap would refuse everything.
    pub(crate) fn retained_from(&self, now: TimestampMs) -> TimestampMs {
        let latest = if self.is_believed(now) { now } else { self.believed.load(Relaxed) };
        self.dropped_from(latest)
    }

    /// The time before which data is dropped; none while the clock is not believed.
    pub(crate) fn drops_before(&self, now: TimestampMs) -> Option<TimestampMs> {
        self.is_believed(now).then(|| self.dropped_from(now))
    }

    /// Nothing that is older than this is kept.
    fn dropped_from(&self, now: TimestampMs) -> TimestampMs {
        now.saturating_sub(self.retention.read().1.longest())
    }

    /// Between two looks of maintenance at the clock a leap shows in the reading itself.
    fn is_believed(&self, now: TimestampMs) -> bool {
        now.saturating_sub(self.believed.load(Relaxed)) <= self.options.retention_pause_ms
    }

    /// Runs on the WAL's thread, in WAL order.
    pub(crate) fn complete(&self, completion: Completion, result: Result<(), WalError>) {
        let Completion { accepted, starts, metadata, exemplars, defined, epoch, cursor, failures, on_durable } =
            completion;
        let written = result.is_ok();
        if written {
            self.apply(&accepted, &starts, &metadata);
            self.keep_exemplars(exemplars);
        }
        drop(accepted);
        let waiters = {
            let mut judge = self.judge.lock();
            if written {
                judge.written(&defined, epoch);
            } else {
                self.stats.failed_batches.fetch_add(1, Relaxed);
                judge.go_back(failures, &self.data.read());
            }
            cursor.map(|id| judge.streams.end(id, written)).unwrap_or_default()
        };
        let outcome = result.map_err(|error| error.to_string());
        for waiter in std::iter::once(on_durable).chain(waiters) {
            waiter(outcome.clone().map_err(|reason| Error::NotWritten { reason }));
        }
    }

    /// Puts the samples of the head aside for flush `flush`; true if there was room for them. Runs on the WAL's thread,
    /// so that exactly what comes before the checkpoint is put aside.
    pub(crate) fn freeze(&self, flush: u64) -> bool {
        let mut data = self.data.write();
        if data.frozen.is_some() {
            return false;
        }
        let samples = Arc::new(std::mem::take(&mut data.active));
        data.frozen = Some(Frozen { flush, samples });
        true
    }

    fn keep_exemplars(&self, accepted: Vec<exemplar::Accepted>) {
        if accepted.is_empty() {
            return;
        }
        let mut exemplars = self.exemplars.write();
        for exemplar::Accepted { series, exemplar } in accepted {
            exemplars.insert(&series, exemplar);
        }
        self.stats.exemplars_evicted.store(exemplars.evicted, Relaxed);
    }

    fn apply(&self, accepted: &[Accepted], starts: &[TimestampMs], metadata: &MetadataEntries) {
        let mut data = self.data.write();
        let mut starts = starts.iter();
        for sample in accepted {
            data.apply(sample.slot, sample.timestamp, starts.next().copied().unwrap_or(0), &sample.value);
        }
        if let Some(earliest) = accepted.iter().map(|sample| sample.timestamp).min() {
            data.changes.note(earliest);
        }
        for (name, entry) in metadata {
            data.metadata.insert(name.clone(), entry.clone());
        }
        self.head_bytes.store(data.bytes(), Relaxed);
    }
}
