//! The writer of both formats.

use std::fmt::Write;

use sonde_model::labels::{is_legacy_label_name, is_legacy_metric_name};
use sonde_model::{Exemplar, Histogram};

use super::{Format, MetricKind, composite};

/// Collects a page family by family.
#[derive(Debug)]
pub struct Encoder {
    format: Format,
    page: String,
}

/// What stands behind the value of a sample; times in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tail<'a> {
    /// When it was so.
    pub timestamp: Option<i64>,
    /// Since when what it counts is counted, which [`Parser::extended`](super::Parser::extended) reads.
    pub start: Option<i64>,
    /// An exemplar, in OpenMetrics.
    pub exemplar: Option<&'a Exemplar>,
}

impl Encoder {
    /// An empty page.
    pub fn new(format: Format) -> Self {
        Encoder { format, page: String::new() }
    }

    /// Opens a family. In OpenMetrics the family of a counter is named without `_total`: pass the name as the samples
    /// have it, the suffix is cut here. An empty unit is not written.
    pub fn family(&mut self, name: &str, kind: MetricKind, help: &str, unit: &str) {
        let family = match (self.format, kind) {
            (Format::OpenMetrics, MetricKind::Counter) => name.strip_suffix("_total").unwrap_or(name),
            (Format::OpenMetrics, MetricKind::Info) => name.strip_suffix("_info").unwrap_or(name),
            _ => name,
        };
        if !help.is_empty() {
            self.header("HELP", family);
            escape(&mut self.page, help, self.format == Format::OpenMetrics);
            self.page.push('\n');
        }
        self.header("TYPE", family);
        self.page.push_str(kind.word(self.format));
        self.page.push('\n');
        // OpenMetrics wants the unit as the suffix of the family; a unit that is not would make the page invalid.
        if self.format == Format::OpenMetrics && !unit.is_empty() && family.ends_with(&format!("_{unit}")) {
            self.header("UNIT", family);
            self.page.push_str(unit);
            self.page.push('\n');
        }
    }

    /// Writes a sample; the time is in milliseconds since the Unix epoch.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64, timestamp: Option<i64>) {
        self.sample_with(name, labels, value, Tail { timestamp, ..Tail::default() });
    }

    /// Writes a sample with what stands behind its value.
    pub fn sample_with(&mut self, name: &str, labels: &[(&str, &str)], value: f64, tail: Tail<'_>) {
        self.series(name, labels);
        self.float(value);
        self.end(tail);
    }

    /// Writes a native histogram as one composite value, which [`Parser::extended`](super::Parser::extended) reads.
    /// OpenMetrics 1.0 has no place for it; the form is that of the drafts of 2.0.
    pub fn histogram(&mut self, name: &str, labels: &[(&str, &str)], histogram: &Histogram, tail: Tail<'_>) {
        self.series(name, labels);
        composite::write(histogram, &mut self.page);
        self.end(tail);
    }

    /// Writes a stale marker, which [`Parser::extended`](super::Parser::extended) reads.
    pub fn stale(&mut self, name: &str, labels: &[(&str, &str)], timestamp: Option<i64>) {
        self.series(name, labels);
        self.page.push_str(composite::STALE);
        self.end(Tail { timestamp, ..Tail::default() });
    }

    /// Takes what was written so far, so that a long page need not be held; the next lines go on behind it.
    pub fn take(&mut self) -> String {
        std::mem::take(&mut self.page)
    }

    /// Bytes that were written and not taken.
    pub fn len(&self) -> usize {
        self.page.len()
    }

    /// Whether nothing waits to be taken.
    pub fn is_empty(&self) -> bool {
        self.page.is_empty()
    }

    fn series(&mut self, name: &str, labels: &[(&str, &str)]) {
        let bare = is_legacy_metric_name(name);
        if bare {
            self.page.push_str(name);
        }
        if !labels.is_empty() || !bare {
            self.page.push('{');
            if !bare {
                self.quoted(name);
            }
            for (i, (label, value)) in labels.iter().enumerate() {
                if i > 0 || !bare {
                    self.page.push(',');
                }
                self.pair(label, value);
            }
            self.page.push('}');
        }
        self.page.push(' ');
    }

    fn end(&mut self, tail: Tail<'_>) {
        if let Some(ms) = tail.timestamp {
            self.page.push(' ');
            self.time(ms);
        }
        if let Some(ms) = tail.start {
            self.page.push(' ');
            self.page.push_str(composite::START);
            self.time(ms);
        }
        if let Some(exemplar) = tail.exemplar {
            self.page.push_str(" # {");
            for (i, (name, value)) in exemplar.labels.iter().enumerate() {
                if i > 0 {
                    self.page.push(',');
                }
                self.pair(name, value);
            }
            self.page.push_str("} ");
            self.float(exemplar.value);
            self.page.push(' ');
            self.time(exemplar.timestamp);
        }
        self.page.push('\n');
    }

    fn time(&mut self, ms: i64) {
        let written = match self.format {
            Format::Text => write!(self.page, "{ms}"),
            Format::OpenMetrics => {
                let sign = if ms < 0 { "-" } else { "" };
                let ms = ms.unsigned_abs();
                write!(self.page, "{sign}{}.{:03}", ms / 1000, ms % 1000)
            }
        };
        written.expect("BUG: writing to a string failed");
    }

    fn pair(&mut self, name: &str, value: &str) {
        if is_legacy_label_name(name) {
            self.page.push_str(name)
        } else {
            self.quoted(name)
        }
        self.page.push('=');
        self.quoted(value);
    }

    /// The page.
    pub fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.page.push_str("# EOF\n");
        }
        self.page
    }

    fn header(&mut self, keyword: &str, family: &str) {
        self.page.push_str("# ");
        self.page.push_str(keyword);
        self.page.push(' ');
        if is_legacy_metric_name(family) {
            self.page.push_str(family)
        } else {
            self.quoted(family)
        }
        self.page.push(' ');
    }

    fn quoted(&mut self, text: &str) {
        self.page.push('"');
        escape(&mut self.page, text, true);
        self.page.push('"');
    }

    fn float(&mut self, value: f64) {
        float(value, &mut self.page);
    }
}

/// A number as both formats write it.
pub(super) fn float(value: f64, page: &mut String) {
    let written = match value {
        f64::INFINITY => write!(page, "+Inf"),
        f64::NEG_INFINITY => write!(page, "-Inf"),
        _ if value != 0.0 && (value.abs() < 1e-6 || value.abs() >= 1e21) => write!(page, "{value:e}"),
        _ => write!(page, "{value}"),
    };
    written.expect("BUG: writing to a string failed");
}

fn escape(page: &mut String, text: &str, quotes: bool) {
    for c in text.chars() {
        match c {
            '\\' => page.push_str("\\\\"),
            '\n' => page.push_str("\\n"),
            '"' if quotes => page.push_str("\\\""),
            c => page.push(c),
        }
    }
}
