//! The newest samples of a series, not yet encoded.

use sonde_model::TimestampMs;

/// Samples that a tail holds before it is sealed into a chunk. More would cost memory in heads of many series, fewer
/// would cost chunk heads.
pub(crate) const TAIL_SAMPLES: usize = 16;

/// A few samples in order of time, at least one.
#[derive(Clone, Debug)]
pub(crate) struct Tail {
    base: TimestampMs,
    offsets: [u32; TAIL_SAMPLES],
    bits: [u64; TAIL_SAMPLES],
    len: u8,
}

impl Tail {
    pub(crate) fn new(timestamp: TimestampMs, bits: u64) -> Self {
        let mut tail = Tail { base: timestamp, offsets: [0; TAIL_SAMPLES], bits: [0; TAIL_SAMPLES], len: 1 };
        tail.bits[0] = bits;
        tail
    }

    /// Appends a later sample, if there is room for it.
    #[inline]
    pub(crate) fn push(&mut self, timestamp: TimestampMs, bits: u64) -> bool {
        let at = self.len as usize;
        let Ok(offset) = u32::try_from(timestamp.wrapping_sub(self.base)) else { return false };
        if at == TAIL_SAMPLES {
            return false;
        }
        self.offsets[at] = offset;
        self.bits[at] = bits;
        self.len += 1;
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.len as usize
    }

    #[inline]
    pub(crate) fn last(&self) -> TimestampMs {
        self.base + i64::from(self.offsets[self.len as usize - 1])
    }

    /// Replaces the value of the last sample.
    pub(crate) fn replace_last(&mut self, bits: u64) {
        self.bits[self.len as usize - 1] = bits;
    }

    pub(crate) fn samples(&self) -> impl Iterator<Item = (TimestampMs, u64)> + '_ {
        (0..self.len as usize).map(|i| (self.base + i64::from(self.offsets[i]), self.bits[i]))
    }
}
