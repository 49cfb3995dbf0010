//! Time intervals as tables; the cases follow those of Alertmanager's `timeinterval_test.go`.

use super::*;

/// Builds an interval from `key=value` words: `t=09:00-17:00`, `w=monday:friday`, `d=1:5`, `m=may`, `y=2027`, `z=UTC`.
fn interval(text: &str) -> Result<TimeInterval, IntervalError> {
    let mut interval = TimeInterval::default();
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').expect("key=value");
        match key {
            "t" => {
                let (start, end) = value.split_once('-').expect("start-end");
                interval.add_times(start, end)?;
            }
            "w" => interval.add_weekdays(value)?,
            "d" => interval.add_days_of_month(value)?,
            "m" => interval.add_months(value)?,
            "y" => interval.add_years(value)?,
            "z" => interval.set_location(value)?,
            other => panic!("{other:?}"),
        }
    }
    Ok(interval)
}

/// Which of the times, in UTC, are in the interval.
#[track_caller]
fn check(text: &str, inside: &[&str], outside: &[&str]) {
    let interval = interval(text).expect("an interval");
    for (times, expected) in [(inside, true), (outside, false)] {
        for time in times {
            let at = time.parse::<Timestamp>().expect("a time").as_millisecond();
            assert_eq!(interval.contains(at), expected, "{time} in {text}");
        }
    }
}

#[test]
fn every_part_has_to_hold() {
    check("", &["2027-01-01T00:00:00Z"], &[]);
    check(
        "t=09:00-17:00 w=monday:friday",
        &["2020-01-02T09:00:00Z", "2020-01-02T16:59:59Z"],
        &["2020-01-02T08:59:59Z", "2020-01-02T17:00:00Z", "2020-01-04T12:00:00Z"],
    );
    check("t=00:00-06:00 t=18:00-24:00", &["2020-01-02T23:59:59Z", "2020-01-02T00:00:00Z"], &["2020-01-02T06:00:00Z"]);
    check("w=sunday w=saturday", &["2020-01-04T12:00:00Z", "2020-01-05T12:00:00Z"], &["2020-01-03T12:00:00Z"]);
    check("m=january:march y=2020:2021", &["2020-03-31T00:00:00Z"], &["2020-04-01T00:00:00Z", "2022-01-01T00:00:00Z"]);
    check("m=1:3 m=December", &["2020-12-01T00:00:00Z"], &["2020-11-30T00:00:00Z"]);
}

#[test]
fn days_of_a_month_count_from_both_ends() {
    check("d=-1", &["2020-02-29T12:00:00Z", "2021-02-28T12:00:00Z"], &["2020-02-28T12:00:00Z"]);
    check("d=-3:-1", &["2021-04-28T00:00:00Z", "2021-04-30T00:00:00Z"], &["2021-04-27T23:00:00Z"]);
    check("d=10:-10", &["2021-04-21T00:00:00Z", "2021-04-10T00:00:00Z"], &["2021-04-22T00:00:00Z"]);
    check("d=31", &["2021-01-31T00:00:00Z"], &["2021-04-30T00:00:00Z", "2021-02-28T00:00:00Z"]);
    check("d=1:31 m=february", &["2021-02-28T12:00:00Z"], &["2021-03-01T00:00:00Z"]);
    check("d=-31:-31", &["2021-01-01T12:00:00Z"], &["2021-04-01T12:00:00Z", "2021-04-30T12:00:00Z"]);
}

#[test]
fn places_have_their_own_time_and_it_changes_in_summer() {
    let nine_to_five = "t=09:00-17:00 z=Europe/Berlin";
    check(nine_to_five, &["2026-01-15T08:00:00Z", "2026-07-15T07:00:00Z"], &["2026-01-15T07:30:00Z"]);
    check("w=monday z=Pacific/Auckland", &["2026-11-22T12:00:00Z"], &["2026-11-23T12:00:00Z"]);
    check("d=1 z=Australia/Sydney", &["2026-10-31T14:00:00Z"], &["2026-11-01T14:00:00Z"]);
}

#[test]
fn mistakes_say_what_is_wrong() {
    for (text, part) in [
        ("t=9:00-17:00", "is no time of day"),
        ("t=09:00-24:01", "is no time of day"),
        ("t=09:60-10:00", "is no time of day"),
        ("t=18:00-06:00", "a night is two ranges"),
        ("w=friday:monday", "ends before it begins"),
        ("w=mon", "is no day of the week"),
        ("d=0", "is no day of a month"),
        ("d=32", "is no day of a month"),
        ("d=5:1", "ends before it begins"),
        ("d=-1:-3", "ends before it begins"),
        ("d=-5:5", "mixes days"),
        ("m=13", "is no month"),
        ("m=may:jan", "is no month"),
        ("y=MMXX", "is no year"),
        ("z=Europe/Atlantis", "no time zone \"Europe/Atlantis\""),
    ] {
        let error = interval(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
    let many = "y=2027 ".repeat(101);
    assert_eq!(interval(&many), Err(IntervalError::TooMany));
}
