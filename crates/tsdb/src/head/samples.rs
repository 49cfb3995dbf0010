//! The samples of the head between two flushes: encoded chunks, tails, late samples, histograms, by slot.

use std::collections::HashMap;

use sonde_model::{FloatColumn, Histogram, TimestampMs};

use super::arena::{Arena, Place, Slab};
use super::tail::{TAIL_SAMPLES, Tail};
use crate::codec::chunk::{self, Scratch};
use crate::columns::{Columns, overlay};

/// No tail, no chunk.
const NONE: u32 = u32::MAX;

/// What a histogram takes beside its buckets, roughly.
const HISTOGRAM_BYTES: usize = 240;

type FastMap<V> = HashMap<u32, V, foldhash::fast::RandomState>;

/// The samples of many series. Whatever is pushed is kept: judging samples is done elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    slots: Vec<Slot>,
    tails: Slab<Tail>,
    chunks: Slab<Chunk>,
    arena: Arena,
    /// What came after a newer sample of its series, in order of time.
    late: FastMap<Vec<(TimestampMs, u64)>>,
    histograms: FastMap<Vec<(TimestampMs, Histogram)>>,
    count: u64,
    bytes: usize,
    times: Option<(TimestampMs, TimestampMs)>,
    sealing: Sealing,
}

#[derive(Debug, Default)]
struct Sealing {
    scratch: Scratch,
    bytes: Vec<u8>,
    timestamps: Vec<TimestampMs>,
    values: Vec<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    tail: u32,
    /// The newest sealed chunk; each knows the one before it.
    chunk: u32,
    min: TimestampMs,
    max: TimestampMs,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    before: u32,
    place: Place,
    min: TimestampMs,
    max: TimestampMs,
}

const EMPTY_SLOT: Slot = Slot { tail: NONE, chunk: NONE, min: TimestampMs::MAX, max: TimestampMs::MIN };

/// What a series has at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    Float(u64),
    Histogram(&'a Histogram),
}

impl Samples {
    /// Adds a float. A sample at a time that is there replaces it.
    pub(crate) fn push_float(&mut self, slot: u32, timestamp: TimestampMs, bits: u64) {
        if !self.histograms.is_empty() {
            self.remove_histogram(slot, timestamp);
        }
        let entry = self.touch(slot, timestamp);
        let tail = entry.tail;
        if tail == NONE {
            self.slots[slot as usize].tail = self.tails.push(Tail::new(timestamp, bits));
            self.bytes += size_of::<Tail>();
            return;
        }
        let newest = self.tails.get_mut(tail);
        let last = newest.last();
        if timestamp == last {
            newest.replace_last(bits);
            // An older value of this time among the late ones must not come back.
            if let Some(late) = self.late.get_mut(&slot) {
                late.retain(|(t, _)| *t != timestamp);
            }
        } else if timestamp < last {
            self.push_late(slot, timestamp, bits);
        } else if !newest.push(timestamp, bits) {
            self.seal(slot);
            *self.tails.get_mut(tail) = Tail::new(timestamp, bits);
        }
    }

    /// Adds a histogram. A sample at a time that is there is replaced.
    pub(crate) fn push_histogram(&mut self, slot: u32, timestamp: TimestampMs, histogram: Histogram) {
        self.touch(slot, timestamp);
        self.bytes += HISTOGRAM_BYTES + 8 * (histogram.positive_buckets.len() + histogram.negative_buckets.len());
        let list = self.histograms.entry(slot).or_default();
        match list.binary_search_by_key(&timestamp, |(t, _)| *t) {
            Ok(at) => list[at].1 = histogram,
            Err(at) => list.insert(at, (timestamp, histogram)),
        }
    }

