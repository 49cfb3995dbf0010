//! Metric names: escaping, units and type suffixes, after `prometheus/otlptranslator`.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use crate::options::Strategy;
use crate::unit::{UnitWords, cleaned};

/// What decides the suffix of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Shape {
    /// A monotonic sum: `_total`.
    Counter,
    /// A gauge: `_ratio` where the unit is 1.
    Gauge,
    /// Everything else.
    Other,
    /// Nothing: the name stood on a Prometheus page and is kept as it is.
    Verbatim,
}

/// The names that the series of a metric bear.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    pub(crate) family: String,
    pub(crate) bucket: String,
    pub(crate) count: String,
    pub(crate) sum: String,
    /// The unit in words.
    pub(crate) unit: String,
}

/// Which of the names of a metric a series bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowName {
    Family,
    Bucket,
    Count,
    Sum,
}

impl Names {
    pub(crate) fn of(&self, row: RowName) -> &str {
        match row {
            RowName::Family => &self.family,
            RowName::Bucket => &self.bucket,
            RowName::Count => &self.count,
            RowName::Sum => &self.sum,
        }
    }
}

/// What decides the names of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NameSource<'a> {
    pub(crate) name: &'a str,
    pub(crate) unit: &'a str,
    pub(crate) shape: Shape,
}

/// How many OTLP names are remembered. Beyond it the memory starts anew: names that a sender makes up without end are
/// a mistake of the sender, and must not cost memory here.
const REMEMBERED: usize = 20_000;

/// The unit, the shape and the names of one metric.
type Known = (Box<str>, Shape, Option<Arc<Names>>);

/// Remembers the names of metrics, because they come again with every request.
#[derive(Debug, Default)]
pub(crate) struct MetricNames {
    known: HashMap<Box<str>, Vec<Known>, RandomState>,
}

impl MetricNames {
    /// The names of a metric, or `None` where nothing remains after escaping.
    pub(crate) fn get(&mut self, strategy: Strategy, source: NameSource<'_>) -> Option<Arc<Names>> {
        let NameSource { name, unit, shape } = source;
        let variants = self.known.get(name);
        if let Some((.., names)) = variants.and_then(|known| known.iter().find(|(u, s, _)| **u == *unit && *s == shape))
        {
            return names.as_ref().map(Arc::clone);
        }
        let names = metric_name(strategy, name, unit, shape).map(|family| {
            let with = |suffix| format!("{family}{suffix}");
            let (bucket, count, sum) = (with("_bucket"), with("_count"), with("_sum"));
            Arc::new(Names { family, bucket, count, sum, unit: UnitWords::of(unit).joined() })
        });
        let variants = variants.map_or(0, Vec::len);
        if self.known.len() >= REMEMBERED || variants >= 16 {
            self.known.clear();
        }
        let known = (unit.into(), shape, names.as_ref().map(Arc::clone));
        self.known.entry(name.into()).or_default().push(known);
        names
    }
}

