//! Parts of dates and times, in UTC.

use super::Function;
use super::arguments::{Arguments, map_floats};
use super::call::seconds;
use crate::column::{Evaluated, Points, StepSeries, Steps};
use crate::error::QueryError;

const SECONDS_PER_DAY: i128 = 86_400;

/// What the function makes of seconds since the Unix epoch.
pub(super) fn part_of_time(function: Function) -> Option<fn(i128) -> f64> {
    Some(match function {
        Function::DaysInMonth => |seconds| {
            let (year, month, _) = date(seconds);
            days_in_month(year, month) as f64
        },
        Function::DayOfMonth => |seconds| date(seconds).2 as f64,
        // The epoch was a Thursday.
        Function::DayOfWeek => |seconds| (seconds.div_euclid(SECONDS_PER_DAY) + 4).rem_euclid(7) as f64,
        Function::DayOfYear => |seconds| {
            let (year, month, day) = date(seconds);
            ((1..month).map(|month| days_in_month(year, month)).sum::<i64>() + day) as f64
        },
        Function::Hour => |seconds| (seconds.rem_euclid(SECONDS_PER_DAY) / 3600) as f64,
        Function::Minute => |seconds| (seconds.rem_euclid(3600) / 60) as f64,
        Function::Month => |seconds| date(seconds).1 as f64,
        Function::Year => |seconds| date(seconds).0 as f64,
        _ => return None,
    })
}

/// The part of the times that the values are, or of the time of evaluation where there is no argument.
pub(super) fn evaluate(steps: Steps, part: fn(i128) -> f64, mut args: Arguments) -> Result<Evaluated, QueryError> {
    if !args.is_empty() {
        return Ok(Evaluated::Vector(map_floats(args.vector()?, |_, value| part(whole_seconds(value)))));
    }
    let mut series = StepSeries::default();
    for (step, time) in steps.times().enumerate() {
        series.floats.push(step as u32, part(i128::from(time.div_euclid(1000))));
    }
    Ok(Evaluated::Vector(vec![series]))
}

/// `timestamp` of values that were computed: they are of the time of evaluation.
pub(super) fn times_of_steps(steps: Steps, series: Vec<StepSeries>) -> Vec<StepSeries> {
    let mut result = Vec::with_capacity(series.len());
    for mut one in series {
        one.drop_name = true;
        let mut all: Vec<u32> = one.floats.steps.iter().chain(&one.histograms.steps).copied().collect();
        all.sort_unstable();
        one.histograms = Points::default();
        one.floats.values = all.iter().map(|step| seconds(steps.time(*step as usize))).collect();
        one.floats.steps = all;
        result.push(one);
    }
    result
}

/// A value as a time, rounded towards zero. What is no time is 2^63 seconds, as in Go on amd64, whose least number of
/// seconds wraps around to it.
fn whole_seconds(value: f64) -> i128 {
    const TWO_TO_63: f64 = 9_223_372_036_854_775_808.0;
    if value > -TWO_TO_63 && value < TWO_TO_63 { value as i128 } else { 1 << 63 }
}

/// Year, month (1 to 12) and day (from 1) in the Gregorian calendar.
///
/// The years are counted from March, so that the leap day is the last one of a year; an era is 400 years.
fn date(seconds: i128) -> (i64, i64, i64) {
    /// Days from 0000-03-01 to 1970-01-01.
    const EPOCH: i64 = 719_468;
    const DAYS_PER_ERA: i64 = 146_097;
    // 2^63 seconds, the most there are, are 10^14 days.
    let days = seconds.div_euclid(SECONDS_PER_DAY) as i64 + EPOCH;
    let (era, day_of_era) = (days.div_euclid(DAYS_PER_ERA), days.rem_euclid(DAYS_PER_ERA));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (year_of_era + era * 400 + carry, month, day)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_all_times() {
        for (seconds, expected) in [
            (0, (1970, 1, 1)),
            (-1, (1969, 12, 31)),
            (951_782_400, (2000, 2, 29)),
            (1_456_790_399, (2016, 2, 29)),
            (4_107_542_400, (2100, 3, 1)),
            (-62_135_596_800, (1, 1, 1)),
        ] {
            assert_eq!(date(seconds), expected, "{seconds}");
        }
        // What is no time has a date too.
        assert_eq!(date(whole_seconds(f64::NAN)), (292_277_026_596, 12, 4));
    }
}
