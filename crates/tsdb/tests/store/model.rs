//! Random operations against a plain map: every answer of the store equals the map's, through flushes, merges,
//! retention, crashes and restarts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::MemFs;
use sonde_model::{Histogram, Labels, MatchOp, Matcher, Series, Span, stale_nan};
use sonde_tsdb::{Batch, BatchSample, BatchValue, Db, Options, RejectReason, RetentionClass, SelectLimits, Source};

use crate::support::*;

const SERIES: usize = 14;
const RETENTION: i64 = 3 * DAY;
/// A class of series that is kept for less.
const SHORT: (&str, &str) = ("zone", "z1");
const SHORT_RETENTION: i64 = DAY;
const IDLE: i64 = 20 * MINUTE;

#[derive(Clone, Debug, PartialEq)]
enum Value {
    Float(u64),
    Histogram(Histogram),
}

impl Value {
    fn is_stale(&self) -> bool {
        match self {
            Value::Float(bits) => *bits == sonde_model::STALE_NAN_BITS,
            Value::Histogram(h) => h.is_stale(),
        }
    }

    fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Float(a), Value::Float(b)) => a == b,
            (Value::Histogram(a), Value::Histogram(b)) => a.same_data(b) && a.reset_hint == b.reset_hint,
            _ => false,
        }
    }
}

/// What the map knows of a series.
#[derive(Clone, Debug, Default)]
struct Known {
    /// The samples, and whether each is in the head.
    samples: BTreeMap<i64, (Value, bool)>,
    /// The newest sample as the store remembers it.
    last: Option<(i64, Value)>,
    /// Whether the store has looked into its blocks for it.
    asked: bool,
}

#[derive(Clone, Debug, Default)]
struct Model {
    series: Vec<Known>,
    /// Samples accepted since the last flush: tells states apart that hold the same.
    accepted: u64,
}

enum Verdict {
    Accepted,
    Duplicate,
    Rejected(RejectReason),
}

fn labels_of(i: usize) -> Vec<(&'static str, String)> {
    let mut labels = vec![("__name__", format!("m{}", i % 3)), ("i", i.to_string())];
    if i.is_multiple_of(2) {
        labels.push(("zone", format!("z{}", i % 4)));
    }
    labels
}

/// The start timestamp that a sample is sent with: none, always the same, or one that changes now and then.
fn start_of(i: usize, t: i64) -> i64 {
    match i % 7 {
        0 | 2 => NOW - 1_000 * DAY,
        1 | 4 if t.rem_euclid(5 * HOUR) / 15_000 % 7 != 0 => t - t.rem_euclid(37 * MINUTE) - 1,
        _ => 0,
    }
}

/// The one that is kept: the sums of deltas, which the third series is made of, have none.
fn kept_start(i: usize, t: i64) -> i64 {
    if i % 7 == 2 { 0 } else { start_of(i, t) }
}

fn check_starts(series: &Series) {
    let i: usize = series.labels.get("i").and_then(|i| i.parse().ok()).expect("all series are numbered");
    let check = |timestamps: &[i64], starts: &[i64]| {
        let expected: Vec<i64> = timestamps.iter().map(|t| kept_start(i, *t)).collect();
        let any = expected.iter().any(|start| *start != 0);
        assert_eq!(starts, if any { expected.as_slice() } else { &[] }, "series {i} {timestamps:?}");
    };
    check(&series.floats.timestamps, &series.floats.starts);
    check(&series.histograms.timestamps, &series.histograms.starts);
}

fn histogram(n: u32) -> Histogram {
    Histogram {
        schema: 3,
        count: f64::from(n),
        sum: f64::from(n) * 1.5,
        zero_threshold: 0.001,
        positive_spans: vec![Span { offset: -2, length: 2 }],
        positive_buckets: vec![f64::from(n / 2), f64::from(n - n / 2)],
        ..Histogram::default()
    }
}

fn add(a: &Histogram, b: &Histogram) -> Histogram {
    let mut sum = a.clone();
    sum.count += b.count;
    sum.sum += b.sum;
    sum.positive_buckets.iter_mut().zip(&b.positive_buckets).for_each(|(x, y)| *x += y);
    sum
}

