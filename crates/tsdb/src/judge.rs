//! Decides about samples, in WAL order: what is new, late, a repetition, too far ahead.
//!
//! The judge remembers what it decided even before it is durable, and takes it back when the WAL fails. It must not
//! know of the WAL itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;
use sonde_model::{Histogram, Signal, Streams, TimestampMs, is_stale};

use crate::accumulate::grown;
use crate::batch::{BatchSample, BatchValue, SeriesRef, Source};
use crate::codec::histogram::{is_valid, same_bits};
use crate::data::{Accepted, Data, Last, LastHistograms};
use crate::head::Registry;
use crate::head::samples::Found;
use crate::record::Value;
use crate::shared::Waiter;
use crate::{Metadata, Options, RejectReason};

/// Metadata of metrics, by name.
pub(crate) type MetadataEntries = Vec<(String, Metadata)>;

/// What a batch that is on its way to the disk brings.
#[derive(Debug)]
struct OnItsWay {
    accepted: Arc<Vec<Accepted>>,
    metadata: Arc<MetadataEntries>,
}

/// No generation: the slot has not been seen by the judge.
const UNKNOWN: u32 = u32::MAX;

/// All that is decided and not necessarily durable yet.
#[derive(Debug)]
pub(crate) struct Judge {
    slots: Vec<Slot>,
    last_histograms: LastHistograms,
    pub(crate) streams: Streams<Waiter>,
    /// The WAL epoch: series are defined anew in each.
    pub(crate) epoch: u32,
    /// The number of the next flush.
    pub(crate) next_flush: u64,
    /// How often the judge went back because the WAL failed. Each record says which failures its content allows for.
    pub(crate) failures: u64,
    pub(crate) closed: bool,
    /// What is on its way to the disk, batch by batch.
    pending: VecDeque<OnItsWay>,
    /// Those of them that are not the newest of their series.
    pending_late: HashMap<(u32, TimestampMs), Value, foldhash::fast::RandomState>,
    /// What was changed by the batch that is being judged, to take it back.
    undo: Vec<Undo>,
    record: u32,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    last: Last,
    generation: u32,
    /// The epoch in which a durable record defines the series.
    defined: u32,
    /// The record that defines it, of those on their way.
    defining: u32,
    /// Whether the blocks were asked for the last sample.
    asked: bool,
}

/// What one sample changed. There are as many as samples in a batch, so what few of them have lies elsewhere.
#[derive(Debug)]
struct Undo {
    slot: u32,
    last: Last,
    more: Option<Box<UndoMore>>,
}

#[derive(Debug)]
enum UndoMore {
    /// The histogram before this one, where there was one.
    Histogram(Option<Histogram>),
    /// It is not the newest.
    Late(TimestampMs),
}

const NEW_SLOT: Slot = Slot { last: Last::Nothing, generation: UNKNOWN, defined: 0, defining: 0, asked: false };

/// What is to be done with one sample.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Store this value; the flag says that it is not the newest.
    Accept(Value, bool),
    Duplicate,
    Reject(RejectReason),
}

/// What a batch is judged by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) source: Source,
    pub(crate) now: TimestampMs,
    /// Older samples are refused.
    pub(crate) retained_from: TimestampMs,
    pub(crate) options: &'a Options,
}

impl Default for Judge {
    fn default() -> Self {
        Judge {
            slots: Vec::new(),
            last_histograms: LastHistograms::default(),
            streams: Streams::of(Signal::Metrics),
            epoch: 0,
            next_flush: 0,
            failures: 0,
            closed: false,
            pending: VecDeque::new(),
            pending_late: HashMap::default(),
            undo: Vec::new(),
            record: 0,
        }
    }
}

impl Judge {
    /// Begins with the series that a replay found.
    pub(crate) fn adopt(&mut self, registry: &Registry, data: &Data) {
        for slot in registry.live_slots() {
            let entry = self.slot_mut(slot);
            entry.generation = registry.generation(slot).unwrap_or(UNKNOWN);
            entry.last = data.last(slot);
            if let Some(h) = data.last_histogram(slot) {
                self.last_histograms.insert(slot, h.clone());
            }
        }
    }

    /// Whether a ref holds; a series that the judge does not know yet is looked up.
    pub(crate) fn knows(&mut self, series: SeriesRef, registry: &dyn Fn(u32) -> Option<u32>) -> bool {
        let slot = self.slot_mut(series.slot);
        if slot.generation == series.generation {
            return true;
        }
        if registry(series.slot) != Some(series.generation) {
            return false;
        }
        *slot = Slot { generation: series.generation, ..NEW_SLOT };
        true
    }

