//! One page: its samples, put together into numbers, histograms and summaries.

use std::borrow::Cow;
use std::collections::HashMap;

use sonde_proto::exposition::{Entry, Format, Limits, MetricKind, ParseError, Parser, Sample};
use sonde_proto::otlp::metrics::Exemplar;

use super::exemplar;
use super::labels::{Labels, TargetLabels};
use super::shape::{HistogramPoint, Number, NumberKind, SummaryPoint};

/// What a page holds.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Samples on it.
    pub(super) samples: u64,
    /// Exemplars on it.
    pub(super) exemplars: u64,
    /// Exemplars on it whose labels are too long.
    pub(super) long_exemplars: u64,
    /// Numbers, by the name of the sample.
    pub(super) numbers: Vec<Named<Number>>,
    /// Histograms, by the name of the family.
    pub(super) histograms: Vec<Named<HistogramPoint>>,
    /// Summaries, by the name of the family.
    pub(super) summaries: Vec<Named<SummaryPoint>>,
}

/// A point, what it is called and what is said about it.
#[derive(Clone, Debug)]
pub(super) struct Named<T> {
    pub(super) name: String,
    pub(super) help: String,
    pub(super) point: T,
    /// Whether its time stands on the page: then nobody knows when it ends.
    pub(super) has_own_time: bool,
}

impl Page {
    /// Reads a page whose samples were taken at `time_ns`. It is taken as a whole or not at all.
    pub(super) fn read(
        body: &[u8],
        format: Format,
        limits: &Limits,
        labels: &TargetLabels,
        time_ns: i64,
        honor_timestamps: bool,
    ) -> Result<Self, ParseError> {
        let mut reading = Reading::new(labels, time_ns, honor_timestamps);
        let mut parser = Parser::new(body, format, limits)?;
        while let Some(entry) = parser.next_entry()? {
            match entry {
                Entry::Help { family, help } => {
                    reading.described(family).help = help.chars().take(MAX_HELP_CHARS).collect()
                }
                Entry::Type { family, kind } => reading.described(family).kind = kind,
                // Composite values are no part of the formats that are scraped.
                Entry::Unit { .. } | Entry::Histogram(_) => {}
                Entry::Sample(sample) => reading.sample(&sample),
            }
        }
        Ok(reading.finish())
    }
}

/// A help text goes along with each sample of its family, so that a long one would cost a multiple of the page.
const MAX_HELP_CHARS: usize = 512;

/// What the page says of a family.
#[derive(Clone, Debug)]
struct Described {
    kind: MetricKind,
    help: String,
}

/// Which part of its family a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Number(NumberKind),
    Bucket,
    HistogramSum,
    HistogramCount,
    Quantile,
    SummarySum,
    SummaryCount,
}

/// The samples of a histogram or summary, until all of them are there.
#[derive(Debug)]
struct Group {
    family: String,
    labels: Labels,
    time_ns: i64,
    start_ns: i64,
    has_own_time: bool,
    is_histogram: bool,
    /// Bounds with cumulative counts, or quantiles with values.
    parts: Vec<(f64, f64)>,
    sum: Option<f64>,
    count: Option<f64>,
    /// Each sample as it stands on the page, in case they do not make a whole.
    raw: Vec<Raw>,
}

/// A sample as it stands on the page.
#[derive(Debug)]
struct Raw {
    name: String,
    labels: Labels,
    value: f64,
    exemplar: Option<Exemplar>,
}

struct Reading<'a> {
    labels: &'a TargetLabels,
    time_ns: i64,
    honor_timestamps: bool,
    page: Page,
    described: HashMap<String, Described>,
    groups: Vec<Group>,
    by_labels: HashMap<(String, Labels), usize>,
    /// Since when the points of a family with these labels count.
    starts: HashMap<(String, Labels), i64>,
}

impl<'a> Reading<'a> {
    fn new(labels: &'a TargetLabels, time_ns: i64, honor_timestamps: bool) -> Self {
        Reading {
            labels,
            time_ns,
            honor_timestamps,
            page: Page::default(),
            described: HashMap::new(),
            groups: Vec::new(),
            by_labels: HashMap::new(),
            starts: HashMap::new(),
        }
    }

    fn described(&mut self, family: Cow<'_, str>) -> &mut Described {
        let unknown = Described { kind: MetricKind::Unknown, help: String::new() };
        self.described.entry(family.into_owned()).or_insert(unknown)
    }

