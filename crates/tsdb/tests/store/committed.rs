//! What was committed is read in order, once, over flushes, starts and crashes, for as long as it is held.

use std::collections::BTreeMap;
use std::sync::Arc;

use sonde_disk::{Fs, MemFs};
use sonde_model::{Exemplar, Histogram, Labels, Matcher};
use sonde_tsdb::{
    Batch, BatchExemplar, BatchSample, BatchValue, Committed, CommittedReader, Db, Options, Position, Source,
};

use crate::support::*;

/// Reads all that is there: `name time value`, and what was skipped.
#[derive(Default)]
struct Sink {
    reader: Option<CommittedReader>,
    names: BTreeMap<u32, String>,
    lines: Vec<String>,
    skipped: u64,
}

impl Sink {
    fn new(db: &Db, from: Option<Position>) -> Self {
        Sink { reader: Some(db.committed(from)), ..Sink::default() }
    }

    /// Reads to the end, holds what it needs, and gives what was read since the last time.
    fn drain(&mut self, db: &Db) -> Vec<String> {
        let Sink { reader, names, lines, skipped } = self;
        let reader = reader.as_mut().expect("it was opened");
        loop {
            let step = reader.next(&mut |item| match item {
                Committed::Forget => names.clear(),
                Committed::Definition { slot, labels } => {
                    names.insert(slot, Labels::from_sorted(labels).to_string());
                }
                Committed::Float { slot, timestamp, start, value } => {
                    lines.push(format!("{} {} {value}{}", names[&slot], timestamp - NOW, since(start)));
                }
                Committed::Histogram { slot, timestamp, start, histogram } => {
                    let (name, at) = (&names[&slot], timestamp - NOW);
                    lines.push(format!("{name} {at} count {}{}", histogram.count, since(start)));
                }
                Committed::Exemplar { slot, exemplar } => {
                    lines.push(format!("{} {} exemplar {}", names[&slot], exemplar.timestamp - NOW, exemplar.labels));
                }
            });
            let Some(step) = step.expect("the log can be read") else { break };
            *skipped += step.skipped;
            db.hold_wal("sink", step.place).expect("it is cut");
        }
        std::mem::take(lines)
    }

    fn position(&self) -> Option<Position> {
        self.reader.as_ref().and_then(CommittedReader::position)
    }
}

fn since(start: i64) -> String {
    if start == 0 { String::new() } else { format!(" since {start}") }
}

fn put(db: &Db, name: &str, at: i64, value: f64) {
    let sample = float(series(db, &[("__name__", name)]), NOW + at, value);
    append(db, batch(Source::Push, vec![sample]), NOW);
}

fn lines(expected: &[&str]) -> Vec<String> {
    expected.iter().map(|line| (*line).to_owned()).collect()
}

#[test]
fn outcomes_come_in_order_over_flushes_and_starts() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs), Options::default());
    put(&db, "before", 0, 1.0);
    let mut sink = Sink::new(&db, None);
    db.hold_wal("sink", db.wal_start()).expect("it is held");
    assert_eq!(sink.drain(&db), lines(&[]), "only news were asked for");

    // A delta comes as the sum that it led to, with its exemplar.
    let calls = series(&db, &[("__name__", "calls")]);
    for (at, delta) in [(1, 2.0), (2, 3.0)] {
        let sample = BatchSample { series: calls, timestamp: NOW + at, value: BatchValue::FloatDelta(delta) };
        let labels = Labels::from_pairs([("trace_id", "t")]);
        let exemplar = Exemplar { labels, value: delta, timestamp: NOW + at };
        let exemplars = vec![BatchExemplar { series: calls, exemplar }];
        append(&db, Batch { exemplars, ..batch(Source::Push, vec![sample]) }, NOW);
    }
    let histogram = Box::new(Histogram { count: 7.0, zero_count: 7.0, ..Histogram::default() });
    let sizes = series(&db, &[("__name__", "sizes")]);
    let sample = BatchSample { series: sizes, timestamp: NOW + 3, value: BatchValue::Histogram(histogram) };
    append(&db, Batch { starts: vec![5], ..batch(Source::Push, vec![sample]) }, NOW);
    let told = vec![float(calls, NOW + 4, 6.0), float(series(&db, &[("__name__", "before")]), NOW + 4, 2.0)];
    append(&db, Batch { starts: vec![7, 0], ..batch(Source::Push, told) }, NOW);
    assert_eq!(
        sink.drain(&db),
        lines(&[
            "calls 1 2",
            r#"calls 1 exemplar {trace_id="t"}"#,
            "calls 2 5",
            r#"calls 2 exemplar {trace_id="t"}"#,
            "sizes 3 count 7 since 5",
            "calls 4 6 since 7",
            "before 4 2"
        ])
    );

    // A flush cuts the log as far as the sink has read, and no further.
    put(&db, "before", 5, 3.0);
    db.flush(NOW).expect("it works");
    put(&db, "before", 6, 4.0);
    db.flush(NOW).expect("it works");
    put(&db, "before", 7, 5.0);
    assert_eq!(sink.drain(&db), lines(&["before 5 3", "before 6 4", "before 7 5"]));
    let position = sink.position();

    drop((sink, db));
    let (db, report) = open(Arc::clone(&fs), Options::default());
    assert!(!report.is_damaged(), "{report:?}");
    db.hold_wal("sink", db.wal_start()).expect("it is held");
    put(&db, "after", 8, 6.0);
    let mut again = Sink::new(&db, position);
    assert_eq!(again.drain(&db), lines(&["after 8 6"]));
    assert_eq!((again.skipped, floats(&db, &[("__name__", "before")]).len()), (0, 5));
}