    /// Whether the blocks should be asked for the last sample of this series before it is judged: a delta is added to
    /// it, and after a restart or an absence the head alone may know an older one or none.
    pub(crate) fn should_ask(&self, sample: &BatchSample) -> bool {
        let delta = matches!(sample.value, BatchValue::FloatDelta(_) | BatchValue::HistogramDelta(_));
        delta && !self.slots[sample.series.slot as usize].asked
    }

    /// Remembers what the blocks said about the last sample of a series, unless the head knows a newer one.
    pub(crate) fn answer(&mut self, series: SeriesRef, last: Option<(TimestampMs, Value)>) {
        let slot = self.slot_mut(series.slot);
        if slot.generation != series.generation || slot.asked {
            return;
        }
        slot.asked = true;
        let Some((timestamp, value)) = last.filter(|(t, _)| Some(*t) > slot.last.timestamp()) else { return };
        slot.last = Last::of(timestamp, &value);
        if let Value::Histogram(h) = value {
            self.last_histograms.insert(series.slot, *h);
        }
    }

    /// Begins a batch.
    pub(crate) fn begin(&mut self) {
        self.undo.clear();
        self.record = self.record.wrapping_add(1).max(1);
    }

    /// Judges one sample of a known series. `so_far` is what was accepted of the batch before it.
    pub(crate) fn judge(
        &mut self,
        slot: u32,
        timestamp: TimestampMs,
        value: BatchValue,
        rules: &Rules<'_>,
        so_far: &[Accepted],
        data: &RwLock<Data>,
    ) -> Verdict {
        if timestamp > rules.now.saturating_add(rules.options.max_ahead_ms) {
            return Verdict::Reject(RejectReason::TooFarAhead);
        }
        if timestamp < rules.retained_from {
            return Verdict::Reject(RejectReason::TooLate);
        }
        let last = self.slots[slot as usize].last;
        let value = match self.resolve(slot, timestamp, value, last) {
            Ok(value) => value,
            Err(reason) => return Verdict::Reject(reason),
        };
        let Some(newest) = last.timestamp() else { return Verdict::Accept(value, false) };
        if timestamp > newest {
            return Verdict::Accept(value, false);
        }
        if timestamp == newest {
            let same = match (&value, last) {
                (Value::Float(bits), Last::Float { bits: b, .. }) => *bits == b,
                (Value::Histogram(h), Last::Histogram { .. }) => {
                    self.last_histograms.get(&slot).is_some_and(|l| same_bits(l, h))
                }
                _ => false,
            };
            return repeated(same, value, false, rules.source);
        }
        if rules.source != Source::AgentLink && timestamp < newest.saturating_sub(rules.options.lateness_ms) {
            return Verdict::Reject(RejectReason::TooLate);
        }
        match self.same_at(slot, timestamp, &value, so_far, data) {
            Some(same) => repeated(same, value, true, rules.source),
            None => Verdict::Accept(value, true),
        }
    }

    /// Remembers an accepted sample, and whether its series has to be defined in the record.
    pub(crate) fn accept(&mut self, sample: &Accepted, late: bool) -> bool {
        let slot = &mut self.slots[sample.slot as usize];
        let mut undo = Undo { slot: sample.slot, last: slot.last, more: None };
        if late {
            undo.more = Some(Box::new(UndoMore::Late(sample.timestamp)));
            self.pending_late.insert((sample.slot, sample.timestamp), sample.value.clone());
        } else {
            slot.last = Last::of(sample.timestamp, &sample.value);
            if let Value::Histogram(h) = &sample.value {
                let before = self.last_histograms.insert(sample.slot, (**h).clone());
                undo.more = Some(Box::new(UndoMore::Histogram(before)));
            }
        }
        self.undo.push(undo);
        self.define(sample.slot)
    }

    /// Whether a series that the record names has to be defined in it.
    pub(crate) fn define(&mut self, slot: u32) -> bool {
        let record = self.record;
        let slot = &mut self.slots[slot as usize];
        if slot.defined == self.epoch || slot.defining == record {
            return false;
        }
        slot.defining = record;
        true
    }

