use std::path::Path;
use std::sync::mpsc::sync_channel;

use proptest::prelude::*;
use sonde_disk::MemFs;
use sonde_model::{Histogram, MatchOp};

use super::*;
use crate::{Batch, BatchSample, BatchValue, Options, SelectLimits, Source};

const HOUR: i64 = 3_600_000;
const NOW: i64 = 8 * HOUR;

fn open() -> Arc<Db> {
    Db::open(Arc::new(MemFs::new()), Path::new("/data"), Options::default(), NOW).expect("empty").0
}

fn append(db: &Db, host: &str, samples: impl Iterator<Item = (TimestampMs, BatchValue)>) {
    let series = db.series_ref(&[("__name__", "m"), ("host", host)]).expect("there is room");
    let sample = |(timestamp, value)| BatchSample { series, timestamp, value };
    let batch = Batch {
        source: Source::Rules,
        cursor: None,
        samples: samples.map(sample).collect(),
        starts: Vec::new(),
        metadata: Vec::new(),
        exemplars: Vec::new(),
    };
    let (sender, durable) = sync_channel(1);
    db.append(batch, NOW, move |result| sender.send(result).expect("waited for")).expect("taken");
    durable.recv().expect("an end").expect("durable");
}

fn any_host() -> [Matcher; 1] {
    [Matcher::new("host", MatchOp::Regex, ".+").expect("valid")]
}

/// Reads all with one series that is used again and again, as a thread of a query does.
fn read_all(selection: &Selection<'_>) -> Vec<Series> {
    let mut read = Series::default();
    read.floats.push(-1, 0.0);
    let mut all = Vec::new();
    for index in 0..selection.len() {
        selection.read(index, &mut read).expect("readable");
        if !(read.floats.is_empty() && read.histograms.is_empty()) {
            all.push(Series { labels: selection.labels(index).clone(), ..read.clone() });
        }
    }
    all
}

fn floats(from: i64, every: i64) -> impl Iterator<Item = (TimestampMs, BatchValue)> {
    (0..240).map(move |i| (from + i * every, BatchValue::Float((i * every % 97) as f64)))
}

#[test]
fn a_selection_ends_when_its_time_is_over() {
    let db = open();
    let hosts: Vec<String> = (0..2 * Patience::STEPS).map(|i| format!("host-{i}")).collect();
    hosts.iter().for_each(|host| append(&db, host, std::iter::once((HOUR, BatchValue::Float(1.0)))));
    let limits = SelectLimits::default();
    let patterns = ["host-.+", "host-.*1.*"].map(|p| [Matcher::new("host", MatchOp::Regex, p).expect("valid")]);
    for _ in ["in the head", "in a block"] {
        for matchers in patterns.iter().chain([&[Matcher::equal("__name__", "m")]]) {
            let found = |expired| db.selection(matchers, 0, NOW, TimedLimits { limits, expired }).map(|s| s.len());
            assert!(matches!(found(&|| true), Err(SelectError::Expired)), "{matchers:?}");
            assert!(found(&|| false).is_ok_and(|n| n > 2_000));
            let listed = db.series(matchers, 0, NOW, crate::ListLimits { limit: 1, expired: &|| true });
            assert!(matches!(listed, Err(SelectError::Expired)));
        }
        db.flush(NOW).expect("flushed");
    }
}

