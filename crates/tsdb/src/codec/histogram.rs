//! A native histogram as bytes, by itself or after another one of its series. See docs/format/chunk.md.

use sonde_disk::varint::{Reader, put, put_signed};
use sonde_model::{CounterResetHint, Histogram, Span};

use super::DecodeError;
use super::number::{self, NumberWriter};

/// The most buckets, spans or custom bounds of one side of a histogram.
pub(crate) const MAX_BUCKETS: usize = 16_384;

const SAME_LAYOUT: u8 = 1;
const INTEGERS: u8 = 2;
const DIFFERENCES: u8 = 4;
const HINT_SHIFT: u8 = 4;

/// Whether a histogram keeps the invariants of its type and the bounds of the store.
pub(crate) fn is_valid(h: &Histogram) -> bool {
    let bounded = [h.positive_spans.len(), h.negative_spans.len(), h.positive_buckets.len(), h.negative_buckets.len()];
    bounded.iter().all(|n| *n <= MAX_BUCKETS) && h.custom_values.len() <= MAX_BUCKETS && h.validate().is_ok()
}

/// Appends a valid histogram; `previous` is the one before it in the chunk.
pub(crate) fn encode(h: &Histogram, previous: Option<&Histogram>, out: &mut Vec<u8>) {
    let same_layout = previous.is_some_and(|p| has_same_layout(h, p));
    let integers = counts(h).all(is_integer);
    let base = previous.filter(|p| same_layout && integers && counts(p).all(is_integer));
    let mut flags = hint_code(h.reset_hint) << HINT_SHIFT;
    flags |= if same_layout { SAME_LAYOUT } else { 0 };
    flags |= if integers { INTEGERS } else { 0 };
    flags |= if base.is_some() { DIFFERENCES } else { 0 };
    out.push(flags);
    if !same_layout {
        put_layout(h, out);
    }
    match base {
        Some(base) => counts(h).zip(counts(base)).for_each(|(c, b)| put_signed(out, c as i64 - b as i64)),
        None if integers => counts(h).for_each(|c| put(out, c as u64)),
        None => counts(h).for_each(|c| out.extend_from_slice(&c.to_bits().to_le_bytes())),
    }
    NumberWriter::default().put(out, h.sum);
}

/// Reads a histogram; `previous` is the one before it in the chunk.
pub(crate) fn decode(reader: &mut Reader<'_>, previous: Option<&Histogram>) -> Result<Histogram, DecodeError> {
    let flags = reader.u8()?;
    let mut h = if flags & SAME_LAYOUT == 0 {
        read_layout(reader)?
    } else {
        previous.ok_or(DecodeError::Inconsistent { what: "a first histogram without a layout" })?.clone()
    };
    h.reset_hint = hint_of(flags >> HINT_SHIFT)?;
    let base = match (flags & DIFFERENCES != 0, previous) {
        (false, _) => None,
        (true, Some(p)) if flags & (SAME_LAYOUT | INTEGERS) == SAME_LAYOUT | INTEGERS => Some(p),
        (true, _) => return Err(DecodeError::Inconsistent { what: "histogram differences to nothing" }),
    };
    let read_count = |reader: &mut Reader<'_>, before: Option<f64>| -> Result<f64, DecodeError> {
        match before {
            Some(before) => Ok((before as i64).wrapping_add(reader.signed()?) as f64),
            None if flags & INTEGERS != 0 => Ok(reader.varint()? as f64),
            None => Ok(f64::from_bits(reader.u64_le()?)),
        }
    };
    h.count = read_count(reader, base.map(|b| b.count))?;
    h.zero_count = read_count(reader, base.map(|b| b.zero_count))?;
    for (i, bucket) in h.positive_buckets.iter_mut().enumerate() {
        *bucket = read_count(reader, base.map(|b| b.positive_buckets[i]))?;
    }
    for (i, bucket) in h.negative_buckets.iter_mut().enumerate() {
        *bucket = read_count(reader, base.map(|b| b.negative_buckets[i]))?;
    }
    h.sum = number::read(reader)?;
    Ok(h)
}