impl Model {
    fn judge(&mut self, source: Source, i: usize, t: i64, value: &BatchValue, now: i64) -> Verdict {
        if t > now + 10 * MINUTE {
            return Verdict::Rejected(RejectReason::TooFarAhead);
        }
        if t < now - RETENTION {
            return Verdict::Rejected(RejectReason::TooLate);
        }
        let known = &mut self.series[i];
        let delta = matches!(value, BatchValue::FloatDelta(_) | BatchValue::HistogramDelta(_));
        if delta && known.last.as_ref().is_some_and(|(l, _)| t <= *l) {
            return Verdict::Rejected(RejectReason::OutOfOrder);
        }
        let before = known.last.as_ref().map(|(_, v)| v).filter(|v| !v.is_stale());
        let value = match value {
            BatchValue::Float(v) => Value::Float(v.to_bits()),
            BatchValue::Histogram(h) => Value::Histogram((**h).clone()),
            BatchValue::FloatDelta(d) => match before {
                Some(Value::Float(bits)) => Value::Float((f64::from_bits(*bits) + d).to_bits()),
                _ => Value::Float(d.to_bits()),
            },
            BatchValue::HistogramDelta(d) => match before {
                Some(Value::Histogram(h)) => Value::Histogram(add(h, d)),
                _ => Value::Histogram((**d).clone()),
            },
        };
        let newest = known.last.as_ref().is_none_or(|(l, _)| t >= *l);
        let here = match &known.last {
            Some((l, v)) if t == *l => Some(v.clone()),
            Some((l, _)) if t < *l => {
                if source != Source::AgentLink && t < l - HOUR {
                    return Verdict::Rejected(RejectReason::TooLate);
                }
                known.samples.get(&t).filter(|(_, in_head)| *in_head).map(|(v, _)| v.clone())
            }
            _ => None,
        };
        match here {
            Some(here) if here.same(&value) => return Verdict::Duplicate,
            Some(_) if source != Source::Rules => return Verdict::Rejected(RejectReason::DuplicateTimestamp),
            _ => {}
        }
        known.samples.insert(t, (value.clone(), true));
        self.accepted += 1;
        if newest {
            known.last = Some((t, value));
        }
        Verdict::Accepted
    }

    /// Before deltas are judged the store looks up what they are added to.
    fn ask(&mut self, i: usize) {
        let known = &mut self.series[i];
        if !known.asked {
            known.asked = true;
            let stored = known.samples.last_key_value().map(|(t, (v, _))| (*t, v.clone()));
            if stored.as_ref().map(|(t, _)| *t) > known.last.as_ref().map(|(t, _)| *t) {
                known.last = stored;
            }
        }
    }

    fn flushed(&mut self, now: i64) {
        self.accepted = 0;
        for known in &mut self.series {
            known.samples.values_mut().for_each(|(_, in_head)| *in_head = false);
            if known.last.as_ref().is_none_or(|(t, v)| v.is_stale() || *t < now - IDLE) {
                (known.last, known.asked) = (None, false);
            }
        }
    }

    fn restarted(&mut self) {
        for known in &mut self.series {
            let in_head = known.samples.iter().rev().find(|(_, (_, in_head))| *in_head);
            known.last = in_head.map(|(t, (v, _))| (*t, v.clone()));
            known.asked = false;
        }
    }

    /// What is too old for its class may have gone: here it goes if it is not among what was found.
    fn expire(&mut self, found: &Content, now: i64) {
        for (i, known) in self.series.iter_mut().enumerate() {
            let labels = Labels::from_pairs(labels_of(i));
            let keep = if labels.get(SHORT.0) == Some(SHORT.1) { SHORT_RETENTION } else { RETENTION };
            let samples = found.get(&labels);
            known.samples.retain(|t, _| {
                let here = samples.is_some_and(|s| s.binary_search_by_key(t, |(t, _)| *t).is_ok());
                here || *t >= now - keep
            });
        }
    }

    fn select(&self, keep: impl Fn(&Labels) -> bool, from: i64, to: i64) -> BTreeMap<Labels, Vec<(i64, &Value)>> {
        let mut found = BTreeMap::new();
        for (i, known) in self.series.iter().enumerate() {
            let labels = Labels::from_pairs(labels_of(i));
            let samples: Vec<_> = known.samples.range(from..=to.max(from)).map(|(t, (v, _))| (*t, v)).collect();
            if keep(&labels) && !samples.is_empty() && from <= to {
                found.insert(labels, samples);
            }
        }
        found
    }
}

type Content = BTreeMap<Labels, Vec<(i64, Value)>>;

