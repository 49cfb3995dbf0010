//! Times of silences: as they are written on the command line, and as they stand in JSON.

use jiff::Timestamp;
use sonde_model::TimestampMs;
use sonde_model::duration::parse_duration_ms;

use crate::problem::Problem;

/// A time on the command line: RFC 3339, or how long from now.
pub(super) fn instant(flag: &str, text: &str, now: TimestampMs) -> Result<TimestampMs, Problem> {
    if let Some(time) = rfc3339(text) {
        return Ok(time);
    }
    parse_duration_ms(text).map(|ms| now + ms).map_err(|_| {
        Problem::new(format!("{flag}: {text:?} is no time"))
            .hint("Write 2026-11-20T09:30:00Z, or how long from now: 2h.")
    })
}

/// A duration on the command line, in milliseconds.
pub(super) fn duration_ms(flag: &str, text: &str) -> Result<i64, Problem> {
    crate::query::duration(flag, text).map(|duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 4))
}

/// The time that RFC 3339 writes.
pub(super) fn rfc3339(text: &str) -> Option<TimestampMs> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// A time for programs; a number where no calendar knows it.
pub(super) fn to_rfc3339(at: TimestampMs) -> String {
    Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |time| time.to_string())
}

/// A time for people, in UTC.
pub(super) fn show(at: TimestampMs) -> String {
    let time = Timestamp::from_millisecond(at);
    time.map_or_else(|_| at.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
