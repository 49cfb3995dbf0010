//! What the store shares with the callbacks of its WAL. It does not hold the WAL, so that nothing keeps itself alive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};

use parking_lot::{Mutex, RwLock};
use sonde_disk::{Position, WalError};
use sonde_model::{BatchId, TimestampMs};

use crate::chunk::Chunk;
use crate::cut::Cut;
use crate::data::{Data, Frozen};
use crate::judge::Judge;
use crate::{Error, Options, Stats};

/// What is called when the batch before is durable, or has failed.
pub(crate) type Waiter = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// The state of a store. Locks are taken in the order of the fields: judge, data, cut.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) judge: Mutex<Judge>,
    pub(crate) data: RwLock<Data>,
    pub(crate) cut: Mutex<Cut>,
    /// A copy of what `data` says about its bytes, to be read without its lock.
    pub(crate) head_bytes: AtomicUsize,
    /// The latest reading of the clock that is believed.
    pub(crate) believed: AtomicI64,
    pub(crate) retention_paused: AtomicBool,
    pub(crate) options: Options,
    pub(crate) stats: Stats,
}

/// What has to be done when a batch is durable or has failed.
pub(crate) struct Completion {
    pub(crate) chunk: Arc<Chunk>,
    pub(crate) position: u64,
    pub(crate) cursor: Option<BatchId>,
    pub(crate) on_durable: Waiter,
}

impl Shared {
    /// The start, in nanoseconds, before which spans are refused. While the clock is not believed it is not the clock
    /// that counts: otherwise a leap would refuse everything.
    pub(crate) fn retained_from_ns(&self, now: TimestampMs) -> u64 {
        let believed = self.believed.load(Relaxed);
        let leapt = now.saturating_sub(believed) > self.options.retention_pause_ms;
        self.options.retained_from_ns(if leapt { believed } else { now })
    }

    /// Runs on the WAL's thread, in WAL order.
    pub(crate) fn complete(&self, completion: Completion, result: Result<Position, WalError>) {
        let Completion { chunk, position, cursor, on_durable } = completion;
        if let Ok(at) = &result {
            let mut data = self.data.write();
            data.active.push(chunk);
            self.head_bytes.store(data.bytes(), Relaxed);
            self.cut.lock().saw(*at, position);
        }
        let written = result.is_ok();
        let waiters = {
            let mut judge = self.judge.lock();
            if !written {
                self.stats.failed_batches.fetch_add(1, Relaxed);
                judge.failures += 1;
            }
            cursor.map(|id| judge.streams.end(id, written)).unwrap_or_default()
        };
        let outcome = result.map(drop).map_err(|error| error.to_string());
        for waiter in std::iter::once(on_durable).chain(waiters) {
            waiter(outcome.clone().map_err(|reason| Error::NotWritten { reason }));
        }
    }

    /// Puts the spans of the head aside for flush `flush`; true if there was room for them. Runs on the WAL's thread,
    /// so that exactly what comes before the checkpoint is put aside.
    pub(crate) fn freeze(&self, flush: u64, position: u64) -> bool {
        let mut data = self.data.write();
        if data.frozen.is_some() {
            return false;
        }
        let head = Arc::new(std::mem::take(&mut data.active));
        data.frozen = Some(Frozen { flush, position, head });
        true
    }
}
