//! The bytes of a batch in the queue's WAL. `docs/format/agent-queue.md` is the reference.

use std::fmt;

use parking_lot::Mutex;
use sonde_model::{AgentId, BatchId, Signal};
use thiserror::Error;

use super::Source;

/// The version of the format that is written.
const VERSION: u8 = 1;
/// Everything before the body.
pub(super) const HEADER_BYTES: usize = 56;

/// Repetition between points makes the fastest level shrink a body of host metrics tenfold.
const ZSTD_LEVEL: i32 = 1;
/// Bodies below this are not worth compressing.
const MIN_PACKED: usize = 256;

/// A batch as it lies in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) id: BatchId,
    pub(super) source: Source,
    /// Data points or spans in the body.
    pub(super) items: u64,
    /// When the batch was made, in milliseconds since the Unix epoch.
    pub(super) created_ms: i64,
    pub(super) encoding: Encoding,
    /// The size of the body when it is not compressed.
    pub(super) plain_bytes: u32,
    pub(super) body: &'a [u8],
}

/// How a body is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Zstd,
}

/// Compresses bodies, with memory that is used again.
pub(super) struct Packer(Mutex<zstd::bulk::Compressor<'static>>);

/// A record of the queue is not one that this release writes. The WAL has proven that it is intact.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RecordError {
    /// A newer release wrote it.
    #[error("a batch of the queue has version {0}, this release reads {VERSION}")]
    Version(u8),
    /// It is too short, or a field has no meaning.
    #[error("a batch of the queue is malformed")]
    Malformed,
    /// The body cannot be decompressed.
    #[error("the body of a batch of the queue cannot be decompressed")]
    Compression,
}

impl Record<'_> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.body.len());
        bytes.push(VERSION);
        bytes.push(match self.encoding {
            Encoding::Plain => 0,
            Encoding::Zstd => 1,
        });
        bytes.push(match self.id.signal {
            Signal::Metrics => 0,
            Signal::Traces => 1,
        });
        bytes.push(self.source as u8);
        bytes.extend_from_slice(&self.plain_bytes.to_le_bytes());
        bytes.extend_from_slice(&self.id.agent.0);
        bytes.extend_from_slice(&self.id.epoch.to_le_bytes());
        bytes.extend_from_slice(&self.id.seq.to_le_bytes());
        bytes.extend_from_slice(&self.items.to_le_bytes());
        bytes.extend_from_slice(&self.created_ms.to_le_bytes());
        bytes.extend_from_slice(self.body);
        bytes
    }
}

impl<'a> Record<'a> {
    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (header, body) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(RecordError::Malformed)?;
        if header[0] != VERSION {
            return Err(RecordError::Version(header[0]));
        }
        let word = |at: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&header[at..at + 8]);
            u64::from_le_bytes(word)
        };
        let mut agent = [0; 16];
        agent.copy_from_slice(&header[8..24]);
        let signal = match header[2] {
            0 => Signal::Metrics,
            1 => Signal::Traces,
            _ => return Err(RecordError::Malformed),
        };
        Ok(Record {
            id: BatchId { agent: AgentId(agent), epoch: word(24), signal, seq: word(32) },
            source: Source::from_byte(header[3]).ok_or(RecordError::Malformed)?,
            items: word(40),
            created_ms: i64::from_le_bytes(word(48).to_le_bytes()),
            encoding: match header[1] {
                0 => Encoding::Plain,
                1 => Encoding::Zstd,
                _ => return Err(RecordError::Malformed),
            },
            plain_bytes: u32::from_le_bytes([header[4], header[5], header[6], header[7]]),
            body,
        })
    }

    /// The body as it was given to the queue, byte for byte.
    pub(super) fn plain_body(&self, max_bytes: usize) -> Result<Vec<u8>, RecordError> {
        let plain_bytes = self.plain_bytes as usize;
        if plain_bytes > max_bytes {
            return Err(RecordError::Malformed);
        }
        let body = match self.encoding {
            Encoding::Plain => self.body.to_vec(),
            Encoding::Zstd => zstd::bulk::decompress(self.body, plain_bytes).map_err(|_| RecordError::Compression)?,
        };
        if body.len() == plain_bytes { Ok(body) } else { Err(RecordError::Compression) }
    }
}

impl Packer {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Packer(Mutex::new(zstd::bulk::Compressor::new(ZSTD_LEVEL)?)))
    }

    /// The compressed body, if compressing makes it smaller.
    pub(super) fn pack(&self, body: &[u8]) -> Option<Vec<u8>> {
        if body.len() < MIN_PACKED {
            return None;
        }
        self.0.lock().compress(body).ok().filter(|packed| packed.len() < body.len())
    }
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Packer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(body: &[u8], encoding: Encoding) -> Record<'_> {
        let id = BatchId { agent: AgentId([9; 16]), epoch: 3, signal: Signal::Metrics, seq: 77 };
        Record { id, source: Source::Scrape, items: 12, created_ms: -5, encoding, plain_bytes: 400, body }
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        let body = vec![1; 400];
        let packed = zstd::bulk::compress(&body, 1).unwrap();
        for record in [record(&body, Encoding::Plain), record(&packed, Encoding::Zstd)] {
            let bytes = record.encode();
            let decoded = Record::decode(&bytes).unwrap();
            assert_eq!(decoded, record);
            assert_eq!(decoded.plain_body(400), Ok(body.clone()));
            assert_eq!(decoded.plain_body(399), Err(RecordError::Malformed));
        }
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let good = record(&[1; 400], Encoding::Plain).encode();
        for (at, byte, error) in [
            (0, 2, RecordError::Version(2)),
            (1, 9, RecordError::Malformed),
            (2, 9, RecordError::Malformed),
            (3, 99, RecordError::Malformed),
        ] {
            let mut bytes = good.clone();
            bytes[at] = byte;
            assert_eq!(Record::decode(&bytes), Err(error), "{at}");
        }
        assert_eq!(Record::decode(&good[..HEADER_BYTES - 1]), Err(RecordError::Malformed));
        let short = Record::decode(&good[..HEADER_BYTES + 10]).unwrap().plain_body(1_000);
        assert_eq!(short, Err(RecordError::Compression));
        let garbage = record(&[7; 30], Encoding::Zstd).encode();
        assert_eq!(Record::decode(&garbage).unwrap().plain_body(1_000), Err(RecordError::Compression));
    }
}
