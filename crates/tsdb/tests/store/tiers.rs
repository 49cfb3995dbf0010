//! Downsampled tiers: what they answer when the store has nothing any more, and that nothing goes before they have it.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::{FaultFs, Fs, MemFs};
use sonde_model::{Histogram, Labels, Matcher, STALE_NAN_BITS, Series, is_stale};
use sonde_tsdb::examine::Examiner;
use sonde_tsdb::{
    BatchSample, BatchValue, Db, Joined, Options, Resolution, RetentionClass, SelectLimits, Source, TierOptions,
};

use crate::support::*;

/// The beginning of a day.
const START: i64 = NOW / DAY * DAY;
const EVERY: i64 = 10 * MINUTE;

const GAUGE: &[(&str, &str)] = &[("__name__", "temperature"), ("job", "web")];
const COUNTER: &[(&str, &str)] = &[("__name__", "requests_total"), ("job", "web")];
const DEBUG: &[(&str, &str)] = &[("__name__", "calls"), ("job", "debug")];
const LATENCY: &[(&str, &str)] = &[("__name__", "latency"), ("job", "web")];

fn options() -> Options {
    Options {
        retention_ms: 4 * DAY,
        retention_pause_ms: i64::MAX,
        tiers: vec![
            TierOptions { step_ms: 6 * HOUR, keep_ms: 200 * DAY },
            TierOptions { step_ms: HOUR, keep_ms: 12 * DAY },
        ],
        ..Options::default()
    }
}

/// The labels of a series.
type Pairs = &'static [(&'static str, &'static str)];

/// A store and all samples that it was given.
struct Life {
    mem: MemFs,
    db: Arc<Db>,
    options: Options,
    now: i64,
    rng: fastrand::Rng,
    counter: f64,
    model: BTreeMap<Pairs, BTreeMap<i64, f64>>,
}

impl Life {
    fn new(options: Options, seed: u64) -> Self {
        let mem = MemFs::new();
        let (db, _) = Db::open(Arc::new(mem.clone()), Path::new("data"), options.clone(), START).expect("it opens");
        let rng = fastrand::Rng::with_seed(seed);
        Life { mem, db, options, now: START, rng, counter: 0.0, model: BTreeMap::new() }
    }

    fn put(&mut self, samples: &[(Pairs, i64, f64)]) {
        let of = |(labels, t, v): &(Pairs, i64, f64)| float(series(&self.db, labels), *t, *v);
        let outcome = append(&self.db, batch(Source::AgentLink, samples.iter().map(of).collect()), self.now);
        assert_eq!(outcome.rejected, []);
        for (labels, t, v) in samples {
            self.model.entry(labels).or_default().insert(*t, *v);
        }
    }

    /// Lives on for so many days: samples every ten minutes, maintenance every two hours.
    fn live(&mut self, days: i64) {
        for i in 1..=days * (DAY / EVERY) {
            self.now += EVERY;
            let now = self.now;
            self.counter = if self.rng.u32(..400) == 0 { 0.0 } else { self.counter + f64::from(self.rng.u32(..50)) };
            let gauge = match self.rng.u32(..150) {
                0 => f64::from_bits(STALE_NAN_BITS),
                n => f64::from(n % 83) - 40.0,
            };
            let counter = self.counter;
            self.put(&[(GAUGE, now, gauge), (COUNTER, now, counter), (DEBUG, now, 1.0)]);
            let mut histogram =
                Histogram { count: counter, sum: 2.0 * counter, zero_count: counter, ..Histogram::default() };
            histogram.schema = 0;
            let value = BatchValue::Histogram(Box::new(histogram));
            let sample = BatchSample { series: series(&self.db, LATENCY), timestamp: now, value };
            assert_eq!(append(&self.db, batch(Source::AgentLink, vec![sample]), now).rejected, []);
            if i % 12 == 0 {
                self.db.maintain(now).expect("maintenance works");
            }
        }
    }

