//! The samples of the head between two flushes: streams of floats, late samples, histograms, by slot.

use std::collections::HashMap;

use sonde_model::{FloatColumn, Histogram, TimestampMs};

use super::arena::Arena;
use super::excerpt::{Excerpt, Rest, RestOf, lay_rest_over};
use super::starts::Starts;
use super::stream::{self, Stream};
use crate::columns::Columns;

/// What a histogram takes beside its buckets, roughly.
const HISTOGRAM_BYTES: usize = 240;

type FastMap<V> = HashMap<u32, V, foldhash::fast::RandomState>;

/// The samples of many series. Whatever is pushed is kept: judging samples is done elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    slots: Vec<Slot>,
    arena: Arena,
    /// What came after a newer sample of its series, or in its place, in order of time.
    late: FastMap<Vec<(TimestampMs, u64)>>,
    histograms: FastMap<Vec<(TimestampMs, Histogram)>>,
    starts: Starts,
    count: u64,
    /// Bytes of what is not in slots or arena.
    other_bytes: usize,
    times: Option<(TimestampMs, TimestampMs)>,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    /// The first time of all samples.
    min: TimestampMs,
    floats: Stream,
}

const EMPTY_SLOT: Slot = Slot { min: TimestampMs::MAX, floats: stream::EMPTY };

/// What a series has at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Found<'a> {
    Float(u64),
    Histogram(&'a Histogram),
}

impl Samples {
    /// Notes since when the sample counts that is about to be added, 0 where that is not known.
    pub(crate) fn begin(&mut self, slot: u32, timestamp: TimestampMs, start: TimestampMs) {
        if start == 0 && self.starts.is_empty() {
            return;
        }
        let is_newest = self.times_of(slot).is_none_or(|(_, last)| timestamp > last);
        self.starts.set(slot, timestamp, start, is_newest);
    }

    /// Adds a float. A sample at a time that is there replaces it.
    pub(crate) fn push_float(&mut self, slot: u32, timestamp: TimestampMs, bits: u64) {
        if !self.histograms.is_empty() {
            self.remove_histogram(slot, timestamp);
        }
        self.touch(slot, timestamp);
        let floats = &mut self.slots[slot as usize].floats;
        if floats.last().is_none_or(|last| timestamp > last) {
            floats.push(timestamp, bits, &mut self.arena);
        } else {
            self.push_late(slot, timestamp, bits);
        }
    }

    /// Adds a histogram. A sample at a time that is there is replaced.
    pub(crate) fn push_histogram(&mut self, slot: u32, timestamp: TimestampMs, histogram: Histogram) {
        self.touch(slot, timestamp);
        self.other_bytes += HISTOGRAM_BYTES + 8 * (histogram.positive_buckets.len() + histogram.negative_buckets.len());
        let list = self.histograms.entry(slot).or_default();
        match list.binary_search_by_key(&timestamp, |(t, _)| *t) {
            Ok(at) => list[at].1 = histogram,
            Err(at) => list.insert(at, (timestamp, histogram)),
        }
    }

    /// What a series has at this time.
    pub(crate) fn find(&self, slot: u32, timestamp: TimestampMs) -> Option<Found<'_>> {
        let (min, max) = self.times_of(slot)?;
        if timestamp < min || timestamp > max {
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
        let mut column = FloatColumn::default();
        self.slots.get(slot as usize)?.floats.read(timestamp, timestamp, &self.arena, &mut column);
        column.values.first().map(|value| Found::Float(value.to_bits()))
    }

    /// Appends the samples of a series from `from` to `to` inclusive, in order of time.
    pub(crate) fn read(&self, slot: u32, from: TimestampMs, to: TimestampMs) -> Columns {
        let mut columns = Columns::default();
        if !self.overlaps(slot, from, to) {
            return columns;
        }
        self.slots[slot as usize].floats.read(from, to, &self.arena, &mut columns.floats);
        lay_rest_over(&mut columns, self.rest(slot), from, to);
        columns
    }

    /// Takes the samples of a series from `from` to `to` inclusive as they are; those of streams go to the end of `copy`.
    pub(crate) fn excerpt(&self, slot: u32, from: TimestampMs, to: TimestampMs, copy: &mut Vec<u8>) -> Option<Excerpt> {
        if !self.overlaps(slot, from, to) {
            return None;
        }
        let floats = self.slots[slot as usize].floats.copy(from, to, &self.arena, copy);
        let (late, histograms, starts) = self.rest(slot);
        let has_rest = !(late.is_empty() && histograms.is_empty() && starts.is_empty());
        let rest = has_rest.then(|| {
            let within = histograms.iter().filter(|(t, _)| (from..=to).contains(t));
            let (late, histograms) = (late.to_vec(), within.cloned().collect());
            Box::new(Rest { late, histograms, starts: starts.to_vec() })
        });
        Some(Excerpt::new(floats, rest))
    }

    /// What a series has beside its stream.
    fn rest(&self, slot: u32) -> RestOf<'_> {
        let late = self.late.get(&slot).map_or(&[][..], Vec::as_slice);
        let histograms = self.histograms.get(&slot).map_or(&[][..], Vec::as_slice);
        (late, histograms, self.starts.runs(slot))
    }

    /// The first and last time of a series.
    pub(crate) fn times_of(&self, slot: u32) -> Option<(TimestampMs, TimestampMs)> {
        let entry = self.slots.get(slot as usize).filter(|entry| entry.min != TimestampMs::MAX)?;
        let histograms = if self.histograms.is_empty() { None } else { self.histograms.get(&slot) };
        let last_histogram = histograms.and_then(|list| list.last()).map(|(t, _)| *t);
        Some((entry.min, entry.floats.last().max(last_histogram)?))
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
        self.slots.len() * size_of::<Slot>() + self.arena.bytes() + self.other_bytes + self.starts.bytes()
    }

    fn touch(&mut self, slot: u32, timestamp: TimestampMs) {
        let index = slot as usize;
        if index >= self.slots.len() {
            self.slots.resize(index + 1, EMPTY_SLOT);
        }
        let entry = &mut self.slots[index];
        entry.min = entry.min.min(timestamp);
        self.count += 1;
        let (min, max) = self.times.unwrap_or((timestamp, timestamp));
        self.times = Some((min.min(timestamp), max.max(timestamp)));
    }

    fn push_late(&mut self, slot: u32, timestamp: TimestampMs, bits: u64) {
        self.other_bytes += size_of::<(TimestampMs, u64)>();
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
}