/// Whether two histograms have the same buckets.
pub(crate) fn has_same_layout(a: &Histogram, b: &Histogram) -> bool {
    a.schema == b.schema
        && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && a.custom_values.len() == b.custom_values.len()
        && a.custom_values.iter().zip(&b.custom_values).all(|(x, y)| x.to_bits() == y.to_bits())
}

/// Whether two histograms are the same, bit for bit.
pub(crate) fn same_bits(a: &Histogram, b: &Histogram) -> bool {
    has_same_layout(a, b)
        && a.reset_hint == b.reset_hint
        && a.sum.to_bits() == b.sum.to_bits()
        && counts(a).zip(counts(b)).all(|(x, y)| x.to_bits() == y.to_bits())
}

fn counts(h: &Histogram) -> impl Iterator<Item = f64> + '_ {
    [h.count, h.zero_count]
        .into_iter()
        .chain(h.positive_buckets.iter().copied())
        .chain(h.negative_buckets.iter().copied())
}

fn is_integer(value: f64) -> bool {
    const EXACT: f64 = (1u64 << 53) as f64;
    (0.0..EXACT).contains(&value) && value.to_bits() == (value as u64 as f64).to_bits()
}

fn put_layout(h: &Histogram, out: &mut Vec<u8>) {
    put_signed(out, i64::from(h.schema));
    let mut numbers = NumberWriter::default();
    numbers.put(out, h.zero_threshold);
    for spans in [&h.positive_spans, &h.negative_spans] {
        put(out, spans.len() as u64);
        for span in spans {
            put_signed(out, i64::from(span.offset));
            put(out, u64::from(span.length));
        }
    }
    put(out, h.custom_values.len() as u64);
    h.custom_values.iter().for_each(|v| numbers.put(out, *v));
}

fn read_layout(reader: &mut Reader<'_>) -> Result<Histogram, DecodeError> {
    let schema = i32::try_from(reader.signed()?).map_err(|_| DecodeError::OutOfRange)?;
    let zero_threshold = number::read(reader)?;
    let (positive_spans, positive_buckets) = read_spans(reader)?;
    let (negative_spans, negative_buckets) = read_spans(reader)?;
    let n = reader.count(1, "the custom bounds of a histogram")?;
    let custom_values = (0..n).map(|_| number::read(reader)).collect::<Result<_, _>>()?;
    Ok(Histogram {
        schema,
        zero_threshold,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        custom_values,
        ..Histogram::default()
    })
}

fn read_spans(reader: &mut Reader<'_>) -> Result<(Vec<Span>, Vec<f64>), DecodeError> {
    let n = reader.count(2, "the spans of a histogram")?;
    let mut buckets = 0usize;
    let mut spans = Vec::with_capacity(n.min(MAX_BUCKETS));
    for _ in 0..n {
        let offset = i32::try_from(reader.signed()?).map_err(|_| DecodeError::OutOfRange)?;
        let length = reader.u32()?;
        buckets = buckets.saturating_add(length as usize);
        if buckets > MAX_BUCKETS || spans.len() >= MAX_BUCKETS {
            return Err(DecodeError::TooLarge { what: "the number of buckets of a histogram" });
        }
        spans.push(Span { offset, length });
    }
    Ok((spans, vec![0.0; buckets]))
}

fn hint_code(hint: CounterResetHint) -> u8 {
    match hint {
        CounterResetHint::Unknown => 0,
        CounterResetHint::Reset => 1,
        CounterResetHint::NotReset => 2,
        CounterResetHint::Gauge => 3,
    }
}

fn hint_of(code: u8) -> Result<CounterResetHint, DecodeError> {
    match code {
        0 => Ok(CounterResetHint::Unknown),
        1 => Ok(CounterResetHint::Reset),
        2 => Ok(CounterResetHint::NotReset),
        3 => Ok(CounterResetHint::Gauge),
        value => Err(DecodeError::Unknown { what: "counter reset hint", value }),
    }
}
