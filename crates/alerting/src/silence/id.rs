//! The name of a silence: a random UUID.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A UUID of version 4, which prints as `8-4-4-4-12` hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SilenceId(u128);

/// A text is no UUID.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("it is no UUID")]
pub struct InvalidSilenceId;

impl SilenceId {
    /// Makes a UUID of random bits.
    pub fn from_random(bits: u128) -> Self {
        const VERSION: u128 = 0xf << 76;
        const VARIANT: u128 = 0b11 << 62;
        SilenceId((bits & !VERSION & !VARIANT) | (4 << 76) | (0b10 << 62))
    }
}

impl FromStr for SilenceId {
    type Err = InvalidSilenceId;

    /// Reads any UUID in the usual form.
    fn from_str(text: &str) -> Result<Self, InvalidSilenceId> {
        let bytes = text.as_bytes();
        if bytes.len() != 36 {
            return Err(InvalidSilenceId);
        }
        let mut bits: u128 = 0;
        for (i, byte) in bytes.iter().enumerate() {
            match (i, byte) {
                (8 | 13 | 18 | 23, b'-') => {}
                (8 | 13 | 18 | 23, _) => return Err(InvalidSilenceId),
                (_, byte) => {
                    let digit = char::from(*byte).to_digit(16).ok_or(InvalidSilenceId)?;
                    bits = bits << 4 | u128::from(digit);
                }
            }
        }
        Ok(SilenceId(bits))
    }
}

impl fmt::Display for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |shift: u32, digits: u32| (self.0 >> shift) & ((1 << (4 * digits)) - 1);
        let (a, b, c, d, e) = (part(96, 8), part(80, 4), part(64, 4), part(48, 4), part(0, 12));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

impl fmt::Debug for SilenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