    /// Takes back the batch that is being judged: it was not given to the WAL.
    pub(crate) fn take_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            self.slots[undo.slot as usize].last = undo.last;
            match undo.more.map(|more| *more) {
                Some(UndoMore::Histogram(Some(h))) => drop(self.last_histograms.insert(undo.slot, h)),
                Some(UndoMore::Histogram(None)) => drop(self.last_histograms.remove(&undo.slot)),
                Some(UndoMore::Late(timestamp)) => drop(self.pending_late.remove(&(undo.slot, timestamp))),
                None => {}
            }
            self.slots[undo.slot as usize].defining = 0;
        }
    }

    /// A batch was given to the WAL.
    pub(crate) fn sent(&mut self, accepted: Arc<Vec<Accepted>>, metadata: Arc<MetadataEntries>) {
        self.undo.clear();
        self.pending.push_back(OnItsWay { accepted, metadata });
    }

    /// Metadata that are on their way to the disk, the newest last.
    pub(crate) fn pending_metadata(&self) -> impl Iterator<Item = &(String, Metadata)> {
        self.pending.iter().flat_map(|batch| batch.metadata.iter())
    }

    /// Whether batches are on their way to the disk.
    pub(crate) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The oldest batch on its way is durable and applied.
    pub(crate) fn written(&mut self, defined: &[SeriesRef], epoch: u32) {
        if let Some(batch) = self.pending.pop_front()
            && !self.pending_late.is_empty()
        {
            for sample in batch.accepted.iter() {
                self.pending_late.remove(&(sample.slot, sample.timestamp));
            }
        }
        for series in defined {
            let slot = self.slot_mut(series.slot);
            if slot.generation == series.generation && epoch == self.epoch {
                let slot = self.slot_mut(series.slot);
                slot.defined = epoch;
            }
        }
    }

    /// A record that allowed for `failures` was not written, and nothing is that was sent after it. The judge goes back
    /// to what is durable, in one step for all that was on its way, with the first of them that fails.
    pub(crate) fn go_back(&mut self, failures: u64, data: &Data) {
        if failures < self.failures {
            return;
        }
        self.failures = failures + 1;
        self.pending_late.clear();
        for sample in std::mem::take(&mut self.pending).iter().flat_map(|batch| batch.accepted.iter()) {
            let slot = self.slot_mut(sample.slot);
            slot.last = data.last(sample.slot);
            // What the blocks said is forgotten with it: the next delta asks them again.
            slot.asked = false;
            match data.last_histogram(sample.slot) {
                Some(h) => drop(self.last_histograms.insert(sample.slot, h.clone())),
                None => drop(self.last_histograms.remove(&sample.slot)),
            }
        }
    }

    /// Those of the series that may leave the head: they have no samples in it, none on their way, and are stale or idle.
    pub(crate) fn leaving(
        &self,
        slots: impl Iterator<Item = u32>,
        registry: &Registry,
        data: &Data,
        idle_before: TimestampMs,
    ) -> Vec<u32> {
        let idle = |slot: u32| match self.slots.get(slot as usize) {
            Some(s) if registry.generation(slot) == Some(s.generation) => {
                s.last.is_stale() || s.last.timestamp().is_none_or(|t| t < idle_before)
            }
            _ => true,
        };
        let mut leaving: HashSet<u32> = slots.filter(|slot| !data.holds(*slot) && idle(*slot)).collect();
        for sample in self.pending.iter().flat_map(|batch| batch.accepted.iter()) {
            leaving.remove(&sample.slot);
        }
        let mut leaving: Vec<u32> = leaving.into_iter().collect();
        leaving.sort_unstable();
        leaving
    }

    /// Forgets the last samples of these series as far as they lie within `from` to `to` and are deleted: what was
    /// deleted was flushed before, so that what the head holds or what is on its way came later and stays.
    pub(crate) fn forget_last(&mut self, slots: &[u32], data: &mut Data, from: TimestampMs, to: TimestampMs) {
        let mut later: HashMap<u32, TimestampMs, foldhash::fast::RandomState> = HashMap::default();
        for sample in self.pending.iter().flat_map(|batch| batch.accepted.iter()) {
            let newest = later.entry(sample.slot).or_insert(sample.timestamp);
            *newest = sample.timestamp.max(*newest);
        }
        for slot in slots {
            let in_head = data.newest_in_head(*slot);
            let is_deleted = |last: Last, later: Option<TimestampMs>| {
                last.timestamp().is_some_and(|t| (from..=to).contains(&t) && Some(t) > later)
            };
            if is_deleted(data.last(*slot), in_head) {
                data.forget(*slot);
            }
            let known = self.slot_mut(*slot);
            if is_deleted(known.last, in_head.max(later.get(slot).copied())) {
                (known.last, known.asked) = (Last::Nothing, false);
                self.last_histograms.remove(slot);
            }
        }
    }

    /// Forgets a series that has left the head.
    pub(crate) fn forget(&mut self, slot: u32) {
        *self.slot_mut(slot) = NEW_SLOT;
        self.last_histograms.remove(&slot);
    }

    /// The value to store: deltas are added to the last value.
    fn resolve(&self, slot: u32, timestamp: TimestampMs, value: BatchValue, last: Last) -> Result<Value, RejectReason> {
        let is_delta = matches!(value, BatchValue::FloatDelta(_) | BatchValue::HistogramDelta(_));
        if is_delta && last.timestamp().is_some_and(|t| timestamp <= t) {
            return Err(RejectReason::OutOfOrder);
        }
        match value {
            BatchValue::Float(v) => Ok(Value::Float(v.to_bits())),
            BatchValue::FloatDelta(delta) => Ok(Value::Float(match last {
                Last::Float { bits, .. } if !last.is_stale() && !is_stale(delta) => {
                    (f64::from_bits(bits) + delta).to_bits()
                }
                _ => delta.to_bits(),
            })),
            BatchValue::Histogram(h) if is_valid(&h) => Ok(Value::Histogram(h)),
            BatchValue::HistogramDelta(h) if is_valid(&h) => {
                let is_histogram = matches!(last, Last::Histogram { .. });
                let before = if is_histogram { self.last_histograms.get(&slot) } else { None };
                let sum = if h.is_stale() { *h } else { grown(before, &h) };
                if is_valid(&sum) { Ok(Value::Histogram(Box::new(sum))) } else { Err(RejectReason::InvalidHistogram) }
            }
            BatchValue::Histogram(_) | BatchValue::HistogramDelta(_) => Err(RejectReason::InvalidHistogram),
        }
    }

    /// Whether the series has a sample at this time, earlier than its newest, and whether it is the same.
    fn same_at(
        &self,
        slot: u32,
        timestamp: TimestampMs,
        value: &Value,
        so_far: &[Accepted],
        data: &RwLock<Data>,
    ) -> Option<bool> {
        if let Some(pending) = self.pending_late.get(&(slot, timestamp)) {
            return Some(same_value(pending, value));
        }
        let data = data.read();
        // What is on its way and is not late is newer than what was applied last, or takes its place.
        if data.last(slot).timestamp().is_none_or(|t| timestamp >= t) {
            let on_the_way = so_far.iter().rev().chain(self.pending.iter().rev().flat_map(|b| b.accepted.iter().rev()));
            let mut here = on_the_way.filter(|a| a.slot == slot && a.timestamp == timestamp);
            if let Some(sample) = here.next() {
                return Some(same_value(&sample.value, value));
            }
        }
        Some(match (data.find(slot, timestamp)?, value) {
            (Found::Float(bits), Value::Float(b)) => bits == *b,
            (Found::Histogram(found), Value::Histogram(h)) => same_bits(found, h),
            _ => false,
        })
    }

    fn slot_mut(&mut self, slot: u32) -> &mut Slot {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, NEW_SLOT);
        }
        &mut self.slots[index]
    }
}

