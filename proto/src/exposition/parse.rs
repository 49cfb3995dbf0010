//! The parser: one line after the other, each proven by itself.

use std::borrow::Cow;

use sonde_model::stale_nan;

use super::composite::{STALE, START};
use super::scan::{Labels, Scanner, shown, unescape};
use super::{Entry, Exemplar, Format, HistogramSample, Limits, MetricKind, ParseError, Sample, composite};

/// Walks the entries of a page.
#[derive(Debug)]
pub struct Parser<'a> {
    rest: &'a str,
    format: Format,
    limits: Limits,
    line: usize,
    samples: usize,
    ended: bool,
    /// Whether more of the page may come behind this part of it.
    is_part: bool,
    extended: bool,
    labels: Labels<'a>,
    exemplar_labels: Labels<'a>,
}

impl<'a> Parser<'a> {
    /// A parser of `page`; fails where the page is too large or is not UTF-8.
    pub fn new(page: &'a [u8], format: Format, limits: &Limits) -> Result<Self, ParseError> {
        if page.len() > limits.max_bytes {
            let reason = format!("the page has {} bytes, the limit is {}", page.len(), limits.max_bytes);
            return Err(ParseError { line: 1, reason });
        }
        let rest = std::str::from_utf8(page).map_err(|e| ParseError {
            line: 1 + page[..e.valid_up_to()].iter().filter(|b| **b == b'\n').count(),
            reason: "not valid UTF-8".to_owned(),
        })?;
        Ok(Parser {
            rest,
            format,
            limits: limits.clone(),
            line: 0,
            samples: 0,
            ended: false,
            is_part: false,
            extended: false,
            labels: Vec::new(),
            exemplar_labels: Vec::new(),
        })
    }

    /// A parser of a part of a page, which ends where a line does; `line` is the number of lines before it. A page of
    /// any length is read part by part, as long as the caller passes nothing behind `# EOF`: see [`Parser::has_ended`].
    pub fn part(part: &'a [u8], line: usize, format: Format, limits: &Limits) -> Result<Self, ParseError> {
        let parser = Self::new(part, format, limits).map_err(|e| ParseError { line: e.line + line, ..e })?;
        Ok(Parser { line, is_part: true, ..parser })
    }

    /// Reads what the formats have no word for, as [`Encoder`](super::Encoder) writes it: native histograms as composite
    /// values, `StaleNaN` for a stale marker, and start timestamps behind `st@`.
    pub fn extended(self) -> Self {
        Parser { extended: true, ..self }
    }

