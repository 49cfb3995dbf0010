//! A sealed chunk: consecutive floats of one series as blocks keep them. Looks at the data, takes the smallest form.
//!
//! The first and the last timestamp and the number of samples are kept by whoever keeps the chunk. See
//! docs/format/chunk.md.

use sonde_disk::varint::{Reader, len, put, put_signed, zigzag};
use sonde_model::{STALE_NAN_BITS, TimestampMs};

use super::chunk::MAX_SAMPLES;
use super::pack::Unpacker;
use super::unseal::read_times;
use super::{DecodeError, decimal, number, pack, starts, xor};

pub use super::unseal::{ReadScratch, decode_floats, decode_floats_within};

pub(super) const CONSTANT: u8 = 0;
pub(super) const DECIMAL_DELTA: u8 = 1;
pub(super) const DECIMAL_DELTA_OF_DELTA: u8 = 2;
pub(super) const XOR: u8 = 3;
pub(super) const PACKED_DECIMAL: u8 = 5;
pub(super) const PACKED_FLOAT: u8 = 6;
pub(super) const CODEC: u8 = 0x0f;

pub(super) const FIXED_INTERVAL: u8 = 0x00;
pub(super) const DELTA_OF_DELTA: u8 = 0x10;
pub(super) const PACKED_TIMES: u8 = 0x20;
pub(super) const TIMES: u8 = 0x30;

/// Stale markers are listed by their places, and the values are without them.
pub(super) const STALE_LIST: u8 = 0x40;

/// The start timestamps of the samples are there.
pub(super) const STARTS: u8 = 0x80;

/// A common divisor follows the exponent of a decimal codec.
pub(super) const DIVISOR: u8 = 0x10;

/// Chunks of so many values are packed by an entropy coder. In shorter ones its tables cost more than it saves, and
/// the page they lie in is compressed as a whole.
pub(super) const PACK_FROM: usize = 500;

/// Below this many bytes a sample the decimal form is taken without trying XOR: XOR hardly gets there, apart from
/// constant runs, in which decimals take one byte.
const XOR_WORTH_TRYING: usize = 2;

/// What is known of a chunk besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first timestamp.
    pub min: TimestampMs,
    /// The last timestamp.
    pub max: TimestampMs,
    /// How many samples there are.
    pub samples: u32,
}

/// Buffers of the encoder, kept from chunk to chunk.
#[derive(Debug, Default)]
pub struct Scratch {
    mantissas: Vec<i64>,
    plain: Vec<f64>,
    other: Vec<u8>,
}

/// Appends a chunk of floats. From one to [`MAX_SAMPLES`] samples, timestamps growing. `since` are their start timestamps,
/// from 0 on, or none.
pub fn encode_floats(
    ts: &[TimestampMs],
    values: &[f64],
    since: &[TimestampMs],
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) {
    debug_assert!(since.is_empty() || since.len() == ts.len(), "BUG: {} start timestamps", since.len());
    debug_assert!(!ts.is_empty() && ts.len() == values.len() && ts.len() <= MAX_SAMPLES, "BUG: {} samples", ts.len());
    let start = out.len();
    out.push(0);
    out[start] |= put_times(ts, scratch, out);
    if since.iter().any(|s| *s != 0) {
        out[start] |= STARTS;
        starts::encode(since, out);
    }
    let stale = values.iter().filter(|v| v.to_bits() == STALE_NAN_BITS).count();
    if stale == 0 || stale == values.len() {
        out[start] |= put_values(values, scratch, out);
        return;
    }
    out[start] |= STALE_LIST;
    put(out, stale as u64);
    let mut plain = std::mem::take(&mut scratch.plain);
    plain.clear();
    let mut next = 0;
    for (at, value) in values.iter().enumerate() {
        if value.to_bits() == STALE_NAN_BITS {
            put(out, (at - next) as u64);
            next = at + 1;
        } else {
            plain.push(*value);
        }
    }
    out[start] |= put_values(&plain, scratch, out);
    scratch.plain = plain;
}

/// What the bytes of a chunk are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anatomy {
    /// The codec of the values, in the words of docs/format/chunk.md.
    pub(crate) codec: &'static str,
    /// The codec byte, the timestamps and the start timestamps.
    pub(crate) times: usize,
    /// The rest.
    pub(crate) values: usize,
}

/// Tells the bytes of a chunk of floats apart. Timestamps are read, values are not.
pub(crate) fn anatomy(bytes: &[u8], extent: Extent) -> Result<Anatomy, DecodeError> {
    let mut reader = Reader::new(bytes);
    let code = reader.u8()?;
    if extent.samples as usize > MAX_SAMPLES {
        return Err(DecodeError::TooLarge { what: "the number of samples of a chunk" });
    }
    read_times(&mut reader, code & TIMES, extent, &mut Unpacker::default(), &mut Vec::new())?;
    if code & STARTS != 0 {
        starts::decode(&mut reader, extent.samples as usize, 0, &mut Vec::new())?;
    }
    let values = reader.rest().len();
    let codec = match code & CODEC {
        CONSTANT => "constant",
        DECIMAL_DELTA => "decimal delta",
        DECIMAL_DELTA_OF_DELTA => "decimal delta of delta",
        XOR => "XOR",
        PACKED_DECIMAL => "packed decimals",
        PACKED_FLOAT => "packed floats",
        value => return Err(DecodeError::Unknown { what: "codec of a chunk", value }),
    };
    Ok(Anatomy { codec, times: bytes.len() - values, values })
}

