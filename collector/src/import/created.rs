//! The `_created` lines of OpenMetrics: since when the samples of a point are counted.
//!
//! They stand beside the other lines of their point, before or behind them, so that a part of a page has to hold points as a
//! whole, and is looked through before it is read.

use std::borrow::Cow;
use std::collections::HashMap;

use sonde_model::TimestampMs;
use sonde_proto::exposition::{Entry, Format, Limits, MetricKind, ParseError, Parser, Sample};

const SUFFIX: &str = "_created";
/// What the names of samples of a family end in, the family itself apart.
const SUFFIXES: [&str; 4] = ["_total", "_bucket", "_count", "_sum"];
/// Labels that tell the lines of one point apart.
const OF_LINES: [&str; 2] = ["le", "quantile"];

/// What the `_created` lines of a part say.
#[derive(Debug, Default)]
pub(super) struct Created {
    /// By family, labels and time.
    by_point: HashMap<String, TimestampMs>,
    key: String,
}

impl Created {
    /// Looks through a part. What cannot be read is told by who reads it next.
    pub(super) fn of(part: &[u8], line: usize, format: Format, limits: &Limits) -> Result<Self, ParseError> {
        let mut created = Created::default();
        if format != Format::OpenMetrics || !contains(part, SUFFIX.as_bytes()) {
            return Ok(created);
        }
        let mut parser = Parser::part(part, line, format, limits)?.extended();
        while let Ok(Some(entry)) = parser.next_entry() {
            let Entry::Sample(Sample { name, labels, value, timestamp, .. }) = entry else { continue };
            let start = (value * 1_000.0).round();
            if let Some(family) = name.strip_suffix(SUFFIX)
                && (1.0..3.2e16).contains(&start)
            {
                key(&mut created.key, family, labels, timestamp);
                created.by_point.insert(created.key.clone(), start as TimestampMs);
            }
        }
        Ok(created)
    }

    /// Since when a sample is counted. `kind_of` knows the kinds of families.
    pub(super) fn start(
        &mut self,
        name: &str,
        labels: &[(Cow<'_, str>, Cow<'_, str>)],
        timestamp: Option<TimestampMs>,
        kind_of: &dyn Fn(&str) -> Option<MetricKind>,
    ) -> Option<TimestampMs> {
        if self.by_point.is_empty() {
            return None;
        }
        let counts = |family: &&str| {
            let kind = kind_of(family);
            matches!(kind, Some(MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary))
        };
        let mut families = SUFFIXES.iter().filter_map(|suffix| name.strip_suffix(suffix)).chain([name]);
        let family = families.find(counts)?;
        key(&mut self.key, family, labels, timestamp);
        self.by_point.get(&self.key).copied()
    }
}

/// How much of complete lines can be read: the lines of the last point wait for those that may follow.
pub(super) fn whole_points(part: &[u8]) -> usize {
    let mut end = part.len();
    let mut last = None;
    while end > 0 {
        let start = part[..end - 1].iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let point = point_of(&part[start..end]);
        match (&last, point) {
            (None, Some(point)) => last = Some(point),
            (Some(last), Some(point)) if *last == point => {}
            // Comments end a point, and so does any other line.
            _ => break,
        }
        end = start;
    }
    end
}

/// The family and the labels of a line, as they stand there but for what tells the lines of a point apart; none for a line
/// that is no sample of a bare name. The time is left aside: the point before goes along.
fn point_of(line: &[u8]) -> Option<(&[u8], Vec<&[u8]>)> {
    let name_end = line.iter().position(|b| matches!(b, b'{' | b' ' | b'\t' | b'\n'))?;
    if name_end == 0 || line[0] == b'#' {
        return None;
    }
    let name = &line[..name_end];
    let mut family = name;
    for suffix in SUFFIXES.iter().chain([&SUFFIX]) {
        if let Some(rest) = name.strip_suffix(suffix.as_bytes()) {
            family = rest;
            break;
        }
    }
    let labels = match line[name_end] {
        b'{' => {
            let close = line.iter().position(|b| *b == b'}').unwrap_or(line.len());
            &line[name_end + 1..close]
        }
        _ => &[],
    };
    let is_of_line = |label: &&[u8]| OF_LINES.iter().any(|name| label.starts_with(name.as_bytes()));
    Some((family, labels.split(|b| *b == b',').filter(|label| !is_of_line(label)).collect()))
}

fn key(key: &mut String, family: &str, labels: &[(Cow<'_, str>, Cow<'_, str>)], timestamp: Option<TimestampMs>) {
    key.clear();
    key.push_str(family);
    let mut sorted: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    sorted.retain(|(name, _)| !OF_LINES.contains(name));
    sorted.sort_unstable();
    for (name, value) in sorted {
        key.push('\u{0}');
        key.push_str(name);
        key.push('\u{1}');
        key.push_str(value);
    }
    key.push('\u{2}');
    if let Some(timestamp) = timestamp {
        key.push_str(&timestamp.to_string());
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| std::str::from_utf8(part).is_ok_and(|part| text.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(part: &str, waits: &str) {
        let end = whole_points(part.as_bytes());
        assert_eq!(&part[end..], waits, "{part}");
    }

    #[test]
    fn the_last_point_waits() {
        check("", "");
        check("a_total 1\n", "a_total 1\n");
        check(
            "a_total{b=\"1\"} 1\na_total{b=\"2\"} 1\na_created{b=\"2\"} 1\n",
            "a_total{b=\"2\"} 1\na_created{b=\"2\"} 1\n",
        );
        check(
            "h_bucket{le=\"1\",x=\"y\"} 1 2\nh_bucket{x=\"y\",le=\"+Inf\"} 1 2\nh_sum{x=\"y\"} 1 2\n",
            "h_bucket{le=\"1\",x=\"y\"} 1 2\nh_bucket{x=\"y\",le=\"+Inf\"} 1 2\nh_sum{x=\"y\"} 1 2\n",
        );
        check("s{quantile=\"0.5\"} 1\ns_sum 1\n# TYPE b counter\n", "");
        check("# TYPE b counter\nb_total 1\n", "b_total 1\n");
        check("x 1\n{\"a.b\",c=\"d\"} 1\n", "");
    }
}
