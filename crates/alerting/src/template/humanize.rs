//! Numbers, times and durations as people read them, digit for digit as Prometheus's template functions print them.

use jiff::Timestamp;

const LARGE: [&str; 8] = ["k", "M", "G", "T", "P", "E", "Z", "Y"];
const BINARY: [&str; 8] = ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"];
const SMALL: [&str; 8] = ["m", "u", "n", "p", "f", "a", "z", "y"];

/// `1234567` is `1.235M`, `0.001` is `1m`.
pub(super) fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return general(value, 4);
    }
    let (scaled, prefix) = if value.abs() >= 1.0 { divided(value, 1000.0, &LARGE) } else { multiplied(value, &SMALL) };
    general(scaled, 4) + prefix
}

/// `1048576` is `1Mi`.
pub(super) fn humanize1024(value: f64) -> String {
    if value.abs() <= 1.0 || !value.is_finite() {
        return general(value, 4);
    }
    let (scaled, prefix) = divided(value, 1024.0, &BINARY);
    general(scaled, 4) + prefix
}

/// `0.15` is `15%`.
pub(super) fn percentage(ratio: f64) -> String {
    general(ratio * 100.0, 4) + "%"
}

/// Seconds: `3661` is `1h 1m 1s`, `0.001` is `1ms`.
pub(super) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() {
        return general(seconds, 4);
    }
    if seconds == 0.0 {
        return general(seconds, 4) + "s";
    }
    if seconds.abs() < 1.0 {
        let (scaled, prefix) = multiplied(seconds, &SMALL);
        return general(scaled, 4) + prefix + "s";
    }
    let sign = if seconds < 0.0 { "-" } else { "" };
    let absolute = seconds.abs();
    // Rust's conversion saturates, which is what is wanted of a number beyond all durations.
    let whole = absolute as i64;
    let (s, m, h, d) = (whole % 60, whole / 60 % 60, whole / 3_600 % 24, whole / 86_400);
    match (d, h, m) {
        (0, 0, 0) => format!("{sign}{}s", general(absolute, 4)),
        (0, 0, _) => format!("{sign}{m}m {s}s"),
        (0, _, _) => format!("{sign}{h}h {m}m {s}s"),
        _ => format!("{sign}{d}d {h}h {m}m {s}s"),
    }
}

/// Seconds since the epoch as Go prints a time in UTC: `2015-06-23 13:19:44.128 +0000 UTC`.
pub(super) fn timestamp(seconds: f64) -> Result<String, String> {
    if !seconds.is_finite() {
        return Ok(general(seconds, 4));
    }
    let out_of_range = || format!("{seconds} s is no time that can be printed");
    // Prometheus goes through nanoseconds and cuts to the milliseconds that a sample's timestamp has.
    let nanos = seconds * 1e9;
    if nanos.abs() >= i64::MAX as f64 {
        return Err(out_of_range());
    }
    let time = Timestamp::from_millisecond(nanos as i64 / 1_000_000).map_err(|_| out_of_range())?;
    Ok(format!("{} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S%.f")))
}

/// Seconds as Go prints a `time.Duration`: `1h0m5s`, `1.5ms`.
pub(super) fn go_duration(seconds: f64) -> String {
    let nanos = (seconds * 1e9) as i64;
    let absolute = nanos.unsigned_abs();
    let sign = if nanos < 0 { "-" } else { "" };
    let trimmed = |value: u64, unit: u64| value as f64 / unit as f64;
    match absolute {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{absolute}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", trimmed(absolute, 1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", trimmed(absolute, 1_000_000)),
        _ => {
            let (minutes, rest) = (absolute / 60_000_000_000, absolute % 60_000_000_000);
            let seconds = trimmed(rest, 1_000_000_000);
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{sign}{seconds}s"),
                (0, m) => format!("{sign}{m}m{seconds}s"),
                (h, m) => format!("{sign}{h}h{m}m{seconds}s"),
            }
        }
    }
}

/// Go's `%.{digits}g`: so many significant digits, no trailing zeros, an exponent where it is below -4 or too large.
pub(super) fn general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() };
    }
    let scientific = format!("{:.*e}", digits - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", without_zeros(mantissa), exponent.abs());
    }
    let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
    without_zeros(&format!("{value:.decimals$}")).to_owned()
}

fn without_zeros(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

fn divided(mut value: f64, base: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut used = "";
    for prefix in prefixes {
        if value.abs() < base {
            break;
        }
        used = prefix;
        value /= base;
    }
    (value, used)
}

fn multiplied(mut value: f64, prefixes: &[&'static str]) -> (f64, &'static str) {
    let mut used = "";
    for prefix in prefixes {
        if value.abs() >= 1.0 {
            break;
        }
        used = prefix;
        value *= 1000.0;
    }
    (value, used)
}
