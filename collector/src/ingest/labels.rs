//! What the labels of a series must look like before the store sees them.

use std::fmt;

use sonde_model::{Labels, METRIC_NAME};
use sonde_tsdb::SeriesLimit;

use crate::config::IngestConfig;

/// Why the labels of a series are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LabelProblem {
    /// There is no metric name.
    NoMetricName,
    /// A label name is empty.
    EmptyName,
    /// A label name comes twice.
    DuplicateName,
    /// There are more labels than `ingest.max_labels`.
    TooMany,
    /// A label name is longer than `ingest.max_label_name`.
    NameTooLong,
    /// A label value is longer than `ingest.max_label_value`.
    ValueTooLong,
    /// A label is not UTF-8.
    NotUtf8,
    /// Labels refer to symbols that the request does not have, or to a name without a value.
    BadReference,
    /// The store has as many series as it may.
    SeriesLimit,
    /// The metric has as many series as one may have.
    MetricSeriesLimit,
    /// The agent has brought as many series as one may bring.
    AgentSeriesLimit,
}

impl From<SeriesLimit> for LabelProblem {
    fn from(limit: SeriesLimit) -> Self {
        match limit {
            SeriesLimit::Total { .. } => LabelProblem::SeriesLimit,
            SeriesLimit::Metric { .. } => LabelProblem::MetricSeriesLimit,
            SeriesLimit::Agent { .. } => LabelProblem::AgentSeriesLimit,
            SeriesLimit::Labels { .. } => LabelProblem::TooMany,
        }
    }
}

impl LabelProblem {
    /// All of them, in the order of their counters.
    pub(crate) const ALL: [LabelProblem; 11] = [
        LabelProblem::NoMetricName,
        LabelProblem::EmptyName,
        LabelProblem::DuplicateName,
        LabelProblem::TooMany,
        LabelProblem::NameTooLong,
        LabelProblem::ValueTooLong,
        LabelProblem::NotUtf8,
        LabelProblem::BadReference,
        LabelProblem::SeriesLimit,
        LabelProblem::MetricSeriesLimit,
        LabelProblem::AgentSeriesLimit,
    ];

    /// The value of the `reason` label of the counter.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            LabelProblem::NoMetricName => "no_metric_name",
            LabelProblem::EmptyName => "empty_label_name",
            LabelProblem::DuplicateName => "duplicate_label_name",
            LabelProblem::TooMany => "too_many_labels",
            LabelProblem::NameTooLong => "label_name_too_long",
            LabelProblem::ValueTooLong => "label_value_too_long",
            LabelProblem::NotUtf8 => "not_utf8",
            LabelProblem::BadReference => "bad_reference",
            LabelProblem::SeriesLimit => "series_limit",
            LabelProblem::MetricSeriesLimit => "metric_series_limit",
            LabelProblem::AgentSeriesLimit => "agent_series_limit",
        }
    }
}

impl fmt::Display for LabelProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LabelProblem::NoMetricName => "without a metric name",
            LabelProblem::EmptyName => "with an empty label name",
            LabelProblem::DuplicateName => "with a label name that comes twice",
            LabelProblem::TooMany => "with more labels than ingest.max_labels allows",
            LabelProblem::NameTooLong => "with a label name longer than ingest.max_label_name allows",
            LabelProblem::ValueTooLong => "with a label value longer than ingest.max_label_value allows",
            LabelProblem::NotUtf8 => "with a label that is not UTF-8",
            LabelProblem::BadReference => {
                "with labels that refer to symbols that are not there, or a name without a value"
            }
            LabelProblem::SeriesLimit => "of new series, and storage.max_series is reached",
            LabelProblem::MetricSeriesLimit => {
                "of new series, and their metric has as many as storage.max_series_per_metric allows"
            }
            LabelProblem::AgentSeriesLimit => {
                "of new series, and their agent has brought as many as storage.max_series_per_agent allows"
            }
        })
    }
}

