//! Durations as people write them in configuration: `250ms`, `15s`, `1h30m`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A span of time with its unit, as `15s` or `1h30m`. Units: `ms`, `s`, `m`, `h`, `d`. A bare `0` is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub std::time::Duration);

/// From the largest to the smallest, in milliseconds; the order in which they may follow each other.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no duration; write a number and a unit, as in 250ms, 15s, 5m or 1h30m")]
pub struct InvalidDuration(String);

impl Duration {
    /// `seconds` as a duration, for defaults.
    pub const fn from_secs(seconds: u64) -> Self {
        Duration(std::time::Duration::from_secs(seconds))
    }

    /// `milliseconds` as a duration, for defaults.
    pub const fn from_millis(milliseconds: u64) -> Self {
        Duration(std::time::Duration::from_millis(milliseconds))
    }
}

impl FromStr for Duration {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, InvalidDuration> {
        parse_ms(text).map(Duration::from_millis).ok_or_else(|| InvalidDuration(text.chars().take(40).collect()))
    }
}

fn parse_ms(text: &str) -> Option<u64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut next_unit = 0;
    while !rest.is_empty() || next_unit == 0 {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let (unit, tail) = tail.split_at(tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len()));
        let index = UNITS.iter().position(|(name, _)| *name == unit).filter(|index| *index >= next_unit)?;
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(UNITS[index].1)?)?;
        next_unit = index + 1;
        rest = tail;
    }
    Some(total)
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        for (name, unit) in UNITS {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Duration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_parse_and_print() {
        for (text, ms) in [("250ms", 250), ("15s", 15_000), ("1h30m", 5_400_000), ("2d1ms", 172_800_001)] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!((duration, duration.to_string().as_str()), (Duration::from_millis(ms), text));
        }
        assert_eq!("0".parse(), Ok(Duration::default()));
        for text in ["", "5", "s", "1s1m", "1m1m", "-1s", "1.5s", "99999999999999999999d", "1 s"] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
