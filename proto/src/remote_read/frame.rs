//! The frames of a streamed answer: length, checksum, message.

use sonde_model::Series;

use crate::put;
use crate::remote_write::put_labels;
use crate::wire::{Fields, WireError};
use crate::xor_chunk::{Chunk, encode_floats, encode_histograms};

/// Bytes of a frame that are read at most.
const MAX_FRAME: usize = 64 << 20;

/// The message of a frame, and what lies behind it.
pub type Frame<'a> = (&'a [u8], &'a [u8]);

/// A frame that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Its length is no number.
    #[error("the length of a frame cannot be read")]
    Length(#[from] WireError),
    /// It ends before its end.
    #[error("a frame is truncated")]
    Truncated,
    /// It is longer than is read.
    #[error("a frame has more than {MAX_FRAME} bytes")]
    TooLong,
    /// Its checksum does not hold.
    #[error("the checksum of a frame does not hold")]
    Checksum,
}

/// Appends the frames of a series: its chunks, in as many frames of about `max_bytes` as they need. A series without samples
/// has none.
pub fn frames(out: &mut Vec<u8>, query_index: usize, series: &Series, max_bytes: usize) {
    let mut chunks = encode_floats(&series.floats.timestamps, &series.floats.values);
    chunks.extend(encode_histograms(&series.histograms.timestamps, &series.histograms.values));
    // The few series with both kinds have them in turn.
    chunks.sort_by_key(|chunk| chunk.min_time);
    let mut labels = Vec::new();
    put_labels(&mut labels, series.labels.iter());
    let mut rest = chunks.as_slice();
    while !rest.is_empty() {
        let mut bytes = labels.len();
        let fits = |chunk: &&Chunk| {
            let before = bytes;
            bytes += chunk.data.len() + 24;
            before < max_bytes
        };
        // One chunk at least, however long the labels are.
        let count = rest.iter().take_while(fits).count().max(1);
        let (now, later) = rest.split_at(count);
        frame(out, &message(query_index, &labels, now));
        rest = later;
    }
}

fn message(query_index: usize, labels: &[u8], chunks: &[Chunk]) -> Vec<u8> {
    let mut message = Vec::with_capacity(labels.len() + chunks.iter().map(|c| c.data.len() + 32).sum::<usize>());
    put::message(&mut message, 1, |out| {
        out.extend_from_slice(labels);
        for chunk in chunks {
            put::message(out, 2, |out| {
                put::int(out, 1, chunk.min_time);
                put::int(out, 2, chunk.max_time);
                put::uint(out, 3, chunk.encoding as u64);
                put::bytes(out, 4, &chunk.data);
            });
        }
    });
    put::uint(&mut message, 2, query_index as u64);
    message
}

fn frame(out: &mut Vec<u8>, message: &[u8]) {
    put::varint(out, message.len() as u64);
    out.extend_from_slice(&crc32c(message).to_be_bytes());
    out.extend_from_slice(message);
}

/// The message of the next frame, and what lies behind it; `None` at the end.
pub fn read_frame(bytes: &[u8]) -> Result<Option<Frame<'_>>, FrameError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut fields = Fields::new(bytes);
    let len = usize::try_from(fields.varint()?).ok().filter(|len| *len <= MAX_FRAME).ok_or(FrameError::TooLong)?;
    let (checksum, rest) = fields.rest().split_first_chunk::<4>().ok_or(FrameError::Truncated)?;
    let (message, rest) = rest.split_at_checked(len).ok_or(FrameError::Truncated)?;
    if crc32c(message) != u32::from_be_bytes(*checksum) {
        return Err(FrameError::Checksum);
    }
    Ok(Some((message, rest)))
}

/// CRC-32 with the polynomial of Castagnoli, which no other format here has.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut i = 0;
        while i < 256 {
            let mut value = i as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0x82f6_3b78 } else { value >> 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    !bytes.iter().fold(u32::MAX, |crc, byte| crc >> 8 ^ TABLE[(crc as u8 ^ byte) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnolis() {
        // The check value of CRC-32/ISCSI.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(b""), 0);
    }
}
