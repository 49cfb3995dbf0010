//! What the store writes into the WAL, self-contained. See docs/format/trace-wal-records.md.

use sonde_disk::varint::{Reader, put};
use sonde_model::{BatchId, Cursor, StreamId};

use crate::codec::DecodeError;
use crate::codec::id::{put_batch_id, put_cursor, read_batch_id, read_cursor};

const BATCH: u8 = 1;
const CURSORS: u8 = 2;
const CHECKPOINT: u8 = 3;

/// The version of all record kinds.
const VERSION: u8 = 1;

const HAS_CURSOR: u8 = 1;

/// Bytes in front of the body of a batch at most.
const MAX_BATCH_HEAD: usize = 64;

/// A record, read.
#[derive(Debug)]
pub(crate) enum Record<'a> {
    /// A committed batch; `body` is a chunk.
    Batch { position: u64, cursor: Option<(BatchId, u32)>, body: &'a [u8] },
    /// Cursors of the checkpoint that follows.
    Cursors(Vec<(StreamId, Cursor)>),
    /// All that came before belongs to flush `flush`; `position` is that of the next batch.
    Checkpoint { flush: u64, position: u64 },
}

/// The record of a batch.
pub(crate) fn batch(position: u64, cursor: Option<&(BatchId, u32)>, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + MAX_BATCH_HEAD);
    out.extend_from_slice(&[BATCH, VERSION]);
    put(&mut out, position);
    out.push(if cursor.is_some() { HAS_CURSOR } else { 0 });
    if let Some(cursor) = cursor {
        put_batch_id(&mut out, cursor);
    }
    out.extend_from_slice(body);
    out
}

/// The records of a checkpoint: cursors in pieces of about `piece` bytes, then the checkpoint itself.
pub(crate) fn checkpoint<'a>(
    flush: u64,
    position: u64,
    cursors: impl Iterator<Item = (&'a StreamId, &'a Cursor)>,
    piece: usize,
) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let (mut body, mut count) = (Vec::new(), 0u64);
    let mut cut = |body: &mut Vec<u8>, count: &mut u64, at_least: usize| {
        if *count > 0 && body.len() >= at_least {
            let mut record = vec![CURSORS, VERSION];
            put(&mut record, *count);
            record.append(body);
            *count = 0;
            records.push(record);
        }
    };
    for (stream, cursor) in cursors {
        put_cursor(&mut body, stream, cursor);
        count += 1;
        cut(&mut body, &mut count, piece);
    }
    cut(&mut body, &mut count, 0);
    let mut record = vec![CHECKPOINT, VERSION];
    put(&mut record, flush);
    put(&mut record, position);
    records.push(record);
    records
}

/// Reads a record.
pub(crate) fn read(bytes: &[u8]) -> Result<Record<'_>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    let version = reader.u8()?;
    if version != VERSION {
        return Err(DecodeError::Unknown { what: "record version", value: version });
    }
    match kind {
        BATCH => {
            let position = reader.varint()?;
            let cursor = match reader.u8()? {
                0 => None,
                HAS_CURSOR => Some(read_batch_id(&mut reader)?),
                value => return Err(DecodeError::Unknown { what: "batch flags", value }),
            };
            Ok(Record::Batch { position, cursor, body: reader.rest() })
        }
        CURSORS => {
            let n = reader.count(20, "cursors")?;
            Ok(Record::Cursors((0..n).map(|_| read_cursor(&mut reader)).collect::<Result<_, _>>()?))
        }
        CHECKPOINT => Ok(Record::Checkpoint { flush: reader.varint()?, position: reader.varint()? }),
        value => Err(DecodeError::Unknown { what: "record kind", value }),
    }
}