    fn sample(&mut self, sample: &Sample<'_, '_>) {
        self.page.samples += 1;
        let exemplar = self.exemplar(sample);
        let own_time = sample.timestamp.filter(|_| self.honor_timestamps);
        let time_ns = own_time.map_or(self.time_ns, |ms| ms.saturating_mul(1_000_000));
        let (family, part) = self.family_of(&sample.name);
        let without = match part {
            Part::Number(kind) => {
                let help = self.described.get(family).map_or(String::new(), |known| known.help.clone());
                let labels = self.labels.of_sample(sample.labels, "");
                let exemplars = exemplar.into_iter().collect();
                self.created(sample, &labels);
                let point = Number { kind, labels, time_ns, start_ns: 0, value: Some(sample.value), exemplars };
                let name = sample.name.to_string();
                self.page.numbers.push(Named { name, help, point, has_own_time: own_time.is_some() });
                return;
            }
            Part::Bucket => "le",
            Part::Quantile => "quantile",
            _ => "",
        };
        let family = family.to_owned();
        let labels = self.labels.of_sample(sample.labels, without);
        let bound = sample.labels.iter().find(|(name, _)| name == without).and_then(|(_, value)| value.parse().ok());
        let is_histogram = matches!(part, Part::Bucket | Part::HistogramSum | Part::HistogramCount);
        let (name, all_labels) = (sample.name.to_string(), self.labels.of_sample(sample.labels, ""));
        let raw = Raw { name, labels: all_labels, value: sample.value, exemplar };
        let group = self.group(family, labels, is_histogram, time_ns, own_time.is_some());
        group.raw.push(raw);
        match part {
            Part::Bucket | Part::Quantile => group.parts.push((bound.unwrap_or(f64::NAN), sample.value)),
            Part::HistogramSum | Part::SummarySum => group.sum = Some(sample.value),
            Part::HistogramCount | Part::SummaryCount => group.count = Some(sample.value),
            Part::Number(_) => {}
        }
    }

    /// Remembers what a `_created` line says of the points of its family with the same labels. It is a sample besides, as it
    /// is to Prometheus.
    fn created(&mut self, sample: &Sample<'_, '_>, labels: &Labels) {
        let Some(family) = sample.name.strip_suffix("_created") else { return };
        let kind = self.described.get(family).map(|known| known.kind);
        let start_ns = sample.value * 1e9;
        // Until the year 2200.
        let is_time = (1.0..7.3e18).contains(&start_ns);
        if is_time && matches!(kind, Some(MetricKind::Counter | MetricKind::Histogram | MetricKind::Summary)) {
            self.starts.insert((family.to_owned(), labels.clone()), start_ns as i64);
        }
    }

    fn exemplar(&mut self, sample: &Sample<'_, '_>) -> Option<Exemplar> {
        let on_page = sample.exemplar.as_ref()?;
        self.page.exemplars += 1;
        let otlp = exemplar::of_sample(on_page);
        self.page.long_exemplars += u64::from(otlp.is_none());
        otlp
    }

