//! One observation that stands for the many behind a sample, with labels that lead to it.

use std::cmp::Ordering;

use crate::{Labels, TimestampMs};

/// The label that carries a trace id.
pub const TRACE_ID: &str = "trace_id";

/// The label that carries a span id.
pub const SPAN_ID: &str = "span_id";

/// Characters that the names and values of an exemplar's labels may have together. Source: OpenMetrics 1.0.
pub const MAX_LABEL_CHARS: usize = 128;

/// An observation of a series: a request that took so long, with the id of its trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exemplar {
    /// Its own labels, not those of the series. There may be none.
    pub labels: Labels,
    /// What was observed.
    pub value: f64,
    /// When.
    pub timestamp: TimestampMs,
}

impl Exemplar {
    /// The order within a series: time, value, labels. Equal are only those that are the same, bit for bit.
    pub fn order(&self, other: &Self) -> Ordering {
        let time = self.timestamp.cmp(&other.timestamp);
        time.then_with(|| self.value.total_cmp(&other.value)).then_with(|| self.labels.cmp(&other.labels))
    }

    /// Whether the labels are within [`MAX_LABEL_CHARS`].
    pub fn fits(&self) -> bool {
        fits(self.labels.iter())
    }
}

/// Whether such labels are within [`MAX_LABEL_CHARS`].
pub fn fits<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> bool {
    let mut left = MAX_LABEL_CHARS;
    for text in labels.flat_map(|(name, value)| [name, value]) {
        // A character has up to four bytes: what is far too long is not counted.
        let chars = if text.len() > 4 * MAX_LABEL_CHARS { text.len() } else { text.chars().count() };
        match left.checked_sub(chars) {
            Some(rest) => left = rest,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_and_not_bytes() {
        for (value, expected) in [("x".repeat(120), true), ("ü".repeat(120), true), ("x".repeat(121), false)] {
            let labels = Labels::from_pairs([("trace_id", value.as_str())]);
            assert_eq!(Exemplar { labels, ..Exemplar::default() }.fits(), expected, "{value}");
        }
        assert!(Exemplar::default().fits() && !fits([("a", "x".repeat(1 << 20).as_str())].into_iter()));
    }

    #[test]
    fn the_order_is_time_value_labels() {
        let new = |timestamp, value, id: &str| Exemplar { labels: Labels::from_pairs([("id", id)]), value, timestamp };
        let sorted = [new(1, 9.0, "b"), new(2, -0.0, "b"), new(2, 0.0, "a"), new(2, 0.0, "b"), new(2, f64::NAN, "a")];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(a.order(b), i.cmp(&j), "{a:?} {b:?}");
            }
        }
    }
}