/// Appends what the first and the last timestamp do not say, and gives the layout.
fn put_times(ts: &[TimestampMs], scratch: &mut Scratch, out: &mut Vec<u8>) -> u8 {
    let steps = || ts.windows(2).map(|w| w[1].wrapping_sub(w[0]));
    let Some(first) = steps().next() else { return FIXED_INTERVAL };
    if steps().all(|step| step == first) {
        return FIXED_INTERVAL;
    }
    let start = out.len();
    if ts.len() >= PACK_FROM {
        scratch.mantissas.clear();
        scratch.mantissas.extend(steps());
        let at = reserve_length(out);
        if pack::put_integers(&scratch.mantissas, out).is_ok() {
            fill_length(out, at);
            return PACKED_TIMES;
        }
        out.truncate(start);
    }
    let mut before = 0;
    for step in steps() {
        put_signed(out, step.wrapping_sub(before));
        before = step;
    }
    DELTA_OF_DELTA
}

/// A packed column that something follows has its length before it, in four bytes.
fn reserve_length(out: &mut Vec<u8>) -> usize {
    out.extend_from_slice(&[0; 4]);
    out.len()
}

fn fill_length(out: &mut [u8], at: usize) {
    let length = (out.len() - at) as u32;
    out[at - 4..at].copy_from_slice(&length.to_le_bytes());
}

/// Appends values and gives their codec.
fn put_values(values: &[f64], scratch: &mut Scratch, out: &mut Vec<u8>) -> u8 {
    let first = values[0].to_bits();
    if values.iter().all(|v| v.to_bits() == first) {
        number::NumberWriter::default().put(out, values[0]);
        return CONSTANT;
    }
    let Scratch { mantissas, other, .. } = scratch;
    match decimal::common(values, mantissas) {
        Some(exponent) => put_decimals(values, exponent, mantissas, other, out),
        None => put_noise(values, other, out),
    }
}

fn put_decimals(values: &[f64], exponent: u8, mantissas: &mut [i64], other: &mut Vec<u8>, out: &mut Vec<u8>) -> u8 {
    let first = mantissas[0];
    let divisor = common_divisor(mantissas);
    mantissas.iter_mut().for_each(|m| *m = (*m - first) / divisor);
    let start = out.len();
    out.push(exponent | if divisor > 1 { DIVISOR } else { 0 });
    if divisor > 1 {
        put(out, divisor as u64);
    }
    put_signed(out, first);
    let (delta, second) = sizes(mantissas);
    let smallest = delta.min(second);
    if values.len() >= PACK_FROM {
        other.clear();
        if pack::put_integers(mantissas, other).is_ok() && other.len() < smallest {
            out.extend_from_slice(other);
            return PACKED_DECIMAL;
        }
    }
    if smallest > XOR_WORTH_TRYING * values.len() {
        other.clear();
        xor::encode(values, other);
        if other.len() < smallest {
            out.truncate(start);
            out.extend_from_slice(other);
            return XOR;
        }
    }
    let mut before = 0;
    for pair in mantissas.windows(2) {
        let step = pair[1] - pair[0];
        put_signed(out, if second < delta { step - before } else { step });
        before = step;
    }
    if second < delta { DECIMAL_DELTA_OF_DELTA } else { DECIMAL_DELTA }
}

/// Appends values that are no decimals.
fn put_noise(values: &[f64], other: &mut Vec<u8>, out: &mut Vec<u8>) -> u8 {
    let start = out.len();
    xor::encode(values, out);
    if values.len() >= PACK_FROM {
        other.clear();
        if pack::put_floats(values, other).is_ok() && other.len() < out.len() - start {
            out.truncate(start);
            out.extend_from_slice(other);
            return PACKED_FLOAT;
        }
    }
    XOR
}

/// The greatest number that divides all differences.
fn common_divisor(mantissas: &[i64]) -> i64 {
    let mut divisor = 0u64;
    for pair in mantissas.windows(2) {
        let (mut a, mut b) = (divisor, (pair[1] - pair[0]).unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        divisor = a;
        if divisor == 1 {
            break;
        }
    }
    divisor.max(1) as i64
}

/// The bytes that integers take as differences and as differences of differences.
fn sizes(mantissas: &[i64]) -> (usize, usize) {
    let (mut delta_bytes, mut second_bytes) = (0, 0);
    let mut before = 0i64;
    for pair in mantissas.windows(2) {
        let delta = pair[1] - pair[0];
        delta_bytes += len(zigzag(delta));
        second_bytes += len(zigzag(delta - before));
        before = delta;
    }
    (delta_bytes, second_bytes)
}
