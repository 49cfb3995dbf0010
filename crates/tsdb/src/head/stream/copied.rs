//! Blocks of a stream, copied out of the arena one after the other, so that they can be read without it.

use sonde_model::{FloatColumn, TimestampMs};

use super::{Cursor, LINK, NOWHERE, RESTART, Stream, block_len, following, is_restart, read_block, run};
use crate::head::arena::Arena;

/// Where in a copy the blocks of a stream lie, and how reading them begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copied {
    start: usize,
    len: u32,
    /// The number of the first block.
    index: u16,
    /// How often the last value comes again behind the last token.
    run: u16,
    cursor: Cursor,
}

impl Stream {
    /// Appends the blocks that hold the samples from `from` to `to` inclusive to `copy`, as they are.
    pub(crate) fn copy(&self, from: TimestampMs, to: TimestampMs, arena: &Arena, copy: &mut Vec<u8>) -> Option<Copied> {
        if self.first == NOWHERE {
            return None;
        }
        let (end, (mut block, index, cursor)) = self.bounds(from, to, arena);
        let start = copy.len();
        let mut number = index;
        while block != end && block != self.current {
            let bytes = arena.get(block, block_len(number));
            copy.extend_from_slice(bytes);
            block = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            number = following(number);
        }
        let is_whole = block != end;
        if is_whole {
            copy.extend_from_slice(arena.get(block, usize::from(self.used)));
        }
        let run = if is_whole { self.run } else { 0 };
        Some(Copied { start, len: (copy.len() - start) as u32, index, run, cursor })
    }
}

impl Copied {
    /// Hands the samples from `from` to `to` inclusive to a column, in order of time; they are among those that were copied.
    pub(crate) fn read(&self, copy: &[u8], from: TimestampMs, to: TimestampMs, out: &mut FloatColumn) {
        let mut bytes = &copy[self.start..self.start + self.len as usize];
        let (mut index, mut cursor) = (self.index, self.cursor);
        while !bytes.is_empty() {
            let (block, rest) = bytes.split_at(block_len(index).min(bytes.len()));
            let front = if is_restart(index) { LINK + RESTART } else { LINK };
            if read_block(&block[front..], &mut cursor, from, to, out).is_break() {
                return;
            }
            bytes = rest;
            index = following(index);
        }
        run(u64::from(self.run), &mut cursor, from, to, out);
    }
}
