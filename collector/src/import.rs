//! Pages of samples that somebody kept: Prometheus text and OpenMetrics, of any length, read part by part.
//!
//! Used by the import over HTTP and by `sonde tsdb import`. It must not know where the samples go.

mod created;

use std::borrow::Cow;
use std::collections::HashMap;

use sonde_model::{Exemplar, Labels, TimestampMs};
use sonde_proto::exposition::{self, Entry, Format, Limits, ParseError, Parser};
use sonde_tsdb::{BatchValue, Metadata, MetricKind};

use created::{Created, whole_points};

/// The longest line.
const PART_BYTES: usize = 1 << 20;
/// Bytes of lines that are read at once: what is made of them takes many times as much.
const ENOUGH_BYTES: usize = 64 << 10;
/// Labels of a sample at most; the sink may allow fewer.
const MAX_LABELS: usize = 1_024;
/// Families whose type, help and unit are put together.
const MAX_FAMILIES: usize = 100_000;
/// Bytes of their names and texts.
const MAX_FAMILY_BYTES: usize = 8 << 20;

/// Takes what is read.
pub trait Sink {
    /// Why reading has to stop.
    type Error: From<ParseError>;

    /// One sample; its labels are without the name of the metric and in the order of the page.
    fn sample(&mut self, sample: Imported<'_>) -> Result<(), Self::Error>;

    /// What is known of a metric by now.
    fn metadata(&mut self, metric: &str, metadata: &Metadata);
}

/// A sample of a page.
#[derive(Debug)]
pub struct Imported<'p> {
    /// The line it stands in, from 1.
    pub line: usize,
    /// The name of the metric.
    pub name: &'p str,
    /// The labels; no name comes twice.
    pub labels: &'p [(Cow<'p, str>, Cow<'p, str>)],
    /// Milliseconds since the epoch, where the page says a time.
    pub timestamp: Option<TimestampMs>,
    /// Since when it is counted, in milliseconds since the epoch, where the page says so: behind `st@`, or in a `_created`
    /// line of its point.
    pub start: Option<TimestampMs>,
    /// A float or a native histogram.
    pub value: BatchValue,
    /// Its exemplar; without a time of its own it has that of the sample.
    pub exemplar: Option<(Labels, f64, Option<TimestampMs>)>,
}

impl Imported<'_> {
    /// The exemplar of a sample of this time.
    pub fn exemplar_at(&self, timestamp: TimestampMs) -> Option<Exemplar> {
        let (labels, value, time) = self.exemplar.as_ref()?;
        Some(Exemplar { labels: labels.clone(), value: *value, timestamp: time.unwrap_or(timestamp) })
    }
}

/// Reads a page that comes in pieces.
#[derive(Debug)]
pub struct PageReader {
    format: Format,
    limits: Limits,
    waiting: Vec<u8>,
    lines: usize,
    ended: bool,
    families: Families,
}

/// What the page says of metric families.
#[derive(Debug)]
struct Families {
    format: Format,
    known: HashMap<String, (exposition::MetricKind, Metadata)>,
    /// Bytes of the names and texts of them.
    bytes: usize,
    /// The family that the last lines were about: its samples, or another family, show that they are complete.
    open: Option<String>,
}

impl PageReader {
    /// A reader of a page in this format.
    pub fn new(format: Format) -> Self {
        let limits = Limits {
            max_bytes: 2 * PART_BYTES,
            max_line_bytes: PART_BYTES,
            max_samples: usize::MAX,
            max_labels: MAX_LABELS,
        };
        let families = Families { format, known: HashMap::new(), bytes: 0, open: None };
        PageReader { format, limits, waiting: Vec::new(), lines: 0, ended: false, families }
    }

    /// Bytes that are held until the next piece comes.
    pub fn held_bytes(&self) -> usize {
        self.waiting.capacity() + self.families.bytes
    }

