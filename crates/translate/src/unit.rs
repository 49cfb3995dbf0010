//! Units: from UCUM, as OTLP writes them, to the words that Prometheus puts into metric names.

use std::borrow::Cow;

/// The words of a unit: `By/s` is `bytes` and `per_second`. Either may be empty.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct UnitWords<'a> {
    pub(crate) main: Cow<'a, str>,
    pub(crate) per: Cow<'a, str>,
}

impl<'a> UnitWords<'a> {
    pub(crate) fn of(unit: &'a str) -> Self {
        let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
        let per = match named(per.trim()) {
            None => Cow::Borrowed(""),
            Some(per) => Cow::Owned(format!("per_{}", singular(per).unwrap_or(per))),
        };
        let main = named(main.trim()).map_or("", |main| plural(main).unwrap_or(main));
        UnitWords { main: Cow::Borrowed(main), per }
    }

    /// Both words as the metadata says them: `bytes_per_second`.
    pub(crate) fn joined(&self) -> String {
        let (main, per) = (cleaned(&self.main), cleaned(&self.per));
        match (main.is_empty(), per.is_empty()) {
            (false, false) => format!("{main}_{per}"),
            _ => main.into_owned() + &per,
        }
    }
}

/// A unit in braces is a remark, not a unit.
fn named(unit: &str) -> Option<&str> {
    (!unit.is_empty() && !unit.contains(['{', '}'])).then_some(unit)
}

/// Everything but letters, digits and colons as single underscores, without one at the start.
pub(crate) fn cleaned(words: &str) -> Cow<'_, str> {
    let ordinary = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let single = !words.starts_with('_') && !words.contains("__");
    if single && words.chars().all(|c| ordinary(c) || c == '_') {
        return Cow::Borrowed(words);
    }
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        if ordinary(c) {
            out.push(c);
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    if out.starts_with('_') {
        out.remove(0);
    }
    Cow::Owned(out)
}

fn plural(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        _ => return None,
    })
}

fn singular(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        _ => return None,
    })
}