#[test]
fn what_a_sink_holds_for_too_long_is_cut_and_counted() {
    let options = Options { max_wal_hold_bytes: 1, ..Options::default() };
    let (db, _) = open(Arc::new(MemFs::new()), options);
    let mut sink = Sink::new(&db, None);
    db.hold_wal("sink", db.wal_start()).expect("it is held");
    assert_eq!(sink.drain(&db), lines(&[]));
    put(&db, "a", 1, 1.0);
    put(&db, "a", 2, 2.0);
    db.flush(NOW).expect("it works");
    put(&db, "a", 3, 3.0);
    assert_eq!(sink.drain(&db), lines(&["a 3 3"]));
    assert_eq!(sink.skipped, 2, "both samples");
    assert_eq!(db.stats().wal_holds_broken.load(std::sync::atomic::Ordering::Relaxed), 1);
    db.release_wal("sink").expect("it is cut");
}

#[test]
fn a_sink_that_asks_for_what_is_gone_breaks_nothing_again() {
    let options = Options { max_wal_hold_ms: 1_000, ..Options::default() };
    let (db, _) = open(Arc::new(MemFs::new()), options);
    let began = db.wal_start();
    db.hold_wal("sink", began).expect("it is held");
    for flush in 0..3 {
        put(&db, "a", flush, 1.0);
        db.flush(NOW + flush * 2_000).expect("it works");
    }
    let broken = || db.stats().wal_holds_broken.load(std::sync::atomic::Ordering::Relaxed);
    let before = broken();
    assert!(before > 0 && db.wal_start() > began);
    // It has sent now what it read long ago, and says so.
    for _ in 0..3 {
        db.hold_wal("sink", began).expect("it is held");
    }
    assert_eq!(broken(), before, "nothing more was cut");
}

#[test]
fn a_position_of_another_log_begins_where_this_one_ends() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    put(&db, "a", 1, 1.0);
    let mut sink = Sink::new(&db, Some(Position(1_000)));
    assert_eq!(sink.drain(&db), lines(&[]));
    put(&db, "a", 2, 2.0);
    assert_eq!(sink.drain(&db), lines(&["a 2 2"]));
    assert_eq!(sink.skipped, 0);
}

#[test]
fn exemplars_that_were_deleted_stay_deleted_where_the_log_still_has_them() {
    let fs: Arc<dyn Fs> = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs), Options::default());
    db.hold_wal("sink", db.wal_start()).expect("it is held");
    let calls = series(&db, &[("__name__", "calls")]);
    let exemplar = Exemplar { labels: Labels::from_pairs([("trace_id", "t")]), value: 1.0, timestamp: NOW };
    let exemplars = vec![BatchExemplar { series: calls, exemplar }];
    append(&db, Batch { exemplars, ..batch(Source::Push, vec![float(calls, NOW, 1.0)]) }, NOW);
    db.delete(vec![vec![Matcher::equal("__name__", "calls")]], i64::MIN, i64::MAX, NOW).expect("it works");
    put(&db, "calls", 1, 2.0);
    drop(db);
    let (db, _) = open(fs, Options::default());
    assert_eq!(db.exemplar_status().exemplars, 0);
    assert_eq!(floats(&db, &[("__name__", "calls")]), [(NOW + 1, 2.0)]);
}