fn repeated(same: bool, value: Value, late: bool, source: Source) -> Verdict {
    match (same, source) {
        (true, _) => Verdict::Duplicate,
        (false, Source::Rules) => Verdict::Accept(value, late),
        (false, _) => Verdict::Reject(RejectReason::DuplicateTimestamp),
    }
}

fn same_value(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Histogram(a), Value::Histogram(b)) => same_bits(a, b),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delete_forgets_nothing_that_came_after_it() {
        let (mut judge, mut data, options) = (Judge::default(), Data::default(), Options::default());
        let rules = Rules { source: Source::Push, now: 100, retained_from: 0, options: &options };
        let series = |slot| SeriesRef { slot, generation: 0 };
        let sample = |slot, timestamp| Accepted { slot, timestamp, value: Value::Float(1.0_f64.to_bits()) };
        for slot in 0..4 {
            assert!(judge.knows(series(slot), &|_| Some(0)));
        }
        // Samples that the flush before the delete has put into blocks.
        for slot in 0..4 {
            judge.accept(&sample(slot, 50), false);
            data.apply(slot, 50, 0, &sample(slot, 50).value);
        }
        data.active = Default::default();
        // Then one came to series 1 that is durable, one to series 2 that is on its way, and a late one to series 3.
        for (slot, timestamp) in [(1, 60), (2, 60), (3, 40)] {
            judge.accept(&sample(slot, timestamp), timestamp < 50);
        }
        data.apply(1, 60, 0, &sample(1, 60).value);
        judge.sent(Arc::new(vec![sample(2, 60), sample(3, 40)]), Arc::default());
        judge.forget_last(&[0, 1, 2, 3], &mut data, 0, 100);
        let data = RwLock::new(data);
        let mut again = |slot, timestamp| {
            matches!(judge.judge(slot, timestamp, BatchValue::Float(1.0), &rules, &[], &data), Verdict::Accept(..))
        };
        assert!(again(0, 50), "deleted");
        assert!(!again(1, 60) && !again(2, 60), "a repetition of what stays");
        assert!(again(3, 50), "deleted, though an older one is on its way");
    }
}
