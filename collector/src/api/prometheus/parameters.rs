//! Times, durations, limits and selectors of requests, as Prometheus reads them.

use std::time::Duration;

use jiff::Timestamp;
use sonde_model::duration::parse_duration_ms;
use sonde_model::matcher::MatcherBudget;
use sonde_model::{Matcher, TimestampMs};
use sonde_tsdb::Resolution;

use crate::api::answer::ApiError;
use crate::api::form::Form;

/// What stands for the beginning of time where a request names no start: far from overflow in any sum.
pub(super) const MIN_TIME: TimestampMs = i64::MIN / 4;
/// What stands for the end of time where a request names no end.
pub(super) const MAX_TIME: TimestampMs = i64::MAX / 4;

/// A time: float seconds since the epoch, or RFC 3339.
pub(super) fn time(form: &Form, name: &str) -> Result<Option<TimestampMs>, ApiError> {
    let invalid = |e: String| ApiError::parameter(name, format!("Invalid time value for '{name}': {e}"));
    form.get(name).map(|text| parse_time(text).map_err(invalid)).transpose()
}

/// A time that must be given.
pub(super) fn required_time(form: &Form, name: &str) -> Result<TimestampMs, ApiError> {
    let text = form.get(name).unwrap_or_default();
    parse_time(text).map_err(|e| ApiError::parameter(name, e))
}

/// A duration in milliseconds: float seconds, or in the notation of Prometheus.
pub(super) fn duration(form: &Form, name: &str) -> Result<Option<i64>, ApiError> {
    form.get(name).map(|text| parse_duration(text).map_err(|e| ApiError::parameter(name, e))).transpose()
}

/// A duration that must be given.
pub(super) fn required_duration(form: &Form, name: &str) -> Result<i64, ApiError> {
    let text = form.get(name).unwrap_or_default();
    parse_duration(text).map_err(|e| ApiError::parameter(name, e))
}

/// How many elements an answer may have; `None` is as many as there are.
pub(super) fn limit(form: &Form) -> Result<Option<usize>, ApiError> {
    count(form, "limit")
}

/// A count; absent and 0 are none.
pub(super) fn count(form: &Form, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = form.get(name) else { return Ok(None) };
    match text.parse::<i64>() {
        Ok(n) if n < 0 => Err(ApiError::parameter(name, format!("{name} must be non-negative"))),
        Ok(n) => Ok(usize::try_from(n).ok().filter(|n| *n > 0)),
        Err(_) => Err(ApiError::parameter(name, format!("cannot parse {text:?} to a whole number"))),
    }
}

/// A count as the metadata endpoints read it: nothing where it is negative or not given.
pub(super) fn whole_number(form: &Form, name: &str) -> Result<Option<usize>, ApiError> {
    let Some(text) = form.get(name) else { return Ok(None) };
    let number = text.parse::<i64>().map_err(|_| ApiError::bad_data(format!("{name} must be a number")))?;
    Ok(usize::try_from(number).ok())
}

/// Which tiers a query may read: where samples are gone as a rule, none, or all up to a length of their steps.
pub(super) fn resolution(form: &Form) -> Result<Resolution, ApiError> {
    const NAME: &str = "max_source_resolution";
    match form.get(NAME) {
        None | Some("" | "auto") => Ok(Resolution::Auto),
        Some("raw" | "0s") => Ok(Resolution::Raw),
        Some(_) => match duration(form, NAME)? {
            Some(ms) if ms > 0 => Ok(Resolution::UpTo(ms)),
            _ => Err(ApiError::parameter(NAME, "must be auto, raw or a duration greater than 0")),
        },
    }
}

/// How long a query may take: what the request asks for, at most what the configuration allows.
pub(super) fn timeout(form: &Form, allowed: Duration) -> Result<Duration, ApiError> {
    let asked = duration(form, "timeout")?;
    Ok(asked.map_or(allowed, |ms| Duration::from_millis(ms.max(0).unsigned_abs()).min(allowed)))
}

/// The selectors of `match[]`, each of which must have a matcher that does not match the empty string.
pub(in crate::api) fn selectors(form: &Form) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let mut budget = MatcherBudget::default();
    let each = form.all("match[]");
    each.map(|text| selector(text, &mut budget).map_err(|e| ApiError::parameter("match[]", e))).collect()
}

