//! Exemplars: what is refused, and random operations against a plain list, through flushes, crashes and restarts.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::fs::Operation;
use sonde_disk::{FaultFs, MemFs};
use sonde_model::{Exemplar, Labels, MatchOp, Matcher};
use sonde_tsdb::{Batch, BatchExemplar, Db, ExemplarRejectReason, Options, SeriesExemplars, Source};

use crate::support::*;

const SERIES: usize = 9;
const PER_SERIES: usize = 12;
const ALL: usize = 60;

fn labels_of(i: usize) -> Labels {
    Labels::from_pairs([("__name__", format!("m{}", i % 2)), ("i", i.to_string())])
}

fn exemplar(timestamp: i64, value: f64, id: &str) -> Exemplar {
    Exemplar { labels: Labels::from_pairs([("trace_id", id)]), value, timestamp }
}

/// A batch of exemplars alone.
fn exemplars(db: &Db, source: Source, added: &[(usize, Exemplar)]) -> Batch {
    let of = |(i, exemplar): &(usize, Exemplar)| {
        let labels = labels_of(*i);
        let pairs: Vec<_> = labels.iter().collect();
        BatchExemplar { series: series(db, &pairs), exemplar: exemplar.clone() }
    };
    Batch { exemplars: added.iter().map(of).collect(), ..batch(source, Vec::new()) }
}

fn everything(db: &Db) -> Vec<SeriesExemplars> {
    db.exemplars(&[Vec::new()], i64::MIN, i64::MAX, usize::MAX)
}

#[test]
fn exemplars_are_judged_and_never_fail_their_batch() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    let long = "x".repeat(121);
    let put = |source, added: &[(usize, Exemplar)]| append(&db, exemplars(&db, source, added), NOW).exemplars;
    let good = exemplar(NOW, 1.0, "a");
    assert_eq!(put(Source::Push, &[(0, good.clone()), (0, exemplar(NOW, 1.0, &long))]), 1);
    let added = [
        (0, good.clone()),
        (0, exemplar(NOW, 1.0, "b")),
        (0, exemplar(NOW - 2 * HOUR, 1.0, "c")),
        (0, exemplar(NOW - 16 * DAY, 1.0, "d")),
        (0, exemplar(NOW + HOUR, 1.0, "e")),
        (0, exemplar(NOW - MINUTE, 1.0, "f")),
        (1, exemplar(NOW - 2 * HOUR, 1.0, "g")),
    ];
    assert_eq!(put(Source::Push, &added), 3);
    assert_eq!(put(Source::AgentLink, &added[2..3]), 1);
    let found = everything(&db);
    let ids =
        |one: &SeriesExemplars| one.exemplars.iter().map(|e| e.labels.get("trace_id").unwrap().to_owned()).collect();
    assert_eq!(found.iter().map(ids).collect::<Vec<Vec<String>>>(), [vec!["c", "f", "a", "b"], vec!["g"]]);
    let stats = db.stats();
    let rejected = ExemplarRejectReason::ALL.map(|reason| stats.exemplars_rejected(reason));
    assert_eq!((rejected, stats.exemplars.load(Relaxed)), ([0, 1, 1, 1, 1, 0], 5));
    assert_eq!(stats.duplicate_exemplars.load(Relaxed), 1);
}

#[test]
fn queries_name_series_by_sets_of_matchers_and_are_bounded() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    let added: Vec<_> = (0..4).flat_map(|i| (0..3).map(move |t| (i, exemplar(NOW + t, t as f64, "x")))).collect();
    append(&db, exemplars(&db, Source::Push, &added), NOW);
    let matcher = |name, op, value| Matcher::new(name, op, value).unwrap();
    let found = |sets: &[Vec<Matcher>], from, to, limit| -> Vec<(String, usize)> {
        let found = db.exemplars(sets, from, to, limit);
        found.into_iter().map(|s| (s.labels.to_string(), s.exemplars.len())).collect()
    };
    let name = |i: usize| labels_of(i).to_string();
    let m0 = vec![Matcher::equal("__name__", "m0")];
    let three = vec![matcher("i", MatchOp::Regex, "3|9"), matcher("none", MatchOp::Equal, "")];
    assert_eq!(found(std::slice::from_ref(&m0), i64::MIN, i64::MAX, 100), [(name(0), 3), (name(2), 3)]);
    assert_eq!(found(&[m0.clone(), three], NOW + 1, NOW + 1, 100), [(name(0), 1), (name(2), 1), (name(3), 1)]);
    assert_eq!(found(std::slice::from_ref(&m0), i64::MIN, i64::MAX, 4), [(name(0), 3), (name(2), 1)]);
    assert_eq!(found(&[m0], NOW + 3, i64::MAX, 4), []);
    assert_eq!(found(&[], i64::MIN, i64::MAX, 4), []);
}

