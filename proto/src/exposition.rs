//! What a `/metrics` page speaks: Prometheus text 0.0.4 and OpenMetrics 1.0, parsed and written.
//!
//! Source of the formats: Prometheus's exposition format page, the OpenMetrics 1.0 specification, and the quoting of
//! UTF-8 names that Prometheus 3 added to both.

mod composite;
mod encode;
mod parse;
mod scan;

use std::borrow::Cow;

use sonde_model::Histogram;

pub use encode::{Encoder, Tail};
pub use parse::Parser;

/// One of the two text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4: timestamps in milliseconds, no exemplars.
    Text,
    /// OpenMetrics 1.0: timestamps in seconds, exemplars, units, `# EOF` at the end.
    OpenMetrics,
}

impl Format {
    /// What a scraper sends as `Accept`: OpenMetrics first, as Prometheus does.
    pub const ACCEPT: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
        application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";

    /// The format of a response by its `Content-Type`; whatever is not OpenMetrics is taken as text.
    pub fn of_content_type(content_type: &str) -> Self {
        let media = content_type.split(';').next().unwrap_or("").trim();
        if media.eq_ignore_ascii_case("application/openmetrics-text") { Format::OpenMetrics } else { Format::Text }
    }

    /// The `Content-Type` of a page in this format.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a page may hold.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of the page.
    pub max_bytes: usize,
    /// Bytes of a line.
    pub max_line_bytes: usize,
    /// Samples on the page.
    pub max_samples: usize,
    /// Labels of a sample.
    pub max_labels: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { max_bytes: 32 << 20, max_line_bytes: 64 << 10, max_samples: 500_000, max_labels: 128 }
    }
}

/// The type of a metric family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Goes up, and to zero at a reset.
    Counter,
    /// Goes up and down.
    Gauge,
    /// `_bucket`, `_sum` and `_count`.
    Histogram,
    /// OpenMetrics: a histogram that may go down.
    GaugeHistogram,
    /// Quantiles, `_sum` and `_count`.
    Summary,
    /// OpenMetrics: labels that describe, value 1.
    Info,
    /// OpenMetrics: one series a state.
    StateSet,
    /// Nothing is known.
    Unknown,
}

/// One line of a page. Text is borrowed from the page unless escapes had to be undone.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'p, 'a> {
    /// `# HELP`.
    Help {
        /// The metric family.
        family: Cow<'a, str>,
        /// The text.
        help: Cow<'a, str>,
    },
    /// `# TYPE`.
    Type {
        /// The metric family.
        family: Cow<'a, str>,
        /// The type.
        kind: MetricKind,
    },
    /// `# UNIT` of OpenMetrics.
    Unit {
        /// The metric family.
        family: Cow<'a, str>,
        /// The unit.
        unit: Cow<'a, str>,
    },
    /// A sample.
    Sample(Sample<'p, 'a>),
    /// A native histogram; only of a parser that was asked for them.
    Histogram(HistogramSample<'p, 'a>),
}

/// A sample line.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample<'p, 'a> {
    /// The metric name, suffixes included.
    pub name: Cow<'a, str>,
    /// The labels in the order of the page, without the name. No name comes twice.
    pub labels: &'p [(Cow<'a, str>, Cow<'a, str>)],
    /// The value.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where the page says a time.
    pub timestamp: Option<i64>,
    /// Since when what the sample counts is counted, in milliseconds since the Unix epoch; only of a parser that was asked for
    /// it.
    pub start: Option<i64>,
    /// The exemplar, in OpenMetrics.
    pub exemplar: Option<Exemplar<'p, 'a>>,
}

/// A line with a native histogram as a composite value.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample<'p, 'a> {
    /// The metric name.
    pub name: Cow<'a, str>,
    /// The labels in the order of the page, without the name. No name comes twice.
    pub labels: &'p [(Cow<'a, str>, Cow<'a, str>)],
    /// The histogram, which is valid.
    pub histogram: Box<Histogram>,
    /// Milliseconds since the Unix epoch, where the page says a time.
    pub timestamp: Option<i64>,
    /// Since when the histogram counts, in milliseconds since the Unix epoch.
    pub start: Option<i64>,
    /// The exemplar, in OpenMetrics.
    pub exemplar: Option<Exemplar<'p, 'a>>,
}

/// The exemplar of a sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar<'p, 'a> {
    /// Its labels.
    pub labels: &'p [(Cow<'a, str>, Cow<'a, str>)],
    /// The observed value.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where the page says a time.
    pub timestamp: Option<i64>,
}

/// A page could not be read from this line on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

impl MetricKind {
    /// The word of the format's `# TYPE` line.
    pub fn word(self, format: Format) -> &'static str {
        match (self, format) {
            (MetricKind::Counter, _) => "counter",
            (MetricKind::Gauge, _) => "gauge",
            (MetricKind::Histogram, _) => "histogram",
            (MetricKind::Summary, _) => "summary",
            (MetricKind::GaugeHistogram, Format::OpenMetrics) => "gaugehistogram",
            (MetricKind::Info, Format::OpenMetrics) => "info",
            (MetricKind::StateSet, Format::OpenMetrics) => "stateset",
            (MetricKind::Unknown, Format::OpenMetrics) => "unknown",
            (MetricKind::Info | MetricKind::StateSet, Format::Text) => "gauge",
            (MetricKind::GaugeHistogram, Format::Text) => "histogram",
            (MetricKind::Unknown, Format::Text) => "untyped",
        }
    }

    /// The type of a word of either format.
    pub fn of_word(word: &str) -> Option<Self> {
        Some(match word {
            "counter" => MetricKind::Counter,
            "gauge" => MetricKind::Gauge,
            "histogram" => MetricKind::Histogram,
            "gaugehistogram" => MetricKind::GaugeHistogram,
            "summary" => MetricKind::Summary,
            "info" => MetricKind::Info,
            "stateset" => MetricKind::StateSet,
            "unknown" | "untyped" => MetricKind::Unknown,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