    /// The family of a sample and what part of it the sample is.
    fn family_of<'n>(&self, name: &'n str) -> (&'n str, Part) {
        let kind_of = |family: &str| self.described.get(family).map(|known| known.kind);
        for (suffix, histogram, summary) in [
            ("_bucket", Some(Part::Bucket), None),
            ("_sum", Some(Part::HistogramSum), Some(Part::SummarySum)),
            ("_count", Some(Part::HistogramCount), Some(Part::SummaryCount)),
        ] {
            let Some(family) = name.strip_suffix(suffix) else { continue };
            let part = match kind_of(family) {
                Some(MetricKind::Histogram) => histogram,
                Some(MetricKind::Summary) => summary,
                _ => None,
            };
            if let Some(part) = part {
                return (family, part);
            }
        }
        match kind_of(name) {
            Some(MetricKind::Summary) => return (name, Part::Quantile),
            Some(MetricKind::Counter) => return (name, Part::Number(NumberKind::Counter)),
            Some(MetricKind::Gauge) => return (name, Part::Number(NumberKind::Gauge)),
            Some(MetricKind::StateSet) => return (name, Part::Number(NumberKind::StateSet)),
            _ => {}
        }
        // OpenMetrics names families without what it appends to their samples.
        for (suffix, kind, number) in
            [("_total", MetricKind::Counter, NumberKind::Counter), ("_info", MetricKind::Info, NumberKind::Info)]
        {
            if let Some(family) = name.strip_suffix(suffix).filter(|family| kind_of(family) == Some(kind)) {
                return (family, Part::Number(number));
            }
        }
        (name, Part::Number(NumberKind::Unknown))
    }

    fn group(&mut self, family: String, labels: Labels, is_histogram: bool, time_ns: i64, own: bool) -> &mut Group {
        let next = self.groups.len();
        let index = *self.by_labels.entry((family.clone(), labels.clone())).or_insert(next);
        if index == next {
            self.groups.push(Group {
                family,
                labels,
                time_ns,
                start_ns: 0,
                has_own_time: own,
                is_histogram,
                parts: Vec::new(),
                sum: None,
                count: None,
                raw: Vec::new(),
            });
        }
        &mut self.groups[index]
    }

    fn finish(mut self) -> Page {
        if !self.starts.is_empty() {
            for Named { name, point, .. } in &mut self.page.numbers {
                if point.kind == NumberKind::Counter {
                    let family = name.strip_suffix("_total").unwrap_or(name).to_owned();
                    point.start_ns = start(&self.starts, family, &point.labels, point.time_ns);
                }
            }
        }
        for mut group in std::mem::take(&mut self.groups) {
            if !self.starts.is_empty() {
                group.start_ns = start(&self.starts, group.family.clone(), &group.labels, group.time_ns);
            }
            let help = self.described.get(&group.family).map_or(String::new(), |known| known.help.clone());
            if group.is_histogram {
                match group.histogram() {
                    Some(point) => self.page.histograms.push(group.named(help, point)),
                    None => self.raw(group),
                }
            } else {
                match group.summary() {
                    Some(point) => self.page.summaries.push(group.named(help, point)),
                    None => self.raw(group),
                }
            }
        }
        self.page
    }

    /// Samples that do not make a whole are kept one by one.
    fn raw(&mut self, group: Group) {
        for Raw { name, labels, value, exemplar } in group.raw {
            let (kind, exemplars) = (NumberKind::Unknown, exemplar.into_iter().collect());
            let Group { time_ns, start_ns, .. } = group;
            let point = Number { kind, labels, time_ns, start_ns, value: Some(value), exemplars };
            self.page.numbers.push(Named { name, help: String::new(), point, has_own_time: group.has_own_time });
        }
    }
}

/// What is known of the start of a point; it lies before the point.
fn start(starts: &HashMap<(String, Labels), i64>, family: String, labels: &Labels, time_ns: i64) -> i64 {
    starts.get(&(family, labels.clone())).copied().filter(|start| *start < time_ns).unwrap_or(0)
}

impl Group {
    fn named<T>(&self, help: String, point: T) -> Named<T> {
        Named { name: self.family.clone(), help, point, has_own_time: self.has_own_time }
    }

    /// The histogram, if its buckets are one: whole counts that do not fall, up to the count of all.
    fn histogram(&self) -> Option<HistogramPoint> {
        let mut parts = self.parts.clone();
        if parts.iter().any(|(bound, _)| bound.is_nan()) {
            return None;
        }
        parts.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = parts.last().filter(|(bound, _)| *bound == f64::INFINITY).map(|(_, count)| *count);
        let all = match (last, self.count) {
            (Some(last), Some(count)) if last != count => return None,
            (last, count) => last.or(count)?,
        };
        if last.is_some() {
            parts.pop();
        }
        let mut counts = Vec::with_capacity(parts.len() + 1);
        let mut below = 0;
        for cumulative in parts.iter().map(|(_, count)| *count).chain([all]) {
            let cumulative = whole(cumulative)?;
            counts.push(cumulative.checked_sub(below)?);
            below = cumulative;
        }
        let bounds: Vec<f64> = parts.iter().map(|(bound, _)| *bound).collect();
        if bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
            return None;
        }
        let Group { time_ns, start_ns, sum, .. } = *self;
        let labels = self.labels.clone();
        let exemplars = self.raw.iter().filter_map(|raw| raw.exemplar.clone()).collect();
        Some(HistogramPoint { labels, time_ns, start_ns, bounds, counts: Some(counts), sum, exemplars })
    }

    fn summary(&self) -> Option<SummaryPoint> {
        if self.parts.iter().any(|(quantile, _)| quantile.is_nan()) {
            return None;
        }
        let (labels, time_ns, start_ns) = (self.labels.clone(), self.time_ns, self.start_ns);
        // OTLP has no summary without sum and count.
        let (sum, count) = (self.sum?, whole(self.count?)?);
        Some(SummaryPoint { labels, time_ns, start_ns, quantiles: self.parts.clone(), sum, count: Some(count) })
    }
}

/// A count that OTLP can carry.
fn whole(count: f64) -> Option<u64> {
    // Above 2^53 neighbours cannot be told apart, and no page counts so far.
    ((0.0..=9_007_199_254_740_992.0).contains(&count) && count.fract() == 0.0).then_some(count as u64)
}
