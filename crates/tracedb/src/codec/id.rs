//! Batch numbers, streams and cursors in bytes.

use sonde_disk::varint::{Reader, put};
use sonde_model::{AgentId, BatchId, Cursor, Signal, StreamId};

use super::DecodeError;

pub(crate) fn put_stream(out: &mut Vec<u8>, stream: &StreamId) {
    out.extend_from_slice(&stream.agent.0);
    put(out, stream.epoch);
    out.push(match stream.signal {
        Signal::Metrics => 0,
        Signal::Traces => 1,
    });
}

pub(crate) fn read_stream(reader: &mut Reader<'_>) -> Result<StreamId, DecodeError> {
    let agent = AgentId(reader.array()?);
    let epoch = reader.varint()?;
    let signal = match reader.u8()? {
        0 => Signal::Metrics,
        1 => Signal::Traces,
        value => return Err(DecodeError::Unknown { what: "signal", value }),
    };
    Ok(StreamId { agent, epoch, signal })
}

pub(crate) fn put_batch_id(out: &mut Vec<u8>, (id, checksum): &(BatchId, u32)) {
    put_stream(out, &(*id).into());
    put(out, id.seq);
    out.extend_from_slice(&checksum.to_le_bytes());
}

pub(crate) fn read_batch_id(reader: &mut Reader<'_>) -> Result<(BatchId, u32), DecodeError> {
    let StreamId { agent, epoch, signal } = read_stream(reader)?;
    let seq = reader.varint()?;
    Ok((BatchId { agent, epoch, signal, seq }, reader.u32_le()?))
}

pub(crate) fn put_cursor(out: &mut Vec<u8>, stream: &StreamId, cursor: &Cursor) {
    put_stream(out, stream);
    put(out, cursor.mark());
    put(out, cursor.checksums().count() as u64);
    let mut before = 0;
    for (seq, checksum) in cursor.checksums() {
        put(out, seq.wrapping_sub(before));
        out.extend_from_slice(&checksum.to_le_bytes());
        before = seq;
    }
}

pub(crate) fn read_cursor(reader: &mut Reader<'_>) -> Result<(StreamId, Cursor), DecodeError> {
    let stream = read_stream(reader)?;
    let mark = reader.varint()?;
    let n = reader.count(5, "checksums")?;
    let mut seq = 0u64;
    let mut checksums = Vec::with_capacity(n);
    for _ in 0..n {
        seq = seq.wrapping_add(reader.varint()?);
        checksums.push((seq, reader.u32_le()?));
    }
    Ok((stream, Cursor::restore(mark, checksums)))
}
