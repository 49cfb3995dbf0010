//! The texts, word for word those of Prometheus 3.14 (util/annotations).

use sonde_model::{GoFloat, TimestampMs};

use crate::annotations::{Annotation, ForcedMonotonicity, Severity};

/// During which operation histograms did not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistogramOperation {
    /// `+`
    Addition,
    /// `-`
    Subtraction,
    /// An aggregation over series or over time.
    Aggregation,
}

impl HistogramOperation {
    fn word(self) -> &'static str {
        match self {
            HistogramOperation::Addition => "addition",
            HistogramOperation::Subtraction => "subtraction",
            HistogramOperation::Aggregation => "aggregation",
        }
    }
}

impl Annotation {
    fn warning(text: &str, position: usize) -> Self {
        let text = format!("PromQL warning: {text}");
        Annotation { severity: Severity::Warning, text, position, monotonicity: None }
    }

    fn info(text: &str, position: usize) -> Self {
        let text = format!("PromQL info: {text}");
        Annotation { severity: Severity::Info, text, position, monotonicity: None }
    }

    /// A quantile is outside 0..=1 or NaN.
    pub fn invalid_quantile(q: f64, position: usize) -> Self {
        Self::warning(&format!("quantile value should be between 0 and 1, got {}", GoFloat(q)), position)
    }

    /// A ratio is outside -1..=1.
    pub fn invalid_ratio(ratio: f64, capped: f64, position: usize) -> Self {
        let (ratio, capped) = (GoFloat(ratio), GoFloat(capped));
        Self::warning(&format!("ratio value should be between -1 and 1, got {ratio}, capping to {capped}"), position)
    }

    /// The `le` of a series cannot be read as a number.
    pub fn bad_bucket_label(metric: &str, label: &str, position: usize) -> Self {
        let text = format!("bucket label \"le\" is missing or has a malformed value of {}", quoted(label));
        Self::warning(&with_metric(text, metric), position)
    }

    /// A range holds floats and histograms.
    pub fn mixed_floats_histograms(metric: &str, position: usize) -> Self {
        let metric = quoted(metric);
        Self::warning(&format!("encountered a mix of histograms and floats for metric name {metric}"), position)
    }

    /// A group of an aggregation holds floats and histograms.
    pub fn mixed_floats_histograms_in_aggregation(position: usize) -> Self {
        Self::warning("encountered a mix of histograms and floats for aggregation", position)
    }

    /// A vector holds both representations of a histogram.
    pub fn mixed_classic_native(metric: &str, position: usize) -> Self {
        let text = "vector contains a mix of classic and native histograms".to_owned();
        Self::warning(&with_metric(text, metric), position)
    }

    /// A function for counters meets a gauge histogram.
    pub fn native_histogram_not_counter(metric: &str, position: usize) -> Self {
        Self::warning(&format!("this native histogram metric is not a counter: {}", quoted(metric)), position)
    }

    /// A function for gauges meets a counter histogram.
    pub fn native_histogram_not_gauge(metric: &str, position: usize) -> Self {
        Self::warning(&format!("this native histogram metric is not a gauge: {}", quoted(metric)), position)
    }

    /// Histograms with exponential and with custom bounds meet.
    pub fn mixed_exponential_custom(metric: &str, position: usize) -> Self {
        let text = "vector contains a mix of histograms with exponential and custom buckets schemas for metric name";
        Self::warning(&format!("{text} {}", quoted(metric)), position)
    }

    /// A binary operator meets histograms of incompatible bounds.
    pub fn incompatible_bucket_layout(operator: &str, position: usize) -> Self {
        let text = format!("incompatible bucket layout encountered for binary operator {operator}");
        Self::warning(&text, position)
    }

    /// A sort in a query over a range, whose result is in the order of labels.
    pub fn sort_in_range_query(position: usize) -> Self {
        Self::warning("sort is ineffective for range queries since results are always ordered by labels", position)
    }

    /// Histograms with contradicting counter reset hints were combined.
    pub fn counter_reset_collision(operation: HistogramOperation, position: usize) -> Self {
        Self::warning(&format!("conflicting counter resets during histogram {}", operation.word()), position)
    }