/// The same where Prometheus does not say which parameter is wrong.
pub(super) fn plain_selectors(form: &Form) -> Result<Vec<Vec<Matcher>>, ApiError> {
    let mut budget = MatcherBudget::default();
    form.all("match[]").map(|text| selector(text, &mut budget).map_err(ApiError::bad_data)).collect()
}

fn selector(text: &str, budget: &mut MatcherBudget) -> Result<Vec<Matcher>, String> {
    let selector = sonde_promql::parse_selector(text).map_err(|e| e.to_string())?;
    let matchers = selector.compile_within(budget).map_err(|e| e.to_string())?;
    if matchers.iter().all(Matcher::matches_absent) {
        return Err("match[] must contain at least one non-empty matcher".into());
    }
    Ok(matchers)
}

/// The range of time of a request for labels or series.
pub(in crate::api) fn time_range(form: &Form) -> Result<(TimestampMs, TimestampMs), ApiError> {
    let start = time(form, "start")?.unwrap_or(MIN_TIME);
    let end = time(form, "end")?.unwrap_or(MAX_TIME);
    if end < start {
        return Err(ApiError::bad_data("end timestamp must not be before start timestamp"));
    }
    Ok((start, end))
}

fn parse_time(text: &str) -> Result<TimestampMs, String> {
    let invalid = || format!("cannot parse {text:?} to a valid timestamp");
    if let Some(seconds) = parse_float(text) {
        let ms = (seconds * 1_000.0).round();
        return if ms >= MIN_TIME as f64 && ms <= MAX_TIME as f64 { Ok(ms as i64) } else { Err(invalid()) };
    }
    text.parse::<Timestamp>().map(Timestamp::as_millisecond).map_err(|_| invalid())
}

fn parse_duration(text: &str) -> Result<i64, String> {
    if let Some(seconds) = parse_float(text) {
        let ms = (seconds * 1_000.0).round();
        // Prometheus holds nanoseconds in 63 bits.
        let fits = ms.abs() < i64::MAX as f64 / 1e6;
        return if fits {
            Ok(ms as i64)
        } else {
            Err(format!("cannot parse {text:?} to a valid duration. It overflows int64"))
        };
    }
    parse_duration_ms(text).map_err(|_| format!("cannot parse {text:?} to a valid duration"))
}

/// A number as Go reads it; NaN and infinities are no times.
fn parse_float(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|v| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_seconds_or_rfc3339() {
        for (text, ms) in [
            ("0", 0),
            ("1543578564.705", 1_543_578_564_705),
            ("-1.5", -1_500),
            ("1e3", 1_000_000),
            ("2015-06-03T13:21:58.555Z", 1_433_337_718_555),
            ("2015-06-03T14:21:58.555+01:00", 1_433_337_718_555),
        ] {
            assert_eq!(parse_time(text), Ok(ms), "{text}");
        }
        for text in ["", "foo", "30s", "NaN", "+Inf", "1e300", "2015-06-03T13:21:58", "2015-06-03"] {
            assert_eq!(parse_time(text), Err(format!("cannot parse {text:?} to a valid timestamp")));
        }
    }

    #[test]
    fn all_selectors_together_are_bounded() {
        let form = |n: usize| {
            let text = vec![r"match[]={a=~%22(x{100}){100}%22}"; n].join("&");
            Form::parse([text.as_bytes()]).expect("valid")
        };
        assert_eq!(selectors(&form(3)).expect("small").len(), 3);
        let error = selectors(&form(999)).expect_err("too large");
        assert!(error.message.contains("with those before it"), "{}", error.message);
    }

    #[test]
    fn durations_are_seconds_or_written() {
        for (text, ms) in [("123", 123_000), ("0.25", 250), ("1h30m", 5_400_000), ("-1", -1_000)] {
            assert_eq!(parse_duration(text), Ok(ms), "{text}");
        }
        for text in ["", "foo", "1z", "NaN"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration("148966367200372.1").is_err_and(|e| e.ends_with("It overflows int64")));
    }
}
