//! A sealed chunk: consecutive floats of one series as blocks keep them. Looks at the data, takes the smallest form.
//!
//! The first and the last timestamp and the number of samples are kept by whoever keeps the chunk. See
//! docs/format/chunk.md.

use sonde_disk::varint::{Reader, len, put, put_signed, zigzag};
use sonde_model::{FloatColumn, STALE_NAN_BITS, TimestampMs};

use super::chunk::MAX_SAMPLES;
use super::{DecodeError, decimal, number, pack, starts, xor};

const CONSTANT: u8 = 0;
const DECIMAL_DELTA: u8 = 1;
const DECIMAL_DELTA_OF_DELTA: u8 = 2;
const XOR: u8 = 3;
const PACKED_DECIMAL: u8 = 5;
const PACKED_FLOAT: u8 = 6;
const CODEC: u8 = 0x0f;

const FIXED_INTERVAL: u8 = 0x00;
const DELTA_OF_DELTA: u8 = 0x10;
const PACKED_TIMES: u8 = 0x20;
const TIMES: u8 = 0x30;

/// Stale markers are listed by their places, and the values are without them.
const STALE_LIST: u8 = 0x40;

/// The start timestamps of the samples are there.
const STARTS: u8 = 0x80;

/// A common divisor follows the exponent of a decimal codec.
const DIVISOR: u8 = 0x10;

/// Chunks of so many values are packed by an entropy coder. In shorter ones its tables cost more than it saves, and
/// the page they lie in is compressed as a whole.
const PACK_FROM: usize = 500;

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

/// Reads a chunk of floats and appends its samples.
pub fn decode_floats(bytes: &[u8], extent: Extent, out: &mut FloatColumn) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let codec = reader.u8()?;
    let n = extent.samples as usize;
    if n == 0 || n > MAX_SAMPLES {
        return Err(DecodeError::TooLarge { what: "the number of samples of a chunk" });
    }
    let before = out.timestamps.len();
    out.timestamps.reserve(n);
    read_times(&mut reader, codec & TIMES, extent, &mut out.timestamps)?;
    if codec & STARTS == 0 {
        starts::none(before + n, &mut out.starts);
    } else {
        starts::decode(&mut reader, n, before, &mut out.starts)?;
    }
    out.values.reserve(n);
    if codec & STALE_LIST == 0 {
        return read_values(reader, codec & CODEC, n, &mut out.values);
    }
    let count = reader.count(1, "stale markers")?;
    if count >= n {
        return Err(DecodeError::TooLarge { what: "the number of stale markers" });
    }
    let mut places = Vec::with_capacity(count);
    let mut next = 0usize;
    for _ in 0..count {
        let place = next + reader.u32()? as usize;
        if place >= n {
            return Err(DecodeError::OutOfRange);
        }
        places.push(place);
        next = place + 1;
    }
    let first = out.values.len();
    read_values(reader, codec & CODEC, n - count, &mut out.values)?;
    insert_stale(&places, &mut out.values, first);
    Ok(())
}

/// Reads of a chunk of floats what lies from `from` to `to` inclusive, and appends it. `scratch` is for chunks that have
/// to be read as a whole.
pub fn decode_floats_within(
    bytes: &[u8],
    extent: Extent,
    (from, to): (TimestampMs, TimestampMs),
    scratch: &mut FloatColumn,
    out: &mut FloatColumn,
) -> Result<(), DecodeError> {
    let Extent { min, max, samples } = extent;
    if from <= min && max <= to {
        return decode_floats(bytes, extent, out);
    }
    let codec = *bytes.first().ok_or(DecodeError::Truncated)?;
    let n = samples as usize;
    let is_regular = codec & !(CODEC | STARTS) == FIXED_INTERVAL && (2..=MAX_SAMPLES).contains(&n);
    if let Some(interval) = if is_regular { interval(extent) } else { None } {
        let after = |t: i64| (t.saturating_sub(min)).clamp(0, max - min) / interval;
        let first = if from <= min { 0 } else { (after(from - 1) + 1) as usize };
        let end = if to < min { 0 } else { after(to) as usize + 1 };
        if first < end {
            let mut reader = Reader::new(&bytes[1..]);
            scratch.starts.clear();
            if codec & STARTS != 0 {
                starts::decode(&mut reader, n, 0, &mut scratch.starts)?;
            }
            let before = out.timestamps.len();
            out.timestamps.extend((first..end).map(|i| min + i as i64 * interval));
            starts::append(&scratch.starts, first..end, before, &mut out.starts);
            out.values.reserve(end - first);
            read_values_within(reader, codec & CODEC, n, first..end, scratch, out)?;
        }
        return Ok(());
    }
    scratch.timestamps.clear();
    scratch.values.clear();
    scratch.starts.clear();
    decode_floats(bytes, extent, scratch)?;
    let first = scratch.timestamps.partition_point(|t| *t < from);
    let end = scratch.timestamps.partition_point(|t| *t <= to).max(first);
    starts::append(&scratch.starts, first..end, out.timestamps.len(), &mut out.starts);
    out.timestamps.extend_from_slice(&scratch.timestamps[first..end]);
    out.values.extend_from_slice(&scratch.values[first..end]);
    Ok(())
}

/// The interval of timestamps that lie evenly; `None` where they cannot.
fn interval(Extent { min, max, samples }: Extent) -> Option<i64> {
    let (span, steps) = (max.checked_sub(min)?, i64::from(samples) - 1);
    (steps > 0 && span >= steps && span % steps == 0).then(|| span / steps)
}

