//! Reading the frames of a segment, damage included. Knows one segment and nothing of the others.

use std::io;

use super::DamageReason;
use super::frame::{FRAME_HEADER_LEN, FRAME_MAGIC, FrameHeader, FrameKind};
use super::segment::{FRAMES_AT, SegmentHeader};
use super::window::Window;

/// Reads the frames of a segment in order.
#[derive(Debug)]
pub(super) struct Scanner {
    window: Window,
    salt: u64,
    offset: u64,
    /// The least sequence number that the next record may have.
    next_sequence: u64,
    /// Records from this sequence number on are superseded.
    superseded_from: u64,
    /// Behind this offset there are only zeros; known once it has been looked for.
    content_end: Option<u64>,
}

/// What stands at the scanner's place.
#[derive(Debug)]
pub(super) enum Found {
    /// An intact frame.
    Frame(Frame),
    /// No intact frame, but one at `to`.
    Damage { from: u64, to: u64, reason: DamageReason },
    /// No intact frame any more; `bytes` do not look like an end.
    Trailing { from: u64, bytes: u64, reason: DamageReason },
    /// The end: nothing but zeros, if anything.
    End,
}

/// An intact frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    pub(super) offset: u64,
    /// Where the next frame may stand.
    pub(super) end: u64,
    pub(super) sequence: u64,
    pub(super) synced: u64,
    length: usize,
}

impl Scanner {
    /// Starts at the first frame.
    pub(super) fn new(window: Window, header: &SegmentHeader, superseded_from: u64) -> Self {
        Self {
            window,
            salt: header.salt,
            offset: FRAMES_AT,
            next_sequence: header.first_sequence,
            superseded_from,
            content_end: None,
        }
    }

    /// Starts at `offset`, where a frame is said to stand, with any sequence number.
    pub(super) fn resume(window: Window, salt: u64, offset: u64) -> Self {
        Self { window, salt, offset, next_sequence: 0, superseded_from: u64::MAX, content_end: None }
    }

    /// Where the scanner stands.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Lets the scanner read further.
    pub(super) fn extend(&mut self, limit: u64) {
        self.window.extend(limit);
        self.content_end = None;
    }

    /// Fails if anything at or behind `from` could not be read.
    pub(super) fn check_readable(&self, from: u64) -> io::Result<()> {
        match self.window.unreadable() {
            Some((at, kind)) if at >= from => Err(io::Error::new(kind, format!("cannot read the block at {at}"))),
            _ => Ok(()),
        }
    }

    /// What stands at the scanner's place; steps behind it.
    pub(super) fn next(&mut self) -> io::Result<Found> {
        if self.offset >= self.window.limit() {
            return Ok(Found::End);
        }
        let from = self.offset;
        let (search_from, reason) = match self.frame_at(from)? {
            Ok(frame) => {
                self.offset = frame.end;
                if frame.kind == FrameKind::Record {
                    self.next_sequence = frame.sequence.saturating_add(1);
                }
                return Ok(Found::Frame(frame));
            }
            Err(Bad { search_from, reason }) => (search_from, reason),
        };
        let bytes = self.bytes_before_zeros(from)?;
        if bytes == 0 {
            self.offset = self.window.limit();
            return Ok(Found::End);
        }
        if let Some(to) = self.search(search_from, from + bytes)? {
            self.offset = to;
            return Ok(Found::Damage { from, to, reason });
        }
        self.offset = self.window.limit();
        Ok(Found::Trailing { from, bytes, reason })
    }

    /// The record of a frame that was just found.
    pub(super) fn record(&mut self, frame: &Frame) -> io::Result<&[u8]> {
        self.window.bytes(frame.offset + FRAME_HEADER_LEN as u64, frame.length)
    }

    fn frame_at(&mut self, offset: u64) -> io::Result<Result<Frame, Bad>> {
        let no_header = Bad { search_from: offset + 1, reason: DamageReason::FrameHeader };
        let Some(header) = FrameHeader::decode(self.window.bytes(offset, FRAME_HEADER_LEN)?, self.salt, offset) else {
            return Ok(Err(no_header));
        };
        let in_order = header.sequence >= self.next_sequence && header.sequence < self.superseded_from;
        if !in_order && header.kind == FrameKind::Record {
            return Ok(Err(no_header));
        }
        let record_at = offset + FRAME_HEADER_LEN as u64;
        let end = record_at + header.length as u64;
        // Compared before the record is read: a length is not worth an allocation until the file has the bytes.
        if end > self.window.limit() {
            return Ok(Err(Bad { search_from: record_at, reason: DamageReason::Record }));
        }
        let salt = self.salt;
        if !header.matches(self.window.bytes(record_at, header.length)?, salt) {
            return Ok(Err(Bad { search_from: end, reason: DamageReason::Record }));
        }
        let FrameHeader { kind, length, sequence, synced, .. } = header;
        Ok(Ok(Frame { kind, offset, end, sequence, synced, length }))
    }

    /// The place of the next intact frame at or behind `from` and before `to`.
    fn search(&mut self, mut from: u64, to: u64) -> io::Result<Option<u64>> {
        loop {
            if from >= to {
                return Ok(None);
            }
            let bytes = self.window.at_least(from, FRAME_HEADER_LEN)?;
            if bytes.len() < FRAME_HEADER_LEN {
                return Ok(None);
            }
            let Some(skip) = bytes.windows(FRAME_MAGIC.len()).position(|bytes| bytes == FRAME_MAGIC) else {
                from += (bytes.len() - FRAME_MAGIC.len() + 1) as u64;
                continue;
            };
            from += skip as u64;
            if self.frame_at(from)?.is_ok() {
                return Ok(Some(from));
            }
            from += 1;
        }
    }

    /// How many bytes from `from` on there are before nothing but zeros follows.
    pub(super) fn bytes_before_zeros(&mut self, from: u64) -> io::Result<u64> {
        if let Some(end) = self.content_end {
            return Ok(end.saturating_sub(from));
        }
        const ZEROS: [u8; 4096] = [0; 4096];
        let mut at = from;
        let mut end = from;
        loop {
            let bytes = self.window.at_least(at, 1)?;
            if bytes.is_empty() {
                self.content_end = Some(end);
                return Ok(end - from);
            }
            // Whole blocks are compared first, because zeros ahead are long.
            for (block, block_at) in bytes.chunks(ZEROS.len()).zip((at..).step_by(ZEROS.len())) {
                if *block != ZEROS[..block.len()]
                    && let Some(last) = block.iter().rposition(|byte| *byte != 0)
                {
                    end = block_at + last as u64 + 1;
                }
            }
            at += bytes.len() as u64;
        }
    }
}

/// Why no intact frame stands at a place, and where the next one may.
struct Bad {
    search_from: u64,
    reason: DamageReason,
}
