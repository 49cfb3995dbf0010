//! One promise a test, each small enough to read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::MemFs;
use sonde_model::{AgentId, BatchId, CursorVerdict, Histogram, MatchOp, Matcher, Signal, Span, stale_nan};
use sonde_tsdb::{
    AppendError, Batch, BatchSample, BatchValue, Db, Metadata, MetricKind, Options, RejectReason, SeriesLimit,
    SeriesRef, Source,
};

use crate::support::*;

const UP: &[(&str, &str)] = &[("__name__", "up"), ("job", "a")];

fn reasons(outcome: &sonde_tsdb::Outcome) -> Vec<RejectReason> {
    outcome.rejected.iter().map(|r| r.reason).collect()
}

#[test]
fn samples_survive_a_restart_a_flush_and_a_merge() {
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, Options::default());
    let mut expected = Vec::new();
    for round in 0..6i64 {
        let up = series(&db, UP);
        for i in 0..50 {
            let t = NOW + (round * 50 + i) * 15_000;
            append(&db, batch(Source::Push, vec![float(up, t, (t % 97) as f64 / 10.0)]), t);
            expected.push((t, (t % 97) as f64 / 10.0));
        }
        assert_eq!(floats(&db, UP), expected);
        db.flush(NOW + HOUR).unwrap();
        assert_eq!(floats(&db, UP), expected);
    }
    assert_eq!(db.status().blocks, 6);
    db.compact(NOW + HOUR).unwrap();
    assert_eq!((db.status().blocks, db.status().samples), (1, 0));
    assert_eq!(floats(&db, UP), expected);
    drop(db);
    let (db, report) = open(fs, Options::default());
    assert!(!report.is_damaged(), "{report:?}");
    assert_eq!((report.blocks, report.samples), (1, 0));
    assert_eq!(floats(&db, UP), expected);
}

#[test]
fn samples_are_judged() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    let up = series(&db, UP);
    let push = |samples| append(&db, batch(Source::Push, samples), NOW);
    assert_eq!(push(vec![float(up, NOW, 1.0), float(up, NOW, 1.0), float(up, NOW, 2.0)]).duplicates, 1);
    let outcome = push(vec![
        float(up, NOW + 11 * MINUTE, 1.0),
        float(up, NOW - 2 * HOUR, 1.0),
        float(up, NOW - 20 * DAY, 1.0),
        float(up, NOW - MINUTE, 5.0),
        float(up, NOW - MINUTE, 5.0),
        float(up, NOW - MINUTE, 6.0),
        BatchSample { series: up, timestamp: NOW - 2, value: BatchValue::FloatDelta(1.0) },
    ]);
    use RejectReason::{DuplicateTimestamp, OutOfOrder, TooFarAhead, TooLate};
    assert_eq!(reasons(&outcome), [TooFarAhead, TooLate, TooLate, DuplicateTimestamp, OutOfOrder]);
    assert_eq!((outcome.accepted, outcome.duplicates), (1, 1));
    let agent = append(&db, batch(Source::AgentLink, vec![float(up, NOW - 2 * HOUR, 1.0)]), NOW);
    assert_eq!(agent.accepted, 1);
    let rules = append(&db, batch(Source::Rules, vec![float(up, NOW, 7.0), float(up, NOW - MINUTE, 8.0)]), NOW);
    assert_eq!(rules.accepted, 2);
    assert_eq!(floats(&db, UP), [(NOW - 2 * HOUR, 1.0), (NOW - MINUTE, 8.0), (NOW, 7.0)]);
    assert_eq!(db.stats().rejected(TooLate), 2);
    assert_eq!(db.stats().late_samples.load(Relaxed), 3);
}

