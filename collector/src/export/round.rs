//! A round: some records of the log as requests for each shard. Nothing else of what is sent on is in memory.

use std::collections::VecDeque;
use std::sync::Arc;

use sonde_model::{Labels, TimestampMs};
use sonde_proto::remote_write::put_labels;
use sonde_tsdb::{Committed, CommittedReader, Error, Place, Position};

use super::body::{Entry, Value};
use super::setup::Target;
use super::stats::{TargetStats, add};

/// Bytes of a round at which it is sent, whatever it holds.
const MAX_BYTES: usize = 8 << 20;
/// Records of a round: a request that is refused is taken apart into them.
const MAX_RECORDS: u32 = 1_000;

/// Reads the log into rounds.
#[derive(Debug)]
pub(super) struct Rounds {
    reader: CommittedReader,
    series: Vec<Series>,
    target: Arc<Target>,
    stats: Arc<TargetStats>,
    /// The position before the first record that counted.
    begin: Option<Position>,
}

/// What is known of a slot.
#[derive(Clone, Debug, Default)]
struct Series {
    state: Known,
    shard: usize,
    /// The time of the newest sample in a round.
    newest: Option<TimestampMs>,
}

#[derive(Clone, Debug, Default)]
enum Known {
    /// No record has defined it.
    #[default]
    Nothing,
    /// The rules drop it.
    Dropped,
    /// It is sent under these labels.
    Sent(Arc<[u8]>),
}

/// What is sent before the position moves.
#[derive(Debug)]
pub(super) struct Round {
    /// For each shard what it sends, in order.
    pub(super) shards: Vec<VecDeque<Entry>>,
    /// For each shard what is behind samples of its series that were sent before: receivers that take no late samples
    /// refuse all of the request that one is in.
    pub(super) late: Vec<VecDeque<Entry>>,
    /// The position behind it.
    pub(super) next: Option<(Position, Place)>,
    /// Whether there is nothing behind it now.
    pub(super) caught_up: bool,
    entries: usize,
    bytes: usize,
    records: u32,
}

impl Round {
    pub(super) fn new(shards: usize) -> Self {
        Round {
            shards: vec![VecDeque::new(); shards],
            late: vec![VecDeque::new(); shards],
            next: None,
            caught_up: false,
            entries: 0,
            bytes: 0,
            records: 0,
        }
    }

    /// What is to be sent.
    pub(super) fn entries(&self) -> usize {
        self.entries
    }

    /// Roughly the memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether it should be sent without waiting for more.
    pub(super) fn is_full(&self, target: &Target) -> bool {
        self.entries >= target.shards * target.max_samples || self.bytes >= MAX_BYTES || self.records >= MAX_RECORDS
    }
}

impl Rounds {
    /// Rounds of what a reader reads.
    pub(super) fn new(reader: CommittedReader, target: Arc<Target>, stats: Arc<TargetStats>) -> Self {
        Rounds { reader, series: Vec::new(), target, stats, begin: None }
    }

    /// Where reading began: before all that was handed out. `None` while nothing was, and the end is not reached.
    pub(super) fn begin(&self) -> Option<Position> {
        self.begin
    }

    /// Adds records until the round is full or the log is read to its end. `oldest` is the oldest time that is sent.
    pub(super) fn fill(&mut self, round: &mut Round, oldest: TimestampMs) -> Result<(), Error> {
        let Rounds { reader, series, target, stats, begin } = self;
        round.caught_up = false;
        while !round.is_full(target) {
            let mut sink = Sink { series, target, stats, round, oldest };
            let Some(step) = reader.next(&mut |item| sink.take(item))? else {
                round.caught_up = true;
                *begin = begin.or(reader.position());
                return Ok(());
            };
            begin.get_or_insert(Position(step.next.0 - 1));
            round.next = Some((step.next, step.place));
            round.records += 1;
            if step.skipped > 0 {
                add(&stats.skipped_records, step.skipped);
                let (name, skipped) = (&target.name, step.skipped);
                tracing::error!(
                    target_name = name,
                    "{skipped} records of the log were cut before they were sent on: the receiver was away for too long"
                );
            }
        }
        Ok(())
    }
}

struct Sink<'a> {
    series: &'a mut Vec<Series>,
    target: &'a Target,
    stats: &'a TargetStats,
    round: &'a mut Round,
    oldest: TimestampMs,
}

impl Sink<'_> {
    fn take(&mut self, item: Committed<'_>) {
        match item {
            Committed::Forget => self.series.clear(),
            Committed::Definition { slot, labels } => self.define(slot, labels),
            Committed::Float { slot, timestamp, start, value } => {
                self.push(slot, (timestamp, start), Value::Float(value));
            }
            Committed::Histogram { slot, timestamp, start, histogram } => {
                if self.target.histograms {
                    self.push(slot, (timestamp, start), Value::Histogram(histogram));
                } else {
                    add(&self.stats.dropped_kind, 1);
                }
            }
            Committed::Exemplar { slot, exemplar } => {
                if self.target.exemplars {
                    self.push(slot, (exemplar.timestamp, 0), Value::Exemplar(Box::new(exemplar)));
                } else {
                    add(&self.stats.dropped_kind, 1);
                }
            }
        }
    }

    fn define(&mut self, slot: u32, labels: &[(&str, &str)]) {
        let slot = slot as usize;
        if slot >= self.series.len() {
            self.series.resize(slot + 1, Series::default());
        }
        let state = match self.target.labels.apply(labels) {
            Some(labels) => {
                let mut bytes = Vec::new();
                put_labels(&mut bytes, labels.iter());
                Known::Sent(bytes.into())
            }
            None => Known::Dropped,
        };
        // By the labels in the store: they stay the same over epochs and starts.
        let shard = hash(&Labels::from_sorted(labels)) as usize % self.target.shards;
        self.series[slot] = Series { state, shard, newest: None };
    }

    fn push(&mut self, slot: u32, (timestamp, start): (TimestampMs, TimestampMs), value: Value) {
        let Some(series) = self.series.get_mut(slot as usize) else { return add(&self.stats.dropped_unknown, 1) };
        let labels = match &series.state {
            Known::Nothing => return add(&self.stats.dropped_unknown, 1),
            Known::Dropped => return add(&self.stats.dropped_by_rules, 1),
            Known::Sent(labels) => Arc::clone(labels),
        };
        if timestamp < self.oldest {
            return add(&self.stats.dropped_old, 1);
        }
        let is_sample = !matches!(value, Value::Exemplar(_));
        let is_late = is_sample && series.newest.is_some_and(|newest| timestamp <= newest);
        if is_sample {
            series.newest = series.newest.max(Some(timestamp));
        }
        let shard = series.shard;
        let entry = Entry { labels, record: self.round.records, timestamp, start, value };
        self.round.bytes += entry.bytes();
        self.round.entries += 1;
        let queues = if is_late { &mut self.round.late } else { &mut self.round.shards };
        queues[shard].push_back(entry);
    }
}

/// FNV-1a over the labels: series are spread by it, and nothing else depends on it.
fn hash(labels: &Labels) -> u32 {
    let parts = labels.iter().flat_map(|(name, value)| [name.as_bytes(), b"\xff", value.as_bytes(), b"\xff"]);
    parts.flatten().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