    /// Takes the next piece of the page and reads the lines that are complete. After an error the rest cannot be read.
    pub fn feed<S: Sink>(&mut self, mut piece: &[u8], sink: &mut S) -> Result<(), S::Error> {
        while !piece.is_empty() {
            let room = PART_BYTES.saturating_sub(self.waiting.len()).max(1);
            let (now, later) = piece.split_at(room.min(piece.len()));
            self.waiting.extend_from_slice(now);
            piece = later;
            let has_lines = self.waiting.len() >= ENOUGH_BYTES && now.contains(&b'\n');
            if has_lines || self.waiting.len() >= PART_BYTES {
                self.read_lines(false, sink)?;
            }
        }
        Ok(())
    }

    /// Reads what is left: the page is over.
    pub fn finish<S: Sink>(mut self, sink: &mut S) -> Result<(), S::Error> {
        if self.waiting.last().is_some_and(|b| *b != b'\n') {
            // The last line need not end.
            self.waiting.push(b'\n');
        }
        self.read_lines(true, sink)?;
        self.families.close(sink);
        if self.format == Format::OpenMetrics && !self.ended {
            return Err(ParseError {
                line: self.lines + 1,
                reason: "the page ends without # EOF: is it complete?".to_owned(),
            }
            .into());
        }
        Ok(())
    }

    /// Reads the lines that are complete, but for those of a point that may go on.
    fn read_lines<S: Sink>(&mut self, is_last: bool, sink: &mut S) -> Result<(), S::Error> {
        let Some(last) = self.waiting.iter().rposition(|b| *b == b'\n') else {
            if self.waiting.len() >= PART_BYTES {
                let reason = format!("the line has more than {PART_BYTES} bytes");
                return Err(ParseError { line: self.lines + 1, reason }.into());
            }
            return Ok(());
        };
        let mut part = std::mem::take(&mut self.waiting);
        let mut end = last + 1;
        if !is_last && self.format == Format::OpenMetrics {
            // A point without end does not wait for it.
            end = Some(whole_points(&part[..end])).filter(|end| *end > 0).unwrap_or(end);
        }
        self.waiting.extend_from_slice(&part[end..]);
        part.truncate(end);
        self.read_part(&part, sink)
    }

    fn read_part<S: Sink>(&mut self, part: &[u8], sink: &mut S) -> Result<(), S::Error> {
        if self.ended {
            let reason = "there is text after # EOF".to_owned();
            return Err(ParseError { line: self.lines + 1, reason }.into());
        }
        let mut created = Created::of(part, self.lines, self.format, &self.limits)?;
        let mut parser = Parser::part(part, self.lines, self.format, &self.limits)?.extended();
        loop {
            let line = parser.line() + 1;
            match parser.next_entry()? {
                None => break,
                Some(Entry::Help { family, help }) => {
                    self.families.describe(&family, help.len(), sink, |_, known| known.help = help.into_owned());
                }
                Some(Entry::Unit { family, unit }) => {
                    self.families.describe(&family, unit.len(), sink, |_, known| known.unit = unit.into_owned());
                }
                Some(Entry::Type { family, kind }) => {
                    self.families.describe(&family, 0, sink, |said, known| (*said, known.kind) = (kind, kind_of(kind)));
                }
                Some(Entry::Sample(sample)) => {
                    self.families.close(sink);
                    let kind_of = |family: &str| self.families.known.get(family).map(|(said, _)| *said);
                    let start =
                        sample.start.or_else(|| created.start(&sample.name, sample.labels, sample.timestamp, &kind_of));
                    sink.sample(Imported {
                        line,
                        name: &sample.name,
                        labels: sample.labels,
                        timestamp: sample.timestamp,
                        start,
                        value: BatchValue::Float(sample.value),
                        exemplar: sample.exemplar.as_ref().map(owned),
                    })?;
                }
                Some(Entry::Histogram(sample)) => {
                    self.families.close(sink);
                    sink.sample(Imported {
                        line,
                        name: &sample.name,
                        labels: sample.labels,
                        timestamp: sample.timestamp,
                        start: sample.start,
                        value: BatchValue::Histogram(sample.histogram),
                        exemplar: sample.exemplar.as_ref().map(owned),
                    })?;
                }
            }
        }
        self.ended = parser.has_ended();
        self.lines += part.iter().filter(|b| **b == b'\n').count();
        Ok(())
    }
}