    fn restart(&mut self, crash: Option<u64>) {
        let old = std::mem::replace(
            &mut self.db,
            Db::open(Arc::new(MemFs::new()), Path::new("other"), Options::default(), START).expect("another").0,
        );
        old.close();
        drop(old);
        if let Some(seed) = crash {
            self.mem = self.mem.crash(seed);
        }
        let (db, report) =
            Db::open(Arc::new(self.mem.clone()), Path::new("data"), self.options.clone(), self.now).expect("it opens");
        assert!(!report.is_damaged(), "{report:?}");
        self.db = db;
    }

    fn joined(&self, resolution: Resolution, from: i64, to: i64) -> Joined {
        self.db.select_joined(&[], (from, to), resolution, &SelectLimits::default()).expect("the answer")
    }

    /// What is left of all samples of a series since `from` is as it was, and windows of `step` answer as they did.
    fn check(&self, labels: Pairs, resolution: Resolution, (from, to): (i64, i64), step: i64) {
        let found = self.joined(resolution, i64::MIN, self.now).series;
        let found = found.iter().find(|s| s.labels == Labels::from_pairs(labels.iter().copied()));
        let found: BTreeMap<i64, f64> = found.map(of_series).unwrap_or_default();
        let model = &self.model[labels];
        for (t, v) in &found {
            assert_eq!(model.get(t).map(|v| v.to_bits()), Some(v.to_bits()), "{labels:?} at {t}");
        }
        let mut at = from.div_euclid(step) * step;
        while at < from {
            at += step;
        }
        assert!(at + 24 * step <= to, "the range is worth it");
        while at + step <= to {
            for width in [step, 3 * step, 24 * step] {
                if at + width <= to {
                    assert_eq!(facts(&found, at, at + width), facts(model, at, at + width), "{labels:?} {at} {width}");
                }
            }
            at += step;
        }
    }
}

/// Stale markers are not equal to themselves.
fn text(series: &[Series]) -> String {
    format!("{series:?}")
}

fn of_series(series: &Series) -> BTreeMap<i64, f64> {
    series.floats.timestamps.iter().copied().zip(series.floats.values.iter().copied()).collect()
}

#[derive(Debug, PartialEq)]
struct Facts {
    first: Option<(i64, f64)>,
    last: Option<(i64, f64)>,
    min: f64,
    max: f64,
}

/// What range functions make of the samples after `from` up to `to`.
fn facts(samples: &BTreeMap<i64, f64>, from: i64, to: i64) -> Facts {
    let seen: Vec<(i64, f64)> =
        samples.range(from + 1..=to).map(|(t, v)| (*t, *v)).filter(|(_, v)| !is_stale(*v)).collect();
    Facts {
        first: seen.first().copied(),
        last: seen.last().copied(),
        min: seen.iter().map(|(_, v)| *v).fold(f64::INFINITY, f64::min),
        max: seen.iter().map(|(_, v)| *v).fold(f64::NEG_INFINITY, f64::max),
    }
}

fn increase(samples: &BTreeMap<i64, f64>, from: i64, to: i64) -> f64 {
    let seen: Vec<f64> = samples.range(from + 1..=to).map(|(_, v)| *v).collect();
    seen.windows(2).map(|w| if w[1] < w[0] { w[1] } else { w[1] - w[0] }).sum()
}