/// Sorts labels by name, leaves those without a value out, and checks the rest.
pub fn normalise(labels: &mut Vec<(&str, &str)>, limits: &IngestConfig) -> Result<(), LabelProblem> {
    labels.retain(|(_, value)| !value.is_empty());
    if !labels.is_sorted_by(|a, b| a.0 < b.0) {
        labels.sort_unstable_by_key(|(name, _)| *name);
    }
    if labels.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        return Err(LabelProblem::DuplicateName);
    }
    check(labels, limits)
}

/// What a message shows of a series: as much of its labels as a person reads, whatever their length.
pub(crate) fn excerpt(labels: &[(&str, &str)]) -> String {
    const MAX_CHARS: usize = 80;
    const MAX_LABELS: usize = 8;
    let cut = |text: &str| text.chars().take(MAX_CHARS).collect::<String>();
    let shown = labels.iter().take(MAX_LABELS).map(|(name, value)| (cut(name), cut(value)));
    Labels::from_pairs(shown).to_string()
}

/// Checks labels that are sorted and unique already.
pub(crate) fn check(labels: &[(&str, &str)], limits: &IngestConfig) -> Result<(), LabelProblem> {
    if labels.len() > limits.max_labels {
        return Err(LabelProblem::TooMany);
    }
    let mut has_metric_name = false;
    for (name, value) in labels {
        has_metric_name |= *name == METRIC_NAME;
        if name.is_empty() {
            return Err(LabelProblem::EmptyName);
        }
        if name.len() as u64 > limits.max_label_name.0 {
            return Err(LabelProblem::NameTooLong);
        }
        if value.len() as u64 > limits.max_label_value.0 {
            return Err(LabelProblem::ValueTooLong);
        }
    }
    if has_metric_name { Ok(()) } else { Err(LabelProblem::NoMetricName) }
}

#[cfg(test)]
mod tests {
    use sonde_runtime::config::ByteSize;

    use super::*;

    #[test]
    fn an_excerpt_is_short_whatever_the_labels() {
        let long = "x".repeat(1 << 20);
        let many: Vec<(String, &str)> = (0..1_000).map(|n| (format!("label_{n:04}"), long.as_str())).collect();
        let labels: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let text = excerpt(&labels);
        assert!(text.len() < 1_000 && text.starts_with("{label_0000=\"xxx"), "{text}");
        assert_eq!(excerpt(&[("__name__", "up"), ("a", "1")]), "up{a=\"1\"}");
    }

    #[test]
    fn labels_are_sorted_and_checked() {
        let limits = IngestConfig {
            max_labels: 3,
            max_label_name: ByteSize(8),
            max_label_value: ByteSize(4),
            ..IngestConfig::default()
        };
        let check = |labels: &[(&'static str, &'static str)], expected: Result<&[(&str, &str)], LabelProblem>| {
            let mut sorted = labels.to_vec();
            let result = normalise(&mut sorted, &limits).map(|()| sorted.as_slice());
            assert_eq!(result, expected, "{labels:?}");
        };
        check(&[("b", "1"), ("__name__", "up"), ("c", "")], Ok(&[("__name__", "up"), ("b", "1")]));
        check(&[("b", "1")], Err(LabelProblem::NoMetricName));
        check(&[("__name__", "")], Err(LabelProblem::NoMetricName));
        check(&[("__name__", "up"), ("", "x")], Err(LabelProblem::EmptyName));
        check(&[("__name__", "up"), ("a", "1"), ("a", "1")], Err(LabelProblem::DuplicateName));
        check(&[("__name__", "up"), ("a", "1"), ("b", "1"), ("c", "1")], Err(LabelProblem::TooMany));
        check(&[("__name__", "up"), ("long_name", "1")], Err(LabelProblem::NameTooLong));
        check(&[("__name__", "up"), ("a", "12345")], Err(LabelProblem::ValueTooLong));
    }
}
