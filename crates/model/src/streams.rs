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

/// Streams whose cursors are kept at most.
const MAX_STREAMS: usize = 1 << 16;
/// Checksums of all cursors together at most. A checkpoint of so many takes some 20 MiB, less than waits for a log.
const MAX_CHECKSUMS: usize = 4 << 20;

/// All cursors. `W` is what is kept of those that wait for a batch: the store calls them, the table only holds them.
///
/// Ids of agents that never come back must not fill the memory: beyond a limit the streams go that were used longest
/// ago. Only those of the signal that agents bring are counted and go; a stream of another signal is a derivation of
/// our own, which relies on its cursor for ever.
pub struct Streams<W> {
    /// What agents bring.
    signal: Signal,
    cursors: BTreeMap<StreamId, Entry>,
    /// Batches that are recorded and not yet durable, with who waits for them.
    pending: HashMap<BatchId, Vec<W>, foldhash::fast::RandomState>,
    /// Uses so far.
    uses: u64,
    /// Checksums of all cursors.
    checksums: usize,
    limits: Limits,
    evicted: u64,
}

#[derive(Debug, Default)]
struct Entry {
    cursor: Cursor,
    /// The number of the use that was its last.
    used: u64,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    streams: usize,
    checksums: usize,
}

impl<W> Streams<W> {
    /// No streams; agents will bring batches of this signal.
    pub fn of(signal: Signal) -> Self {
        let limits = Limits { streams: MAX_STREAMS, checksums: MAX_CHECKSUMS };
        let (cursors, pending) = (BTreeMap::new(), HashMap::default());
        Streams { signal, cursors, pending, uses: 0, checksums: 0, limits, evicted: 0 }
    }

