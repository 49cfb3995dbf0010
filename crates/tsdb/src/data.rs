//! What queries see: samples of the head that are durable, and the blocks.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sonde_model::{Histogram, TimestampMs};

use crate::Metadata;
use crate::block::Block;
use crate::changes::Changes;
use crate::head::Samples;
use crate::head::excerpt::Excerpt;
use crate::head::samples::Found;
use crate::record::Value;

/// The newest sample of a series, without the content of a histogram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Last {
    /// None is known.
    #[default]
    Nothing,
    Float {
        timestamp: TimestampMs,
        bits: u64,
    },
    Histogram {
        timestamp: TimestampMs,
        stale: bool,
    },
}

impl Last {
    pub(crate) fn of(timestamp: TimestampMs, value: &Value) -> Self {
        match value {
            Value::Float(bits) => Last::Float { timestamp, bits: *bits },
            Value::Histogram(h) => Last::Histogram { timestamp, stale: h.is_stale() },
        }
    }

    pub(crate) fn timestamp(&self) -> Option<TimestampMs> {
        match self {
            Last::Nothing => None,
            Last::Float { timestamp, .. } | Last::Histogram { timestamp, .. } => Some(*timestamp),
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        match self {
            Last::Nothing => false,
            Last::Float { bits, .. } => *bits == sonde_model::STALE_NAN_BITS,
            Last::Histogram { stale, .. } => *stale,
        }
    }
}

/// A sample that was accepted.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) slot: u32,
    pub(crate) timestamp: TimestampMs,
    pub(crate) value: Value,
}

/// The last histogram of each series that has histograms.
pub(crate) type LastHistograms = HashMap<u32, Histogram, foldhash::fast::RandomState>;

/// The samples of a flush that is on its way into blocks.
#[derive(Clone, Debug)]
pub(crate) struct Frozen {
    pub(crate) flush: u64,
    pub(crate) samples: Arc<Samples>,
}

/// What queries see.
#[derive(Debug, Default)]
pub(crate) struct Data {
    pub(crate) active: Samples,
    pub(crate) frozen: Option<Frozen>,
    /// In the order of their ranks: later ones win.
    pub(crate) blocks: Arc<Vec<Arc<Block>>>,
    pub(crate) metadata: BTreeMap<String, Metadata>,
    pub(crate) changes: Changes,
    last: Vec<Last>,
    /// Whether no block had anything of that time or later when the last sample of a series came, or one before it.
    is_newest: Vec<bool>,
    last_histograms: LastHistograms,
    /// Series whose last sample is a stale marker.
    stale: usize,
    /// Up to which time samples may have gone or come with blocks.
    unsure_until: Option<TimestampMs>,
}

impl Data {
    /// Applies a sample that is durable; `start` is 0 where it has none.
    pub(crate) fn apply(&mut self, slot: u32, timestamp: TimestampMs, start: TimestampMs, value: &Value) {
        if slot as usize >= self.last.len() {
            self.last.resize(slot as usize + 1, Last::Nothing);
            self.is_newest.resize(slot as usize + 1, false);
        }
        let last = &mut self.last[slot as usize];
        let newest = last.timestamp().is_none_or(|t| timestamp >= t);
        if newest {
            let before = std::mem::replace(last, Last::of(timestamp, value));
            let is_newest = &mut self.is_newest[slot as usize];
            if !*is_newest {
                *is_newest = self.blocks.iter().all(|block| block.meta().max_time < timestamp);
            }
            self.stale += usize::from(last.is_stale());
            self.stale -= usize::from(before.is_stale());
        }
        self.active.begin(slot, timestamp, start);
        match value {
            Value::Float(bits) => self.active.push_float(slot, timestamp, *bits),
            Value::Histogram(h) => {
                if newest {
                    self.last_histograms.insert(slot, (**h).clone());
                }
                self.active.push_histogram(slot, timestamp, (**h).clone());
            }
        }
    }

    /// The newest sample that was applied to a series, flushed ones included.
    pub(crate) fn last(&self, slot: u32) -> Last {
        self.last.get(slot as usize).copied().unwrap_or_default()
    }