fn content(db: &Db, matchers: &[Matcher], from: i64, to: i64) -> Content {
    let mut all = Content::new();
    let found = select(db, matchers, from, to);
    assert!(found.windows(2).all(|w| w[0].labels < w[1].labels), "series are sorted");
    for series in found {
        check_starts(&series);
        let mut samples: BTreeMap<i64, Value> = BTreeMap::new();
        for (t, v) in series.floats.timestamps.iter().zip(&series.floats.values) {
            assert!(samples.insert(*t, Value::Float(v.to_bits())).is_none(), "a time comes twice");
        }
        for (t, h) in series.histograms.timestamps.iter().zip(series.histograms.values) {
            assert!(samples.insert(*t, Value::Histogram(h)).is_none(), "a time comes twice");
        }
        assert!(!samples.is_empty(), "{} has no samples", series.labels);
        all.insert(series.labels, samples.into_iter().collect());
    }
    all
}

/// The newest sample of each series, as a reader who wants no others gets it.
fn newest(db: &Db, matchers: &[Matcher], from: i64, to: i64) -> Content {
    let selection = db.newest_selection(matchers, from, to, &SelectLimits::default()).expect("the answer");
    let mut series = Series::default();
    let mut all = Content::new();
    for index in 0..selection.len() {
        selection.read(index, &mut series).expect("readable");
        let (floats, histograms) = (&series.floats, &series.histograms);
        let float = floats.timestamps.last().map(|t| (*t, Value::Float(floats.values[floats.len() - 1].to_bits())));
        let last = histograms.timestamps.last();
        let histogram = last.map(|t| (*t, Value::Histogram(histograms.values[histograms.len() - 1].clone())));
        let newest = float.into_iter().chain(histogram).max_by_key(|(t, _)| *t);
        all.extend(newest.map(|sample| (selection.labels(index).clone(), vec![sample])));
    }
    all
}

fn equal(found: &Content, expected: &BTreeMap<Labels, Vec<(i64, &Value)>>) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|((la, a), (lb, b))| {
            la == lb && a.len() == b.len() && a.iter().zip(b).all(|((t, v), (s, w))| t == s && v.same(w))
        })
}

struct Run {
    rng: fastrand::Rng,
    fs: MemFs,
    db: Arc<Db>,
    now: i64,
    model: Model,
    /// States that a crash may lead back to: the one that is durable, and one for each batch on its way.
    possible: Vec<Model>,
    waiting: Vec<Durable>,
}

