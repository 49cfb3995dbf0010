//! The floats of one series between two flushes, encoded as they come into blocks of an arena.
//!
//! What comes in order of time only, in memory only: nobody but this module reads these bytes. A stream is a list of
//! blocks, each with the address of the next in its first four bytes, and of tokens in them:
//!
//! - `delta << 1`: a sample one step later, whose mantissa differs by the zigzag `delta`.
//! - `n << 3 | RUN`: `n` samples, each one step later, all with the value before.
//! - `change << 3 | STEP`: the step changes by the zigzag `change`, which follows in eight bytes where it is too large;
//!   the next token is a sample.
//! - `exponent << 3 | VALUE`: a sample one step later, its zigzag mantissa behind; or its eight bytes behind `RAW`.
//! - `END`: the rest of the block is empty.

use sonde_disk::varint::{unzigzag, zigzag};
use sonde_model::{FloatColumn, TimestampMs};

mod copied;

pub(crate) use copied::Copied;

use super::arena::{Arena, NOWHERE};
use crate::codec::decimal::{POWERS, decompose, mantissa, restore};

const RUN: u64 = 0b001;
const STEP: u64 = 0b011;
const VALUE: u64 = 0b101;
const END: u64 = 0b111;

/// Instead of an exponent: the value is no decimal.
const RAW: u8 = 15;

/// The next block.
const LINK: usize = 4;

/// What is written at the front of a restart: address of the restart before, and the cursor.
const RESTART: usize = 4 + 8 + 8 + 4 + 1;

/// The number of the first block that is a restart, and how many blocks it is to the next one. From a restart a stream
/// can be read without what comes before it.
const FIRST_RESTART: u16 = 5;
const RESTART_EVERY: u16 = 4;

/// Instead of a change of step: it is too large for a token.
const FAR: u64 = u64::MAX >> 3;

/// The longest tokens of one sample: a far change of step and a value. They fit into the smallest block.
const LONGEST: usize = 10 + 8 + 1 + 8;
const _: () = assert!(LONGEST + LINK <= 32, "a sample has to fit into the first block");

/// Bytes of the block of this number: a series of a few samples should not pay for one of many.
fn block_len(index: u16) -> usize {
    match index {
        0 | 1 => 32,
        2 | 3 => 64,
        _ => 128,
    }
}

/// The number of the block after this one. From the first restart on only the distance to the next one counts.
fn following(index: u16) -> u16 {
    if index == FIRST_RESTART + RESTART_EVERY - 1 { FIRST_RESTART } else { index + 1 }
}

fn is_restart(index: u16) -> bool {
    index == FIRST_RESTART
}

/// What the next token is relative to.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    timestamp: TimestampMs,
    /// The mantissa of the last value, or its bits.
    value: u64,
    step: u32,
    exponent: u8,
}

const BEGIN: Cursor = Cursor { timestamp: 0, value: 0, step: 0, exponent: RAW };

/// A stream without its blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    last: Cursor,
    /// How often the last value was repeated since the last token.
    run: u16,
    /// The number of the block that is being filled.
    index: u16,
    /// Bytes in use of that block.
    used: u8,
    first: u32,
    current: u32,
    /// The newest restart.
    restart: u32,
}

/// No samples.
pub(crate) const EMPTY: Stream =
    Stream { last: BEGIN, run: 0, index: 0, used: 0, first: NOWHERE, current: NOWHERE, restart: NOWHERE };

/// Tokens of one sample on their way into a block.
struct Tokens {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Tokens {
    fn new() -> Self {
        Tokens { bytes: [0; LONGEST], len: 0 }
    }

    fn put(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes[self.len] = n as u8 | 0x80;
            self.len += 1;
            n >>= 7;
        }
        self.bytes[self.len] = n as u8;
        self.len += 1;
    }

    fn put_raw(&mut self, bits: u64) {
        self.bytes[self.len..self.len + 8].copy_from_slice(&bits.to_le_bytes());
        self.len += 8;
    }
}

