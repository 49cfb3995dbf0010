//! `sonde tsdb import`: samples of any age into a store that nobody has open.

mod batches;
mod jsonl;

use std::io::{BufRead, Read};
use std::path::Path;

use sonde_collector::import::{Imported, PageReader, Sink};
use sonde_collector::{Config, store_options};
use sonde_proto::exposition::{Format, ParseError};
use sonde_runtime::Clock;
use sonde_tsdb::Metadata;

use super::args::{ImportArgs, ImportFormat};
use super::files::Input;
use super::progress::{Progress, Unit, count};
use super::store;
use crate::problem::Problem;
use crate::process::problem;
use batches::{Batches, OneSample};

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 << 10;

pub(super) fn run(args: &ImportArgs) -> Result<(), Problem> {
    let config = match &args.config {
        Some(path) => Config::load(path).map_err(|e| problem(&e))?,
        None => Config::default(),
    };
    let labels = args.labels.iter().map(|text| label(text)).collect::<Result<Vec<_>, _>>()?;
    let clock = Clock::system();
    let mut options = store_options(&config);
    // A batch is sorted and large already: half of the memory makes blocks as good.
    options.head_bytes = options.head_bytes.min(128 << 20);
    let db = store::open(&args.data_dir, options, clock.now_ms(), true)?;
    let mut batches = Batches::new(&db, &config.ingest, labels, clock);
    let mut progress = Progress::new("importing", Unit::Bytes);
    for path in &args.files {
        read(path, args.format, &mut batches, &mut progress)?;
    }
    drop(progress);
    let done = batches.finish()?;
    db.close();
    crate::client::tell(&format!("{} samples stored, {} were there already", count(done.stored), count(done.known)));
    match done.refused {
        None => Ok(()),
        Some(text) => Err(Problem::new(text)),
    }
}

fn label(text: &str) -> Result<(String, String), Problem> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(Problem::new(format!("--label: {text:?} is no label")).hint("Write NAME=VALUE.")),
    }
}

fn read(
    path: &Path,
    format: Option<ImportFormat>,
    batches: &mut Batches<'_>,
    progress: &mut Progress,
) -> Result<(), Problem> {
    let mut input = Input::open(path)?;
    let cannot = |e: std::io::Error| Problem::new(format!("{}: cannot be read: {e}", path.display()));
    let format = match format {
        Some(format) => format,
        None if input.reader().fill_buf().map_err(cannot)?.starts_with(b"{\"metric\"") => ImportFormat::Jsonl,
        None => ImportFormat::Openmetrics,
    };
    let page = match format {
        ImportFormat::Jsonl => return jsonl::read(path, &mut input, batches, progress),
        ImportFormat::Openmetrics => Format::OpenMetrics,
        ImportFormat::Prometheus => Format::Text,
    };
    let mut reader = PageReader::new(page);
    let mut sink = PageSink { origin: path, batches };
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let n = input.reader().read(&mut piece).map_err(cannot)?;
        if n == 0 {
            break;
        }
        reader.feed(&piece[..n], &mut sink).map_err(|stop| stop.into_problem(path))?;
        progress.at(input.taken(), input.len);
    }
    reader.finish(&mut sink).map_err(|stop| stop.into_problem(path))
}

/// Why a page is not read further.
enum Stop {
    Parse(ParseError),
    Problem(Problem),
}

impl From<ParseError> for Stop {
    fn from(error: ParseError) -> Self {
        Stop::Parse(error)
    }
}

impl Stop {
    fn into_problem(self, path: &Path) -> Problem {
        match self {
            Stop::Problem(problem) => problem,
            Stop::Parse(error) => not_understood(path, error.line, &error.reason),
        }
    }
}

/// A file that is not what it should be. What came before is stored.
fn not_understood(path: &Path, line: usize, reason: &str) -> Problem {
    Problem::new(format!("{}:{line}: {reason}", path.display()))
        .hint("What comes before this line is stored; when it is mended, import all again: what is there counts once.")
}

struct PageSink<'a, 'b> {
    origin: &'a Path,
    batches: &'a mut Batches<'b>,
}

impl Sink for PageSink<'_, '_> {
    type Error = Stop;

    fn sample(&mut self, sample: Imported<'_>) -> Result<(), Stop> {
        let Some(timestamp) = sample.timestamp else {
            let reason = "the sample has no timestamp; an import needs one at every sample";
            return Err(Stop::Problem(not_understood(self.origin, sample.line, reason)));
        };
        let labels = sample.labels.iter().map(|(name, value)| (name.as_ref(), value.as_ref()));
        let exemplar = sample.exemplar_at(timestamp);
        let start = sample.start.unwrap_or(0);
        let one = OneSample { timestamp, start, value: sample.value, exemplar };
        self.batches.sample(sample.name, labels, one).map_err(Stop::Problem)
    }

    fn metadata(&mut self, metric: &str, metadata: &Metadata) {
        self.batches.metadata(metric, metadata);
    }
}

/// Reads a line into `line`, without its end; 0 at the end. A line over `limit` is an error.
fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>, limit: usize) -> std::io::Result<usize> {
    line.clear();
    let n = reader.take(limit as u64 + 1).read_until(b'\n', line)?;
    if n > limit {
        return Err(std::io::Error::other(format!("a line has more than {limit} bytes")));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(n)
}