#[test]
fn exemplars_do_not_keep_samples_from_the_record() {
    let options = Options { wal_record_bytes: 1 << 10, ..Options::default() };
    let (db, _) = open(Arc::new(MemFs::new()), options);
    let added: Vec<_> = (0..100).map(|t| (0, exemplar(NOW + t, 0.5, &"x".repeat(60)))).collect();
    let up = series(&db, &[("__name__", "up")]);
    let both = Batch { samples: vec![float(up, NOW, 1.0)], ..exemplars(&db, Source::Push, &added) };
    let outcome = append(&db, both, NOW);
    assert!(outcome.accepted == 1 && (1..50).contains(&outcome.exemplars), "{outcome:?}");
    assert_eq!(db.stats().exemplars_rejected(ExemplarRejectReason::TooMany), 100 - outcome.exemplars);
}

#[test]
fn a_damaged_file_is_set_aside_and_told() {
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, Options::default());
    let up = series(&db, &[("__name__", "up")]);
    let added = [(0, exemplar(NOW, 0.5, "a"))];
    append(&db, Batch { samples: vec![float(up, NOW, 1.0)], ..exemplars(&db, Source::Push, &added) }, NOW);
    db.flush(NOW).unwrap();
    append(&db, exemplars(&db, Source::Push, &[(0, exemplar(NOW + 1, 0.5, "b"))]), NOW);
    drop(db);
    let path = std::path::Path::new("data/exemplars");
    sonde_disk::Fs::open(fs.as_ref(), path).unwrap().write_at(b"x", 20).unwrap();
    let (db, report) = open(Arc::clone(&fs) as _, Options::default());
    assert!(report.is_damaged() && report.exemplar_damage.is_some(), "{report:?}");
    // What the WAL holds is there.
    assert_eq!(everything(&db)[0].exemplars, [exemplar(NOW + 1, 0.5, "b")]);
    assert!(sonde_disk::Fs::exists(fs.as_ref(), &path.with_extension("damaged")).unwrap());
    drop(db);
    assert!(!open(fs, Options::default()).1.is_damaged());
}

/// An error that says nothing about the file must not cost it, not even where the next flush replaces it.
#[test]
fn a_file_that_cannot_be_read_now_is_not_given_up() {
    let fs = FaultFs::new(MemFs::new(), 0);
    let (db, _) = open(Arc::new(fs.clone()), Options::default());
    let up = series(&db, &[("__name__", "up")]);
    let added = [(0, exemplar(NOW, 0.5, "a"))];
    append(&db, Batch { samples: vec![float(up, NOW, 1.0)], ..exemplars(&db, Source::Push, &added) }, NOW);
    db.flush(NOW).unwrap();
    drop(db);
    // Manifest and block are opened first, then the file, three times.
    fs.fail(Some(Operation::Open), 2, 3, std::io::ErrorKind::Other);
    let (db, report) = open(Arc::new(fs.clone()), Options::default());
    assert!(report.exemplar_damage.is_some() && report.unavailable.is_empty(), "{report:?}");
    assert!(everything(&db).is_empty());
    let up = series(&db, &[("__name__", "up")]);
    let added = [(0, exemplar(NOW + 1, 0.5, "a"))];
    append(&db, Batch { samples: vec![float(up, NOW + 1, 1.0)], ..exemplars(&db, Source::Push, &added) }, NOW);
    db.flush(NOW).unwrap();
    assert_eq!(everything(&db)[0].exemplars, [exemplar(NOW, 0.5, "a"), exemplar(NOW + 1, 0.5, "a")]);
    drop(db);
    let (db, report) = open(Arc::new(fs), Options::default());
    assert!(!report.is_damaged());
    assert_eq!(everything(&db)[0].exemplars.len(), 2);
}

