//! What waits for the WAL thread: bounded, in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use parking_lot::{Condvar, Mutex};

use super::frame::FRAME_HEADER_LEN;
use super::{OnDurable, SyncPolicy, WalError, WalStats};

/// Bytes of records and frames that are written and synced together at most, unless one record alone is larger. The
/// buffer of a batch costs this much memory, and a larger write would not cost less per byte.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// With this much waiting, there is no reason to wait for more.
const ENOUGH_TO_SYNC_BYTES: usize = 1 << 20;

/// What waits for the WAL thread.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    max_pending_bytes: usize,
    sync: SyncPolicy,
    stats: Arc<WalStats>,
}

/// One thing for the WAL thread to do.
pub(super) enum Work {
    /// Records to make durable together, and the bytes that they count for.
    Batch(Vec<Pending>, usize),
    /// Start a new segment.
    Rotate(OnDurable),
    /// Everything is done and nothing more will come.
    End,
}

/// A record on its way.
pub(super) struct Pending {
    pub(super) record: Vec<u8>,
    pub(super) on_durable: OnDurable,
    /// Whether it builds on every record before it.
    is_chained: bool,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    /// Bytes of the records that wait and of those that are being written, with their frames.
    pending_bytes: usize,
    waiting_bytes: usize,
    urgent: bool,
    closed: bool,
    /// Batches that failed for good.
    failures: u64,
}

enum Entry {
    Record(Pending),
    Rotate(OnDurable),
}

impl Queue {
    pub(super) fn new(max_pending_bytes: usize, sync: SyncPolicy, stats: Arc<WalStats>) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), max_pending_bytes, sync, stats }
    }

    /// `after` is set for a record that builds on all before it: how many failures its writer knows of.
    pub(super) fn push_record(
        &self,
        record: Vec<u8>,
        after: Option<u64>,
        on_durable: OnDurable,
    ) -> Result<(), WalError> {
        let bytes = framed(&record);
        let mut state = self.state.lock();
        if state.closed {
            return Err(WalError::Closed);
        }
        if after.is_some_and(|failures| failures != state.failures) {
            return Err(WalError::BasisFailed);
        }
        if state.pending_bytes + bytes > self.max_pending_bytes {
            WalStats::add(&self.stats.busy, 1);
            return Err(WalError::Busy { pending_bytes: state.pending_bytes, limit: self.max_pending_bytes });
        }
        state.pending_bytes += bytes;
        state.waiting_bytes += bytes;
        state.entries.push_back(Entry::Record(Pending { record, on_durable, is_chained: after.is_some() }));
        self.show_pending(&state);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn push_rotate(&self, on_rotated: OnDurable) -> Result<(), WalError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(WalError::Closed);
        }
        state.entries.push_back(Entry::Rotate(on_rotated));
        state.urgent = true;
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Refuses what comes from now on; the WAL thread still does what waits.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    /// Waits for something to do.
    pub(super) fn next_work(&self) -> Work {
        let mut state = self.state.lock();
        self.wake.wait_while(&mut state, |state| state.entries.is_empty() && !state.closed);
        if let SyncPolicy::Gather(time) = self.sync {
            let gathering =
                |state: &mut State| state.waiting_bytes < ENOUGH_TO_SYNC_BYTES && !state.urgent && !state.closed;
            self.wake.wait_while_for(&mut state, gathering, time);
        }
        match state.entries.pop_front() {
            None => Work::End,
            Some(Entry::Rotate(on_rotated)) => {
                state.urgent = state.entries.iter().any(|entry| matches!(entry, Entry::Rotate(_)));
                Work::Rotate(on_rotated)
            }
            Some(Entry::Record(first)) => {
                let (batch, bytes) = state.take_batch(first);
                Work::Batch(batch, bytes)
            }
        }
    }

    /// The records of a batch wait no longer: others may take their place.
    pub(super) fn release(&self, bytes: usize) {
        let mut state = self.state.lock();
        state.pending_bytes = state.pending_bytes.saturating_sub(bytes);
        self.show_pending(&state);
    }

    /// A batch has failed for good: takes out what builds on it, with the bytes that it counts for.
    pub(super) fn fail(&self) -> (Vec<Pending>, usize) {
        let mut state = self.state.lock();
        state.failures += 1;
        let (mut failed, mut bytes) = (Vec::new(), 0);
        for entry in std::mem::take(&mut state.entries) {
            match entry {
                Entry::Record(pending) if pending.is_chained => {
                    bytes += framed(&pending.record);
                    failed.push(pending);
                }
                other => state.entries.push_back(other),
            }
        }
        state.waiting_bytes = state.waiting_bytes.saturating_sub(bytes);
        (failed, bytes)
    }

    /// Closes the queue and answers what waits: the WAL thread has ended and will not.
    pub(super) fn abandon(&self) {
        let entries = {
            let mut state = self.state.lock();
            state.closed = true;
            state.pending_bytes = 0;
            std::mem::take(&mut state.entries)
        };
        for entry in entries {
            match entry {
                Entry::Record(Pending { on_durable, .. }) | Entry::Rotate(on_durable) => {
                    on_durable(Err(WalError::Closed))
                }
            }
        }
    }

    fn show_pending(&self, state: &State) {
        self.stats.pending_bytes.store(state.pending_bytes as u64, Ordering::Relaxed);
    }
}

impl State {
    fn take_batch(&mut self, first: Pending) -> (Vec<Pending>, usize) {
        let mut bytes = framed(&first.record);
        let mut batch = vec![first];
        while let Some(Entry::Record(next)) = self.entries.front() {
            let next_bytes = framed(&next.record);
            if bytes + next_bytes > MAX_BATCH_BYTES {
                break;
            }
            bytes += next_bytes;
            if let Some(Entry::Record(next)) = self.entries.pop_front() {
                batch.push(next);
            }
        }
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
        (batch, bytes)
    }
}

fn framed(record: &[u8]) -> usize {
    record.len() + FRAME_HEADER_LEN
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("entries", &self.entries.len())
            .field("pending_bytes", &self.pending_bytes)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
