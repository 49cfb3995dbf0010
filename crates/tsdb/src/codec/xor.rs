//! Floats as the XOR with the value before, for values that are no short decimals.
//!
//! The scheme is that of the Gorilla paper (Pelkonen et al., VLDB 2015, section 4.1.2): one bit for an equal value,
//! otherwise the meaningful bits, in the window of the value before where they fit.

use std::ops::Range;

use super::DecodeError;
use super::bits::{BitReader, BitWriter};

/// A leading-zero count is written in five bits.
const MAX_LEADING: u32 = 31;

/// Appends the values; there must be at least one.
pub(crate) fn encode(values: &[f64], out: &mut Vec<u8>) {
    let mut writer = BitWriter::new(out);
    let Some((first, rest)) = values.split_first() else { return };
    let mut previous = first.to_bits();
    writer.put(previous, 64);
    let mut window: Option<(u32, u32)> = None;
    for value in rest {
        let bits = value.to_bits();
        let xor = bits ^ previous;
        previous = bits;
        if xor == 0 {
            writer.put(0, 1);
            continue;
        }
        let leading = xor.leading_zeros().min(MAX_LEADING);
        let trailing = xor.trailing_zeros();
        match window {
            Some((l, t)) if leading >= l && trailing >= t => {
                writer.put(0b10, 2);
                writer.put(xor >> t, 64 - l - t);
            }
            _ => {
                let length = 64 - leading - trailing;
                writer.put(0b11, 2);
                writer.put(u64::from(leading), 5);
                writer.put(u64::from(length - 1), 6);
                writer.put(xor >> trailing, length);
                window = Some((leading, trailing));
            }
        }
    }
    writer.finish();
}

/// Reads as far as the end of `places`, and appends the values of `places`.
pub(crate) fn decode(bytes: &[u8], places: Range<usize>, out: &mut Vec<f64>) -> Result<(), DecodeError> {
    let mut reader = BitReader::new(bytes);
    let mut previous = reader.get(64)?;
    if places.contains(&0) {
        out.push(f64::from_bits(previous));
    }
    let mut window: Option<(u32, u32)> = None;
    for i in 1..places.end {
        if reader.bit()? {
            if reader.bit()? {
                let leading = reader.get(5)? as u32;
                let length = reader.get(6)? as u32 + 1;
                let trailing = (64 - leading)
                    .checked_sub(length)
                    .ok_or(DecodeError::Inconsistent { what: "a window of over 64 bits" })?;
                window = Some((leading, trailing));
            }
            let (leading, trailing) =
                window.ok_or(DecodeError::Inconsistent { what: "a window is used before it is set" })?;
            previous ^= reader.get(64 - leading - trailing)? << trailing;
        }
        if i >= places.start {
            out.push(f64::from_bits(previous));
        }
    }
    Ok(())
}