#[test]
fn old_windows_are_answered_as_when_they_were_new() {
    for seed in 0..3 {
        println!("seed {seed}");
        let mut life = Life::new(options(), seed);
        for _ in 0..6 {
            life.live(3);
            // An agent was away: what it brings is of a day that was fed.
            let late = life.now - 2 * DAY - 7 * MINUTE;
            life.put(&[(GAUGE, late, -1000.0)]);
        }
        life.live(5);
        let (now, db) = (life.now, Arc::clone(&life.db));
        assert!(db.status().block_min_time.expect("blocks") > now - 6 * DAY, "the store itself has dropped it");
        assert!(db.stats().tier_feeds.load(Relaxed) >= 2 * 15 && db.stats().tier_feed_failures.load(Relaxed) == 0);
        for labels in [GAUGE, COUNTER, DEBUG] {
            life.check(labels, Resolution::Auto, (now - 11 * DAY, now), HOUR);
            life.check(labels, Resolution::Auto, (START, now), 6 * HOUR);
            life.check(labels, Resolution::UpTo(HOUR), (now - 11 * DAY, now), HOUR);
            life.check(labels, Resolution::UpTo(DAY), (START, now), 6 * HOUR);
        }
        let found = life.joined(Resolution::Auto, START, now);
        let counter =
            found.series.iter().find(|s| s.labels.metric_name() == "requests_total").map(of_series).expect("there");
        let all = increase(&life.model[COUNTER], START, now);
        assert_eq!(increase(&counter, START, now), all, "no reset is lost");
        let latency = found.series.iter().find(|s| s.labels.metric_name() == "latency").expect("there");
        let counts: BTreeMap<i64, f64> = latency
            .histograms
            .timestamps
            .iter()
            .copied()
            .zip(latency.histograms.values.iter().map(|h| h.count))
            .collect();
        assert_eq!(increase(&counts, START, now), all, "nor one of histograms");
        assert!(counts.keys().all(|t| counter.contains_key(t)), "which are thinned as counters are");

        // Which tier it came from is told, and that the rest came from none.
        let steps: Vec<i64> = found.tiers.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [HOUR, 6 * HOUR]);
        assert!(found.tiers[0].1 > found.tiers[1].1 && found.tiers[0].1 < now - 3 * DAY);
        assert_eq!(life.joined(Resolution::Auto, now - 2 * DAY, now).tiers, []);
        let raw = life.joined(Resolution::Raw, START, now);
        assert!(raw.tiers.is_empty() && raw.series[0].floats.timestamps.first().is_some_and(|t| *t > now - 6 * DAY));
        assert_eq!(text(&select(&db, &[], START, now)), text(&raw.series));
        let asked = life.joined(Resolution::UpTo(HOUR), now - 3 * DAY, now - 2 * DAY);
        assert_eq!(asked.tiers.len(), 1, "what the store still has is read from the tier where that is asked for");
        assert!(asked.series[0].floats.len() < 24 * 5);
    }
}

#[test]
fn a_crash_anywhere_loses_nothing_and_what_is_fed_twice_is_the_same() {
    let mut life = Life::new(options(), 7);
    for crash in 0..14 {
        life.live(1);
        life.restart(Some(crash));
    }
    let before = life.joined(Resolution::Auto, START, life.now);
    life.check(GAUGE, Resolution::Auto, (life.now - 11 * DAY, life.now), HOUR);
    life.check(COUNTER, Resolution::Auto, (START, life.now), 6 * HOUR);
    // As after a crash between the block and the note about it, for all days.
    for tier in ["3600s", "21600s"] {
        life.mem.remove_file(&Path::new("data/tiers").join(tier).join("fed")).expect("it is there");
    }
    life.restart(None);
    let fed = |life: &Life| life.db.stats().tier_feeds.load(Relaxed);
    (0..20).for_each(|_| life.db.maintain(life.now).expect("maintenance works"));
    assert!(fed(&life) >= 2 * 3, "{}", fed(&life));
    let after = life.joined(Resolution::Auto, START, life.now);
    assert_eq!((text(&after.series), after.tiers), (text(&before.series), before.tiers));
    assert!(text(&before.series).contains("NaN"), "stale markers, too");
    let again = fed(&life);
    life.restart(None);
    (0..20).for_each(|_| life.db.maintain(life.now).expect("maintenance works"));
    assert_eq!(fed(&life), 0, "{again} days were fed before, and none again");
}