fn options(rng: &mut fastrand::Rng) -> Options {
    Options {
        retention_ms: RETENTION,
        retention_classes: vec![RetentionClass {
            matchers: vec![Matcher::equal(SHORT.0, SHORT.1)],
            keep_ms: SHORT_RETENTION,
        }],
        retention_pause_ms: 1000 * DAY,
        idle_ms: IDLE,
        head_span_ms: i64::MAX,
        wal_segment_bytes: if rng.bool() { 6 << 10 } else { 64 << 20 },
        cache_bytes: if rng.bool() { 1 << 20 } else { 1 << 10 },
        ..Options::default()
    }
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let fs = MemFs::new();
        let (db, _) = open(Arc::new(fs.clone()), options(&mut rng));
        let model = Model { series: vec![Known::default(); SERIES], accepted: 0 };
        Run { rng, fs, db, now: NOW, possible: vec![model.clone()], model, waiting: Vec::new() }
    }

    fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..60 => self.append(),
            60..72 => self.query(),
            72..80 => self.now += self.rng.i64(0..30 * MINUTE),
            80..86 => {
                self.settle();
                self.db.flush(self.now).expect("the flush works");
                self.model.flushed(self.now);
                self.possible = vec![self.model.clone()];
            }
            86..90 => {
                self.settle();
                self.db.compact(self.now).expect("the merge works");
            }
            90..92 => self.retain(),
            92..94 => self.delete(),
            94..96 => self.restart(false),
            _ => self.restart(true),
        }
    }

    fn append(&mut self) {
        let source = [Source::Push, Source::Push, Source::AgentLink, Source::Rules][self.rng.usize(0..4)];
        let mut picked = Vec::new();
        for _ in 0..self.rng.usize(1..12) {
            let i = self.rng.usize(0..SERIES);
            let around = self.model.series[i].last.as_ref().map_or(self.now, |(t, _)| *t);
            let t = match self.rng.u32(0..10) {
                0..5 => around + self.rng.i64(0..3) * 15_000,
                5 => self.now + self.rng.i64(-5..5) * 15_000,
                6 => around - self.rng.i64(0..80) * MINUTE,
                7 => self.now - self.rng.i64(0..100) * HOUR,
                8 => self.now + self.rng.i64(0..12) * MINUTE,
                _ => around - self.rng.i64(0..20) * 15_000,
            };
            picked.push((i, t, self.value(i)));
        }
        let samples = picked.iter().map(|(i, t, value)| BatchSample {
            series: self.series(*i),
            timestamp: *t,
            value: value.clone(),
        });
        let samples = samples.collect();
        for (i, _, value) in &picked {
            if matches!(value, BatchValue::FloatDelta(_) | BatchValue::HistogramDelta(_)) {
                self.model.ask(*i);
            }
        }
        let (mut accepted, mut duplicates, mut rejected) = (0, 0, Vec::new());
        for (index, (i, t, value)) in picked.iter().enumerate() {
            match self.model.judge(source, *i, *t, value, self.now) {
                Verdict::Accepted => accepted += 1,
                Verdict::Duplicate => duplicates += 1,
                Verdict::Rejected(reason) => rejected.push((index as u32, reason)),
            }
        }
        // The stale markers of the third series are no deltas.
        let start = |i: usize, t, value: &BatchValue| match value {
            BatchValue::Float(_) if i % 7 == 2 => 0,
            _ => start_of(i, t),
        };
        let starts = picked.iter().map(|(i, t, value)| start(*i, *t, value)).collect();
        let batch = Batch { starts, ..batch(source, samples) };
        let (outcome, durable) = send(&self.db, batch, self.now).expect("the batch is taken");
        let found: Vec<_> = outcome.rejected.iter().map(|r| (r.index, r.reason)).collect();
        assert_eq!(
            (outcome.accepted, outcome.duplicates, found),
            (accepted, duplicates, rejected),
            "{source:?} {picked:?}"
        );
        self.possible.push(self.model.clone());
        self.waiting.push(durable);
        if self.rng.u32(0..3) == 0 {
            self.settle();
        }
    }

    fn value(&mut self, i: usize) -> BatchValue {
        let n = self.rng.u32(0..4);
        let kind = if i % 7 == 6 { self.rng.usize(0..7) } else { i % 7 };
        match (kind, self.rng.u32(0..12)) {
            (0..=3, 0) => BatchValue::Float(stale_nan()),
            (4 | 5, 0) => BatchValue::Histogram(Box::new(Histogram::stale())),
            (0, _) => BatchValue::Float(f64::from(n) / 10.0),
            (1, _) => BatchValue::Float(f64::from_bits(self.rng.u64(..))),
            (2 | 3, _) => BatchValue::FloatDelta(f64::from(n)),
            (4, _) => BatchValue::Histogram(Box::new(histogram(n))),
            _ => BatchValue::HistogramDelta(Box::new(histogram(n))),
        }
    }

    fn series(&self, i: usize) -> sonde_tsdb::SeriesRef {
        let labels = labels_of(i);
        let pairs: Vec<(&str, &str)> = labels.iter().map(|(n, v)| (*n, v.as_str())).collect();
        series(&self.db, &pairs)
    }

    fn settle(&mut self) {
        self.waiting.drain(..).for_each(|durable| wait(&durable).expect("the batch is durable"));
        self.possible = vec![self.model.clone()];
    }

    fn query(&mut self) {
        self.settle();
        let from = self.now - self.rng.i64(-10..120) * HOUR;
        let (from, to) = if self.rng.bool() { (i64::MIN, i64::MAX) } else { (from, from + self.rng.i64(0..50) * HOUR) };
        let (name, op, value) = [
            ("__name__", MatchOp::Equal, "m1"),
            ("i", MatchOp::Regex, "1.*"),
            ("i", MatchOp::NotRegex, "1|2|3"),
            ("zone", MatchOp::Equal, ""),
            ("zone", MatchOp::NotEqual, "z0"),
            ("zone", MatchOp::Regex, "z[02]"),
            ("i", MatchOp::Regex, ".+"),
        ][self.rng.usize(0..7)];
        let matcher = Matcher::new(name, op, value).expect("valid");
        let keep = |labels: &Labels| matcher.matches(labels.get(matcher.name()).unwrap_or(""));
        let found = content(&self.db, std::slice::from_ref(&matcher), from, to);
        let expected = self.model.select(keep, from, to);
        assert!(equal(&found, &expected), "{matcher} {from} {to}\n{found:?}\n{expected:?}");
        let mut expected_newest = expected.clone();
        expected_newest.values_mut().for_each(|samples| drop(samples.drain(..samples.len() - 1)));
        let found = newest(&self.db, std::slice::from_ref(&matcher), from, to);
        assert!(equal(&found, &expected_newest), "newest: {matcher} {from} {to}\n{found:?}\n{expected_newest:?}");
        if (from, to) == (i64::MIN, i64::MAX) {
            let listed = self.db.series(&[matcher], from, to, 1000).expect("the answer");
            assert!(listed.iter().eq(expected.keys()), "{listed:?}");
        }
    }

    /// What is durable by now goes, whatever comes later stays.
    fn delete(&mut self) {
        self.settle();
        let from = self.now - self.rng.i64(0..100) * HOUR;
        let (from, to) =
            if self.rng.u32(0..4) == 0 { (i64::MIN, i64::MAX) } else { (from, from + self.rng.i64(0..20) * HOUR) };
        let (name, value) = [("i", "1"), ("zone", "z2"), ("__name__", "m1")][self.rng.usize(0..3)];
        let matcher = Matcher::equal(name, value);
        self.db.delete(vec![vec![matcher.clone()]], from, to, self.now).expect("the delete works");
        self.model.flushed(self.now);
        for (i, known) in self.model.series.iter_mut().enumerate() {
            if matcher.matches(Labels::from_pairs(labels_of(i)).get(name).unwrap_or("")) {
                known.samples.retain(|t, _| !(from..=to).contains(t));
                if known.last.as_ref().is_some_and(|(t, _)| (from..=to).contains(t)) {
                    (known.last, known.asked) = (None, false);
                }
            }
        }
        self.possible = vec![self.model.clone()];
        if self.rng.bool() {
            self.db.clean_tombstones(self.now).expect("cleaning works");
        }
    }

    /// Whole blocks go, so that what is too old may stay or go; what is not must stay.
    fn retain(&mut self) {
        self.settle();
        let flushes = self.db.stats().flushes.load(Relaxed);
        self.db.maintain(self.now).expect("maintenance works");
        if self.db.stats().flushes.load(Relaxed) > flushes {
            self.model.flushed(self.now);
        }
        let found = content(&self.db, &all(), i64::MIN, i64::MAX);
        self.model.expire(&found, self.now);
        let expected = self.model.select(|_| true, i64::MIN, i64::MAX);
        assert!(equal(&found, &expected), "{found:?}\n{expected:?}");
        self.possible = vec![self.model.clone()];
    }

    fn restart(&mut self, crash: bool) {
        if crash {
            self.fs = self.fs.crash(self.rng.u64(..));
        } else {
            self.settle();
            self.db.close();
            self.fs = self.fs.fork();
        }
        self.waiting.clear();
        let (db, report) = open(Arc::new(self.fs.clone()), options(&mut self.rng));
        assert!(!report.is_damaged(), "{report:?}");
        self.db = db;
        let found = content(&self.db, &all(), i64::MIN, i64::MAX);
        // Opening hides what is too old for its class.
        self.possible.iter_mut().for_each(|model| model.expire(&found, self.now));
        let same = |m: &&Model| m.accepted == report.samples && equal(&found, &m.select(|_| true, i64::MIN, i64::MAX));
        let matching = self.possible.iter().find(same);
        let Some(matching) = matching else {
            let durable = self.possible[0].select(|_| true, i64::MIN, i64::MAX);
            panic!("what came back is no state that was possible\n{found:?}\nthe durable one:\n{durable:?}");
        };
        self.model = matching.clone();
        self.model.restarted();
        self.possible = vec![self.model.clone()];
    }
}

/// `SONDE_SEED=n` runs one seed alone.
#[test]
fn the_store_equals_a_map() {
    let seeds: Vec<u64> = match std::env::var("SONDE_SEED") {
        Ok(seed) => vec![seed.parse().expect("SONDE_SEED is a number")],
        Err(_) if std::env::var_os("SONDE_SOAK").is_some() => (0..500).collect(),
        Err(_) => (0..25).collect(),
    };
    for seed in seeds {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        (0..250).for_each(|_| run.step());
    }
}
