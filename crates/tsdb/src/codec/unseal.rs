//! Reading sealed chunks: as a whole, in part, and in part out of what an earlier reading has unpacked.

use std::ops::Range;

use sonde_disk::varint::Reader;
use sonde_model::{FloatColumn, STALE_NAN_BITS, TimestampMs};

use super::chunk::MAX_SAMPLES;
use super::pack::{BATCH, Integers, Unpacker};
use super::sealed::{
    CODEC, CONSTANT, DECIMAL_DELTA, DECIMAL_DELTA_OF_DELTA, DELTA_OF_DELTA, DIVISOR, Extent, FIXED_INTERVAL, PACK_FROM,
    PACKED_DECIMAL, PACKED_FLOAT, PACKED_TIMES, STALE_LIST, STARTS, TIMES, XOR,
};
use super::{DecodeError, decimal, number, starts, xor};

/// Buffers of the decoder, kept from chunk to chunk.
#[derive(Debug, Default)]
pub struct ReadScratch {
    column: FloatColumn,
    unpacker: Unpacker,
}

/// What was unpacked of a chunk: a run of its values, and its timestamps where they do not lie evenly.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// All timestamps; none where they lie evenly, which costs nothing to work out.
    times: Vec<TimestampMs>,
    /// Where in the chunk that is which follows the timestamps.
    behind_times: usize,
    /// The place of the first value.
    first: usize,
    values: Vec<f64>,
}

impl Unpacked {
    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + 8 * (self.times.capacity() + self.values.capacity())
    }

    fn places(&self) -> Range<usize> {
        self.first..self.first + self.values.len()
    }

    fn values(&self, places: Range<usize>) -> Option<&[f64]> {
        self.values.get(places.start.checked_sub(self.first)?..places.end.checked_sub(self.first)?)
    }
}

/// Whether a part of a chunk takes so long to read that what is unpacked for it should be kept.
pub(crate) fn is_dear(bytes: &[u8], samples: u32) -> bool {
    let codec = bytes.first().copied().unwrap_or_default();
    samples as usize >= PACK_FROM
        && codec & STALE_LIST == 0
        && matches!(codec & CODEC, PACKED_DECIMAL | PACKED_FLOAT | XOR)
}

/// Reads a chunk of floats and appends its samples.
pub fn decode_floats(
    bytes: &[u8],
    extent: Extent,
    scratch: &mut ReadScratch,
    out: &mut FloatColumn,
) -> Result<(), DecodeError> {
    decode_whole(bytes, extent, &mut scratch.unpacker, out)
}

/// Reads of a chunk of floats what lies from `from` to `to` inclusive, and appends it.
pub fn decode_floats_within(
    bytes: &[u8],
    extent: Extent,
    (from, to): (TimestampMs, TimestampMs),
    scratch: &mut ReadScratch,
    out: &mut FloatColumn,
) -> Result<(), DecodeError> {
    if from <= extent.min && extent.max <= to {
        return decode_whole(bytes, extent, &mut scratch.unpacker, out);
    }
    let codec = *bytes.first().ok_or(DecodeError::Truncated)?;
    if codec & STALE_LIST == 0 {
        let Located { values, places, .. } = locate(bytes, extent, (from, to), None, scratch, out)?;
        if !places.is_empty() {
            let n = extent.samples as usize;
            read_values(values, codec & CODEC, n, places, &mut scratch.unpacker, &mut out.values)?;
        }
        return Ok(());
    }
    let ReadScratch { column, unpacker } = scratch;
    column.timestamps.clear();
    column.values.clear();
    column.starts.clear();
    decode_whole(bytes, extent, unpacker, column)?;
    let places = within(&column.timestamps, (from, to));
    starts::append(&column.starts, places.clone(), out.timestamps.len(), &mut out.starts);
    out.timestamps.extend_from_slice(&column.timestamps[places.clone()]);
    out.values.extend_from_slice(&column.values[places]);
    Ok(())
}

