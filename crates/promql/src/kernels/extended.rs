//! Rates between values at the very ends of the range, as `anchored` and `smoothed` ask for.

use sonde_model::TimestampMs;

use super::rate::Rate;
use super::window::Window;

/// The change of floats between the ends of the range; with `smoothed` the values there are interpolated.
pub(super) fn rate(window: &Window<'_>, kind: Rate, smoothed: bool, seconds: f64) -> Option<f64> {
    let (times, values) = (window.floats.times, window.floats.values);
    let (mut first, mut last) = ends(window, times, smoothed)?;
    let point = |i: usize| (times[i], values[i]);
    let left = if smoothed && times[first] < window.start {
        interpolated(point(first), point(first + 1), window.start, kind.is_counter)
    } else {
        values[first]
    };
    let right = if smoothed && last > 0 && times[last] > window.end {
        interpolated(point(last - 1), point(last), window.end, kind.is_counter)
    } else {
        values[last]
    };
    let mut change = right - left;
    if kind.is_counter {
        // Resets at the ends are part of the interpolation.
        if times[first] <= window.start {
            first += 1;
        }
        if times[last] >= window.end {
            last = last.wrapping_sub(1);
        }
        let inside = values.get(first..last.wrapping_add(1)).unwrap_or(&[]);
        let mut correction = 0.0;
        let mut previous = left;
        for value in inside.iter().chain([&right]) {
            if *value < previous {
                correction += previous;
            }
            previous = *value;
        }
        change += correction;
    }
    Some(if kind.per_second { change / seconds } else { change })
}

/// The samples that stand for the ends of the range; none where nothing is inside it.
pub(super) fn ends(window: &Window<'_>, times: &[TimestampMs], smoothed: bool) -> Option<(usize, usize)> {
    let mut last = times.len().checked_sub(1)?;
    let first = times[..last].partition_point(|t| *t <= window.start).saturating_sub(1);
    if smoothed {
        last = times[..last].partition_point(|t| *t < window.end);
    }
    if times[last] <= window.start || (smoothed && times[first] > window.end) {
        return None;
    }
    Some((first, last))
}

/// The value at `time` on the line between two samples. A counter that went down started again from zero.
pub(crate) fn interpolated(a: (TimestampMs, f64), b: (TimestampMs, f64), time: TimestampMs, is_counter: bool) -> f64 {
    let from = if is_counter && b.1 < a.1 { 0.0 } else { a.1 };
    from + (b.1 - from) * (time - a.0) as f64 / (b.0 - a.0) as f64
}
