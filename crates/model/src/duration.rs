//! Durations as Prometheus writes them: `1h30m`, `250ms`.

use std::fmt;

use thiserror::Error;

const UNITS: [(&str, i64); 7] =
    [("y", 365 * DAY), ("w", 7 * DAY), ("d", DAY), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const DAY: i64 = 86_400_000;

/// Why a text is no duration.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DurationError {
    /// The text is empty.
    #[error("empty duration string")]
    Empty,
    /// The text does not follow the grammar.
    #[error("not a valid duration string: {0:?}")]
    Invalid(String),
    /// A unit does not exist.
    #[error("unknown unit {unit:?} in duration {text:?}")]
    UnknownUnit {
        /// The unit as it was written.
        unit: String,
        /// The whole text.
        text: String,
    },
    /// The duration exceeds what 63 bits of nanoseconds hold, about 292 years.
    #[error("duration out of range: {0:?}")]
    OutOfRange(String),
}

/// Parses a duration into milliseconds: units from `y` down to `ms`, each at most once and in this order; or `0`.
pub fn parse_duration_ms(text: &str) -> Result<i64, DurationError> {
    let invalid = || DurationError::Invalid(text.to_owned());
    let out_of_range = || DurationError::OutOfRange(text.to_owned());
    match text {
        "" => return Err(DurationError::Empty),
        "0" => return Ok(0),
        _ => {}
    }
    let mut rest = text;
    let mut next_unit = 0;
    let mut total: i64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|n| *n > 0).ok_or_else(invalid)?;
        let (number, tail) = rest.split_at(digits);
        let unit_len = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_len);
        if unit.is_empty() {
            return Err(invalid());
        }
        let index = UNITS
            .iter()
            .position(|(name, _)| *name == unit)
            .ok_or_else(|| DurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() })?;
        if index < next_unit {
            return Err(invalid());
        }
        next_unit = index + 1;
        let number: i64 = number.parse().map_err(|_| out_of_range())?;
        total = number.checked_mul(UNITS[index].1).and_then(|n| total.checked_add(n)).ok_or_else(out_of_range)?;
        rest = tail;
    }
    if total > i64::MAX / 1_000_000 { Err(out_of_range()) } else { Ok(total) }
}

/// Prints milliseconds the way Prometheus does: `1h30m`, `0s`; years, weeks and days only where they divide evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DurationMs(pub i64);

impl fmt::Display for DurationMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let mut rest = self.0.unsigned_abs();
        for (name, unit) in UNITS {
            let unit = unit.unsigned_abs();
            let only_if_even = matches!(name, "y" | "w");
            if only_if_even && !rest.is_multiple_of(unit) {
                continue;
            }
            let n = rest / unit;
            if n > 0 {
                write!(f, "{n}{name}")?;
                rest -= n * unit;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print() {
        for (text, ms) in [("0", 0), ("5m", 300_000), ("1h30m", 5_400_000), ("1y2w3d4h5m6s7ms", 33_019_506_007)] {
            assert_eq!(parse_duration_ms(text), Ok(ms), "{text}");
        }
        for text in ["", "5", "m", "1m1h", "1m1m", "-1m", "1.5m", "300000000000y"] {
            assert!(parse_duration_ms(text).is_err(), "{text}");
        }
        for (ms, text) in [(0, "0s"), (5_400_000, "1h30m"), (14 * DAY, "2w"), (8 * DAY, "8d"), (-1_500, "-1s500ms")] {
            assert_eq!(DurationMs(ms).to_string(), text);
        }
    }
}