impl Families {
    /// Adds a text of so many bytes to what is known of a family. What is over the limits is not known: it is no reason to
    /// refuse samples.
    fn describe<S: Sink>(
        &mut self,
        family: &str,
        text: usize,
        sink: &mut S,
        say: impl FnOnce(&mut exposition::MetricKind, &mut Metadata),
    ) {
        if self.open.as_deref() != Some(family) {
            self.close(sink);
        }
        let is_new = !self.known.contains_key(family);
        let name = if is_new { family.len() } else { 0 };
        if self.bytes + name + text > MAX_FAMILY_BYTES || is_new && self.known.len() >= MAX_FAMILIES {
            return;
        }
        let unknown = || (exposition::MetricKind::Unknown, Metadata::default());
        let (said, known) = self.known.entry(family.to_owned()).or_insert_with(unknown);
        let before = known.help.len() + known.unit.len();
        say(said, known);
        self.bytes += name + known.help.len() + known.unit.len();
        self.bytes -= before;
        self.open = Some(family.to_owned());
    }

    /// Hands out what is known of the family that is open.
    fn close<S: Sink>(&mut self, sink: &mut S) {
        if let Some(family) = self.open.take()
            && let Some((said, known)) = self.known.get(&family)
        {
            sink.metadata(&metric_of(self.format, &family, *said), known);
        }
    }
}

fn owned(exemplar: &exposition::Exemplar<'_, '_>) -> (Labels, f64, Option<TimestampMs>) {
    let labels = exemplar.labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
    (Labels::from_pairs(labels), exemplar.value, exemplar.timestamp)
}

/// The name under which the store knows a family: OpenMetrics names counters and infos without their suffix.
fn metric_of(format: Format, family: &str, kind: exposition::MetricKind) -> Cow<'_, str> {
    match (format, kind) {
        (Format::OpenMetrics, exposition::MetricKind::Counter) if !family.ends_with("_total") => {
            format!("{family}_total").into()
        }
        (Format::OpenMetrics, exposition::MetricKind::Info) if !family.ends_with("_info") => {
            format!("{family}_info").into()
        }
        _ => family.into(),
    }
}

