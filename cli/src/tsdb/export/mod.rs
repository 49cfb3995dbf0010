//! `sonde tsdb export`: samples out of a store, metric by metric, series by series.

mod jsonl;
mod openmetrics;
#[cfg(feature = "parquet")]
mod parquet;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;

use sonde_model::{Exemplar, Labels, METRIC_NAME, Matcher, Series, TimestampMs, is_stale};
use sonde_runtime::Clock;
use sonde_tsdb::{Db, Metadata, MetricKind, Options, SelectError, SelectLimits};

use super::args::{Compression, ExportArgs, ExportFormat};
use super::files::{Output, by_name};
use super::progress::{Progress, Unit, count};
use super::store;
use crate::problem::Problem;
use crate::process::problem;
use crate::query::instant;

/// Samples of one metric that are held at once; a metric with more is read series by series.
const HELD_SAMPLES: usize = 4_000_000;

/// What is written, in the order in which it comes.
enum Format {
    OpenMetrics(openmetrics::Writer),
    JsonLines(jsonl::Writer),
    #[cfg(feature = "parquet")]
    Parquet(Box<parquet::Writer>),
}

impl Format {
    /// Makes the file. Parquet is compressed inside, page by page, and so by default.
    fn create(args: &ExportArgs) -> Result<Self, Problem> {
        let output = |compression| Output::create(&args.output, compression);
        let compression = args.compression.unwrap_or_else(|| by_name(&args.output));
        Ok(match args.format {
            ExportFormat::Openmetrics => {
                Format::OpenMetrics(openmetrics::Writer::new(output(compression)?, args.start_timestamps))
            }
            ExportFormat::Jsonl => Format::JsonLines(jsonl::Writer::new(output(compression)?)),
            ExportFormat::Parquet
                if by_name(&args.output) != Compression::None || args.compression == Some(Compression::Gzip) =>
            {
                return Err(Problem::new("a Parquet file is compressed inside, with zstd or not at all")
                    .hint("Name it `.parquet`; `--compression none` leaves it as it is."));
            }
            #[cfg(feature = "parquet")]
            ExportFormat::Parquet => {
                let compressed = args.compression != Some(Compression::None);
                let writer = parquet::Writer::new(output(Compression::None)?, compressed);
                Format::Parquet(Box::new(writer.map_err(broken)?))
            }
            #[cfg(not(feature = "parquet"))]
            ExportFormat::Parquet => {
                return Err(Problem::new("this sonde was built without Parquet")
                    .hint("Build one that has it: `cargo build --release -p sonde --features parquet`."));
            }
        })
    }

    /// The series that follow are of this family.
    fn family(&mut self, metric: &str, metadata: &Metadata) {
        if let Format::OpenMetrics(writer) = self {
            writer.family(metric, metadata);
        }
    }

    fn series(&mut self, series: &Series, exemplars: &[Exemplar]) -> io::Result<()> {
        match self {
            Format::OpenMetrics(writer) => writer.series(series, exemplars),
            Format::JsonLines(writer) => writer.series(series, exemplars),
            #[cfg(feature = "parquet")]
            Format::Parquet(writer) => writer.series(series),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Format::OpenMetrics(writer) => writer.finish(),
            Format::JsonLines(writer) => writer.finish(),
            #[cfg(feature = "parquet")]
            Format::Parquet(writer) => writer.finish(),
        }
    }
}

/// What is exported.
struct Selection {
    selectors: Vec<Vec<Matcher>>,
    from: TimestampMs,
    to: TimestampMs,
    stale_markers: bool,
}

pub(super) fn run(args: &ExportArgs) -> Result<(), Problem> {
    let now = Clock::system().now_ms();
    let selection = selection(args, now)?;
    let format = Format::create(args)?;
    let db = store::open(&args.store.dir, Options::default(), now, false)?;
    let written = export(&db, &selection, format);
    db.close();
    let (series, samples) = written?;
    crate::client::tell(&format!("{} samples of {} series", count(samples), count(series)));
    Ok(())
}

fn selection(args: &ExportArgs, now: TimestampMs) -> Result<Selection, Problem> {
    let parse = |text: &String| {
        let wrong = |reason: String| Problem::new(format!("--match: {text:?} is no selector: {reason}"));
        let selector = sonde_promql::parse_selector(text).map_err(|e| wrong(e.message))?;
        selector.compile().map_err(|e| wrong(e.to_string()))
    };
    let mut selectors = args.selectors.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    if selectors.is_empty() {
        selectors.push(Vec::new());
    }
    let time = |flag, text: &Option<String>, all| text.as_ref().map_or(Ok(all), |text| instant(flag, text, now));
    Ok(Selection {
        selectors,
        from: time("--from", &args.from, TimestampMs::MIN)?,
        to: time("--to", &args.to, TimestampMs::MAX)?,
        stale_markers: args.stale_markers,
    })
}

/// Writes all that is selected; gives the number of series and of samples.
fn export(db: &Db, selection: &Selection, mut format: Format) -> Result<(u64, u64), Problem> {
    let mut progress = Progress::new("exporting", Unit::Samples);
    let status = db.status();
    let is_everything = selection.selectors.iter().all(Vec::is_empty)
        && (selection.from, selection.to) == (TimestampMs::MIN, TimestampMs::MAX);
    let total = is_everything.then_some(status.samples + status.block_samples);
    let (mut series, mut samples) = (0u64, 0u64);
    // The store bounds how many there are.
    let exemplars = db.exemplars(&selection.selectors, selection.from, selection.to, usize::MAX);
    let exemplars: HashMap<Labels, Vec<Exemplar>> = exemplars.into_iter().map(|of| (of.labels, of.exemplars)).collect();
    for (family, metrics) in families(db, selection)? {
        let known = db.metadata(Some(&family), 1).pop();
        if let Some((_, metadata)) = &known {
            format.family(&family, metadata);
        }
        for metric in metrics {
            each_series(db, selection, &metric, &mut |mut one| {
                if !selection.stale_markers {
                    without_stale(&mut one);
                }
                let n = (one.floats.len() + one.histograms.len()) as u64;
                if n > 0 {
                    let exemplars = exemplars.get(&one.labels).map_or(&[][..], Vec::as_slice);
                    format.series(&one, exemplars).map_err(broken)?;
                    series += 1;
                    samples += n;
                    progress.at(samples, total);
                }
                Ok(())
            })?;
        }
    }
    format.finish().map_err(broken)?;
    Ok((series, samples))
}