impl Stream {
    /// The last timestamp, if there is one.
    #[inline]
    pub(crate) fn last(&self) -> Option<TimestampMs> {
        (self.first != NOWHERE).then_some(self.last.timestamp)
    }

    /// Appends a sample, which is later than all before.
    pub(crate) fn push(&mut self, timestamp: TimestampMs, bits: u64, arena: &mut Arena) {
        let last = self.last;
        let step = timestamp.wrapping_sub(last.timestamp);
        let value = f64::from_bits(bits);
        let near = if last.exponent == RAW { None } else { mantissa(value, last.exponent) };
        let same = match near {
            Some(m) => m as u64 == last.value,
            None => last.exponent == RAW && bits == last.value,
        };
        let keeps_step = step == i64::from(last.step);
        if same && keeps_step && self.run < u16::MAX && self.first != NOWHERE {
            self.run += 1;
            self.last.timestamp = timestamp;
            return;
        }
        if self.run > 0 {
            self.write_run(arena);
        }
        let mut tokens = Tokens::new();
        self.last.timestamp = timestamp;
        if !keeps_step {
            let change = zigzag(step.wrapping_sub(i64::from(last.step)));
            tokens.put(change.min(FAR) << 3 | STEP);
            if change >= FAR {
                tokens.put_raw(change);
            }
            // A step that does not fit is taken once, and the next one is compared with 0.
            self.last.step = u32::try_from(step).unwrap_or(0);
        }
        match near {
            Some(m) => {
                tokens.put(zigzag(m - last.value as i64) << 1);
                self.last.value = m as u64;
            }
            None => match decompose(value, last.exponent) {
                Some((m, exponent)) => {
                    tokens.put(u64::from(exponent) << 3 | VALUE);
                    tokens.put(zigzag(m));
                    (self.last.value, self.last.exponent) = (m as u64, exponent);
                }
                None => {
                    tokens.put(u64::from(RAW) << 3 | VALUE);
                    tokens.put_raw(bits);
                    (self.last.value, self.last.exponent) = (bits, RAW);
                }
            },
        }
        // A restart tells the state before these tokens.
        let after = std::mem::replace(&mut self.last, last);
        self.write(&tokens, arena);
        self.last = after;
    }

    /// Hands the samples from `from` to `to` inclusive to a column, in order of time.
    pub(crate) fn read(&self, from: TimestampMs, to: TimestampMs, arena: &Arena, out: &mut FloatColumn) {
        if self.first == NOWHERE {
            return;
        }
        let (mut block, mut index, mut cursor) = self.start(from, arena);
        loop {
            let len = if block == self.current { usize::from(self.used) } else { block_len(index) };
            let bytes = arena.get(block, len);
            let front = if is_restart(index) { LINK + RESTART } else { LINK };
            if read_block(&bytes[front..], &mut cursor, from, to, out).is_break() {
                return;
            }
            if block == self.current {
                break;
            }
            block = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            index = following(index);
        }
        run(u64::from(self.run), &mut cursor, from, to, out);
    }

    /// The last place at or before `from` at which reading can begin.
    fn start(&self, from: TimestampMs, arena: &Arena) -> (u32, u16, Cursor) {
        self.bounds(from, TimestampMs::MAX, arena).1
    }

    /// The first restart with nothing up to `to` behind it, if there is one, and the last place at or before `from` at
    /// which reading can begin.
    fn bounds(&self, from: TimestampMs, to: TimestampMs, arena: &Arena) -> (u32, (u32, u16, Cursor)) {
        let (mut end, mut block) = (NOWHERE, self.restart);
        while block != NOWHERE {
            let (before, cursor) = read_restart(&arena.get(block, LINK + RESTART)[LINK..]);
            if cursor.timestamp < from {
                return (end, (block, FIRST_RESTART, cursor));
            }
            if cursor.timestamp >= to {
                end = block;
            }
            block = before;
        }
        (end, (self.first, 0, BEGIN))
    }

    fn write_run(&mut self, arena: &mut Arena) {
        let mut tokens = Tokens::new();
        tokens.put(u64::from(self.run) << 3 | RUN);
        // A restart tells the state before this token.
        let after = self.last.timestamp;
        self.last.timestamp = after.wrapping_sub(i64::from(self.run) * i64::from(self.last.step));
        self.write(&tokens, arena);
        self.last.timestamp = after;
        self.run = 0;
    }