#[test]
fn a_fault_anywhere_in_feeding_and_dropping_loses_nothing() {
    let options = Options { tiers: vec![TierOptions { step_ms: HOUR, keep_ms: 60 * DAY }], ..options() };
    let mut life = Life::new(options.clone(), 11);
    life.live(5);
    life.now += 30 * HOUR;
    let (base, now) = (life.mem.crash(0), life.now);
    base.remove_file(Path::new("data/tiers/3600s/fed")).expect("it is there");
    let mut injected = 0;
    for skip in 0..90 {
        let fs = FaultFs::new(base.crash(skip), skip);
        let path = Path::new("data");
        let (db, _) = Db::open(Arc::new(fs.clone()), path, options.clone(), now).expect("it opens");
        fs.fail(None, skip, 1, ErrorKind::Other);
        // A failure is told, and what comes next is done nevertheless; then the power goes.
        (0..4).for_each(|i| drop(db.maintain(now + 2 * i * MINUTE)));
        injected += fs.injected();
        drop(db);
        life.mem = fs.mem().crash(skip);
        let (db, report) = Db::open(Arc::new(life.mem.clone()), path, options.clone(), now).expect("it opens");
        assert!(!report.is_damaged(), "fault {skip}: {report:?}");
        (0..12).for_each(|i| db.maintain(now + (5 + i) * MINUTE).expect("maintenance works"));
        assert!(db.status().block_min_time.expect("blocks") > START + DAY, "fault {skip}: old blocks go");
        assert_eq!(db.stats().tier_blocks_missed.load(Relaxed), 0);
        life.db = db;
        for labels in [GAUGE, COUNTER] {
            life.check(labels, Resolution::Auto, (START, now), HOUR);
        }
    }
    assert!(injected > 60, "{injected}");
}

#[test]
fn blocks_wait_for_a_tier_but_not_for_ever() {
    let mut life = Life::new(Options { tiers: vec![TierOptions { step_ms: HOUR, keep_ms: 60 * DAY }], ..options() }, 3);
    life.live(1);
    // Where the blocks of the tier should be written, something lies already.
    for number in 1..2_000 {
        let path = format!("data/tiers/3600s/blocks/{number:016x}.block");
        let _ = life.mem.create(Path::new(&path));
    }
    life.live(4);
    let oldest = |life: &Life| life.db.status().block_min_time.expect("blocks");
    let missed = |life: &Life| life.db.stats().tier_blocks_missed.load(Relaxed);
    life.now += 12 * HOUR;
    life.db.maintain(life.now).expect("maintenance works");
    assert!(oldest(&life) < START + DAY && oldest(&life) < life.now - 4 * DAY - 11 * HOUR, "it waits");
    assert!(life.db.stats().tier_feed_failures.load(Relaxed) > 10);
    assert_eq!(missed(&life), 0);
    life.now += 13 * HOUR;
    life.db.maintain(life.now).expect("maintenance works");
    assert!(oldest(&life) > START + 30 * MINUTE && missed(&life) > 0, "for a day");
    for number in 1..2_000 {
        let path = format!("data/tiers/3600s/blocks/{number:016x}.block");
        let _ = life.mem.remove_file(Path::new(&path));
    }
    let (feeds, before) = (life.db.stats().tier_feeds.load(Relaxed), missed(&life));
    life.now += MINUTE;
    life.db.maintain(life.now).expect("maintenance works");
    assert!(life.db.stats().tier_feeds.load(Relaxed) > feeds);
    life.now += DAY;
    life.db.maintain(life.now).expect("maintenance works");
    assert_eq!(missed(&life), before, "and nothing is missed any more");
}