    /// Whether the end that OpenMetrics marks was read.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next entry, or `None` at the end of the page. Comments and empty lines are passed over.
    ///
    /// After an error the parser goes on with the next line if it is asked again; a caller that wants all or nothing
    /// stops.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_, 'a>>, ParseError> {
        loop {
            let Some(line) = self.next_line()? else { return Ok(None) };
            if let Some(comment) = line.strip_prefix('#') {
                let entry = self.comment(comment).map_err(|reason| ParseError { line: self.line, reason })?;
                if let Some(entry) = entry {
                    return Ok(Some(entry));
                }
            } else if !line.is_empty() {
                let line_number = self.line;
                return self.sample(line).map(Some).map_err(|reason| ParseError { line: line_number, reason });
            }
        }
    }

    /// The line of the last entry, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    fn next_line(&mut self) -> Result<Option<&'a str>, ParseError> {
        if self.rest.is_empty() {
            if self.format == Format::OpenMetrics && !self.is_part && !std::mem::replace(&mut self.ended, true) {
                return Err(ParseError { line: self.line + 1, reason: "the page ends without # EOF".to_owned() });
            }
            return Ok(None);
        }
        self.line += 1;
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        if self.ended {
            self.rest = "";
            return Err(ParseError { line: self.line, reason: "there is text after # EOF".to_owned() });
        }
        if line.len() > self.limits.max_line_bytes {
            let reason = format!("the line has {} bytes, the limit is {}", line.len(), self.limits.max_line_bytes);
            return Err(ParseError { line: self.line, reason });
        }
        Ok(Some(line.trim_matches([' ', '\t', '\r'])))
    }

    /// What comes after `#`: an entry where a keyword follows, otherwise nothing.
    fn comment(&mut self, comment: &'a str) -> Result<Option<Entry<'a, 'a>>, String> {
        if self.format == Format::OpenMetrics && comment == " EOF" {
            self.ended = true;
            return Ok(None);
        }
        let mut scanner = Scanner::new(comment);
        scanner.skip_blanks();
        let keyword = scanner.word();
        if !(matches!(keyword, "HELP" | "TYPE") || (keyword == "UNIT" && self.format == Format::OpenMetrics)) {
            return Ok(None);
        }
        scanner.skip_blanks();
        let family = scanner.metric_name()?;
        if !scanner.rest().is_empty() && !scanner.rest().starts_with([' ', '\t']) {
            return Err(format!("expected a blank after the metric name, found {}", shown(scanner.rest())));
        }
        scanner.skip_blanks();
        let text = scanner.rest();
        Ok(Some(match keyword {
            "HELP" => {
                let help = if text.contains('\\') {
                    Cow::Owned(unescape(text, self.format == Format::OpenMetrics))
                } else {
                    Cow::Borrowed(text)
                };
                Entry::Help { family, help }
            }
            "TYPE" => {
                let kind = MetricKind::of_word(text).ok_or_else(|| format!("{} is not a metric type", shown(text)))?;
                Entry::Type { family, kind }
            }
            _ => Entry::Unit { family, unit: Cow::Borrowed(text) },
        }))
    }

    fn sample(&mut self, line: &'a str) -> Result<Entry<'_, 'a>, String> {
        self.samples += 1;
        if self.samples > self.limits.max_samples {
            self.rest = "";
            self.ended = true;
            return Err(format!("more than {} samples", self.limits.max_samples));
        }
        self.labels.clear();
        self.exemplar_labels.clear();
        let mut scanner = Scanner::new(line);
        let mut name = if line.starts_with('{') { None } else { Some(scanner.metric_name()?) };
        scanner.skip_blanks();
        // Labels may stand behind a blank, so that a histogram of a series without any has to be told from them.
        let is_value = self.extended && scanner.rest().starts_with("{count:");
        if !is_value && scanner.take('{') {
            scanner.labels(&mut self.labels, &mut name, self.limits.max_labels)?;
            scanner.skip_blanks();
        }
        let name = name.filter(|name| !name.is_empty()).ok_or("the sample has no metric name")?;
        scanner.skip_blanks();
        let mut histogram = None;
        let mut value = 0.0;
        if self.extended && scanner.rest().starts_with('{') {
            histogram = Some(Box::new(composite::read(&mut scanner)?));
        } else {
            let is_stale = self.extended && scanner.take_word(STALE);
            value = if is_stale { stale_nan() } else { scanner.float()? };
        }
        scanner.skip_blanks();
        let has_start = |scanner: &Scanner<'_>| self.extended && scanner.rest().starts_with(START);
        let ends = scanner.rest().is_empty() || scanner.rest().starts_with('#') || has_start(&scanner);
        let has_time = !ends;
        let timestamp = if has_time { Some(milliseconds(&mut scanner, self.format)?) } else { None };
        scanner.skip_blanks();
        let mut start = None;
        if has_start(&scanner) {
            START.chars().for_each(|c| _ = scanner.take(c));
            start = Some(milliseconds(&mut scanner, self.format)?);
            scanner.skip_blanks();
        }
        let mut exemplar = None;
        if self.format == Format::OpenMetrics && scanner.take('#') {
            scanner.skip_blanks();
            if !scanner.take('{') {
                return Err("an exemplar begins with its labels in braces".to_owned());
            }
            let mut no_name = Some(Cow::Borrowed(""));
            scanner.labels(&mut self.exemplar_labels, &mut no_name, self.limits.max_labels)?;
            scanner.skip_blanks();
            let value = scanner.float()?;
            scanner.skip_blanks();
            let time = if scanner.rest().is_empty() { None } else { Some(milliseconds(&mut scanner, self.format)?) };
            exemplar = Some((value, time));
        }
        scanner.skip_blanks();
        if !scanner.rest().is_empty() {
            let what = if histogram.is_some() { "histogram" } else { "sample" };
            return Err(format!("unexpected text after the {what}: {}", shown(scanner.rest())));
        }
        let exemplar_labels = &self.exemplar_labels;
        let exemplar = exemplar.map(|(value, timestamp)| Exemplar { labels: exemplar_labels, value, timestamp });
        let labels = &self.labels;
        Ok(match histogram {
            Some(histogram) => {
                Entry::Histogram(HistogramSample { name, labels, histogram, timestamp, start, exemplar })
            }
            None => Entry::Sample(Sample { name, labels, value, timestamp, start, exemplar }),
        })
    }
}

/// Milliseconds: whole ones in text 0.0.4, seconds with a fraction in OpenMetrics.
fn milliseconds(scanner: &mut Scanner<'_>, format: Format) -> Result<i64, String> {
    let word = scanner.word();
    let wrong = || format!("{} is not a timestamp", shown(word));
    match format {
        Format::Text => word.parse().map_err(|_| wrong()),
        Format::OpenMetrics => {
            let seconds: f64 = word.parse().map_err(|_| wrong())?;
            let rounded = (seconds * 1000.0).round();
            // Whatever lies within a million years of the epoch is exact enough as a float.
            if rounded.abs() < 3.2e16 { Ok(rounded as i64) } else { Err(wrong()) }
        }
    }
}