/// The same for a chunk that [`is_dear`], with what is known of it. Where that is not enough it gives what to keep instead.
pub(crate) fn decode_floats_known(
    bytes: &[u8],
    extent: Extent,
    range: (TimestampMs, TimestampMs),
    known: Option<&Unpacked>,
    scratch: &mut ReadScratch,
    out: &mut FloatColumn,
) -> Result<Option<Unpacked>, DecodeError> {
    let codec = *bytes.first().ok_or(DecodeError::Truncated)?;
    let Located { values: reader, places, behind_times } = locate(bytes, extent, range, known, scratch, out)?;
    if let Some(values) = known.and_then(|known| known.values(places.clone())) {
        out.values.extend_from_slice(values);
        return Ok(None);
    }
    if places.is_empty() {
        return Ok(None);
    }
    // Whole batches, because they are unpacked as such, and all between the runs that were asked for.
    let all = known.map_or(places.clone(), |known| known.first.min(places.start)..known.places().end.max(places.end));
    let n = extent.samples as usize;
    let run = all.start / BATCH * BATCH..all.end.next_multiple_of(BATCH).min(n);
    let mut values = Vec::with_capacity(run.len());
    read_values(reader, codec & CODEC, n, run.clone(), &mut scratch.unpacker, &mut values)?;
    let asked = values.get(places.start - run.start..places.end - run.start);
    out.values.extend_from_slice(asked.ok_or(DecodeError::Truncated)?);
    let times = match known {
        Some(known) => known.times.clone(),
        None => scratch.column.timestamps.clone(),
    };
    Ok(Some(Unpacked { times, behind_times, first: run.start, values }))
}

/// Where in a chunk the samples of a range are.
struct Located<'b> {
    /// The values of the chunk.
    values: Reader<'b>,
    places: Range<usize>,
    behind_times: usize,
}

/// Finds the samples of a range, and appends their times and start timestamps. Times that do not lie evenly and were not
/// known are left in `scratch`.
fn locate<'b>(
    bytes: &'b [u8],
    extent: Extent,
    range: (TimestampMs, TimestampMs),
    known: Option<&Unpacked>,
    scratch: &mut ReadScratch,
    out: &mut FloatColumn,
) -> Result<Located<'b>, DecodeError> {
    let ReadScratch { column, unpacker } = scratch;
    let mut reader = Reader::new(bytes);
    let codec = reader.u8()?;
    let n = extent.samples as usize;
    if n == 0 || n > MAX_SAMPLES {
        return Err(DecodeError::TooLarge { what: "the number of samples of a chunk" });
    }
    column.timestamps.clear();
    column.starts.clear();
    let before = out.timestamps.len();
    let interval = if codec & TIMES == FIXED_INTERVAL { interval(extent) } else { None };
    let places = if let Some(interval) = interval {
        let places = within_even(extent, interval, range);
        out.timestamps.extend(places.clone().map(|i| extent.min + i as i64 * interval));
        places
    } else {
        let times = match known {
            Some(known) => {
                reader = Reader::new(bytes.get(known.behind_times..).ok_or(DecodeError::Truncated)?);
                &known.times
            }
            None => {
                read_times(&mut reader, codec & TIMES, extent, unpacker, &mut column.timestamps)?;
                &column.timestamps
            }
        };
        let places = within(times, range);
        out.timestamps.extend_from_slice(&times[places.clone()]);
        places
    };
    let behind_times = bytes.len() - reader.rest().len();
    if codec & STARTS != 0 {
        starts::decode(&mut reader, n, 0, &mut column.starts)?;
    }
    starts::append(&column.starts, places.clone(), before, &mut out.starts);
    Ok(Located { values: reader, places, behind_times })
}

/// The places of a range in timestamps that grow.
fn within(times: &[TimestampMs], (from, to): (TimestampMs, TimestampMs)) -> Range<usize> {
    let first = times.partition_point(|t| *t < from);
    first..times.partition_point(|t| *t <= to).max(first)
}

/// The places of a range in timestamps that lie evenly.
fn within_even(extent: Extent, interval: i64, (from, to): (TimestampMs, TimestampMs)) -> Range<usize> {
    let Extent { min, max, .. } = extent;
    let after = |t: i64| (t.saturating_sub(min)).clamp(0, max - min) / interval;
    let first = if from <= min { 0 } else { (after(from - 1) + 1) as usize };
    let end = if to < min { 0 } else { after(to) as usize + 1 };
    first..end.max(first)
}

