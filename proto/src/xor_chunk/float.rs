//! Chunks of floats.

use sonde_model::TimestampMs;

use super::bits::{BitReader, BitWriter, fits};
use super::xor::Xor;
use super::{ChunkError, MAX_SAMPLES};
use crate::put;
use crate::wire::zigzag64;

/// How many bits a delta of deltas has by its size code, which is a one more each time: `10`, `110`, `1110`.
const SIZES: [u32; 3] = [14, 17, 20];

/// Encodes at least one and at most [`MAX_SAMPLES`] samples.
pub(super) fn encode(timestamps: &[TimestampMs], values: &[f64]) -> Vec<u8> {
    debug_assert!((1..=MAX_SAMPLES).contains(&timestamps.len()), "BUG: a chunk of {}", timestamps.len());
    let mut out = BitWriter::after((timestamps.len() as u16).to_be_bytes().to_vec());
    let put_varint = |out: &mut BitWriter, value: u64| {
        let mut bytes = Vec::with_capacity(10);
        put::varint(&mut bytes, value);
        bytes.iter().for_each(|byte| out.bits(u64::from(*byte), 8));
    };
    put_varint(&mut out, put::zigzag(timestamps[0]));
    out.bits(values[0].to_bits(), 64);
    let mut xor = Xor::after(values[0]);
    let mut before = 0_i64;
    for (i, (pair, value)) in timestamps.windows(2).zip(&values[1..]).enumerate() {
        let delta = pair[1].wrapping_sub(pair[0]);
        let step = delta.wrapping_sub(before);
        match (0..SIZES.len()).find(|code| fits(step, SIZES[*code])) {
            _ if i == 0 => put_varint(&mut out, delta.cast_unsigned()),
            _ if step == 0 => out.bit(false),
            Some(code) => {
                out.bits((1 << (code + 2)) - 2, code as u32 + 2);
                out.bits(step.cast_unsigned(), SIZES[code]);
            }
            None => {
                out.bits(0b1111, 4);
                out.bits(step.cast_unsigned(), 64);
            }
        }
        before = delta;
        xor.write(&mut out, *value);
    }
    out.finish()
}

/// Decodes a chunk.
pub fn decode(data: &[u8]) -> Result<(Vec<TimestampMs>, Vec<f64>), ChunkError> {
    let (count, rest) = data.split_first_chunk::<2>().ok_or(ChunkError::Truncated)?;
    let count = usize::from(u16::from_be_bytes(*count));
    let mut bits = BitReader::new(rest);
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    let mut xor = Xor::after(0.0);
    let (mut time, mut delta) = (0_i64, 0_i64);
    for i in 0..count {
        match i {
            0 => {
                time = zigzag64(varint(&mut bits)?);
                let value = f64::from_bits(bits.bits(64)?);
                xor = Xor::after(value);
                timestamps.push(time);
                values.push(value);
                continue;
            }
            1 => delta = varint(&mut bits)?.cast_signed(),
            _ => {
                let mut code = 0;
                while code < 4 && bits.bit()? {
                    code += 1;
                }
                let step = match code {
                    0 => 0,
                    4 => bits.bits(64)?.cast_signed(),
                    code => bits.int(SIZES[code - 1])?,
                };
                delta = delta.wrapping_add(step);
            }
        }
        time = time.wrapping_add(delta);
        timestamps.push(time);
        values.push(xor.read(&mut bits)?);
    }
    Ok((timestamps, values))
}

fn varint(bits: &mut BitReader<'_>) -> Result<u64, ChunkError> {
    let mut value = 0;
    for i in 0..10 {
        let byte = bits.bits(8)?;
        if i == 9 && byte > 1 {
            break;
        }
        value |= (byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(ChunkError::Invalid { reason: "a varint is longer than 64 bits" })
}
