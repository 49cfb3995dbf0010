//! How time intervals are written.

use jiff::tz::TimeZone;
use thiserror::Error;

use super::{Minutes, Span, TimeInterval};

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Ranges in one part of an interval; no calendar needs more.
const MAX_RANGES: usize = 100;

/// Why a time interval cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum IntervalError {
    /// A time of day is none.
    #[error("{text:?} is no time of day: write it as 08:30, up to 24:00")]
    Time {
        /// What was written.
        text: String,
    },
    /// A part of a day ends before it begins.
    #[error("the start time {start:?} must be before the end time {end:?}; a night is two ranges")]
    TimeOrder {
        /// The start as written.
        start: String,
        /// The end as written.
        end: String,
    },
    /// A word or number is not among those that there are.
    #[error("{text:?} is no {what}")]
    Value {
        /// What was written.
        text: String,
        /// What was expected.
        what: &'static str,
    },
    /// A range ends before it begins.
    #[error("{text:?} ends before it begins")]
    Order {
        /// The range as written.
        text: String,
    },
    /// Days of a month are counted from the start and from the end in one range.
    #[error("{text:?} mixes days from the start and from the end of a month")]
    MixedDays {
        /// The range as written.
        text: String,
    },
    /// There is no such time zone, or no data about it.
    #[error("no time zone {name:?} is known; names are those of the IANA, as Europe/Berlin or UTC")]
    Zone {
        /// What was written.
        name: String,
    },
    /// There are too many ranges.
    #[error("there are more than {MAX_RANGES} ranges")]
    TooMany,
}

impl Default for TimeInterval {
    /// Always.
    fn default() -> Self {
        TimeInterval {
            times: Vec::new(),
            weekdays: Vec::new(),
            days_of_month: Vec::new(),
            months: Vec::new(),
            years: Vec::new(),
            zone: TimeZone::UTC,
        }
    }
}

impl TimeInterval {
    /// Only from `start` to before `end` of a day, as `08:30` and `24:00`; one of the ranges has to hold.
    pub fn add_times(&mut self, start: &str, end: &str) -> Result<(), IntervalError> {
        let range = Minutes { start: minute(start)?, end: minute(end)? };
        if range.start >= range.end {
            return Err(IntervalError::TimeOrder { start: start.to_owned(), end: end.to_owned() });
        }
        add(&mut self.times, range)
    }

    /// Only on some days of the week, as `monday:friday` or `sunday`.
    pub fn add_weekdays(&mut self, text: &str) -> Result<(), IntervalError> {
        add(&mut self.weekdays, span(text, |word| named(&WEEKDAYS, word).map(|n| n - 1), "day of the week")?)
    }

    /// Only on some days of the month, as `1:5`, `15` or `-3:-1` for the last three.
    pub fn add_days_of_month(&mut self, text: &str) -> Result<(), IntervalError> {
        let day = |word: &str| number(word).filter(|day| *day != 0 && (-31..=31).contains(day));
        let what = "day of a month: 1 to 31, or -1 to -31 from the end";
        let (first, last) = ends(text, day, what)?;
        if (first < 0) != (last < 0) && first < 0 {
            return Err(IntervalError::MixedDays { text: text.to_owned() });
        }
        let from_start = |day: i16| if day < 0 { 32 + day } else { day };
        if from_start(first) > from_start(last) {
            return Err(IntervalError::Order { text: text.to_owned() });
        }
        add(&mut self.days_of_month, Span { first, last })
    }

    /// Only in some months, as `january:march`, `1:3` or `december`.
    pub fn add_months(&mut self, text: &str) -> Result<(), IntervalError> {
        let month = |word: &str| named(&MONTHS, word).or_else(|| number(word).filter(|n| (1..=12).contains(n)));
        add(&mut self.months, span(text, month, "month")?)
    }

    /// Only in some years, as `2027` or `2027:2030`.
    pub fn add_years(&mut self, text: &str) -> Result<(), IntervalError> {
        add(&mut self.years, span(text, |word| number(word).filter(|n| *n >= 0), "year")?)
    }

    /// All parts are meant in a time zone; UTC where nothing is said.
    pub fn set_location(&mut self, name: &str) -> Result<(), IntervalError> {
        self.zone = match name {
            "UTC" => TimeZone::UTC,
            "Local" => TimeZone::system(),
            name => TimeZone::get(name).map_err(|_| IntervalError::Zone { name: name.to_owned() })?,
        };
        Ok(())
    }
}

fn add<T>(ranges: &mut Vec<T>, range: T) -> Result<(), IntervalError> {
    if ranges.len() >= MAX_RANGES {
        return Err(IntervalError::TooMany);
    }
    ranges.push(range);
    Ok(())
}

fn minute(text: &str) -> Result<i16, IntervalError> {
    let parse = || {
        let (hours, minutes) = text.split_once(':')?;
        let digits = |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten().map(i16::from);
        let minute = digits(hours)? * 60 + digits(minutes).filter(|m| *m < 60)?;
        (minute <= 24 * 60).then_some(minute)
    };
    parse().ok_or_else(|| IntervalError::Time { text: text.to_owned() })
}

/// A range that may not go backwards.
fn span(text: &str, one: impl Fn(&str) -> Option<i16>, what: &'static str) -> Result<Span, IntervalError> {
    let (first, last) = ends(text, one, what)?;
    if first > last {
        return Err(IntervalError::Order { text: text.to_owned() });
    }
    Ok(Span { first, last })
}

/// Both ends of `a:b`, or twice `a`.
fn ends(text: &str, one: impl Fn(&str) -> Option<i16>, what: &'static str) -> Result<(i16, i16), IntervalError> {
    let value = |word: &str| {
        let word = word.trim().to_ascii_lowercase();
        one(&word).ok_or_else(|| IntervalError::Value { text: text.to_owned(), what })
    };
    let (first, last) = text.split_once(':').unwrap_or((text, text));
    Ok((value(first)?, value(last)?))
}

/// The place of a word in a list, from 1.
fn named(words: &[&str], word: &str) -> Option<i16> {
    words.iter().position(|known| *known == word).and_then(|at| i16::try_from(at + 1).ok())
}

fn number(word: &str) -> Option<i16> {
    word.parse().ok()
}