/// The metrics of the selection by the family that metadata know, in order.
fn families(db: &Db, selection: &Selection) -> Result<BTreeMap<String, Vec<String>>, Problem> {
    let mut metrics = BTreeSet::new();
    for matchers in &selection.selectors {
        let names = db.label_values(METRIC_NAME, matchers, selection.from, selection.to, usize::MAX);
        metrics.extend(names.map_err(|e| problem(&e))?);
    }
    let mut families: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for metric in metrics {
        families.entry(family_of(db, &metric)).or_default().push(metric);
    }
    Ok(families)
}

/// The family of a metric: its own name, or that of the classic histogram or summary that it is a part of.
fn family_of(db: &Db, metric: &str) -> String {
    if db.metadata(Some(metric), 1).is_empty() {
        for suffix in ["_bucket", "_count", "_sum"] {
            let Some(family) = metric.strip_suffix(suffix) else { continue };
            let known = db.metadata(Some(family), 1).pop().map(|(_, metadata)| metadata.kind);
            if matches!(known, Some(MetricKind::Histogram | MetricKind::Summary)) {
                return family.to_owned();
            }
        }
    }
    metric.to_owned()
}

/// Hands out the selected series of a metric in the order of their labels, each once.
fn each_series(
    db: &Db,
    selection: &Selection,
    metric: &str,
    visit: &mut dyn FnMut(Series) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let limits = SelectLimits { max_series: usize::MAX, max_samples: HELD_SAMPLES };
    let with_name = |matchers: &Vec<Matcher>| {
        let mut matchers = matchers.clone();
        matchers.push(Matcher::equal(METRIC_NAME, metric));
        matchers
    };
    let Selection { selectors, from, to, .. } = selection;
    if let [matchers] = selectors.as_slice() {
        match db.select(&with_name(matchers), *from, *to, &limits) {
            Ok(found) => return found.into_iter().try_for_each(visit),
            Err(SelectError::TooManySamples { .. }) => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
    let mut all: BTreeSet<Labels> = BTreeSet::new();
    for matchers in selectors {
        all.extend(db.series(&with_name(matchers), *from, *to, usize::MAX).map_err(|e| unreadable(&e))?);
    }
    for labels in all {
        let matchers: Vec<Matcher> = labels.iter().map(|(name, value)| Matcher::equal(name, value)).collect();
        let unlimited = SelectLimits { max_series: usize::MAX, max_samples: usize::MAX };
        let found = db.select(&matchers, *from, *to, &unlimited).map_err(|e| unreadable(&e))?;
        // Series with further labels match, too.
        found.into_iter().filter(|series| series.labels == labels).try_for_each(&mut *visit)?;
    }
    Ok(())
}

fn broken(error: io::Error) -> Problem {
    Problem::new(format!("the export cannot be written: {error}"))
}

fn unreadable(error: &SelectError) -> Problem {
    problem(error).hint("`sonde tsdb verify` says what is damaged; a start of the collector sets it aside.")
}

fn without_stale(series: &mut Series) {
    if series.floats.values.iter().any(|v| is_stale(*v)) {
        let kept: Vec<bool> = series.floats.values.iter().map(|v| !is_stale(*v)).collect();
        keep(&mut series.floats.timestamps, &kept);
        keep(&mut series.floats.values, &kept);
        keep(&mut series.floats.starts, &kept);
    }
    if series.histograms.values.iter().any(|h| h.is_stale()) {
        let kept: Vec<bool> = series.histograms.values.iter().map(|h| !h.is_stale()).collect();
        keep(&mut series.histograms.timestamps, &kept);
        keep(&mut series.histograms.values, &kept);
        keep(&mut series.histograms.starts, &kept);
    }
}

fn keep<T>(list: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    list.retain(|_| *kept.next().unwrap_or(&true));
}

/// The samples of a series in the order of time, floats and histograms together: when, since when it counts (0 where that
/// is not known), what.
fn in_order(series: &Series) -> impl Iterator<Item = (TimestampMs, TimestampMs, Sample<'_>)> {
    let Series { floats, histograms, .. } = series;
    let (mut f, mut h) = (0, 0);
    std::iter::from_fn(move || {
        let float_first = match (floats.timestamps.get(f), histograms.timestamps.get(h)) {
            (Some(float), Some(histogram)) => float < histogram,
            (float, _) => float.is_some(),
        };
        let start = |starts: &[TimestampMs], i: usize| starts.get(i).copied().unwrap_or(0);
        if float_first {
            f += 1;
            Some((floats.timestamps[f - 1], start(&floats.starts, f - 1), Sample::Float(floats.values[f - 1])))
        } else {
            let histogram = histograms.values.get(h)?;
            h += 1;
            Some((histograms.timestamps[h - 1], start(&histograms.starts, h - 1), Sample::Histogram(histogram)))
        }
    })
}

/// A value as formats write it.
enum Sample<'s> {
    Float(f64),
    Histogram(&'s sonde_model::Histogram),
}
