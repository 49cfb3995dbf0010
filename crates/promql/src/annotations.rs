//! Warnings and infos that go with a result: which, about which part of the query, and in Prometheus's exact words.

mod texts;

use std::collections::HashMap;
use std::fmt::Write as _;

use sonde_model::{GoFloat, TimestampMs};

pub use texts::HistogramOperation;

/// The warnings and infos of one query. Equal texts are kept once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    /// The result is probably not what was meant.
    pub warnings: Vec<Annotation>,
    /// The result may not be what was meant.
    pub infos: Vec<Annotation>,
    /// The place of each text in its list.
    places: HashMap<String, usize>,
}

/// More different texts than this are not kept: nobody reads them, and each selected metric can cause some.
const MAX_TEXTS: usize = 10_000;

/// One warning or info.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    severity: Severity,
    /// The text without the position; annotations of one text are one annotation.
    text: String,
    /// Where the expression that it is about starts in the query, in bytes.
    position: usize,
    monotonicity: Option<ForcedMonotonicity>,
}

/// How loud an annotation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Severity {
    Warning,
    Info,
}

/// What was changed to make the buckets of classic histograms grow.
#[derive(Clone, Copy, Debug, PartialEq)]
struct ForcedMonotonicity {
    from: TimestampMs,
    to: TimestampMs,
    min_bucket: f64,
    max_bucket: f64,
    max_diff: f64,
    count: u64,
}

impl Annotations {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.warnings.is_empty() && self.infos.is_empty()
    }

    /// Adds one. Of two with the same text the later position is kept, and their details are merged. After 10,000
    /// different texts, further ones are left out.
    pub fn add(&mut self, annotation: Annotation) {
        let list = match annotation.severity {
            Severity::Warning => &mut self.warnings,
            Severity::Info => &mut self.infos,
        };
        // The texts of warnings and infos begin differently, so that one index serves both.
        match self.places.get(&annotation.text) {
            Some(place) => list[*place].merge(annotation),
            None if self.places.len() < MAX_TEXTS => {
                self.places.insert(annotation.text.clone(), list.len());
                list.push(annotation);
            }
            None => {}
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Annotations) {
        other.warnings.into_iter().chain(other.infos).for_each(|annotation| self.add(annotation));
    }

    /// The texts of the warnings with their positions as `(line:column)` in `query`.
    pub fn warning_texts(&self, query: &str) -> Vec<String> {
        self.warnings.iter().map(|annotation| annotation.render(query)).collect()
    }

    /// The texts of the infos with their positions as `(line:column)` in `query`.
    pub fn info_texts(&self, query: &str) -> Vec<String> {
        self.infos.iter().map(|annotation| annotation.render(query)).collect()
    }
}

impl Annotation {
    /// The text without details and position.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the expression that it is about starts in the query, in bytes.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The whole text, with the position as `(line:column)` in `query`.
    pub fn render(&self, query: &str) -> String {
        let mut text = self.text.clone();
        if let Some(m) = &self.monotonicity {
            let (from, to) = (rfc3339(m.from), rfc3339(m.to));
            let (min, max, count) = (GoFloat(m.min_bucket), GoFloat(m.max_bucket), m.count);
            let diff = two_digits(m.max_diff);
            let _ = write!(
                text,
                ", from buckets {min} to {max}, with a max diff of {diff}, over {count} samples from {from} to {to}"
            );
        }
        let before = query.get(..self.position).unwrap_or(query);
        let line = before.matches('\n').count() + 1;
        let column = before.len() - before.rfind('\n').map_or(0, |i| i + 1) + 1;
        let _ = write!(text, " ({line}:{column})");
        text
    }

    fn merge(&mut self, other: Annotation) {
        if let (Some(a), Some(b)) = (&mut self.monotonicity, other.monotonicity) {
            a.from = a.from.min(b.from);
            a.to = a.to.max(b.to);
            a.min_bucket = a.min_bucket.min(b.min_bucket);
            a.max_bucket = a.max_bucket.max(b.max_bucket);
            a.max_diff = a.max_diff.max(b.max_diff);
            a.count += b.count;
        } else {
            self.position = other.position;
        }
    }
}

/// A time to the second in UTC.
fn rfc3339(time: TimestampMs) -> String {
    jiff::Timestamp::from_second(time.div_euclid(1000)).map_or_else(|_| time.to_string(), |t| t.to_string())
}

/// A number as Go's `%.2g` prints it.
fn two_digits(v: f64) -> String {
    if v == 0.0 || !v.is_finite() {
        return GoFloat(v).to_string();
    }
    let scientific = format!("{v:.1e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..2).contains(&exponent) {
        // The value of the rounded text is short again when printed in full.
        return scientific.parse::<f64>().map_or(scientific, |rounded| rounded.to_string());
    }
    let mantissa = mantissa.strip_suffix(".0").unwrap_or(mantissa);
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_kept_once_and_rendered_with_their_place() {
        let mut annotations = Annotations::default();
        annotations.add(Annotation::invalid_quantile(1.5, 3));
        annotations.add(Annotation::invalid_quantile(1.5, 9));
        annotations.add(Annotation::possible_non_counter("up", 0));
        assert_eq!(
            annotations.warning_texts("foo(\n  bar, 1"),
            ["PromQL warning: quantile value should be between 0 and 1, got 1.5 (2:5)"]
        );
        assert_eq!(
            annotations.info_texts("rate(up[5m])"),
            [
                "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"up\" (1:1)"
            ]
        );
    }

    #[test]
    fn there_are_not_more_than_anyone_reads() {
        let mut annotations = Annotations::default();
        (0..20_000).for_each(|i| annotations.add(Annotation::possible_non_counter(&format!("metric_{i}"), i)));
        annotations.add(Annotation::possible_non_counter("metric_7", 99));
        assert_eq!((annotations.infos.len(), annotations.infos[7].position()), (MAX_TEXTS, 99));
    }

    #[test]
    fn details_of_forced_monotonicity_are_merged() {
        let mut annotations = Annotations::default();
        annotations.add(Annotation::forced_monotonicity("series_1", 4, 1_735_084_800_000, [5.0, 50.0, 5.5]));
        annotations.add(Annotation::forced_monotonicity("series_1", 4, 1_703_462_400_000, [10.0, 100.0, 10.0]));
        annotations.add(Annotation::forced_monotonicity("series_1", 4, 1_733_011_200_000, [2.5, 75.0, 7.5]));
        assert_eq!(
            annotations.info_texts("lorem ipsum"),
            ["PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
              https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) for metric name \
              \"series_1\", from buckets 2.5 to 100, with a max diff of 10, over 3 samples from 2023-12-25T00:00:00Z \
              to 2024-12-25T00:00:00Z (1:5)"]
        );
    }

    #[test]
    fn two_digits_are_those_of_go() {
        for (v, text) in
            [(0.0, "0"), (5.55, "5.5"), (10.0, "10"), (123.0, "1.2e+02"), (0.00012, "0.00012"), (1e-5, "1e-05")]
        {
            assert_eq!(two_digits(v), text);
        }
    }
}
