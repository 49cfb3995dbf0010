//! Times and durations as they are written on the command line.

use std::time::Duration;

use jiff::Timestamp;
use sonde_model::TimestampMs;
use sonde_model::duration::parse_duration_ms;

use crate::problem::Problem;

/// Milliseconds of a duration that is not zero.
pub(super) fn duration_ms(flag: &str, text: &str) -> Result<i64, Problem> {
    match parse_duration_ms(text) {
        Ok(0) => Err(Problem::new(format!("{flag} must be greater than 0"))),
        Ok(ms) => Ok(ms),
        Err(e) => Err(Problem::new(format!("{flag}: {e}")).hint("Write a number and a unit, as 30s, 5m, 1h30m or 7d.")),
    }
}

pub(crate) fn duration(flag: &str, text: &str) -> Result<Duration, Problem> {
    duration_ms(flag, text).map(|ms| Duration::from_millis(ms.unsigned_abs()))
}

/// A time: RFC 3339, seconds since the epoch, or how long ago.
pub(crate) fn instant(flag: &str, text: &str, now: TimestampMs) -> Result<TimestampMs, Problem> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_millisecond());
    }
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
        && seconds.abs() < 1e14
    {
        return Ok((seconds * 1000.0).round() as TimestampMs);
    }
    match parse_duration_ms(text) {
        Ok(ago) => Ok(now - ago),
        Err(_) => Err(Problem::new(format!("{flag}: {text:?} is no time"))
            .hint("Write 2026-11-20T09:30:00Z, seconds since 1970, or how long ago: 15m.")),
    }
}

/// A time for people, in UTC.
pub(crate) fn show(at: TimestampMs) -> String {
    match Timestamp::from_millisecond(at) {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => at.to_string(),
    }
}
