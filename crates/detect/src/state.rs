//! The state of a detector as bytes, so that a restart need not learn again. The format is docs/format/detector.md.

use thiserror::Error;

use crate::feature::{DAY_BINS, DailyResidual, RollingMax};
use crate::gate::Gate;
use crate::novelty::Novelty;
use crate::record::Record;

const VERSION: u8 = 1;
const RECORD_LEN: usize = 4 * 8;
const ROLLING_LEN: usize = 8 * 8 + 2 * 4;
/// How many bytes the state of a series takes.
pub const STATE_LEN: usize = 1 + 8 + 8 + 5 * RECORD_LEN + 3 * ROLLING_LEN + DAY_BINS * (4 + 2) + 8 + 16;

/// Why bytes are no state.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StateError {
    /// The version is not known here.
    #[error("detector state of version {0} is not known here")]
    Version(u8),
    /// The length does not fit.
    #[error("detector state of {0} bytes instead of {STATE_LEN}")]
    Length(usize),
}

impl Novelty {
    /// The state as [`STATE_LEN`] bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(STATE_LEN);
        out.push(VERSION);
        out.extend(self.n.to_le_bytes());
        out.extend(self.last_ms.to_le_bytes());
        for record in &self.records {
            out.extend(record.high.to_le_bytes());
            out.extend(record.low.to_le_bytes());
            out.extend(record.high_at.to_le_bytes());
            out.extend(record.low_at.to_le_bytes());
        }
        for rolling in [&self.short_floor, &self.long_floor, &self.ceiling] {
            rolling.blocks.iter().for_each(|b| out.extend(b.to_le_bytes()));
            out.extend(rolling.current.to_le_bytes());
            out.extend(rolling.filled.to_le_bytes());
            out.extend(rolling.next.to_le_bytes());
        }
        self.residual.usual.iter().for_each(|u| out.extend(u.to_le_bytes()));
        self.residual.seen.iter().for_each(|s| out.extend(s.to_le_bytes()));
        out.extend(self.residual.smoothed.to_le_bytes());
        out.extend(self.gate.level.to_le_bytes());
        out.extend(self.gate.last.to_le_bytes());
        out
    }

    /// The state that [`Novelty::to_bytes`] gave.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        match bytes.first() {
            Some(&VERSION) if bytes.len() == STATE_LEN => {}
            Some(&VERSION) | None => return Err(StateError::Length(bytes.len())),
            Some(&version) => return Err(StateError::Version(version)),
        }
        let mut input = Input(&bytes[1..]);
        let mut novelty = Novelty { n: input.u64(), last_ms: input.u64() as i64, ..Novelty::default() };
        for record in &mut novelty.records {
            *record = Record { high: input.f64(), low: input.f64(), high_at: input.u64(), low_at: input.u64() };
            // Bytes from a disk may say anything: a record in the future would be a subtraction below zero.
            record.high_at = record.high_at.min(novelty.n);
            record.low_at = record.low_at.min(novelty.n);
        }
        for rolling in [&mut novelty.short_floor, &mut novelty.long_floor, &mut novelty.ceiling] {
            *rolling = RollingMax::default();
            rolling.blocks.iter_mut().for_each(|b| *b = input.f64());
            rolling.current = input.f64();
            rolling.filled = u32::from_le_bytes(input.take()) & 0xffff;
            rolling.next = u32::from_le_bytes(input.take()) % rolling.blocks.len() as u32;
        }
        novelty.residual = DailyResidual::default();
        novelty.residual.usual.iter_mut().for_each(|u| *u = f32::from_le_bytes(input.take()));
        novelty.residual.seen.iter_mut().for_each(|s| *s = u16::from_le_bytes(input.take()));
        novelty.residual.smoothed = input.f64();
        novelty.gate = Gate { level: input.f64(), last: input.u64().min(novelty.n) };
        Ok(novelty)
    }
}

/// Bytes of a length that was checked.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.0.split_first_chunk().expect("BUG: the length was checked");
        self.0 = rest;
        *head
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    fn f64(&mut self) -> f64 {
        f64::from_le_bytes(self.take())
    }
}