/// All exemplars that were accepted, and what of them is kept: see `what_is_kept_is_settled_by_what_was_added`.
fn kept(added: &[(usize, Exemplar)]) -> Vec<SeriesExemplars> {
    let mut newest: Vec<(Labels, Exemplar)> = Vec::new();
    for i in 0..SERIES {
        let mut own: Vec<Exemplar> = added.iter().filter(|(s, _)| *s == i).map(|(_, e)| e.clone()).collect();
        own.sort_by(Exemplar::order);
        own.dedup_by(|a, b| a.order(b).is_eq());
        own.drain(..own.len().saturating_sub(PER_SERIES));
        newest.extend(own.into_iter().map(|e| (labels_of(i), e)));
    }
    newest.sort_by(|a, b| (a.1.timestamp, &a.0).cmp(&(b.1.timestamp, &b.0)).then_with(|| a.1.order(&b.1)));
    newest.drain(..newest.len().saturating_sub(ALL));
    newest.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.order(&b.1)));
    let of_series = |of: &[(Labels, Exemplar)]| SeriesExemplars {
        labels: of[0].0.clone(),
        exemplars: of.iter().map(|(_, e)| e.clone()).collect(),
    };
    newest.chunk_by(|a, b| a.0 == b.0).map(of_series).collect()
}

struct Run {
    rng: fastrand::Rng,
    fs: MemFs,
    db: Arc<Db>,
    now: i64,
    added: Vec<(usize, Exemplar)>,
    /// How much of `added` a crash may leave: what is durable, and a batch more for each on its way.
    possible: Vec<usize>,
    waiting: Vec<Durable>,
}

fn options(rng: &mut fastrand::Rng) -> Options {
    Options {
        max_exemplars: ALL,
        max_exemplars_per_series: PER_SERIES,
        idle_ms: 0,
        head_span_ms: i64::MAX,
        wal_segment_bytes: if rng.bool() { 6 << 10 } else { 64 << 20 },
        ..Options::default()
    }
}

impl Run {
    fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..70 => self.append(),
            70..80 => self.now += self.rng.i64(0..10 * MINUTE),
            80..90 => {
                self.settle();
                self.db.flush(self.now).expect("the flush works");
            }
            90..95 => self.restart(false),
            _ => self.restart(true),
        }
        if self.waiting.is_empty() {
            assert_eq!(everything(&self.db), kept(&self.added));
        }
    }

    fn append(&mut self) {
        let picked: Vec<_> = (0..self.rng.usize(1..8))
            .map(|_| {
                let t = self.now - self.rng.i64(0..20) * 15_000;
                let id = ["", "a", "b"][self.rng.usize(0..3)];
                (self.rng.usize(0..SERIES), exemplar(t, f64::from(self.rng.u8(0..2)), id))
            })
            .collect();
        let mut all = exemplars(&self.db, Source::AgentLink, &picked);
        if self.rng.bool() {
            // A flush has something to write, and the WAL is cut.
            let up = series(&self.db, &[("__name__", "up")]);
            all.samples.push(float(up, self.now, 1.0));
        }
        let (_, durable) = send(&self.db, all, self.now).expect("the batch is taken");
        self.added.extend(picked);
        self.possible.push(self.added.len());
        self.waiting.push(durable);
        if self.rng.u32(0..3) == 0 {
            self.settle();
        }
    }

    fn settle(&mut self) {
        self.waiting.drain(..).for_each(|durable| wait(&durable).expect("the batch is durable"));
        self.possible = vec![self.added.len()];
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
        let found = everything(&self.db);
        let came_back = self.possible.iter().find(|n| found == kept(&self.added[..**n]));
        let Some(came_back) = came_back else {
            let durable = kept(&self.added[..self.possible[0]]);
            panic!("what came back is no state that was possible\n{found:?}\nthe durable one:\n{durable:?}");
        };
        self.added.truncate(*came_back);
        self.possible = vec![self.added.len()];
    }
}

/// `SONDE_SEED=n` runs one seed alone.
#[test]
fn exemplars_equal_a_list() {
    let seeds: Vec<u64> = match std::env::var("SONDE_SEED") {
        Ok(seed) => vec![seed.parse().expect("SONDE_SEED is a number")],
        Err(_) => (0..10).collect(),
    };
    for seed in seeds {
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let fs = MemFs::new();
        let (db, _) = open(Arc::new(fs.clone()), options(&mut rng));
        let mut run = Run { rng, fs, db, now: NOW, added: Vec::new(), possible: vec![0], waiting: Vec::new() };
        (0..150).for_each(|_| run.step());
        let status = run.db.exemplar_status();
        assert!(status.exemplars <= ALL, "{status:?}");
    }
}
