//! Recurring times, in the words of Alertmanager's `time_intervals`: office hours, weekends, the first days of a month.

mod parse;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use sonde_model::TimestampMs;

pub use parse::IntervalError;

/// A recurring time: it holds when every part that says something holds. Without any part it always does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeInterval {
    times: Vec<Minutes>,
    weekdays: Vec<Span>,
    days_of_month: Vec<Span>,
    months: Vec<Span>,
    years: Vec<Span>,
    zone: TimeZone,
}

/// A part of a day, in minutes from midnight; the end is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Minutes {
    start: i16,
    end: i16,
}

/// From one number to another, both included: days of the week (Sunday is 0), days of a month (below 0 from its end),
/// months, years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    first: i16,
    last: i16,
}

impl Span {
    fn holds(self, value: i16) -> bool {
        (self.first..=self.last).contains(&value)
    }

    /// Days counted from the end of a month become days of a month of `days` days; `None` where they begin after it.
    fn in_month(self, days: i16) -> Option<Self> {
        let day = |day: i16| if day < 0 { days + day + 1 } else { day };
        let (first, last) = (day(self.first), day(self.last));
        (first <= days).then_some(Span { first, last: last.min(days) })
    }
}

impl TimeInterval {
    /// Whether the interval holds at a time.
    pub fn contains(&self, at: TimestampMs) -> bool {
        // A time that no calendar knows is in no interval.
        let Ok(at) = Timestamp::from_millisecond(at) else { return false };
        self.contains_local(at.to_zoned(self.zone.clone()).datetime())
    }

    fn contains_local(&self, local: DateTime) -> bool {
        let minute = i16::from(local.hour()) * 60 + i16::from(local.minute());
        let weekday = match local.weekday() {
            Weekday::Sunday => 0,
            day => i16::from(day.to_monday_one_offset()),
        };
        let days = i16::from(local.days_in_month());
        let one_of = |spans: &[Span], value: i16| spans.is_empty() || spans.iter().any(|span| span.holds(value));
        let in_month = |span: &Span| span.in_month(days).is_some_and(|span| span.holds(i16::from(local.day())));
        (self.times.is_empty() || self.times.iter().any(|part| (part.start..part.end).contains(&minute)))
            && (self.days_of_month.is_empty() || self.days_of_month.iter().any(in_month))
            && one_of(&self.months, i16::from(local.month()))
            && one_of(&self.weekdays, weekday)
            && one_of(&self.years, local.year())
    }
}
