//! Chunks of native histograms with float counts: the layout of the buckets once, then the counts.

use sonde_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use sonde_model::{CounterResetHint, Histogram, Span, TimestampMs};

use super::ChunkError;
use super::bits::{BitReader, BitWriter};
use super::xor::Xor;

/// What the third byte says of counter resets.
const RESET: u8 = 0b1000_0000;
const NOT_RESET: u8 = 0b0100_0000;
const GAUGE: u8 = 0b1100_0000;
/// Buckets of each side, spans and custom bounds that are read.
const MAX_BUCKETS: u64 = 1 << 16;
/// Custom bounds up to this many thousandths are written as whole thousandths.
const MAX_THOUSANDTHS: f64 = 33_554_430.0;

/// Whether a histogram may stand behind another in one chunk.
pub(super) fn continues(before: &Histogram, next: &Histogram) -> bool {
    let same_layout = before.schema == next.schema
        && before.zero_threshold.to_bits() == next.zero_threshold.to_bits()
        && before.positive_spans == next.positive_spans
        && before.negative_spans == next.negative_spans
        && before.custom_values == next.custom_values;
    same_layout
        && before.is_gauge() == next.is_gauge()
        && before.is_stale() == next.is_stale()
        && !is_reset(before, next)
}

/// Whether a counter reset lies between two histograms.
pub(super) fn is_reset(before: &Histogram, next: &Histogram) -> bool {
    let comparable = !next.is_gauge() && !next.is_stale() && !before.is_stale();
    next.reset_hint == CounterResetHint::Reset || comparable && next.is_reset_after(before)
}

/// Encodes histograms of which each [`continues`] the one before.
pub(super) fn encode(timestamps: &[TimestampMs], values: &[Histogram], follows_reset: bool) -> Vec<u8> {
    let stale = Histogram::stale();
    let first = if values[0].is_stale() { &stale } else { &values[0] };
    let flags = match first.reset_hint {
        CounterResetHint::Gauge => GAUGE,
        CounterResetHint::Reset => RESET,
        _ if follows_reset => RESET,
        CounterResetHint::NotReset => NOT_RESET,
        CounterResetHint::Unknown => 0,
    };
    let [high, low] = (timestamps.len() as u16).to_be_bytes();
    let mut out = BitWriter::after(vec![high, low, flags]);
    write_layout(&mut out, first);
    out.varbit_int(timestamps[0]);
    numbers(first).for_each(|number| out.bits(number.to_bits(), 64));
    let mut before: Vec<Xor> = numbers(first).map(Xor::after).collect();
    let mut delta = 0_i64;
    for (pair, histogram) in timestamps.windows(2).zip(&values[1..]) {
        let histogram = if histogram.is_stale() { &stale } else { histogram };
        let new = pair[1].wrapping_sub(pair[0]);
        out.varbit_int(new.wrapping_sub(delta));
        delta = new;
        before.iter_mut().zip(numbers(histogram)).for_each(|(xor, number)| xor.write(&mut out, number));
    }
    out.finish()
}

/// The numbers of a histogram in the order of the chunk.
fn numbers(h: &Histogram) -> impl Iterator<Item = f64> + '_ {
    [h.count, h.zero_count, h.sum].into_iter().chain(h.positive_buckets.iter().chain(&h.negative_buckets).copied())
}

fn write_layout(out: &mut BitWriter, h: &Histogram) {
    match threshold_byte(h.zero_threshold) {
        Some(byte) => out.bits(u64::from(byte), 8),
        None => {
            out.bits(255, 8);
            out.bits(h.zero_threshold.to_bits(), 64);
        }
    }
    out.varbit_int(i64::from(h.schema));
    for spans in [&h.positive_spans, &h.negative_spans] {
        out.varbit_uint(spans.len() as u64);
        for span in spans {
            out.varbit_uint(u64::from(span.length));
            out.varbit_int(i64::from(span.offset));
        }
    }
    if h.schema == CUSTOM_BUCKETS_SCHEMA {
        out.varbit_uint(h.custom_values.len() as u64);
        for bound in &h.custom_values {
            let thousandths = (bound * 1000.0).round();
            if (0.0..=MAX_THOUSANDTHS).contains(&(bound * 1000.0)) && thousandths / 1000.0 == *bound {
                out.varbit_uint(thousandths as u64 + 1);
            } else {
                out.bit(false);
                out.bits(bound.to_bits(), 64);
            }
        }
    }
}