#[test]
fn deltas_add_up_across_flush_restart_and_eviction() {
    let fs = Arc::new(MemFs::new());
    let (mut db, _) = open(Arc::clone(&fs) as _, Options { idle_ms: 0, ..Options::default() });
    let delta = |series, timestamp, v| BatchSample { series, timestamp, value: BatchValue::FloatDelta(v) };
    let grow = |series, timestamp, n: f64| BatchSample {
        series,
        timestamp,
        value: BatchValue::HistogramDelta(Box::new(Histogram {
            count: n,
            sum: n,
            positive_spans: vec![Span { offset: n as i32, length: 1 }],
            positive_buckets: vec![n],
            ..Histogram::default()
        })),
    };
    let hist = &[("__name__", "h")];
    for i in 0..8 {
        let (c, h) = (series(&db, UP), series(&db, hist));
        let t = NOW + i * 1000;
        append(&db, batch(Source::Push, vec![delta(c, t, 2.5), grow(h, t, (i + 1) as f64)]), t);
        match i {
            2 | 6 => {
                db.flush(t + HOUR).unwrap();
                assert_eq!(db.status().series, 0, "both series are idle");
                let stale = send(&db, batch(Source::Push, vec![delta(c, t + 1, 1.0)]), t);
                assert_eq!(stale.unwrap_err(), AppendError::StaleRef);
            }
            4 => {
                drop(db);
                db = open(Arc::clone(&fs) as _, Options { idle_ms: 0, ..Options::default() }).0;
            }
            _ => {}
        }
    }
    assert_eq!(floats(&db, UP).last(), Some(&(NOW + 7000, 20.0)));
    let found = select(&db, &[Matcher::equal("__name__", "h")], i64::MIN, i64::MAX);
    let last = found[0].histograms.values.last().unwrap();
    assert_eq!((found[0].histograms.len(), last.count), (8, 36.0));
    assert_eq!(last.positive_buckets.iter().sum::<f64>(), 36.0);
}

#[test]
fn a_numbered_batch_is_taken_once() {
    let fs = Arc::new(MemFs::new());
    let (mut db, _) = open(Arc::clone(&fs) as _, Options::default());
    let id = |seq| BatchId { agent: AgentId([1; 16]), epoch: 1, signal: Signal::Metrics, seq };
    let numbered = |db: &sonde_tsdb::Db, seq: u64, checksum: u32| {
        let sample = float(series(db, UP), NOW + seq as i64, seq as f64);
        let batch = sonde_tsdb::Batch { cursor: Some((id(seq), checksum)), ..batch(Source::AgentLink, vec![sample]) };
        send(db, batch, NOW).map(|(outcome, durable)| {
            wait(&durable).unwrap();
            outcome.verdict
        })
    };
    for restart in 0..3u64 {
        let seq = restart + 1;
        assert_eq!(numbered(&db, seq, 7), Ok(CursorVerdict::New));
        for old in 1..=seq {
            assert_eq!(numbered(&db, old, 7), Ok(CursorVerdict::Duplicate));
            assert_eq!(numbered(&db, old, 8), Err(AppendError::CursorConflict { id: id(old) }));
        }
        if restart == 1 {
            db.flush(NOW).unwrap();
        }
        drop(db);
        db = open(Arc::clone(&fs) as _, Options::default()).0;
    }
    assert_eq!(floats(&db, UP).len(), 3);
    assert_eq!(db.cursors()[0].1.mark(), 3);
    // Numbers that never come, because an earlier life of this store took them, hold nobody up.
    for seq in [9_999, 10_000] {
        assert_eq!(numbered(&db, seq, 7), Ok(CursorVerdict::New));
    }
}

#[test]
fn the_newcomer_is_refused_when_the_head_is_full() {
    let (db, _) = open(Arc::new(MemFs::new()), Options { max_series: 2, ..Options::default() });
    let (a, b) = (series(&db, UP), series(&db, &[("__name__", "b")]));
    assert!(db.series_ref(&[("__name__", "c")]).is_err());
    assert_eq!(db.stats().series_refused.load(Relaxed), 1);
    append(&db, batch(Source::Push, vec![float(a, NOW, 1.0), float(b, NOW, stale_nan())]), NOW);
    db.flush(NOW).unwrap();
    // The stale series has made room, the other one goes on under its old ref.
    series(&db, &[("__name__", "c")]);
    append(&db, batch(Source::Push, vec![float(a, NOW + 1, 2.0)]), NOW);
    assert_eq!(floats(&db, UP), [(NOW, 1.0), (NOW + 1, 2.0)]);
}