#[test]
fn what_was_selected_stays_as_it_was() {
    let db = open();
    append(&db, "a", floats(HOUR, 15_000));
    append(&db, "b", floats(2 * HOUR, 15_000));
    append(&db, "c", (0..50).map(|i| (HOUR + i * 60_000, BatchValue::Histogram(Box::default()))));
    db.flush(NOW).expect("flushed");
    append(&db, "a", floats(5 * HOUR, 15_000));
    append(&db, "d", floats(5 * HOUR, 15_000));
    let limits = SelectLimits { max_series: 10, max_samples: 10_000 };
    let selection = db.selection(&any_host(), 0, NOW, &limits).expect("readable");
    let counts: Vec<(usize, usize)> =
        read_all(&selection).iter().map(|s| (s.floats.len(), s.histograms.len())).collect();
    assert_eq!(counts, [(480, 0), (240, 0), (0, 50), (240, 0)]);
    let before = read_all(&selection);
    append(&db, "d", floats(6 * HOUR, 15_000));
    db.delete(vec![vec![Matcher::equal("host", "a")]], 0, NOW, NOW).expect("deleted");
    db.flush(NOW).expect("flushed");
    db.compact(NOW).expect("compacted");
    assert_eq!(read_all(&selection), before);
    let few = SelectLimits { max_series: 2, max_samples: 10_000 };
    let refused = db.selection(&any_host(), 0, NOW, &few);
    assert!(matches!(refused.err(), Some(SelectError::TooManySeries { limit: 2 })));
    let short =
        db.selection(&any_host(), 0, NOW, &SelectLimits { max_series: 10, max_samples: 239 }).expect("readable");
    let refused = short.read(0, &mut Series::default());
    assert!(matches!(refused, Err(SelectError::TooManySamples { limit: 239 })));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    /// What a part of the time gives is that part of what all of it gives, wherever it lies: in blocks, in the head, in
    /// its encoded blocks or behind them.
    #[test]
    fn a_range_is_a_part_of_the_whole(
        steps in prop::collection::vec((1i64..30_000, 0u8..12, 0u32..2000), 1..600),
        host in prop::collection::vec(0usize..3, 600),
        flushes in prop::collection::btree_set(0usize..20, 0..4),
        deleted in prop::option::of((0i64..600, 0i64..60)),
        ranges in prop::collection::vec((0i64..700, 0i64..700), 8),
    ) {
        let db = open();
        let mut time = HOUR;
        for (number, part) in steps.chunks(40).enumerate() {
            let mut of_host: [Vec<(TimestampMs, BatchValue)>; 3] = Default::default();
            for (i, (step, kind, value)) in part.iter().enumerate() {
                time += step;
                let value = match kind {
                    0 => BatchValue::Histogram(Box::new(Histogram { count: f64::from(*value), ..Histogram::default() })),
                    1..8 => BatchValue::Float(f64::from(*value) / 10.0),
                    _ => BatchValue::Float(7.0),
                };
                // Some are late.
                let at = if kind % 5 == 4 { time - 2 * step } else { time };
                of_host[host[number * 40 % 500 + i]].push((at, value));
            }
            for (name, samples) in ["a", "b", "c"].iter().zip(of_host) {
                let mut samples = samples;
                samples.sort_by_key(|(t, _)| *t);
                samples.dedup_by_key(|(t, _)| *t);
                append(&db, name, samples.into_iter());
            }
            if flushes.contains(&number) {
                db.flush(NOW).expect("flushed");
            }
        }
        let minute = |n: i64| HOUR + n * 15_000;
        if let Some((from, len)) = deleted {
            db.delete(vec![any_host().to_vec()], minute(from), minute(from + len), NOW).expect("deleted");
        }
        let limits = SelectLimits { max_series: 10, max_samples: 10_000 };
        let whole = read_all(&db.selection(&any_host(), i64::MIN, i64::MAX, &limits).expect("readable"));
        for (from, len) in ranges {
            let (from, to) = (minute(from), minute(from + len / 4));
            let expected: Vec<Series> = whole
                .iter()
                .map(|series| {
                    let mut columns =
                        Columns { floats: series.floats.clone(), histograms: series.histograms.clone() };
                    columns.restrict(from, to);
                    Series { labels: series.labels.clone(), floats: columns.floats, histograms: columns.histograms }
                })
                .filter(|series| !(series.floats.is_empty() && series.histograms.is_empty()))
                .collect();
            let selection = db.selection(&any_host(), from, to, &limits).expect("readable");
            prop_assert_eq!(read_all(&selection), expected, "{} to {}", from, to);
        }
    }
}