    fn write(&mut self, tokens: &Tokens, arena: &mut Arena) {
        let tokens = &tokens.bytes[..tokens.len];
        if self.first == NOWHERE || usize::from(self.used) + tokens.len() > block_len(self.index) {
            self.next_block(arena);
        }
        let used = usize::from(self.used);
        arena.get_mut(self.current, used + tokens.len())[used..].copy_from_slice(tokens);
        self.used += tokens.len() as u8;
    }

    fn next_block(&mut self, arena: &mut Arena) {
        if self.first == NOWHERE {
            self.current = arena.allocate(block_len(0));
            self.first = self.current;
            self.used = LINK as u8;
            return;
        }
        let next_index = following(self.index);
        let next = arena.allocate(block_len(next_index));
        let full = arena.get_mut(self.current, block_len(self.index));
        full[..LINK].copy_from_slice(&next.to_le_bytes());
        if let Some(rest) = full.get_mut(usize::from(self.used)) {
            *rest = END as u8;
        }
        (self.index, self.current, self.used) = (next_index, next, LINK as u8);
        if is_restart(next_index) {
            let restart = &mut arena.get_mut(next, LINK + RESTART)[LINK..];
            let Cursor { timestamp, value, step, exponent } = self.last;
            restart[..4].copy_from_slice(&self.restart.to_le_bytes());
            restart[4..12].copy_from_slice(&timestamp.to_le_bytes());
            restart[12..20].copy_from_slice(&value.to_le_bytes());
            restart[20..24].copy_from_slice(&step.to_le_bytes());
            restart[24] = exponent;
            self.restart = next;
            self.used = (LINK + RESTART) as u8;
        }
    }
}

fn read_restart(bytes: &[u8]) -> (u32, Cursor) {
    let mut word = [0; 4];
    let mut long = [0; 8];
    word.copy_from_slice(&bytes[..4]);
    let before = u32::from_le_bytes(word);
    long.copy_from_slice(&bytes[4..12]);
    let timestamp = i64::from_le_bytes(long);
    long.copy_from_slice(&bytes[12..20]);
    let value = u64::from_le_bytes(long);
    word.copy_from_slice(&bytes[20..24]);
    (before, Cursor { timestamp, value, step: u32::from_le_bytes(word), exponent: bytes[24] })
}

/// Reads the tokens of a block. Breaks when a sample is later than `to`.
fn read_block(
    bytes: &[u8],
    cursor: &mut Cursor,
    from: TimestampMs,
    to: TimestampMs,
    out: &mut FloatColumn,
) -> std::ops::ControlFlow<()> {
    let mut at = 0;
    let mut odd_step = None;
    while at < bytes.len() {
        let token = varint(bytes, &mut at);
        match token & 0b111 {
            RUN => {
                run(token >> 3, cursor, from, to, out);
                continue;
            }
            STEP => {
                let change = if token >> 3 == FAR { raw(bytes, &mut at) } else { token >> 3 };
                let step = i64::from(cursor.step).wrapping_add(unzigzag(change));
                match u32::try_from(step) {
                    Ok(step) => cursor.step = step,
                    Err(_) => (cursor.step, odd_step) = (0, Some(step)),
                }
                continue;
            }
            END => break,
            VALUE if token >> 3 == u64::from(RAW) => {
                (cursor.value, cursor.exponent) = (raw(bytes, &mut at), RAW);
            }
            VALUE => {
                cursor.exponent = (token >> 3) as u8;
                cursor.value = unzigzag(varint(bytes, &mut at)) as u64;
            }
            _ => cursor.value = cursor.value.wrapping_add(unzigzag(token >> 1) as u64),
        }
        cursor.timestamp = cursor.timestamp.wrapping_add(odd_step.take().unwrap_or(i64::from(cursor.step)));
        if cursor.timestamp > to {
            return std::ops::ControlFlow::Break(());
        }
        if cursor.timestamp >= from {
            out.timestamps.push(cursor.timestamp);
            out.values.push(value_of(cursor));
        }
    }
    std::ops::ControlFlow::Continue(())
}