    /// The newest sample of a series, flushed or not, if it is a float of the range that is there for certain.
    pub(crate) fn newest_float(&self, slot: u32, from: TimestampMs, to: TimestampMs) -> Option<(TimestampMs, u64)> {
        let Last::Float { timestamp, bits } = self.last(slot) else { return None };
        let is_certain = Some(timestamp) > self.unsure_until && self.is_newest[slot as usize];
        ((from..=to).contains(&timestamp) && is_certain).then_some((timestamp, bits))
    }

    /// Samples up to this time may have gone or come with blocks, whatever is known of the newest one of a series.
    pub(crate) fn note_unsure(&mut self, until: TimestampMs) {
        self.unsure_until = self.unsure_until.max(Some(until));
    }

    /// How many series have ended.
    pub(crate) fn stale(&self) -> usize {
        self.stale
    }

    pub(crate) fn last_histogram(&self, slot: u32) -> Option<&Histogram> {
        self.last_histograms.get(&slot)
    }

    /// Forgets a series that leaves the head.
    pub(crate) fn forget(&mut self, slot: u32) {
        if let Some(last) = self.last.get_mut(slot as usize) {
            self.stale -= usize::from(last.is_stale());
            *last = Last::Nothing;
            self.is_newest[slot as usize] = false;
        }
        self.last_histograms.remove(&slot);
    }

    /// What a series has at this time in the head.
    pub(crate) fn find(&self, slot: u32, timestamp: TimestampMs) -> Option<Found<'_>> {
        let frozen = || self.frozen.as_ref().and_then(|f| f.samples.find(slot, timestamp));
        self.active.find(slot, timestamp).or_else(frozen)
    }

    /// Takes what a series has in the head from `from` to `to` inclusive, older samples first.
    pub(crate) fn excerpt(
        &self,
        slot: u32,
        (from, to): (TimestampMs, TimestampMs),
        copy: &mut Vec<u8>,
        excerpts: &mut Vec<Excerpt>,
    ) {
        excerpts.extend(self.frozen.as_ref().and_then(|frozen| frozen.samples.excerpt(slot, from, to, copy)));
        excerpts.extend(self.active.excerpt(slot, from, to, copy));
    }

    /// Whether a series may have samples of that range in the head.
    pub(crate) fn overlaps(&self, slot: u32, from: TimestampMs, to: TimestampMs) -> bool {
        self.active.overlaps(slot, from, to) || self.frozen.as_ref().is_some_and(|f| f.samples.overlaps(slot, from, to))
    }

    /// The newest time at which the head holds a sample of a series.
    pub(crate) fn newest_in_head(&self, slot: u32) -> Option<TimestampMs> {
        let newest = |samples: &Samples| samples.times_of(slot).map(|(_, newest)| newest);
        newest(&self.active).max(self.frozen.as_ref().and_then(|f| newest(&f.samples)))
    }

    /// Whether the head holds samples of a series.
    pub(crate) fn holds(&self, slot: u32) -> bool {
        self.overlaps(slot, TimestampMs::MIN, TimestampMs::MAX)
    }

    /// The first and last time in the head.
    pub(crate) fn head_times(&self) -> Option<(TimestampMs, TimestampMs)> {
        let frozen = self.frozen.as_ref().and_then(|f| f.samples.times());
        match (self.active.times(), frozen) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        }
    }

    /// Whether the head may have samples of that range at all.
    pub(crate) fn head_overlaps(&self, from: TimestampMs, to: TimestampMs) -> bool {
        self.head_times().is_some_and(|(min, max)| min <= to && max >= from)
    }

    /// The newest sample of all.
    pub(crate) fn newest(&self) -> Option<TimestampMs> {
        let blocks = self.blocks.iter().map(|b| b.meta().max_time).max();
        blocks.max(self.head_times().map(|(_, max)| max))
    }

    /// An estimate of the memory that samples take.
    pub(crate) fn bytes(&self) -> usize {
        self.active.bytes() + self.frozen.as_ref().map_or(0, |f| f.samples.bytes())
    }

    /// Samples in the head.
    pub(crate) fn count(&self) -> u64 {
        self.active.count() + self.frozen.as_ref().map_or(0, |f| f.samples.count())
    }
}
