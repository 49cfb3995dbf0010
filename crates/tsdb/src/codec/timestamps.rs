//! Timestamps of a chunk: a fixed interval costs nothing a sample, others the difference of their differences.

use sonde_disk::varint::{Reader, put_signed};
use sonde_model::TimestampMs;

use super::DecodeError;

/// How the timestamps of a chunk are written: the high half of the codec byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// First and interval say all.
    Fixed,
    /// First, first difference, then differences of differences.
    DeltaOfDelta,
}

/// The layout that suits these timestamps.
pub(crate) fn layout(timestamps: &[TimestampMs]) -> Layout {
    let fixed = timestamps.windows(3).all(|w| w[2].wrapping_sub(w[1]) == w[1].wrapping_sub(w[0]));
    if fixed { Layout::Fixed } else { Layout::DeltaOfDelta }
}

/// Appends the timestamps; there must be at least one.
pub(crate) fn encode(timestamps: &[TimestampMs], layout: Layout, out: &mut Vec<u8>) {
    put_signed(out, timestamps[0]);
    if timestamps.len() == 1 {
        return;
    }
    let mut delta = timestamps[1].wrapping_sub(timestamps[0]);
    put_signed(out, delta);
    if layout == Layout::Fixed {
        return;
    }
    for pair in timestamps[1..].windows(2) {
        let next = pair[1].wrapping_sub(pair[0]);
        put_signed(out, next.wrapping_sub(delta));
        delta = next;
    }
}

/// Reads `n` timestamps, `n` at least one. They are checked to grow.
pub(crate) fn decode(
    reader: &mut Reader<'_>,
    layout: Layout,
    n: usize,
    out: &mut Vec<TimestampMs>,
) -> Result<(), DecodeError> {
    let mut timestamp = reader.signed()?;
    out.push(timestamp);
    if n == 1 {
        return Ok(());
    }
    let mut delta = reader.signed()?;
    for i in 1..n {
        if i > 1 && layout == Layout::DeltaOfDelta {
            delta = delta.wrapping_add(reader.signed()?);
        }
        if delta <= 0 {
            return Err(DecodeError::Inconsistent { what: "timestamps that do not grow" });
        }
        timestamp = timestamp.checked_add(delta).ok_or(DecodeError::OutOfRange)?;
        out.push(timestamp);
    }
    Ok(())
}
