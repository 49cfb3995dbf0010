//! The frame around a record: see docs/format/wal.md.

use crate::checksum::crc32_of;

/// Bytes of a frame before its record.
pub(super) const FRAME_HEADER_LEN: usize = 32;

/// The largest record that the format allows.
pub(super) const MAX_RECORD_BYTES: usize = 256 << 20;

/// What a search for the next frame looks for.
pub(super) const FRAME_MAGIC: [u8; 3] = [0xa7, 0x53, 0x57];

const KIND_AT: usize = 3;
const LENGTH_AT: usize = 4;
const SEQUENCE_AT: usize = 8;
const SYNCED_AT: usize = 16;
const RECORD_CRC_AT: usize = 24;
const HEADER_CRC_AT: usize = 28;

/// No log grows so long; numbers beyond are damage, and there is always a next one.
const MAX_SEQUENCE: u64 = 1 << 62;

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Record = 1,
    /// Written by an orderly close: everything before it is synced.
    Mark = 2,
}

/// The fields of a frame's header that hold for any segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) kind: FrameKind,
    pub(super) length: usize,
    pub(super) sequence: u64,
    pub(super) synced: u64,
    record_crc: u32,
}

impl FrameHeader {
    /// Decodes the header of a frame at `offset`; `None` if it is not intact there.
    pub(super) fn decode(bytes: &[u8], salt: u64, offset: u64) -> Option<Self> {
        let header: &[u8; FRAME_HEADER_LEN] = bytes.get(..FRAME_HEADER_LEN)?.try_into().ok()?;
        if header[..KIND_AT] != FRAME_MAGIC
            || !cfg!(fuzzing) && u32_at(header, HEADER_CRC_AT) != header_crc(header, salt, offset)
        {
            return None;
        }
        let kind = match header[KIND_AT] {
            1 => FrameKind::Record,
            2 => FrameKind::Mark,
            _ => return None,
        };
        let length = usize::try_from(u32_at(header, LENGTH_AT)).ok().filter(|length| *length <= MAX_RECORD_BYTES)?;
        let synced = Some(u64_at(header, SYNCED_AT)).filter(|synced| *synced <= offset)?;
        let record_crc = u32_at(header, RECORD_CRC_AT);
        let sequence = Some(u64_at(header, SEQUENCE_AT)).filter(|sequence| *sequence <= MAX_SEQUENCE)?;
        Some(Self { kind, length, sequence, synced, record_crc })
    }

    /// Whether `record` is what the frame was written with.
    pub(super) fn matches(&self, record: &[u8], salt: u64) -> bool {
        record.len() == self.length && (cfg!(fuzzing) || self.record_crc == record_crc(record, salt))
    }
}

/// Appends the frame of a record, to lie at `offset`, to `buffer`.
pub(super) fn encode_record(buffer: &mut Vec<u8>, record: &[u8], salt: u64, offset: u64, sequence: u64, synced: u64) {
    debug_assert!(record.len() <= MAX_RECORD_BYTES, "the length was checked when the record was taken");
    encode(buffer, FrameKind::Record, record, salt, offset, sequence, synced);
}

/// Appends the mark of an orderly close, to lie at `offset`, to `buffer`.
pub(super) fn encode_mark(buffer: &mut Vec<u8>, salt: u64, offset: u64, next_sequence: u64) {
    encode(buffer, FrameKind::Mark, &[], salt, offset, next_sequence, offset);
}

fn encode(buffer: &mut Vec<u8>, kind: FrameKind, record: &[u8], salt: u64, offset: u64, sequence: u64, synced: u64) {
    let length = u32::try_from(record.len()).expect("BUG: a record was taken that the format cannot hold");
    let mut header = [0; FRAME_HEADER_LEN];
    header[..KIND_AT].copy_from_slice(&FRAME_MAGIC);
    header[KIND_AT] = kind as u8;
    header[LENGTH_AT..SEQUENCE_AT].copy_from_slice(&length.to_le_bytes());
    header[SEQUENCE_AT..SYNCED_AT].copy_from_slice(&sequence.to_le_bytes());
    header[SYNCED_AT..RECORD_CRC_AT].copy_from_slice(&synced.to_le_bytes());
    header[RECORD_CRC_AT..HEADER_CRC_AT].copy_from_slice(&record_crc(record, salt).to_le_bytes());
    let crc = header_crc(&header, salt, offset);
    header[HEADER_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(&header);
    buffer.extend_from_slice(record);
}

fn header_crc(header: &[u8; FRAME_HEADER_LEN], salt: u64, offset: u64) -> u32 {
    crc32_of(&[&salt.to_le_bytes(), &offset.to_le_bytes(), &header[..HEADER_CRC_AT]])
}

fn record_crc(record: &[u8], salt: u64) -> u32 {
    crc32_of(&[&salt.rotate_left(32).to_le_bytes(), record])
}

/// The little-endian number at a place that the caller knows to be inside.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// The little-endian number at a place that the caller knows to be inside.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + 8].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Found by fuzzing: what follows the last number there is cannot be numbered.
    #[test]
    fn a_sequence_number_leaves_room_for_the_next() {
        let sequence_of = |sequence| {
            let mut frame = Vec::new();
            encode_record(&mut frame, b"record", 7, 64, sequence, 64);
            FrameHeader::decode(&frame, 7, 64).map(|header| header.sequence)
        };
        assert_eq!(sequence_of(MAX_SEQUENCE), Some(MAX_SEQUENCE));
        assert_eq!((sequence_of(MAX_SEQUENCE + 1), sequence_of(u64::MAX)), (None, None));
    }
}
