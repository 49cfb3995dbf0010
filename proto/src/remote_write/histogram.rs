//! Native histograms of remote write: integer counts as deltas, or float counts, to the model's absolute floats.

use sonde_model::histogram::{MAX_EXPONENTIAL_SCHEMA, MIN_EXPONENTIAL_SCHEMA};
use sonde_model::{CounterResetHint, Histogram, Span, is_stale};

use super::DecodeError;
use crate::wire::{Fields, Value, WireError, zigzag64};

/// A histogram with its time.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramView {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// When counting began, in milliseconds since the Unix epoch; 0 is unknown. Remote write 2.0 has it.
    pub start_timestamp: i64,
    /// The histogram, valid: spans and buckets agree, counts are not negative.
    pub histogram: Histogram,
}

/// The fields of one side as they are on the wire.
#[derive(Default)]
struct Side {
    spans: Vec<Span>,
    deltas: Vec<i64>,
    counts: Vec<f64>,
}

impl HistogramView {
    /// Decodes a histogram of either version: they differ in one field only.
    pub(super) fn parse(message: &[u8], max_buckets: usize) -> Result<Self, DecodeError> {
        let (mut timestamp, mut start_timestamp, mut histogram) = (0, 0, Histogram::default());
        let (mut negative, mut positive) = (Side::default(), Side::default());
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => histogram.count = field.uint()? as f64,
                2 => histogram.count = field.double()?,
                3 => histogram.sum = field.double()?,
                4 => histogram.schema = field.zigzag32()?,
                5 => histogram.zero_threshold = field.double()?,
                6 => histogram.zero_count = field.uint()? as f64,
                7 => histogram.zero_count = field.double()?,
                8 => negative.push_span(field.bytes()?, max_buckets)?,
                9 => packed_varints(field.number, field.value, &mut negative.deltas, max_buckets)?,
                10 => packed_doubles(field.number, field.value, &mut negative.counts, max_buckets)?,
                11 => positive.push_span(field.bytes()?, max_buckets)?,
                12 => packed_varints(field.number, field.value, &mut positive.deltas, max_buckets)?,
                13 => packed_doubles(field.number, field.value, &mut positive.counts, max_buckets)?,
                14 => {
                    histogram.reset_hint = match field.uint()? {
                        1 => CounterResetHint::Reset,
                        2 => CounterResetHint::NotReset,
                        3 => CounterResetHint::Gauge,
                        _ => CounterResetHint::Unknown,
                    }
                }
                15 => timestamp = field.int()?,
                16 => packed_doubles(field.number, field.value, &mut histogram.custom_values, max_buckets)?,
                17 => start_timestamp = field.int()?,
                _ => {}
            }
        }
        if is_stale(histogram.sum) {
            return Ok(HistogramView { timestamp, start_timestamp, histogram: Histogram::stale() });
        }
        (histogram.negative_spans, histogram.negative_buckets) = negative.finish()?;
        (histogram.positive_spans, histogram.positive_buckets) = positive.finish()?;
        validate(&histogram)?;
        Ok(HistogramView { timestamp, start_timestamp, histogram })
    }
}

impl Side {
    fn push_span(&mut self, message: &[u8], max: usize) -> Result<(), DecodeError> {
        let mut span = Span { offset: 0, length: 0 };
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => span.offset = field.zigzag32()?,
                2 => span.length = field.uint()? as u32,
                _ => {}
            }
        }
        DecodeError::check("spans in a histogram", self.spans.len() + 1, max)?;
        self.spans.push(span);
        Ok(())
    }

    /// Spans and absolute counts; whole numbers come as differences, each to the bucket before.
    fn finish(self) -> Result<(Vec<Span>, Vec<f64>), DecodeError> {
        let mut buckets = self.counts;
        if !self.deltas.is_empty() {
            if !buckets.is_empty() {
                return Err(DecodeError::Histogram { reason: "buckets are given both as deltas and as floats" });
            }
            let mut count = 0i64;
            for delta in self.deltas {
                count =
                    count.checked_add(delta).ok_or(DecodeError::Histogram { reason: "a bucket count overflows" })?;
                buckets.push(count as f64);
            }
        }
        let described: u64 = self.spans.iter().map(|s| u64::from(s.length)).sum();
        if described != buckets.len() as u64 {
            return Err(DecodeError::Histogram { reason: "the spans do not describe as many buckets as there are" });
        }
        Ok((self.spans, buckets))
    }
}