    /// What is to be done with a batch.
    pub fn judge(&self, id: BatchId, checksum: u32) -> CursorVerdict {
        match self.cursors.get(&id.into()) {
            Some(entry) => entry.cursor.judge(id.seq, checksum),
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
        self.change(id.into(), |cursor| cursor.record(id.seq, checksum));
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
        if !written && let Some(entry) = self.cursors.get_mut(&id.into()) {
            self.checksums -= entry.cursor.remembered();
            entry.cursor.forget(id.seq);
            self.checksums += entry.cursor.remembered();
        }
        self.pending.remove(&id).unwrap_or_default()
    }

    /// All cursors, those first that were used longest ago: restored in this order they go in the same order.
    pub fn iter(&self) -> impl Iterator<Item = (&StreamId, &Cursor)> {
        let mut all: Vec<_> = self.cursors.iter().collect();
        all.sort_unstable_by_key(|(_, entry)| entry.used);
        all.into_iter().map(|(stream, entry)| (stream, &entry.cursor))
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.cursors.len()
    }

    /// Whether there is no stream.
    pub fn is_empty(&self) -> bool {
        self.cursors.is_empty()
    }

    /// How many cursors had to go so far because there were too many. If one of their agents comes back, a batch that
    /// it repeats counts as new.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Puts a cursor in the place of what is known of its stream.
    pub fn restore(&mut self, stream: StreamId, cursor: Cursor) {
        self.change(stream, |known| *known = cursor);
    }

    fn change(&mut self, stream: StreamId, change: impl FnOnce(&mut Cursor)) {
        self.uses += 1;
        let is_new = !self.cursors.contains_key(&stream);
        let entry = self.cursors.entry(stream).or_default();
        entry.used = self.uses;
        self.checksums -= entry.cursor.remembered();
        change(&mut entry.cursor);
        self.checksums += entry.cursor.remembered();
        if is_new {
            self.forget_old_lives(stream);
        }
        if self.cursors.len() > self.limits.streams || self.checksums > self.limits.checksums {
            self.evict();
        }
    }

    fn forget_old_lives(&mut self, stream: StreamId) {
        let lives = |from: u64| StreamId { epoch: from, ..stream };
        let of_agent = self.cursors.range(lives(0)..=lives(u64::MAX)).filter(|(s, _)| s.signal == stream.signal);
        let epochs: Vec<StreamId> = of_agent.map(|(s, _)| *s).collect();
        for old in epochs.iter().rev().skip(EPOCHS_KEPT) {
            self.remove(old);
        }
    }

    /// Removes the streams of agents that were used longest ago; never the last one. So many that it does not happen
    /// with each batch.
    fn evict(&mut self) {
        let left = |limit: usize| limit / 16 * 15;
        let of_agents = self.cursors.iter().filter(|(stream, _)| stream.signal == self.signal);
        let mut by_use: Vec<_> = of_agents.map(|(stream, entry)| (entry.used, *stream)).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        by_use.pop();
        for (_, stream) in by_use {
            if self.cursors.len() <= left(self.limits.streams) && self.checksums <= left(self.limits.checksums) {
                break;
            }
            self.remove(&stream);
            self.evicted += 1;
        }
    }

    fn remove(&mut self, stream: &StreamId) {
        if let Some(entry) = self.cursors.remove(stream) {
            self.checksums -= entry.cursor.remembered();
        }
    }
}

impl<W> std::fmt::Debug for Streams<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Streams").field("cursors", &self.cursors).field("pending", &self.pending.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(agent: u128, epoch: u64, signal: Signal, seq: u64) -> BatchId {
        BatchId { agent: AgentId(agent.to_be_bytes()), epoch, signal, seq }
    }

    fn bounded(streams: usize, checksums: usize) -> Streams<()> {
        Streams { limits: Limits { streams, checksums }, ..Streams::of(Signal::Metrics) }
    }

    #[test]
    fn agents_that_never_come_back_make_room() {
        let mut streams = bounded(64, 1 << 20);
        let derived = id(0, 1, Signal::Traces, 1);
        streams.record(derived, 7);
        for agent in 1..=1000 {
            streams.record(id(agent, 1, Signal::Metrics, 1), 7);
            // One of them goes on sending.
            streams.record(id(1, 1, Signal::Metrics, agent as u64 + 1), 7);
            assert!(streams.len() <= 64, "{}", streams.len());
        }
        assert_eq!(streams.judge(derived, 7), CursorVerdict::Duplicate, "what we derive ourselves stays");
        assert_eq!(streams.judge(id(1, 1, Signal::Metrics, 1), 7), CursorVerdict::Duplicate);
        assert_eq!(streams.judge(id(1000, 1, Signal::Metrics, 1), 7), CursorVerdict::Duplicate);
        assert_eq!(streams.judge(id(2, 1, Signal::Metrics, 1), 7), CursorVerdict::New, "used longest ago");
        assert_eq!(streams.len() as u64 + streams.evicted(), 1001);
    }

    #[test]
    fn checksums_are_bounded_together() {
        let mut streams = bounded(1 << 20, 1000);
        for seq in 1..=5000 {
            // A hole keeps all that comes behind it.
            streams.record(id(u128::from(seq % 7), 1, Signal::Metrics, seq + 1), 7);
            let counted: usize = streams.iter().map(|(_, cursor)| cursor.remembered()).sum();
            assert_eq!(streams.checksums, counted, "{seq}");
            assert!(counted <= 1000 || streams.len() == 1, "{counted} {}", streams.len());
        }
        assert!(streams.evicted() > 0);
    }

    #[test]
    fn the_order_of_use_outlives_a_restart() {
        let mut streams = bounded(64, 1 << 20);
        for agent in [3, 1, 2, 3] {
            streams.record(id(agent, 1, Signal::Metrics, agent as u64), 7);
        }
        let order = |streams: &Streams<()>| streams.iter().map(|(s, _)| s.agent.0[15]).collect::<Vec<_>>();
        assert_eq!(order(&streams), [1, 2, 3]);
        let mut restored = bounded(64, 1 << 20);
        streams.iter().for_each(|(stream, cursor)| restored.restore(*stream, cursor.clone()));
        assert_eq!(order(&restored), [1, 2, 3]);
    }

    #[test]
    fn old_lives_and_failed_batches_are_counted_out() {
        let mut streams = bounded(64, 1 << 20);
        for epoch in 1..=20 {
            streams.begin(id(1, epoch, Signal::Metrics, 1), 7);
        }
        assert_eq!((streams.len(), streams.checksums), (EPOCHS_KEPT, EPOCHS_KEPT));
        streams.end(id(1, 20, Signal::Metrics, 1), false);
        assert_eq!(streams.checksums, EPOCHS_KEPT - 1);
    }
}