fn run(n: u64, cursor: &mut Cursor, from: TimestampMs, to: TimestampMs, out: &mut FloatColumn) {
    let value = value_of(cursor);
    for _ in 0..n {
        cursor.timestamp = cursor.timestamp.wrapping_add(i64::from(cursor.step));
        if (from..=to).contains(&cursor.timestamp) {
            out.timestamps.push(cursor.timestamp);
            out.values.push(value);
        }
    }
}

#[inline]
fn value_of(cursor: &Cursor) -> f64 {
    match cursor.exponent {
        RAW => f64::from_bits(cursor.value),
        exponent => restore(cursor.value as i64, POWERS[usize::from(exponent)]),
    }
}

/// Eight bytes that [`Tokens`] wrote.
fn raw(bytes: &[u8], at: &mut usize) -> u64 {
    let mut long = [0; 8];
    long.copy_from_slice(&bytes[*at..*at + 8]);
    *at += 8;
    u64::from_le_bytes(long)
}

/// A varint that [`Tokens`] wrote.
#[inline]
fn varint(bytes: &[u8], at: &mut usize) -> u64 {
    let mut n = 0;
    let mut shift = 0;
    loop {
        let byte = bytes[*at];
        *at += 1;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return n;
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Vec<(i64, u64)>> {
        let step = prop_oneof![8 => Just(15_000i64), 2 => 1i64..40_000, 1 => 1i64..1 << 40];
        let value = prop_oneof![
            4 => (0i64..2000).prop_map(|m| m as f64 / 100.0),
            4 => Just(7.0),
            2 => any::<i64>().prop_map(|m| m as f64),
            1 => any::<u64>().prop_map(f64::from_bits),
            1 => Just(f64::from_bits(sonde_model::STALE_NAN_BITS)),
        ];
        (-(1i64 << 50)..1 << 50, prop::collection::vec((step, value, 1usize..40), 1..120)).prop_map(|(start, parts)| {
            let mut t = start;
            let repeat = |(step, value, n): (i64, f64, usize)| std::iter::repeat_n((step, value.to_bits()), n);
            parts
                .into_iter()
                .flat_map(repeat)
                .map(|(step, bits)| {
                    t += step;
                    (t, bits)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn streams_are_lossless(
            samples in values(),
            range in any::<(prop::sample::Index, prop::sample::Index)>(),
            off in -1i64..2,
        ) {
            let mut arena = Arena::default();
            let (mut stream, mut other) = (EMPTY, EMPTY);
            for (t, bits) in &samples {
                stream.push(*t, *bits, &mut arena);
                other.push(*t, !*bits, &mut arena);
                prop_assert_eq!(stream.last(), Some(*t));
            }
            let read = |from, to| {
                let mut column = FloatColumn::default();
                stream.read(from, to, &arena, &mut column);
                let (mut copy, mut of_copy) = (vec![1, 2, 3], FloatColumn::default());
                if let Some(copied) = stream.copy(from, to, &arena, &mut copy) {
                    copied.read(&copy, from, to, &mut of_copy);
                }
                let bits_of = |column: &FloatColumn| column.values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert_eq!((&of_copy.timestamps, bits_of(&of_copy)), (&column.timestamps, bits_of(&column)));
                let bits = column.values.iter().map(|v| v.to_bits());
                column.timestamps.iter().copied().zip(bits).collect::<Vec<_>>()
            };
            prop_assert_eq!(read(i64::MIN, i64::MAX), samples.clone());
            let (from, to) = (range.0.get(&samples).0 + off, range.1.get(&samples).0 + off);
            let expected: Vec<_> = samples.iter().copied().filter(|(t, _)| (from..=to).contains(t)).collect();
            prop_assert_eq!(read(from, to), expected);
        }
    }

    #[test]
    fn a_stream_is_small() {
        assert!(size_of::<Stream>() <= 48, "{}", size_of::<Stream>());
    }
}