fn validate(histogram: &Histogram) -> Result<(), DecodeError> {
    let fail = |reason| Err(DecodeError::Histogram { reason });
    let counts = || histogram.negative_buckets.iter().chain(&histogram.positive_buckets);
    if histogram.uses_custom_buckets() {
        let bounds = &histogram.custom_values;
        if !histogram.negative_spans.is_empty() || histogram.zero_count != 0.0 || histogram.zero_threshold != 0.0 {
            return fail("custom buckets with negative buckets or a zero bucket");
        }
        if !bounds.windows(2).all(|w| w[0] < w[1]) || bounds.iter().any(|b| b.is_nan() || *b == f64::INFINITY) {
            return fail("custom bounds that do not grow, or are not numbers");
        }
        if last_bucket(&histogram.positive_spans).is_some_and(|last| last > bounds.len() as i64) {
            return fail("more custom buckets than bounds");
        }
        if histogram.positive_spans.iter().any(|s| s.offset < 0) {
            return fail("a span of custom buckets with a negative offset");
        }
    } else if !(MIN_EXPONENTIAL_SCHEMA..=MAX_EXPONENTIAL_SCHEMA).contains(&histogram.schema) {
        return fail("the schema is neither -4 to 8 nor -53");
    } else if !histogram.custom_values.is_empty() {
        return fail("custom bounds with an exponential schema");
    }
    if [&histogram.negative_spans, &histogram.positive_spans].iter().any(|s| s.iter().skip(1).any(|s| s.offset < 0)) {
        return fail("a span that overlaps the one before");
    }
    if [&histogram.negative_spans, &histogram.positive_spans]
        .iter()
        .any(|s| last_bucket(s).is_some_and(|last| last > i64::from(i32::MAX)))
    {
        return fail("a bucket index that does not fit 32 bits");
    }
    if counts().chain([&histogram.zero_count, &histogram.count]).any(|c| *c < 0.0 || c.is_nan()) {
        return fail("a negative count, or one that is not a number");
    }
    if histogram.zero_threshold < 0.0 || histogram.zero_threshold.is_nan() {
        return fail("a negative zero threshold, or one that is not a number");
    }
    let total = counts().sum::<f64>() + histogram.zero_count;
    // Observations of NaN are in no bucket, so the count may be greater than the sum of the buckets, and float
    // counts may have been rounded.
    if total > histogram.count * (1.0 + 1e-9) {
        return fail("the buckets hold more observations than the count");
    }
    Ok(())
}

/// The index of the last bucket; `None` without buckets.
fn last_bucket(spans: &[Span]) -> Option<i64> {
    let mut next = 0;
    for span in spans {
        next += i64::from(span.offset) + i64::from(span.length);
    }
    (!spans.is_empty()).then_some(next - 1)
}

fn packed_varints(number: u32, value: Value<'_>, into: &mut Vec<i64>, max: usize) -> Result<(), DecodeError> {
    match value {
        Value::Varint(value) => into.push(zigzag64(value)),
        Value::Bytes(packed) => {
            let mut rest = Fields::new(packed);
            while !rest.rest().is_empty() {
                into.push(zigzag64(rest.varint()?));
                DecodeError::check("buckets in a histogram", into.len(), max)?;
            }
        }
        _ => return Err(WireError::WireType { field: number }.into()),
    }
    DecodeError::check("buckets in a histogram", into.len(), max)
}

fn packed_doubles(number: u32, value: Value<'_>, into: &mut Vec<f64>, max: usize) -> Result<(), DecodeError> {
    match value {
        Value::Fixed64(bits) => into.push(f64::from_bits(bits)),
        Value::Bytes(packed) => {
            let (values, rest) = packed.as_chunks::<8>();
            if !rest.is_empty() {
                return Err(WireError::Truncated.into());
            }
            DecodeError::check("buckets in a histogram", into.len() + values.len(), max)?;
            into.extend(values.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        }
        _ => return Err(WireError::WireType { field: number }.into()),
    }
    DecodeError::check("buckets in a histogram", into.len(), max)
}
