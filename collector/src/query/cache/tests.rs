//! What is answered from the cache is what the engine would answer, whatever was written meanwhile.

use std::path::Path;
use std::sync::Arc;

use sonde_disk::MemFs;
use sonde_model::Matcher;
use sonde_promql::{Control, Engine, EngineOptions};
use sonde_tsdb::{Batch, BatchSample, BatchValue, Options, Source};

use super::*;
use crate::query::StoreSource;

const STEP: i64 = 60_000;
const LOOKBACK: i64 = 300_000;
const HOUR: i64 = 3_600_000;

struct Fixture {
    db: Arc<Db>,
    cache: ResultCache,
}

impl Fixture {
    fn new(max_bytes: usize) -> Self {
        let options = Options { lateness_ms: 100 * HOUR, ..Options::default() };
        let (db, _) = Db::open(Arc::new(MemFs::new()), Path::new("/data"), options, HOUR).expect("an empty store");
        let fixture = Fixture { db, cache: ResultCache::new(max_bytes) };
        for minute in 0..60 {
            fixture.append("a", minute * STEP, minute as f64);
            fixture.append("b", minute * STEP, 1.0);
        }
        fixture
    }

    fn append(&self, name: &str, timestamp: TimestampMs, value: f64) {
        let series = self.db.series_ref(&[("__name__", "m"), ("host", name)]).expect("there is room");
        let samples = vec![BatchSample { series, timestamp, value: BatchValue::Float(value) }];
        let batch = Batch {
            source: Source::Push,
            cursor: None,
            samples,
            starts: Vec::new(),
            metadata: vec![],
            exemplars: vec![],
        };
        let (sender, durable) = std::sync::mpsc::sync_channel(1);
        let outcome =
            self.db.append(batch, timestamp.max(HOUR), move |result| sender.send(result).expect("waited for"));
        assert_eq!(outcome.expect("it is taken").accepted, 1);
        durable.recv().expect("an end").expect("durable");
    }

    /// Asks through the cache and beside it; the answers must be the same. Says which steps were evaluated.
    fn ask(&self, text: &str, asked: Extent, now: TimestampMs) -> Vec<Extent> {
        let expr = sonde_promql::parse(text).expect("valid");
        let engine = Engine::new(EngineOptions { lookback_ms: LOOKBACK, ..EngineOptions::default() });
        let source = StoreSource::new(Arc::clone(&self.db), 1_000);
        let evaluate = |extent: Extent| {
            engine.range(&source.within(&|| None), &expr, extent.from, extent.to, STEP, &Control::unlimited())
        };
        let key = CacheKey { expr: text.into(), step: STEP, phase: asked.from.rem_euclid(STEP), lookback: LOOKBACK };
        let mut evaluated = Vec::new();
        let answer = self.cache.range(&self.db, key, asked, now - LOOKBACK, &mut |extent| {
            evaluated.push(extent);
            evaluate(extent)
        });
        let expected = evaluate(asked).expect("an answer");
        let answer = answer.expect("an answer");
        assert_eq!((answer.value, answer.annotations), (expected.value, expected.annotations), "{text} {asked:?}");
        evaluated
    }

    fn counts(&self) -> [u64; 5] {
        let stats = self.cache.stats();
        [&stats.hits, &stats.partial, &stats.misses, &stats.invalidations, &stats.evictions].map(|n| n.load(Relaxed))
    }
}

fn minutes(from: i64, to: i64) -> Extent {
    Extent { from: from * STEP, to: to * STEP }
}

#[test]
fn only_new_steps_are_evaluated() {
    let fixture = Fixture::new(1 << 20);
    for (asked, evaluated) in [
        (minutes(10, 40), vec![minutes(10, 40)]),
        (minutes(10, 40), vec![]),
        (minutes(20, 30), vec![]),
        (minutes(12, 45), vec![minutes(41, 45)]),
        (minutes(5, 50), vec![minutes(5, 11), minutes(46, 50)]),
        // The last five minutes are still being written.
        (minutes(5, 59), vec![minutes(51, 59)]),
        (minutes(6, 59), vec![minutes(56, 59)]),
        (minutes(56, 59), vec![minutes(56, 59)]),
        // Other steps.
        (Extent { from: 10 * STEP + 1, to: 40 * STEP + 1 }, vec![Extent { from: 10 * STEP + 1, to: 40 * STEP + 1 }]),
    ] {
        assert_eq!(fixture.ask("sum by (host) (delta(m[5m]))", asked, HOUR), evaluated, "{asked:?}");
    }
    assert_eq!(fixture.counts(), [2, 4, 3, 0, 0]);
}

#[test]
fn what_changed_is_evaluated_again() {
    let fixture = Fixture::new(1 << 20);
    let ask = || fixture.ask("sum(m)", minutes(10, 50), HOUR);
    assert_eq!(ask(), [minutes(10, 50)]);
    // In order, as ever: nothing that is kept depends on it.
    fixture.append("a", HOUR, 60.0);
    assert_eq!(ask(), []);
    // Late: steps from there on, and what lies a few seconds before.
    fixture.append("a", 30 * STEP + 7, 1_000.0);
    assert_eq!(ask(), [minutes(30, 50)]);
    assert_eq!(ask(), []);
    fixture.append("c", 30 * STEP, 5.0);
    assert_eq!(ask(), [minutes(30, 50)]);
    // Before all of it, and within the lookback of the first step.
    fixture.append("c", 8 * STEP, 5.0);
    assert_eq!(ask(), [minutes(10, 50)]);
    // A delete.
    let gone = vec![Matcher::equal("host", "b")];
    fixture.db.delete(vec![gone], 20 * STEP, 25 * STEP, HOUR).expect("deleted");
    assert_eq!(ask(), [minutes(20, 50)]);
    // A flush and a compaction change nothing.
    fixture.db.flush(HOUR).expect("flushed");
    fixture.db.compact(HOUR).expect("compacted");
    assert_eq!(ask(), []);
    assert_eq!(fixture.counts(), [3, 3, 2, 4, 0]);
}

#[test]
fn memory_is_bounded() {
    let fixture = Fixture::new(16_000);
    let ask = |i: i64| fixture.ask(&format!("m + {i}"), minutes(10, 50), HOUR).len();
    assert_eq!([ask(0), ask(0)], [1, 0]);
    assert_eq!((0..20).map(ask).sum::<usize>(), 19);
    assert!(fixture.cache.bytes() <= 16_000 && fixture.cache.bytes() > 8_000, "{}", fixture.cache.bytes());
    assert_eq!([ask(19), ask(0)], [0, 1], "what was used last is kept");
    fixture.cache.set_max_bytes(0);
    assert_eq!((fixture.cache.bytes(), ask(19), ask(19)), (0, 1, 1));
    let small = Fixture::new(2_000);
    assert_eq!(small.ask("m", minutes(10, 50), HOUR).len() + small.ask("m", minutes(10, 50), HOUR).len(), 2);
}

#[test]
fn an_answer_with_a_word_to_the_user_is_not_kept() {
    let fixture = Fixture::new(1 << 20);
    // The name does not end as a counter's does.
    for _ in 0..2 {
        assert_eq!(fixture.ask("rate(m[5m])", minutes(10, 50), HOUR), [minutes(10, 50)]);
    }
}