    /// What a series has at this time.
    pub(crate) fn find(&self, slot: u32, timestamp: TimestampMs) -> Option<Found<'_>> {
        let entry = self.slots.get(slot as usize)?;
        if timestamp < entry.min || timestamp > entry.max {
            return None;
        }
        if let Some(list) = self.histograms.get(&slot)
            && let Ok(at) = list.binary_search_by_key(&timestamp, |(t, _)| *t)
        {
            return Some(Found::Histogram(&list[at].1));
        }
        if let Some(list) = self.late.get(&slot)
            && let Ok(at) = list.binary_search_by_key(&timestamp, |(t, _)| *t)
        {
            return Some(Found::Float(list[at].1));
        }
        if entry.tail == NONE {
            return None;
        }
        if let Some((_, bits)) = self.tails.get(entry.tail).samples().find(|(t, _)| *t == timestamp) {
            return Some(Found::Float(bits));
        }
        let mut number = entry.chunk;
        while number != NONE {
            let chunk = self.chunks.get(number);
            if chunk.max < timestamp {
                return None;
            }
            if chunk.min <= timestamp {
                let mut column = FloatColumn::default();
                self.decode(chunk, &mut column);
                let at = column.timestamps.binary_search(&timestamp).ok()?;
                return Some(Found::Float(column.values[at].to_bits()));
            }
            number = chunk.before;
        }
        None
    }

    /// Appends the samples of a series from `from` to `to` inclusive, in order of time.
    pub(crate) fn read(&self, slot: u32, from: TimestampMs, to: TimestampMs) -> Columns {
        let mut columns = Columns::default();
        let Some(entry) = self.slots.get(slot as usize).filter(|e| e.min <= to && e.max >= from) else {
            return columns;
        };
        let mut overlapping = Vec::new();
        let mut number = entry.chunk;
        while number != NONE {
            let chunk = self.chunks.get(number);
            if chunk.max < from {
                break;
            }
            if chunk.min <= to {
                overlapping.push(chunk);
            }
            number = chunk.before;
        }
        for chunk in overlapping.into_iter().rev() {
            self.decode(chunk, &mut columns.floats);
        }
        if entry.tail != NONE {
            for (t, bits) in self.tails.get(entry.tail).samples() {
                columns.floats.push(t, f64::from_bits(bits));
            }
        }
        if let Some(late) = self.late.get(&slot) {
            let mut newer = Columns::default();
            late.iter().for_each(|(t, bits)| newer.floats.push(*t, f64::from_bits(*bits)));
            overlay(&mut columns, newer);
        }
        if let Some(histograms) = self.histograms.get(&slot) {
            let mut newer = Columns::default();
            let within = histograms.iter().filter(|(t, _)| (from..=to).contains(t));
            within.for_each(|(t, h)| newer.histograms.push(*t, h.clone()));
            overlay(&mut columns, newer);
        }
        columns.restrict(from, to);
        columns
    }

    /// The first and last time of a series.
    pub(crate) fn times_of(&self, slot: u32) -> Option<(TimestampMs, TimestampMs)> {
        self.slots.get(slot as usize).filter(|e| e.min <= e.max).map(|e| (e.min, e.max))
    }

    /// Whether a series may have samples in the range.
    pub(crate) fn overlaps(&self, slot: u32, from: TimestampMs, to: TimestampMs) -> bool {
        self.times_of(slot).is_some_and(|(min, max)| min <= to && max >= from)
    }

    /// The first and last time of all.
    pub(crate) fn times(&self) -> Option<(TimestampMs, TimestampMs)> {
        self.times
    }

    /// Samples pushed; one that replaced another counts twice.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// An estimate of the memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn touch(&mut self, slot: u32, timestamp: TimestampMs) -> Slot {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.bytes += (index + 1 - self.slots.len()) * size_of::<Slot>();
            self.slots.resize(index + 1, EMPTY_SLOT);
        }
        let entry = &mut self.slots[index];
        entry.min = entry.min.min(timestamp);
        entry.max = entry.max.max(timestamp);
        self.count += 1;
        let (min, max) = self.times.unwrap_or((timestamp, timestamp));
        self.times = Some((min.min(timestamp), max.max(timestamp)));
        *entry
    }

    fn push_late(&mut self, slot: u32, timestamp: TimestampMs, bits: u64) {
        self.bytes += size_of::<(TimestampMs, u64)>();
        let list = self.late.entry(slot).or_default();
        match list.binary_search_by_key(&timestamp, |(t, _)| *t) {
            Ok(at) => list[at].1 = bits,
            Err(at) => list.insert(at, (timestamp, bits)),
        }
    }

    fn remove_histogram(&mut self, slot: u32, timestamp: TimestampMs) {
        if let Some(list) = self.histograms.get_mut(&slot) {
            list.retain(|(t, _)| *t != timestamp);
        }
    }

    fn seal(&mut self, slot: u32) {
        let entry = &mut self.slots[slot as usize];
        let tail = self.tails.get(entry.tail);
        let Sealing { scratch, bytes, timestamps, values } = &mut self.sealing;
        bytes.clear();
        timestamps.clear();
        values.clear();
        for (t, bits) in tail.samples() {
            timestamps.push(t);
            values.push(f64::from_bits(bits));
        }
        debug_assert!(tail.len() <= TAIL_SAMPLES, "BUG: a tail of {} samples", tail.len());
        chunk::encode_floats(timestamps, values, scratch, bytes);
        let place = self.arena.put(bytes);
        self.bytes += bytes.len() + size_of::<Chunk>();
        let (min, max) = (timestamps[0], timestamps[timestamps.len() - 1]);
        entry.chunk = self.chunks.push(Chunk { before: entry.chunk, place, min, max });
    }

    fn decode(&self, chunk: &Chunk, out: &mut FloatColumn) {
        let decoded = chunk::decode_floats(self.arena.get(chunk.place), out);
        debug_assert!(decoded.is_ok(), "BUG: a chunk of the head does not decode: {decoded:?}");
    }
}
