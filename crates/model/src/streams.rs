//! The cursors of all agent streams, and the batches of them that are on their way to the disk.

use std::collections::{BTreeMap, HashMap};

use crate::{AgentId, BatchId, Cursor, CursorVerdict, Signal};

/// A numbered stream of batches: one signal of one life of one agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    /// The sender.
    pub agent: AgentId,
    /// Its life.
    pub epoch: u64,
    /// What it carries.
    pub signal: Signal,
}

impl From<BatchId> for StreamId {
    fn from(id: BatchId) -> Self {
        StreamId { agent: id.agent, epoch: id.epoch, signal: id.signal }
    }
}

/// Lives of one agent and signal whose cursors are kept. A batch of an older life can only be a very late repetition.
const EPOCHS_KEPT: usize = 8;

/// All cursors. `W` is what is kept of those that wait for a batch: the store calls them, the table only holds them.
pub struct Streams<W> {
    cursors: BTreeMap<StreamId, Cursor>,
    /// Batches that are recorded and not yet durable, with who waits for them.
    pending: HashMap<BatchId, Vec<W>, foldhash::fast::RandomState>,
}

impl<W> Streams<W> {
    /// What is to be done with a batch.
    pub fn judge(&self, id: BatchId, checksum: u32) -> CursorVerdict {
        match self.cursors.get(&id.into()) {
            Some(cursor) => cursor.judge(id.seq, checksum),
            None => Cursor::default().judge(id.seq, checksum),
        }
    }

    /// Records a batch that has been written to the WAL and is not durable yet.
    pub fn begin(&mut self, id: BatchId, checksum: u32) {
        self.record(id, checksum);
        self.pending.insert(id, Vec::new());
    }

    /// Records a batch that is durable.
    pub fn record(&mut self, id: BatchId, checksum: u32) {
        self.cursors.entry(id.into()).or_default().record(id.seq, checksum);
        self.forget_old_lives(id.into());
    }

    /// Lets somebody wait for a pending batch; gives the waiter back if there is nothing to wait for.
    pub fn wait(&mut self, id: BatchId, waiter: W) -> Result<(), W> {
        match self.pending.get_mut(&id) {
            Some(waiters) => {
                waiters.push(waiter);
                Ok(())
            }
            None => Err(waiter),
        }
    }

    /// Ends the wait for a batch. One that was not written is forgotten: its number is free again.
    pub fn end(&mut self, id: BatchId, written: bool) -> Vec<W> {
        if !written && let Some(cursor) = self.cursors.get_mut(&id.into()) {
            cursor.forget(id.seq);
        }
        self.pending.remove(&id).unwrap_or_default()
    }

    /// All cursors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&StreamId, &Cursor)> {
        self.cursors.iter()
    }

    /// Puts a cursor in the place of what is known of its stream.
    pub fn restore(&mut self, stream: StreamId, cursor: Cursor) {
        self.cursors.insert(stream, cursor);
        self.forget_old_lives(stream);
    }

    fn forget_old_lives(&mut self, stream: StreamId) {
        let lives = |from: u64| StreamId { epoch: from, ..stream };
        let of_agent = self.cursors.range(lives(0)..=lives(u64::MAX)).filter(|(s, _)| s.signal == stream.signal);
        let epochs: Vec<StreamId> = of_agent.map(|(s, _)| *s).collect();
        for old in epochs.iter().rev().skip(EPOCHS_KEPT) {
            self.cursors.remove(old);
        }
    }
}

impl<W> Default for Streams<W> {
    fn default() -> Self {
        Streams { cursors: BTreeMap::new(), pending: HashMap::default() }
    }
}

impl<W> std::fmt::Debug for Streams<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("cursors", &self.cursors).field("pending", &self.pending.len()).finish()
    }
}