/// Reads values as far as the end of `places`, and appends those of `places`.
fn read_values_within(
    mut reader: Reader<'_>,
    codec: u8,
    n: usize,
    places: std::ops::Range<usize>,
    scratch: &mut FloatColumn,
    out: &mut FloatColumn,
) -> Result<(), DecodeError> {
    match codec {
        CONSTANT => read_values(reader, codec, places.len(), &mut out.values),
        DECIMAL_DELTA | DECIMAL_DELTA_OF_DELTA => {
            let Scale { power, divisor, first } = read_scale(&mut reader)?;
            let (mut m, mut step) = (0i64, 0i64);
            for i in 0..places.end {
                if i > 0 {
                    let read = reader.signed()?;
                    step = if codec == DECIMAL_DELTA { read } else { step.wrapping_add(read) };
                    m = m.wrapping_add(step);
                }
                if i >= places.start {
                    out.values.push(decimal::restore(first.wrapping_add(m.wrapping_mul(divisor)), power));
                }
            }
            Ok(())
        }
        _ => {
            scratch.values.clear();
            // XOR can be read up to any place, what is packed as a whole only.
            read_values(reader, codec, if codec == XOR { places.end } else { n }, &mut scratch.values)?;
            out.values.extend_from_slice(scratch.values.get(places).unwrap_or_default());
            Ok(())
        }
    }
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
    read_times(&mut reader, code & TIMES, extent, &mut Vec::new())?;
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

/// Puts stale markers at `places` among the values from `first` on.
fn insert_stale(places: &[usize], values: &mut Vec<f64>, first: usize) {
    let mut from = values.len();
    values.resize(from + places.len(), f64::from_bits(STALE_NAN_BITS));
    let mut to = values.len();
    for (before, place) in places.iter().enumerate().rev() {
        // All that lies behind this marker moves back by the markers up to it.
        let behind = to - (first + place + 1);
        values.copy_within(from - behind..from, to - behind);
        from -= behind;
        to -= behind + 1;
        values[to] = f64::from_bits(STALE_NAN_BITS);
        debug_assert_eq!(to - from, before, "BUG: stale markers out of step");
    }
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

fn read_times(
    reader: &mut Reader<'_>,
    layout: u8,
    extent: Extent,
    out: &mut Vec<TimestampMs>,
) -> Result<(), DecodeError> {
    let Extent { min, max, samples } = extent;
    let steps = i64::from(samples) - 1;
    let mut at = min;
    let mut grows = true;
    out.push(at);
    let mut step_to = |step: i64, out: &mut Vec<TimestampMs>| {
        let next = at.wrapping_add(step);
        grows &= step > 0 && next > at;
        at = next;
        out.push(at);
    };
    match layout {
        FIXED_INTERVAL => {
            let span = max.checked_sub(min).ok_or(DecodeError::OutOfRange)?;
            let interval = if steps == 0 { 0 } else { span / steps };
            (0..steps).for_each(|_| step_to(interval, out));
        }
        DELTA_OF_DELTA => {
            let mut step = 0i64;
            for _ in 0..steps {
                step = step.wrapping_add(reader.signed()?);
                step_to(step, out);
            }
        }
        PACKED_TIMES => {
            let bytes = take_length(reader)?;
            pack::read_integers(bytes, steps as usize, |step| step_to(step, out))?;
        }
        value => return Err(DecodeError::Unknown { what: "timestamp layout", value }),
    }
    if !grows || at != max {
        return Err(DecodeError::Inconsistent { what: "timestamps that do not grow up to the last one" });
    }
    Ok(())
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

fn take_length<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = reader.u32_le()?;
    reader.take(length as usize)
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

fn read_values(mut reader: Reader<'_>, codec: u8, n: usize, out: &mut Vec<f64>) -> Result<(), DecodeError> {
    match codec {
        CONSTANT => {
            let value = number::read(&mut reader)?;
            out.extend(std::iter::repeat_n(value, n));
        }
        DECIMAL_DELTA | DECIMAL_DELTA_OF_DELTA => {
            let Scale { power, divisor, first } = read_scale(&mut reader)?;
            out.push(decimal::restore(first, power));
            let (mut m, mut step) = (0i64, 0i64);
            for _ in 1..n {
                let read = reader.signed()?;
                step = if codec == DECIMAL_DELTA { read } else { step.wrapping_add(read) };
                m = m.wrapping_add(step);
                out.push(decimal::restore(first.wrapping_add(m.wrapping_mul(divisor)), power));
            }
        }
        PACKED_DECIMAL => {
            let Scale { power, divisor, first } = read_scale(&mut reader)?;
            pack::read_integers(reader.rest(), n, |m| {
                out.push(decimal::restore(first.wrapping_add(m.wrapping_mul(divisor)), power));
            })?;
        }
        XOR => xor::decode(reader.rest(), n, out)?,
        PACKED_FLOAT => out.extend(pack::read_floats(reader.rest(), n)?),
        value => return Err(DecodeError::Unknown { what: "codec of a float chunk", value }),
    }
    Ok(())
}

/// How the integers of a decimal codec become values.
struct Scale {
    power: f64,
    divisor: i64,
    first: i64,
}

fn read_scale(reader: &mut Reader<'_>) -> Result<Scale, DecodeError> {
    let byte = reader.u8()?;
    let exponent = byte & !DIVISOR;
    let power = decimal::POWERS.get(exponent as usize);
    let power = *power.ok_or(DecodeError::Unknown { what: "decimal exponent", value: exponent })?;
    let divisor = if byte & DIVISOR == 0 { 1 } else { reader.varint()? as i64 };
    Ok(Scale { power, divisor, first: reader.signed()? })
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
