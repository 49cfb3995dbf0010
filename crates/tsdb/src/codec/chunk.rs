//! A chunk: consecutive samples of one series, floats or histograms, behind one codec byte.

use sonde_disk::varint::{Reader, len, put, put_signed, zigzag};
use sonde_model::{FloatColumn, Histogram, HistogramColumn, TimestampMs};

use super::timestamps::Layout;
use super::{DecodeError, decimal, histogram, number, timestamps, xor};

/// The most samples a chunk may claim: bounds what a reader allocates.
pub const MAX_SAMPLES: usize = 65_535;

const CONSTANT: u8 = 0;
const DECIMAL_DELTA: u8 = 1;
const DECIMAL_DELTA_OF_DELTA: u8 = 2;
const XOR: u8 = 3;
const HISTOGRAMS: u8 = 4;

const FIXED_INTERVAL: u8 = 0x00;
const DELTA_OF_DELTA: u8 = 0x10;

/// Below this many bytes a sample the decimal form is taken without trying XOR: XOR hardly gets there, apart from
/// constant runs, in which decimals take one byte.
const XOR_WORTH_TRYING: usize = 2;

/// Buffers of the encoder, kept from chunk to chunk.
#[derive(Debug, Default)]
pub struct Scratch {
    mantissas: Vec<i64>,
    xor: Vec<u8>,
}

/// Whether a chunk holds histograms, by its codec byte.
pub fn holds_histograms(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|codec| codec & 0x0f == HISTOGRAMS)
}

/// Appends a chunk of floats, in the smallest of the forms. From one to [`MAX_SAMPLES`] samples, timestamps growing.
pub fn encode_floats(ts: &[TimestampMs], values: &[f64], scratch: &mut Scratch, out: &mut Vec<u8>) {
    debug_assert!(!ts.is_empty() && ts.len() == values.len() && ts.len() <= MAX_SAMPLES, "BUG: {} samples", ts.len());
    let start = out.len();
    put_head(ts, out);
    let first = values[0].to_bits();
    if values.iter().all(|v| v.to_bits() == first) {
        out[start] |= CONSTANT;
        number::NumberWriter::default().put(out, values[0]);
        return;
    }
    let exponent = decimal::common(values, &mut scratch.mantissas);
    let decimal = exponent.map(|exponent| (exponent, decimal_sizes(&scratch.mantissas)));
    let smallest = decimal.map_or(usize::MAX, |(_, (delta, second))| delta.min(second));
    if smallest > XOR_WORTH_TRYING * values.len() {
        scratch.xor.clear();
        xor::encode(values, &mut scratch.xor);
        if scratch.xor.len() < smallest {
            out[start] |= XOR;
            out.extend_from_slice(&scratch.xor);
            return;
        }
    }
    let Some((exponent, (delta, second))) = decimal else { return };
    out.push(exponent);
    if second < delta {
        out[start] |= DECIMAL_DELTA_OF_DELTA;
        put_second_differences(&scratch.mantissas, out);
    } else {
        out[start] |= DECIMAL_DELTA;
        put_differences(&scratch.mantissas, out);
    }
}

/// Appends a chunk of histograms. From one to [`MAX_SAMPLES`] samples, timestamps growing.
pub fn encode_histograms(samples: &[(TimestampMs, &Histogram)], out: &mut Vec<u8>) {
    let ts: Vec<TimestampMs> = samples.iter().map(|(t, _)| *t).collect();
    let start = out.len();
    put_head(&ts, out);
    out[start] |= HISTOGRAMS;
    let mut previous = None;
    for (_, h) in samples {
        histogram::encode(h, previous, out);
        previous = Some(*h);
    }
}

/// Reads a chunk of floats and appends its samples.
pub fn decode_floats(bytes: &[u8], out: &mut FloatColumn) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let (codec, n) = read_head(&mut reader, &mut out.timestamps)?;
    let values = &mut out.values;
    values.reserve(n);
    match codec {
        CONSTANT => {
            let value = number::read(&mut reader)?;
            values.extend(std::iter::repeat_n(value, n));
            Ok(())
        }
        DECIMAL_DELTA | DECIMAL_DELTA_OF_DELTA => {
            let exponent = reader.u8()?;
            let power = *decimal::POWERS
                .get(exponent as usize)
                .ok_or(DecodeError::Unknown { what: "decimal exponent", value: exponent })?;
            let mut m = reader.signed()?;
            values.push(decimal::restore(m, power));
            let mut delta = 0i64;
            for _ in 1..n {
                let step = reader.signed()?;
                delta = if codec == DECIMAL_DELTA { step } else { delta.wrapping_add(step) };
                m = m.wrapping_add(delta);
                values.push(decimal::restore(m, power));
            }
            Ok(())
        }
        XOR => xor::decode(reader.rest(), n, values),
        _ => Err(DecodeError::Unknown { what: "codec of a float chunk", value: codec }),
    }
}

/// Reads a chunk of histograms and appends its samples.
pub fn decode_histograms(bytes: &[u8], out: &mut HistogramColumn) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let (codec, n) = read_head(&mut reader, &mut out.timestamps)?;
    if codec != HISTOGRAMS {
        return Err(DecodeError::Unknown { what: "codec of a histogram chunk", value: codec });
    }
    let first = out.values.len();
    for i in 0..n {
        let h = histogram::decode(&mut reader, (i > 0).then(|| &out.values[first + i - 1]))?;
        out.values.push(h);
    }
    Ok(())
}

fn put_head(ts: &[TimestampMs], out: &mut Vec<u8>) {
    let layout = timestamps::layout(ts);
    out.push(match layout {
        Layout::Fixed => FIXED_INTERVAL,
        Layout::DeltaOfDelta => DELTA_OF_DELTA,
    });
    put(out, ts.len() as u64);
    timestamps::encode(ts, layout, out);
}

fn read_head(reader: &mut Reader<'_>, ts: &mut Vec<TimestampMs>) -> Result<(u8, usize), DecodeError> {
    let codec = reader.u8()?;
    let layout = match codec & 0xf0 {
        FIXED_INTERVAL => Layout::Fixed,
        DELTA_OF_DELTA => Layout::DeltaOfDelta,
        _ => return Err(DecodeError::Unknown { what: "timestamp layout", value: codec }),
    };
    let n = reader.varint()? as usize;
    if n == 0 || n > MAX_SAMPLES {
        return Err(DecodeError::TooLarge { what: "the number of samples of a chunk" });
    }
    ts.reserve(n);
    timestamps::decode(reader, layout, n, ts)?;
    Ok((codec & 0x0f, n))
}

/// The bytes that the mantissas take as differences and as differences of differences.
fn decimal_sizes(mantissas: &[i64]) -> (usize, usize) {
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

fn put_differences(mantissas: &[i64], out: &mut Vec<u8>) {
    put_signed(out, mantissas[0]);
    for pair in mantissas.windows(2) {
        put_signed(out, pair[1] - pair[0]);
    }
}

fn put_second_differences(mantissas: &[i64], out: &mut Vec<u8>) {
    put_signed(out, mantissas[0]);
    let mut before = 0;
    for pair in mantissas.windows(2) {
        let delta = pair[1] - pair[0];
        put_signed(out, delta - before);
        before = delta;
    }
}