    /// The start timestamp of a sample lies before the sample that precedes it.
    pub fn start_time_overlap(metric: &str, position: usize) -> Self {
        let text = "sample has start time that overlaps with previous sample timestamp for metric";
        Self::warning(&format!("{text} {}", quoted(metric)), position)
    }

    /// The name of a metric does not look like that of a counter.
    pub fn possible_non_counter(metric: &str, position: usize) -> Self {
        let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:";
        Self::info(&format!("{text} {}", quoted(metric)), position)
    }

    /// The label `__type__` says that a metric is no counter.
    pub fn possible_non_counter_label(metric: &str, kind: &str, position: usize) -> Self {
        let text = "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\"";
        Self::info(&format!("{text}, got {}: {}", quoted(kind), quoted(metric)), position)
    }

    /// The buckets of a classic histogram did not grow; `buckets` is the smallest and the biggest bound that was
    /// changed and the biggest change.
    pub fn forced_monotonicity(metric: &str, position: usize, time: TimestampMs, buckets: [f64; 3]) -> Self {
        let text = "input to histogram_quantile needed to be fixed for monotonicity (see \
                    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";
        let [min_bucket, max_bucket, max_diff] = buckets;
        let details = ForcedMonotonicity { from: time, to: time, min_bucket, max_bucket, max_diff, count: 1 };
        let text = with_metric(text.to_owned(), metric);
        Annotation { monotonicity: Some(details), ..Self::info(&text, position) }
    }

    /// A binary operator has no meaning for its operands, `float` or `histogram`.
    pub fn incompatible_types(left: &str, operator: &str, right: &str, position: usize) -> Self {
        let text = "incompatible sample types encountered for binary operator";
        Self::info(&format!("{text} {}: {left} {operator} {right}", quoted(operator)), position)
    }

    /// An aggregation that knows only floats met a histogram.
    pub fn histogram_ignored_in_aggregation(aggregation: &str, position: usize) -> Self {
        Self::info(&format!("ignored histogram in {aggregation} aggregation"), position)
    }

    /// A function that knows only floats met histograms among them.
    pub fn histogram_ignored_in_mixed_range(metric: &str, position: usize) -> Self {
        let text = "ignored histograms in a range containing both floats and histograms for metric name";
        Self::info(&format!("{text} {}", quoted(metric)), position)
    }

    /// The quantile falls on NaN observations.
    pub fn quantile_nan_result(metric: &str, position: usize) -> Self {
        let text = "input to histogram_quantile has NaN observations, result is NaN".to_owned();
        Self::info(&with_metric(text, metric), position)
    }

    /// NaN observations shift the quantile upwards.
    pub fn quantile_nan_skew(metric: &str, position: usize) -> Self {
        let text = "input to histogram_quantile has NaN observations, result is skewed higher".to_owned();
        Self::info(&with_metric(text, metric), position)
    }

    /// NaN observations are in no fraction.
    pub fn fraction_nans(metric: &str, position: usize) -> Self {
        let text = "input to histogram_fraction has NaN observations, which are excluded from all fractions";
        Self::info(&with_metric(text.to_owned(), metric), position)
    }

    /// Samples up to a time were read from a tier that has some of them only.
    pub fn thinned(step: &str, until: TimestampMs) -> Self {
        let until = super::rfc3339(until);
        Self::info(
            &format!("samples up to {until} were read from the {step} tier, which keeps a few of each {step}"),
            0,
        )
    }

    /// A function that needs all samples was given some of them.
    pub fn thinned_function(function: &str) -> Self {
        Self::warning(&format!("{function} needs all samples, and some were read from a tier that keeps only a few"), 0)
    }

    /// Histograms of different custom bounds were brought to their common ones.
    pub fn mismatched_custom_buckets(operation: HistogramOperation, position: usize) -> Self {
        Self::info(&format!("mismatched custom buckets were reconciled during {}", operation.word()), position)
    }
}

fn with_metric(text: String, metric: &str) -> String {
    if metric.is_empty() { text } else { format!("{text} for metric name {}", quoted(metric)) }
}

fn quoted(text: &str) -> String {
    sonde_model::labels::Quoted(text).to_string()
}