#[test]
fn deletes_snapshots_and_classes_cover_tiers() {
    let debug = RetentionClass { matchers: vec![Matcher::equal("job", "debug")], keep_ms: 2 * DAY };
    let mut life = Life::new(Options { retention_classes: vec![debug], ..options() }, 5);
    life.live(9);
    let (now, all) = (life.now, Labels::from_pairs(GAUGE.iter().copied()));
    let gauge = |db: &Db| {
        let found =
            db.select_joined(&[], (i64::MIN, now), Resolution::Auto, &SelectLimits::default()).expect("the answer");
        found.series.iter().find(|s| s.labels == all).map(of_series).unwrap_or_default()
    };
    let found = life.joined(Resolution::Auto, START, now - 3 * DAY - 2 * HOUR).series;
    assert!(!found.iter().any(|s| s.labels.get("job") == Some("debug")), "what goes early goes from tiers as early");
    let (from, to) = (START + DAY, now - DAY);
    life.db.snapshot(Path::new("copy"), now).expect("a snapshot");
    let before = gauge(&life.db);
    life.db.delete(vec![vec![Matcher::equal("__name__", "temperature")]], from, to, now).expect("deleted");
    let left: BTreeMap<i64, f64> =
        before.iter().filter(|(t, _)| !(from..=to).contains(*t)).map(|(t, v)| (*t, *v)).collect();
    let bits = |samples: &BTreeMap<i64, f64>| samples.iter().map(|(t, v)| (*t, v.to_bits())).collect::<Vec<_>>();
    assert!(left.len() < before.len() && !left.is_empty());
    assert_eq!(bits(&gauge(&life.db)), bits(&left));
    life.db.clean_tombstones(now).expect("cleaned");
    life.db.compact(now).expect("compacted");
    life.restart(Some(1));
    (0..20).for_each(|_| life.db.maintain(now).expect("maintenance works"));
    assert_eq!(bits(&gauge(&life.db)), bits(&left), "nor does feeding bring it back");
    let (copy, report) =
        Db::open(Arc::new(life.mem.clone()), Path::new("copy"), life.options.clone(), now).expect("it opens");
    assert!(!report.is_damaged());
    assert_eq!(bits(&gauge(&copy)), bits(&before));
}

#[test]
fn steps_must_fill_a_day() {
    let tiers = vec![TierOptions { step_ms: 7 * HOUR, keep_ms: DAY }];
    let opened = Db::open(Arc::new(MemFs::new()), Path::new("data"), Options { tiers, ..Options::default() }, NOW);
    assert_eq!(
        opened.expect_err("no store").to_string(),
        "a tier with steps of 25200000 ms: a day must be a multiple of the step"
    );
}

#[test]
fn a_look_at_a_store_goes_down_into_its_tiers() {
    let mut life = Life::new(options(), 11);
    life.live(8);
    life.db.close();
    let Life { mem, db, .. } = life;
    drop(db);
    let examine = |mem: &MemFs| Examiner::open(Arc::new(mem.clone()), Path::new("data")).expect("it is there");
    let (mut told, mut total) = (0, 0);
    let inspection = examine(&mem).inspect(&mut |done, all| (told, total) = (done, all)).expect("memory");
    assert!(total > 0 && told == total, "{told} of {total}");
    let names: Vec<&str> = inspection.tiers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["21600s", "3600s"]);
    for (name, tier) in &inspection.tiers {
        assert!(tier.blocks.iter().map(|block| block.samples).sum::<u64>() > 50, "{name}: {tier:?}");
        assert!(tier.files.iter().any(|(file, _)| file == "fed"), "{name}: {tier:?}");
    }
    let sound = examine(&mem).verify(&mut |_, _| {}).expect("memory");
    assert!(sound.is_sound(), "{:?}", sound.damage);
    assert!(sound.blocks > inspection.blocks.len() as u64);
    let blocks = Path::new("data/tiers/3600s/blocks");
    let block = blocks.join(&mem.list(blocks).expect("memory")[0].name);
    for (path, at) in [(block, 100), (Path::new("data/tiers/21600s/fed").to_owned(), 14)] {
        let mem = mem.fork();
        mem.corrupt(&path, at, 1).expect("memory");
        let found = examine(&mem).verify(&mut |_, _| {}).expect("memory");
        assert!(
            !found.damage.is_empty() && found.damage.iter().all(|damage| damage.path == path),
            "{:?}",
            found.damage
        );
    }
}