/// The byte of a zero threshold that is 0 or a power of two from 2^-243 to 2^10.
fn threshold_byte(threshold: f64) -> Option<u8> {
    if threshold == 0.0 {
        return Some(0);
    }
    let bits = threshold.to_bits();
    let is_power = bits & ((1 << 52) - 1) == 0 && bits >> 63 == 0;
    let exponent = (bits >> 52) as i64 - 1023;
    // The exponent of 0.5 times a power of two is one more.
    (is_power && (-243..=10).contains(&exponent)).then_some((exponent + 1 + 243) as u8)
}

struct Layout {
    schema: i32,
    zero_threshold: f64,
    positive: Vec<Span>,
    negative: Vec<Span>,
    custom: Vec<f64>,
}

/// Decodes a chunk. Hints are those that a reader may conclude: within a chunk of a counter there is no reset.
pub fn decode(data: &[u8]) -> Result<(Vec<TimestampMs>, Vec<Histogram>), ChunkError> {
    let ([high, low, flags], rest) = data.split_first_chunk::<3>().ok_or(ChunkError::Truncated)?;
    let mut bits = BitReader::new(rest);
    let (mut timestamps, mut values) = (Vec::new(), Vec::new());
    let count = u16::from_be_bytes([*high, *low]);
    if count == 0 {
        return Ok((timestamps, values));
    }
    let layout = read_layout(&mut bits)?;
    let (positive, negative) = (buckets_of(&layout.positive)?, buckets_of(&layout.negative)?);
    let mut before: Vec<Xor> = Vec::new();
    let (mut time, mut delta) = (0_i64, 0_i64);
    for i in 0..count {
        let step = bits.varbit_int()?;
        let mut numbers = Vec::new();
        if i == 0 {
            time = step;
            for _ in 0..3 + positive + negative {
                let number = f64::from_bits(bits.bits(64)?);
                before.push(Xor::after(number));
                numbers.push(number);
            }
        } else {
            delta = delta.wrapping_add(step);
            time = time.wrapping_add(delta);
            for xor in &mut before {
                numbers.push(xor.read(&mut bits)?);
            }
        }
        let reset_hint = match flags & GAUGE {
            GAUGE => CounterResetHint::Gauge,
            _ if i > 0 => CounterResetHint::NotReset,
            RESET => CounterResetHint::Reset,
            NOT_RESET => CounterResetHint::NotReset,
            _ => CounterResetHint::Unknown,
        };
        timestamps.push(time);
        values.push(Histogram {
            schema: layout.schema,
            reset_hint,
            zero_threshold: layout.zero_threshold,
            count: numbers[0],
            zero_count: numbers[1],
            sum: numbers[2],
            positive_spans: layout.positive.clone(),
            positive_buckets: numbers[3..3 + positive].to_vec(),
            negative_spans: layout.negative.clone(),
            negative_buckets: numbers[3 + positive..].to_vec(),
            custom_values: layout.custom.clone(),
        });
    }
    Ok((timestamps, values))
}

fn read_layout(bits: &mut BitReader<'_>) -> Result<Layout, ChunkError> {
    let zero_threshold = match bits.bits(8)? {
        0 => 0.0,
        255 => f64::from_bits(bits.bits(64)?),
        byte => 2f64.powi(byte as i32 - 244),
    };
    let schema = bits.varbit_int()? as i32;
    let positive = read_spans(bits)?;
    let negative = read_spans(bits)?;
    let mut custom = Vec::new();
    if schema == CUSTOM_BUCKETS_SCHEMA {
        for _ in 0..bounded(bits.varbit_uint()?)? {
            custom.push(match bits.varbit_uint()? {
                0 => f64::from_bits(bits.bits(64)?),
                n => (n - 1) as f64 / 1000.0,
            });
        }
    }
    Ok(Layout { schema, zero_threshold, positive, negative, custom })
}

fn read_spans(bits: &mut BitReader<'_>) -> Result<Vec<Span>, ChunkError> {
    let mut spans = Vec::new();
    for _ in 0..bounded(bits.varbit_uint()?)? {
        let length = bounded(bits.varbit_uint()?)? as u32;
        spans.push(Span { length, offset: bits.varbit_int()? as i32 });
    }
    Ok(spans)
}

fn buckets_of(spans: &[Span]) -> Result<usize, ChunkError> {
    Ok(bounded(spans.iter().map(|span| u64::from(span.length)).sum())? as usize)
}

fn bounded(count: u64) -> Result<u64, ChunkError> {
    let invalid = ChunkError::Invalid { reason: "too many buckets" };
    if count > MAX_BUCKETS { Err(invalid) } else { Ok(count) }
}
