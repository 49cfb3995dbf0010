//! One float by itself, in as few bytes as its decimal form needs. See docs/format/chunk.md, "Number".

use sonde_disk::varint::{Reader, put, unzigzag, zigzag};

use super::DecodeError;
use super::decimal::{MAX_EXPONENT, POWERS, decompose, restore};

/// The tag of a float that is written as its eight bytes.
const RAW: u8 = 15;

/// Writes floats one by one and remembers the scale of the last, which the next one is likely to share.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct NumberWriter {
    exponent: u8,
}

impl NumberWriter {
    #[inline]
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, value: f64) {
        match decompose(value, self.exponent) {
            Some((mantissa, exponent)) => {
                self.exponent = exponent;
                put(out, zigzag(mantissa) << 4 | u64::from(exponent));
            }
            None => {
                self.exponent = RAW;
                out.push(RAW);
                out.extend_from_slice(&value.to_bits().to_le_bytes());
            }
        }
    }
}

/// Reads one number.
#[inline]
pub(crate) fn read(reader: &mut Reader<'_>) -> Result<f64, DecodeError> {
    let tagged = reader.varint()?;
    let exponent = (tagged & 15) as u8;
    if exponent <= MAX_EXPONENT {
        return Ok(restore(unzigzag(tagged >> 4), POWERS[exponent as usize]));
    }
    if tagged == u64::from(RAW) {
        return Ok(f64::from_bits(reader.u64_le()?));
    }
    Err(DecodeError::Unknown { what: "number tag", value: exponent })
}