/// The name of a metric family, or `None` where nothing but underscores remains.
pub(crate) fn metric_name(strategy: Strategy, name: &str, unit: &str, shape: Shape) -> Option<String> {
    if shape == Shape::Verbatim {
        return (!name.is_empty()).then(|| name.to_owned());
    }
    let built = match strategy {
        Strategy::UnderscoreEscapingWithSuffixes => escaped_with_suffixes(name, unit, shape),
        Strategy::UnderscoreEscapingWithoutSuffixes => escaped(name),
        Strategy::NoUtf8EscapingWithSuffixes => with_suffixes(name, unit, shape),
        Strategy::NoTranslation => name.to_owned(),
    };
    let empty = if strategy.escapes() { built.bytes().all(|b| b == b'_') } else { built.is_empty() };
    (!empty).then_some(built)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

fn escaped_with_suffixes(name: &str, unit: &str, shape: Shape) -> String {
    let mut tokens: Vec<&str> = name.split(|c| !is_name_char(c)).filter(|token| !token.is_empty()).collect();
    let words = UnitWords::of(unit);
    let (main, per) = (cleaned(&words.main), cleaned(&words.per));
    let (mut main, mut per) = (&*main, &*per);
    if tokens.contains(&main) {
        main = "";
    }
    per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(per) };
    if !per.is_empty() {
        main = main.strip_suffix('_').unwrap_or(main);
    }
    tokens.extend([main, per].into_iter().filter(|word| !word.is_empty()));
    let last = match shape {
        Shape::Counter => "total",
        Shape::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    if !last.is_empty() {
        tokens.retain(|token| *token != last);
        tokens.push(last);
    }
    not_from_digit(tokens.join("_"))
}

fn escaped(name: &str) -> String {
    let parts = name.split(|c| !is_name_char(c) && c != '_').filter(|part| !part.is_empty());
    not_from_digit(parts.collect::<Vec<_>>().join("_"))
}

/// The name as it is, its suffixes moved to the end: unit, rate, type.
fn with_suffixes(name: &str, unit: &str, shape: Shape) -> String {
    let words = UnitWords::of(unit);
    let mut name = name;
    let last = match shape {
        Shape::Counter => "total",
        Shape::Gauge if unit == "1" => "ratio",
        _ => "",
    };
    for suffix in [last, &words.per] {
        // The suffix goes with the one character before it, whichever that is.
        let kept = name.len().checked_sub(suffix.len() + 1).filter(|kept| *kept > 0 && !suffix.is_empty());
        if let Some(kept) = kept.filter(|kept| name.ends_with(suffix) && name.is_char_boundary(*kept)) {
            name = &name[..kept];
        }
    }
    let main = if name.ends_with(&*words.main) { "" } else { &*words.main };
    let mut out = name.to_owned();
    for suffix in [main, &words.per, last].into_iter().filter(|suffix| !suffix.is_empty()) {
        out.push('_');
        out.push_str(suffix);
    }
    out
}

fn not_from_digit(name: String) -> String {
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(strategy: Strategy, name: &str, unit: &str, shape: Shape, expected: Option<&str>) {
        let found = metric_name(strategy, name, unit, shape);
        assert_eq!(found.as_deref(), expected, "{strategy:?} {name:?} {unit:?} {shape:?}");
        let mut names = MetricNames::default();
        for _ in 0..2 {
            let known = names.get(strategy, NameSource { name, unit, shape });
            assert_eq!(known.as_ref().map(|names| names.family.as_str()), expected);
        }
    }

    #[test]
    fn escaping_with_suffixes() {
        for (name, unit, shape, expected) in [
            ("system.filesystem.usage", "By", Shape::Other, "system_filesystem_usage_bytes"),
            ("system.io", "foo/bar", Shape::Other, "system_io_foo_per_bar"),
            ("system.network.dropped", "{packets}", Shape::Counter, "system_network_dropped_total"),
            ("system.network.dropped", "{packets}/s", Shape::Gauge, "system_network_dropped_per_second"),
            ("unsupported.metric.temperature", "Cel", Shape::Gauge, "unsupported_metric_temperature_celsius"),
            ("nsxt.node.cpu.utilization", "1", Shape::Gauge, "nsxt_node_cpu_utilization_ratio"),
            ("active.requests", "1", Shape::Other, "active_requests"),
            ("a.ratio.b", "1", Shape::Gauge, "a_b_ratio"),
            ("requests.total.count", "1", Shape::Counter, "requests_count_total"),
            ("http.server.request.duration", "s", Shape::Other, "http_server_request_duration_seconds"),
            ("duration.seconds.x", "s", Shape::Other, "duration_seconds_x"),
            ("memory.bytes", "By/s", Shape::Gauge, "memory_bytes_per_second"),
            ("already_per_second", "1/s", Shape::Gauge, "already_per_second_per_second"),
            ("a__b--c..d", "", Shape::Other, "a_b_c_d"),
            ("job:rule:x", "", Shape::Other, "job:rule:x"),
            ("_leading_", "", Shape::Other, "leading"),
            ("5m.rate", "", Shape::Gauge, "_5m_rate"),
            ("x", " ms ", Shape::Other, "x_milliseconds"),
            ("x", "%", Shape::Gauge, "x_percent"),
            ("x", "KiBy/m", Shape::Gauge, "x_kibibytes_per_minute"),
            ("x", "m/s2", Shape::Gauge, "x_meters_per_s2"),
            ("x", "a b//c", Shape::Gauge, "x_a_b_per_c"),
            ("x", "/", Shape::Gauge, "x"),
            ("x", "__/__", Shape::Gauge, "x"),
            ("größe", "By", Shape::Gauge, "gr_e_bytes"),
        ] {
            check(Strategy::UnderscoreEscapingWithSuffixes, name, unit, shape, Some(expected));
        }
        check(Strategy::UnderscoreEscapingWithSuffixes, "", "", Shape::Other, None);
        check(Strategy::UnderscoreEscapingWithSuffixes, "___", "", Shape::Other, None);
        check(Strategy::UnderscoreEscapingWithSuffixes, "ü", "", Shape::Other, None);
    }

    #[test]
    fn the_other_strategies() {
        use Strategy::{NoTranslation, NoUtf8EscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes};
        for (strategy, name, unit, shape, expected) in [
            (UnderscoreEscapingWithoutSuffixes, "a.b__c", "s", Shape::Counter, Some("a_b__c")),
            (UnderscoreEscapingWithoutSuffixes, "a..b", "s", Shape::Counter, Some("a_b")),
            (UnderscoreEscapingWithoutSuffixes, "1.a", "", Shape::Other, Some("_1_a")),
            (UnderscoreEscapingWithoutSuffixes, "...", "", Shape::Other, None),
            (NoUtf8EscapingWithSuffixes, "http.requests", "", Shape::Counter, Some("http.requests_total")),
            (NoUtf8EscapingWithSuffixes, "http.requests.total", "", Shape::Counter, Some("http.requests_total")),
            (NoUtf8EscapingWithSuffixes, "memory.bytes", "By", Shape::Gauge, Some("memory.bytes")),
            (NoUtf8EscapingWithSuffixes, "memory", "By/s", Shape::Gauge, Some("memory_bytes_per_second")),
            (NoUtf8EscapingWithSuffixes, "load.ratio", "1", Shape::Gauge, Some("load_ratio")),
            (NoUtf8EscapingWithSuffixes, "ütotal", "", Shape::Counter, Some("ütotal_total")),
            (NoTranslation, "a.b c", "s", Shape::Counter, Some("a.b c")),
            (NoTranslation, "", "s", Shape::Counter, None),
        ] {
            check(strategy, name, unit, shape, expected);
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut names = MetricNames::default();
        for i in 0..REMEMBERED + 10 {
            names.get(Strategy::default(), NameSource { name: &format!("m{i}"), unit: "s", shape: Shape::Other });
            names.get(Strategy::default(), NameSource { name: "one", unit: &format!("u{i}"), shape: Shape::Other });
        }
        let variants: usize = names.known.values().map(Vec::len).sum();
        assert!(variants <= REMEMBERED * 2, "{variants}");
    }
}
