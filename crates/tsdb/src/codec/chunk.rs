//! A chunk of histograms: consecutive samples of one series behind one codec byte.

use sonde_disk::varint::{Reader, put};
use sonde_model::{Histogram, HistogramColumn, TimestampMs};

use super::timestamps::Layout;
use super::{DecodeError, histogram, starts, timestamps};

/// The most samples a chunk may claim, of floats as well: bounds what a reader allocates.
pub const MAX_SAMPLES: usize = 65_535;

const HISTOGRAMS: u8 = 4;

const FIXED_INTERVAL: u8 = 0x00;
const DELTA_OF_DELTA: u8 = 0x10;

/// The start timestamps of the samples are there.
const STARTS: u8 = 0x80;
const WITH_STARTS: u8 = HISTOGRAMS | STARTS;

/// Whether a chunk holds histograms, by its codec byte.
pub fn holds_histograms(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|codec| codec & 0x0f == HISTOGRAMS)
}

/// Appends a chunk of histograms. From one to [`MAX_SAMPLES`] samples, timestamps growing. `since` are their start
/// timestamps, from 0 on, or none.
pub fn encode_histograms(samples: &[(TimestampMs, &Histogram)], since: &[TimestampMs], out: &mut Vec<u8>) {
    let ts: Vec<TimestampMs> = samples.iter().map(|(t, _)| *t).collect();
    let start = out.len();
    put_head(&ts, out);
    out[start] |= HISTOGRAMS;
    if since.iter().any(|s| *s != 0) {
        out[start] |= STARTS;
        starts::encode(since, out);
    }
    let mut previous = None;
    for (_, h) in samples {
        histogram::encode(h, previous, out);
        previous = Some(*h);
    }
}

/// Reads a chunk of histograms and appends its samples.
pub fn decode_histograms(bytes: &[u8], out: &mut HistogramColumn) -> Result<(), DecodeError> {
    let mut reader = Reader::new(bytes);
    let before = out.timestamps.len();
    let (codec, n) = read_head(&mut reader, &mut out.timestamps)?;
    match codec {
        HISTOGRAMS => starts::none(before + n, &mut out.starts),
        WITH_STARTS => starts::decode(&mut reader, n, before, &mut out.starts)?,
        value => return Err(DecodeError::Unknown { what: "codec of a histogram chunk", value }),
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
    let layout = match codec & 0x70 {
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
    Ok((codec & 0x8f, n))
}