/// The interval of timestamps that lie evenly; `None` where they cannot.
fn interval(Extent { min, max, samples }: Extent) -> Option<i64> {
    let (span, steps) = (max.checked_sub(min)?, i64::from(samples) - 1);
    (steps > 0 && span >= steps && span % steps == 0).then(|| span / steps)
}

fn decode_whole(
    bytes: &[u8],
    extent: Extent,
    unpacker: &mut Unpacker,
    out: &mut FloatColumn,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let codec = reader.u8()?;
    let n = extent.samples as usize;
    if n == 0 || n > MAX_SAMPLES {
        return Err(DecodeError::TooLarge { what: "the number of samples of a chunk" });
    }
    let before = out.timestamps.len();
    out.timestamps.reserve(n);
    read_times(&mut reader, codec & TIMES, extent, unpacker, &mut out.timestamps)?;
    if codec & STARTS == 0 {
        starts::none(before + n, &mut out.starts);
    } else {
        starts::decode(&mut reader, n, before, &mut out.starts)?;
    }
    if codec & STALE_LIST == 0 {
        return read_values(reader, codec & CODEC, n, 0..n, unpacker, &mut out.values);
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
    read_values(reader, codec & CODEC, n - count, 0..n - count, unpacker, &mut out.values)?;
    insert_stale(&places, &mut out.values, first);
    Ok(())
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

/// Reads the timestamps of a chunk; they grow, and end at the last one.
pub(super) fn read_times(
    reader: &mut Reader<'_>,
    layout: u8,
    extent: Extent,
    unpacker: &mut Unpacker,
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
            let n = steps as usize;
            unpacker.read_integers(bytes, n, 0..n, |numbers| {
                match numbers {
                    Integers::Narrow(numbers) => numbers.iter().for_each(|step| step_to(i64::from(*step), out)),
                    Integers::Wide(numbers) => numbers.iter().for_each(|step| step_to(*step, out)),
                }
                Ok(())
            })?;
        }
        value => return Err(DecodeError::Unknown { what: "timestamp layout", value }),
    }
    if !grows || at != max {
        return Err(DecodeError::Inconsistent { what: "timestamps that do not grow up to the last one" });
    }
    Ok(())
}

fn take_length<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let length = reader.u32_le()?;
    reader.take(length as usize)
}

/// Reads of `n` values as far as the end of `places`, and appends those of `places`.
fn read_values(
    mut reader: Reader<'_>,
    codec: u8,
    n: usize,
    places: Range<usize>,
    unpacker: &mut Unpacker,
    out: &mut Vec<f64>,
) -> Result<(), DecodeError> {
    out.reserve(places.len());
    match codec {
        CONSTANT => {
            let value = number::read(&mut reader)?;
            out.extend(std::iter::repeat_n(value, places.len()));
        }
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
                    out.push(decimal::restore(first.wrapping_add(m.wrapping_mul(divisor)), power));
                }
            }
        }
        PACKED_DECIMAL => {
            let Scale { power, divisor, first } = read_scale(&mut reader)?;
            let whole = |m: i64| first.wrapping_add(m.wrapping_mul(divisor));
            unpacker.read_integers(reader.rest(), n, places, |numbers| {
                let restored = match numbers {
                    Integers::Narrow(numbers) if divisor == 1 => {
                        decimal::restore_all(numbers.iter().map(|m| first.wrapping_add(i64::from(*m))), power, out)
                    }
                    Integers::Narrow(numbers) => {
                        decimal::restore_all(numbers.iter().map(|m| whole(i64::from(*m))), power, out)
                    }
                    Integers::Wide(numbers) => decimal::restore_all(numbers.iter().map(|m| whole(*m)), power, out),
                };
                restored.map_err(|_| DecodeError::OutOfRange)
            })?;
        }
        XOR => xor::decode(reader.rest(), places, out)?,
        PACKED_FLOAT => unpacker.read_floats(reader.rest(), n, places, out)?,
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