#[test]
fn a_metric_and_an_agent_that_grow_without_bound_harm_nobody_else() {
    let options = Options { max_series_per_metric: Some(2), max_series_per_agent: Some(3), ..Options::default() };
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, options.clone());
    let (one, two) = (AgentId([1; 16]), AgentId([2; 16]));
    let bring = |db: &Db, agent, name: &str, id: &str| db.series_ref_of(agent, &[("__name__", name), ("id", id)]);
    let refs: Vec<_> = ["1", "2"].iter().map(|id| bring(&db, Some(one), "flood", id).unwrap()).collect();
    assert_eq!(bring(&db, Some(one), "flood", "3"), Err(SeriesLimit::Metric { limit: 2 }));
    assert_eq!(bring(&db, None, "flood", "4"), Err(SeriesLimit::Metric { limit: 2 }));
    assert_eq!(bring(&db, Some(two), "flood", "1"), Ok(refs[0]), "it is there already");
    let quiet = bring(&db, Some(one), "quiet", "1").unwrap();
    assert_eq!(bring(&db, Some(one), "quiet", "2"), Err(SeriesLimit::Agent { limit: 3 }));
    let other = bring(&db, Some(two), "quiet", "2").unwrap();
    let nobodys = bring(&db, None, "other", "1").unwrap();
    let stats = db.stats();
    let counted = [&stats.series_refused, &stats.series_refused_by_metric, &stats.series_refused_by_agent];
    assert_eq!(counted.map(|counter| counter.load(Relaxed)), [0, 2, 1]);
    let cardinality = db.cardinality(2);
    let named = |names: &[(&str, u64)]| names.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect::<Vec<_>>();
    assert_eq!(cardinality.metrics, named(&[("flood", 2), ("quiet", 2)]));
    assert_eq!(cardinality.label_values, named(&[("__name__", 3), ("id", 2)]));
    assert_eq!(cardinality.pairs[0], (("id".to_owned(), "1".to_owned()), 3));
    assert_eq!(cardinality.agents, [(one, 3), (two, 1)]);
    assert_eq!(cardinality.refused_metrics, named(&[("flood", 2), ("quiet", 1)]));
    assert_eq!(cardinality.refused_agents, [(one, 2)]);
    assert!(cardinality.label_bytes[0].1 > 0);

    // What ends makes room; what a batch of an agent defines is that agent's after a start, too.
    let mut samples: Vec<_> = refs.iter().map(|series| float(*series, NOW, stale_nan())).collect();
    samples.extend([quiet, other, nobodys].map(|series| float(series, NOW, 1.0)));
    append(&db, batch(Source::Push, samples), NOW);
    db.flush(NOW).unwrap();
    bring(&db, Some(one), "flood", "3").unwrap();
    bring(&db, Some(one), "flood", "4").unwrap();
    assert_eq!(bring(&db, Some(one), "more", "5"), Err(SeriesLimit::Agent { limit: 3 }));
    let id = BatchId { agent: one, epoch: 1, signal: Signal::Metrics, seq: 1 };
    let numbered = Batch { cursor: Some((id, 7)), ..batch(Source::AgentLink, vec![float(quiet, NOW + 1, 1.0)]) };
    append(&db, numbered, NOW);
    db.close();
    drop(db);
    let (db, _) = open(fs, options);
    assert_eq!(db.cardinality(9).agents, [(one, 1)]);
}