fn kind_of(kind: exposition::MetricKind) -> MetricKind {
    match kind {
        exposition::MetricKind::Counter => MetricKind::Counter,
        exposition::MetricKind::Gauge => MetricKind::Gauge,
        exposition::MetricKind::Histogram | exposition::MetricKind::GaugeHistogram => MetricKind::Histogram,
        exposition::MetricKind::Summary => MetricKind::Summary,
        exposition::MetricKind::Info => MetricKind::Info,
        exposition::MetricKind::StateSet => MetricKind::StateSet,
        exposition::MetricKind::Unknown => MetricKind::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Seen {
        samples: Vec<String>,
        starts: Vec<String>,
        metadata: Vec<String>,
    }

    impl Sink for Seen {
        type Error = ParseError;

        fn sample(&mut self, sample: Imported<'_>) -> Result<(), ParseError> {
            let Imported { line, name, timestamp, value, start, .. } = &sample;
            self.starts.push(start.map(|start| start.to_string()).unwrap_or_default());
            let value = match value {
                BatchValue::Float(v) => v.to_string(),
                other => format!("{other:?}"),
            };
            self.samples.push(format!("{line}: {name}{:?} {value} {timestamp:?}", sample.labels.len()));
            Ok(())
        }

        fn metadata(&mut self, metric: &str, metadata: &Metadata) {
            self.metadata.push(format!("{metric} {:?} {}", metadata.kind, metadata.help));
        }
    }

    const PAGE: &str = "# HELP a text\n# TYPE a counter\na_total{b=\"1\"} 1 1.5\na_total{b=\"2\"} 2 1.5\n# EOF\n";

    fn read(page: &str, piece: usize) -> Result<Seen, ParseError> {
        let mut seen = Seen::default();
        let mut reader = PageReader::new(Format::OpenMetrics);
        for piece in page.as_bytes().chunks(piece) {
            reader.feed(piece, &mut seen)?;
        }
        reader.finish(&mut seen).map(|()| seen)
    }

    #[test]
    fn a_page_may_come_in_any_pieces() {
        for piece in [1, 7, 1 << 20] {
            let seen = read(PAGE, piece).unwrap();
            assert_eq!(seen.samples, ["3: a_total1 1 Some(1500)", "4: a_total1 2 Some(1500)"], "{piece}");
            assert_eq!(seen.metadata, ["a_total Counter text"], "{piece}");
        }
        // Many parts, and the line numbers go on.
        let line = "a{b=\"0123456789\"} 1 1.5\n";
        let many = format!("{}# EOF", line.repeat(100_000));
        let seen = read(&many, 64 << 10).unwrap();
        assert_eq!(seen.samples.len(), 100_000);
        assert!(seen.samples[99_999].starts_with("100000: "));
        let broken = format!("{}a{{ 1\n", line.repeat(70_000));
        assert_eq!(read(&broken, 64 << 10).err().unwrap().line, 70_001);
    }

    #[test]
    fn created_lines_are_start_timestamps() {
        let page = "# TYPE a counter\na_total{b=\"1\"} 1 5\na_created{b=\"1\"} 1.5 5\na_total{b=\"2\"} 1 5\n\
                    a_total{b=\"1\"} 2 6\na_created{b=\"1\"} 5.5 6\n\
                    # TYPE h histogram\nh_bucket{c=\"d\",le=\"1\"} 1\nh_bucket{c=\"d\",le=\"+Inf\"} 1\nh_count{c=\"d\"} 1\n\
                    h_sum{c=\"d\"} 1\nh_created{c=\"d\"} 2\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_created 3\ns_count 1\n\
                    # TYPE g gauge\ng 1\ng_created 4\nw_total 1 7 st@6\n# EOF\n";
        let starts =
            ["1500", "", "", "5500", "", "2000", "2000", "2000", "2000", "", "3000", "", "3000", "", "", "6000"];
        for piece in [1, 100, 1 << 20] {
            let seen = read(page, piece).unwrap();
            assert_eq!(seen.starts.iter().map(String::as_str).collect::<Vec<_>>(), starts, "{piece}");
        }
        // Points come whole, wherever the page is cut into parts.
        let mut page = "# TYPE a counter\n".to_owned();
        for i in 0..20_000 {
            page += &format!("a_total{{n=\"{i}\"}} 1 5\na_created{{n=\"{i}\"}} 1.5 5\n");
        }
        let seen = read(&(page + "# EOF\n"), 1_000).unwrap();
        assert_eq!(seen.starts.iter().filter(|start| *start == "1500").count(), 20_000);
    }

    #[test]
    fn texts_of_families_are_remembered_within_bounds() {
        let mut seen = Seen::default();
        let mut reader = PageReader::new(Format::Text);
        for i in 0..100 {
            let page = format!("# HELP a{i} {0}\n# HELP same {0}\na{i} 1\n", "x".repeat(500 << 10));
            reader.feed(page.as_bytes(), &mut seen).unwrap();
            assert!(reader.families.bytes <= MAX_FAMILY_BYTES);
        }
        let known: usize = reader.families.known.values().map(|(_, m)| m.help.len()).sum();
        assert!(known <= reader.families.bytes && reader.families.bytes < known + 100, "{known}");
        reader.finish(&mut seen).unwrap();
        assert_eq!(seen.samples.len(), 100);
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let wrong = |page: &str, expected: &str| assert_eq!(read(page, 3).err().unwrap().to_string(), expected);
        wrong("a 1 1.5\n", "line 2: the page ends without # EOF: is it complete?");
        wrong("# EOF\na 1\n", "line 2: there is text after # EOF");
        wrong(&"a".repeat(2 << 20), &format!("line 1: the line has more than {} bytes", 1 << 20));
        wrong("a 1 1.5", "line 2: the page ends without # EOF: is it complete?");
    }
}
