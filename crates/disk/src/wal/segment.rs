//! A segment's file: its name, its header, and what is known of it while the WAL is open.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::frame::{u32_at, u64_at};
use crate::checksum::crc32;
use crate::fs::File;

/// The format that this release writes, and the newest that it reads.
pub(super) const VERSION: u8 = 1;

/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 64;

/// Where the second copy of the header lies: in another block than the first.
const HEADER_COPY_AT: u64 = 4096;

/// Where the frames begin.
pub(super) const FRAMES_AT: u64 = HEADER_COPY_AT + HEADER_LEN as u64;

const MAGIC: [u8; 8] = *b"SONDEWAL";
const VERSION_AT: usize = 8;
const NUMBER_AT: usize = 16;
const SALT_AT: usize = 24;
const FIRST_SEQUENCE_AT: usize = 32;
const SYNCED_AT: usize = 40;
const CRC_AT: usize = 60;

const SUFFIX: &str = ".wal";
const TEMPORARY_SUFFIX: &str = ".wal.tmp";

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) number: u64,
    /// Makes every checksum of the segment its own.
    pub(super) salt: u64,
    /// Records of earlier segments with this or a greater sequence number are superseded.
    pub(super) first_sequence: u64,
    /// Frames below this offset were synced before the segment got its name.
    pub(super) synced: u64,
}

/// Why a header could not be read.
#[derive(Debug)]
pub(super) enum HeaderError {
    Damaged,
    Newer(u8),
    Io(io::Error),
}

impl SegmentHeader {
    /// The bytes before the frames: both copies and what lies between.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut header = [0; HEADER_LEN];
        header[..VERSION_AT].copy_from_slice(&MAGIC);
        header[VERSION_AT] = VERSION;
        header[NUMBER_AT..NUMBER_AT + 8].copy_from_slice(&self.number.to_le_bytes());
        header[SALT_AT..SALT_AT + 8].copy_from_slice(&self.salt.to_le_bytes());
        header[FIRST_SEQUENCE_AT..FIRST_SEQUENCE_AT + 8].copy_from_slice(&self.first_sequence.to_le_bytes());
        header[SYNCED_AT..SYNCED_AT + 8].copy_from_slice(&self.synced.to_le_bytes());
        let crc = crc32(&header[..CRC_AT]);
        header[CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        let mut bytes = header.to_vec();
        bytes.resize(HEADER_COPY_AT as usize, 0);
        bytes.extend_from_slice(&header);
        bytes
    }

    /// Reads either copy of the header of segment `number`.
    pub(super) fn read(file: &dyn File, number: u64) -> Result<Self, HeaderError> {
        let mut newer = None;
        let mut failure = None;
        for offset in [0, HEADER_COPY_AT] {
            let mut bytes = [0; HEADER_LEN];
            match file.read_exact_at(&mut bytes, offset) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => {
                    failure = Some(error);
                    continue;
                }
            }
            match Self::decode(&bytes) {
                Ok(header) if header.number == number => return Ok(header),
                Err(HeaderError::Newer(version)) => newer = Some(version),
                _ => {}
            }
        }
        Err(match (newer, failure) {
            (Some(version), _) => HeaderError::Newer(version),
            (None, Some(error)) => HeaderError::Io(error),
            (None, None) => HeaderError::Damaged,
        })
    }

    fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        if bytes[..VERSION_AT] != MAGIC || u32_at(bytes, CRC_AT) != crc32(&bytes[..CRC_AT]) {
            return Err(HeaderError::Damaged);
        }
        if bytes[VERSION_AT] != VERSION {
            return Err(HeaderError::Newer(bytes[VERSION_AT]));
        }
        Ok(Self {
            number: u64_at(bytes, NUMBER_AT),
            salt: u64_at(bytes, SALT_AT),
            first_sequence: u64_at(bytes, FIRST_SEQUENCE_AT),
            synced: u64_at(bytes, SYNCED_AT),
        })
    }
}

/// The segments on disk, by number, as far as readers may go.
pub(super) type Segments = BTreeMap<u64, Segment>;

/// A segment on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// `None` if both copies of its header are damaged: it is kept until it is truncated, and nothing is read of it.
    pub(super) salt: Option<u64>,
    /// Where its durable and not superseded records end.
    pub(super) end: u64,
    /// The length of the file, as far as it is known to matter.
    pub(super) file_bytes: u64,
}

/// The path of a segment.
pub(super) fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}{SUFFIX}"))
}

/// The path of a segment before it gets its name.
pub(super) fn temporary_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}{TEMPORARY_SUFFIX}"))
}

/// The number of the segment with this file name; `None` if it is no segment.
pub(super) fn parse_name(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    if digits.len() < 12 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Whether a file of this name is a segment that never got its name.
pub(super) fn is_temporary(name: &str) -> bool {
    name.ends_with(TEMPORARY_SUFFIX)
}