#[test]
fn labels_are_listed_from_head_and_blocks() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    let put = |labels: &[(&str, &str)], t: i64| {
        let sample = float(series(&db, labels), t, 1.0);
        append(&db, batch(Source::AgentLink, vec![sample]), NOW);
    };
    put(&[("__name__", "old"), ("zone", "x")], NOW - 2 * DAY);
    put(&[("__name__", "new"), ("host", "h")], NOW);
    series(&db, &[("__name__", "invisible"), ("never", "n")]);
    for _ in 0..2 {
        let names = |matchers: &[Matcher], from, to| db.label_names(matchers, from, to, 100).unwrap();
        assert_eq!(names(&[], i64::MIN, i64::MAX), ["__name__", "host", "zone"]);
        assert_eq!(names(&[], NOW - HOUR, NOW), ["__name__", "host"]);
        assert_eq!(names(&[Matcher::equal("zone", "x")], i64::MIN, i64::MAX), ["__name__", "zone"]);
        let values = |name, matchers: &[Matcher]| db.label_values(name, matchers, i64::MIN, i64::MAX, 100).unwrap();
        assert_eq!(values("__name__", &[]), ["new", "old"]);
        assert_eq!(values("__name__", &[Matcher::equal("host", "h")]), ["new"]);
        assert_eq!(values("nothing", &[]), [""; 0]);
        assert_eq!(db.label_values("__name__", &[], i64::MIN, i64::MAX, 1).unwrap(), ["new"]);
        let old = Matcher::new("__name__", MatchOp::Regex, "o.*").unwrap();
        assert_eq!(db.series(&[old], i64::MIN, i64::MAX, 10).unwrap()[0].to_string(), "old{zone=\"x\"}");
        assert_eq!(db.series(&[], NOW, NOW, 10).unwrap().len(), 1);
        db.flush(NOW).unwrap();
    }
}

#[test]
fn metadata_is_kept() {
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, Options { max_metadata: 2, ..Options::default() });
    let entry = |help: &str| Metadata { kind: MetricKind::Gauge, help: help.to_owned(), unit: "s".to_owned() };
    let put = |name: &str, help: &str| {
        let metadata = vec![(name.to_owned(), entry(help))];
        append(&db, sonde_tsdb::Batch { metadata, ..batch(Source::Push, Vec::new()) }, NOW);
    };
    put("a", "first");
    put("b", "second");
    put("c", "too many");
    put("a", "changed");
    let up = series(&db, UP);
    append(&db, batch(Source::Push, vec![float(up, NOW, 1.0)]), NOW);
    db.flush(NOW).unwrap();
    drop(db);
    let (db, _) = open(fs, Options::default());
    let expected = [("a".to_owned(), entry("changed")), ("b".to_owned(), entry("second"))];
    assert_eq!(db.metadata(None, 10), expected);
    assert_eq!(db.metadata(Some("b"), 10), expected[1..]);
}

#[test]
fn what_is_said_of_a_metric_is_bounded() {
    let (db, _) = open(Arc::new(MemFs::new()) as _, Options::default());
    let long = format!("{}é", "x".repeat(Metadata::MAX_TEXT_BYTES - 1));
    let entry = Metadata { kind: MetricKind::Gauge, help: long.repeat(3), unit: long.clone() };
    let metadata = vec![("a".to_owned(), entry.clone()), (long.clone(), entry)];
    append(&db, sonde_tsdb::Batch { metadata, ..batch(Source::Push, Vec::new()) }, NOW);
    let known = db.metadata(None, 10);
    let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a"]);
    let cut = long[..Metadata::MAX_TEXT_BYTES - 1].to_owned();
    assert_eq!((&known[0].1.help, &known[0].1.unit), (&cut, &cut));
}

#[test]
fn metadata_on_its_way_outlives_a_flush() {
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, Options::default());
    // The WAL's thread is held in the callback of the first batch, so that the second is not applied.
    let (hold, held) = std::sync::mpsc::sync_channel::<()>(0);
    let (reached_sender, reached) = std::sync::mpsc::sync_channel(1);
    let first = batch(Source::Push, vec![float(series(&db, UP), NOW, 1.0)]);
    db.append(first, NOW, move |_| {
        reached_sender.send(()).unwrap();
        held.recv().unwrap();
    })
    .unwrap();
    reached.recv().unwrap();
    let entry = Metadata { kind: MetricKind::Gauge, help: "is it up?".to_owned(), unit: String::new() };
    let metadata = vec![("up".to_owned(), entry.clone())];
    let (_, durable) =
        send(&db, sonde_tsdb::Batch { metadata, ..batch(Source::Push, Vec::new()) }, NOW).expect("the batch is taken");
    let pending = || db.wal_stats().pending_bytes.load(std::sync::atomic::Ordering::Relaxed);
    let before = pending();
    std::thread::scope(|scope| {
        let flush = scope.spawn(|| db.flush(NOW));
        // The checkpoint waits behind the batch.
        while pending() == before && !flush.is_finished() {
            std::thread::yield_now();
        }
        hold.send(()).unwrap();
        flush.join().unwrap().unwrap();
    });
    wait(&durable).unwrap();
    drop(db);
    assert_eq!(open(fs, Options::default()).0.metadata(None, 10), [("up".to_owned(), entry)]);
}

