//! A store under test and short ways to use it.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use sonde_disk::Fs;
use sonde_model::{Labels, Matcher, Series};
use sonde_tsdb::{
    AppendError, Batch, BatchSample, BatchValue, Db, Error, OpenReport, Options, Outcome, SelectLimits, SeriesRef,
    Source,
};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const DAY: i64 = 24 * HOUR;
/// A point in time at which nothing special happens.
pub(crate) const NOW: i64 = 1_800_000_000_000;

/// How long a test waits for the disk before it is taken for stuck.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn open(fs: Arc<dyn Fs>, options: Options) -> (Arc<Db>, OpenReport) {
    Db::open(fs, Path::new("data"), options, NOW).expect("the store opens")
}

pub(crate) fn series(db: &Db, labels: &[(&str, &str)]) -> SeriesRef {
    db.series_ref(labels).expect("there is room")
}

pub(crate) fn float(series: SeriesRef, timestamp: i64, value: f64) -> BatchSample {
    BatchSample { series, timestamp, value: BatchValue::Float(value) }
}

pub(crate) fn batch(source: Source, samples: Vec<BatchSample>) -> Batch {
    Batch { source, cursor: None, samples, starts: Vec::new(), metadata: Vec::new(), exemplars: Vec::new() }
}

pub(crate) type Durable = Receiver<Result<(), Error>>;

/// Appends and gives what tells of durability.
pub(crate) fn send(db: &Db, batch: Batch, now: i64) -> Result<(Outcome, Durable), AppendError> {
    let (sender, receiver) = sync_channel(1);
    let outcome = db.append(batch, now, move |result| {
        // A test that has crashed the store no longer listens.
        let _ = sender.send(result);
    })?;
    Ok((outcome, receiver))
}

pub(crate) fn wait(durable: &Durable) -> Result<(), Error> {
    durable.recv_timeout(PATIENCE).expect("on_durable is called")
}

/// Appends and waits until it is durable.
pub(crate) fn append(db: &Db, batch: Batch, now: i64) -> Outcome {
    let (outcome, durable) = send(db, batch, now).expect("the batch is taken");
    wait(&durable).expect("the batch is durable");
    outcome
}

pub(crate) fn all() -> Vec<Matcher> {
    Vec::new()
}

pub(crate) fn select(db: &Db, matchers: &[Matcher], from: i64, to: i64) -> Vec<Series> {
    db.select(matchers, from, to, &SelectLimits::default()).expect("the answer")
}

/// The float samples of the one series with these labels.
pub(crate) fn floats(db: &Db, labels: &[(&str, &str)]) -> Vec<(i64, f64)> {
    let labels = Labels::from_pairs(labels.iter().copied());
    let found = select(db, &all(), i64::MIN, i64::MAX);
    let one = found.iter().find(|s| s.labels == labels);
    one.map(|s| s.floats.timestamps.iter().copied().zip(s.floats.values.iter().copied()).collect()).unwrap_or_default()
}