#[test]
fn retention_drops_whole_blocks_and_pauses_when_the_clock_leaps() {
    let options = Options { retention_ms: 10 * DAY, ..Options::default() };
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, options.clone());
    let up = series(&db, UP);
    for day in 0..5 {
        let t = NOW + day * DAY;
        append(&db, batch(Source::Push, vec![float(up, t, 1.0)]), t);
    }
    db.flush(NOW + 4 * DAY).unwrap();
    assert_eq!(db.status().blocks, 5);
    // The clock leaps by a week, and then by a month more: what comes with the old time is taken all the same.
    db.maintain(NOW + 12 * DAY).unwrap();
    assert_eq!((db.status().blocks, db.status().retention_paused), (5, true));
    let up = series(&db, UP);
    let old = append(&db, batch(Source::AgentLink, vec![float(up, NOW + 4 * DAY + 1, 1.0)]), NOW + 42 * DAY);
    assert_eq!(old.accepted, 1);
    // Samples of the leapt time prove nothing, nor does a restart.
    append(&db, batch(Source::Push, vec![float(up, NOW + 12 * DAY, 1.0)]), NOW + 12 * DAY);
    db.maintain(NOW + 12 * DAY).unwrap();
    assert_eq!((db.status().blocks, db.status().retention_paused), (5, true));
    drop(db);
    let (db, _) = Db::open(fs, Path::new("data"), options, NOW + 12 * DAY).unwrap();
    db.maintain(NOW + 12 * DAY).unwrap();
    assert_eq!((db.status().blocks, db.status().retention_paused), (5, true));
    // A day during which the clock runs on does.
    for minute in 0..=DAY / MINUTE {
        db.maintain(NOW + 12 * DAY + minute * MINUTE).unwrap();
    }
    assert!(!db.status().retention_paused);
    let left: Vec<i64> = floats(&db, UP).iter().map(|(t, _)| (t - NOW) / DAY).collect();
    assert_eq!(left, [3, 4, 4, 12]);
    assert_eq!(db.stats().blocks_expired.load(Relaxed), 3);
}

#[test]
fn reads_are_bounded() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    for i in 0..5 {
        let one = series(&db, &[("__name__", "m"), ("i", &i.to_string())]);
        append(&db, batch(Source::Push, (0..10).map(|t| float(one, NOW + t, 1.0)).collect()), NOW);
    }
    let limited = |max_series, max_samples| {
        let limits = sonde_tsdb::SelectLimits { max_series, max_samples };
        db.select(&all(), i64::MIN, i64::MAX, &limits).map(|s| s.len()).map_err(|e| e.to_string())
    };
    for _ in 0..2 {
        assert_eq!(limited(5, 50), Ok(5));
        assert!(limited(4, 50).unwrap_err().starts_with("more than 4 series"));
        assert!(limited(5, 49).unwrap_err().starts_with("more than 49 samples"));
        db.flush(NOW).unwrap();
    }
}

#[test]
fn a_head_crowded_with_series_that_ended_is_flushed() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    let all: Vec<SeriesRef> =
        (0..60_000).map(|i| series(&db, &[("__name__", "up"), ("pod", &format!("p{i}"))])).collect();
    let at = |t: i64, value: f64, some: &[SeriesRef]| {
        append(&db, batch(Source::Push, some.iter().map(|s| float(*s, t, value)).collect()), NOW);
    };
    at(NOW - 2, 1.0, &all);
    at(NOW - 1, stale_nan(), &all[..49_999]);
    assert!(!db.is_crowded());
    at(NOW - 1, stale_nan(), &all[49_999..50_000]);
    assert!(db.is_crowded());
    db.maintain(NOW).unwrap();
    assert_eq!((db.status().series, db.status().blocks, db.is_crowded()), (10_000, 1, false));
    assert!(!db.is_current(all[0]) && db.is_current(all[59_999]));
}
