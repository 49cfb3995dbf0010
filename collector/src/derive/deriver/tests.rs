//! Crashes on both sides of every batch: files in memory, nothing that was not synced survives.

use sonde_disk::MemFs;
use sonde_model::Matcher;
use sonde_model::span::{ScopedSpan, Span, SpanId, TraceId};
use sonde_tracedb::SpanBatch;
use sonde_tsdb::SelectLimits;

use super::*;

const NOW: TimestampMs = 1_800_000_000_000;
const OPTIONS: DeriveOptions = DeriveOptions { span_metrics: Some(10), service_graph: None, spans_per_step: 100 };

struct Stores {
    fs: MemFs,
    spans: Arc<TraceDb>,
    metrics: Arc<Db>,
    deriver: Deriver,
}

fn open(fs: MemFs) -> Stores {
    let on: Arc<dyn Fs> = Arc::new(fs.clone());
    let options = sonde_tracedb::Options { hold_for_derivations: true, ..sonde_tracedb::Options::default() };
    let (spans, _) = TraceDb::open(Arc::clone(&on), Path::new("/traces"), options, NOW).expect("spans");
    let options = sonde_tsdb::Options::default();
    let (metrics, _) = Db::open(Arc::clone(&on), Path::new("/tsdb"), options, NOW).expect("metrics");
    let dir = Path::new("/traces/derive");
    let deriver = Deriver::open(on, dir, Arc::clone(&spans), Arc::clone(&metrics), OPTIONS, Arc::default());
    Stores { fs, spans, metrics, deriver: deriver.expect("a derivation") }
}

impl Stores {
    fn push(&self, number: u64) {
        self.push_spans(number, 1);
    }

    fn push_spans(&self, number: u64, count: usize) {
        let trace_id = TraceId(u128::from(number).to_be_bytes());
        let start_ns = NOW.unsigned_abs() * 1_000_000;
        let span = Span { trace_id, span_id: SpanId([1; 8]), start_ns, end_ns: start_ns, ..Span::default() };
        let batch = SpanBatch { cursor: None, spans: vec![ScopedSpan { span, ..ScopedSpan::default() }; count] };
        let (sender, durable) = mpsc::sync_channel(1);
        self.spans.append(batch, NOW, move |result| drop(sender.send(result))).expect("room");
        durable.recv().expect("an answer").expect("durable");
    }

    /// The traces that exemplars of a metric lead to, and their values.
    fn exemplars(&self, metric: &str) -> Vec<(String, f64)> {
        let found = self.metrics.exemplars(&[vec![Matcher::equal("__name__", metric)]], 0, i64::MAX, usize::MAX);
        let of = |e: &Exemplar| (e.labels.get("traceID").unwrap_or_default().to_owned(), e.value);
        found.iter().flat_map(|series| series.exemplars.iter().map(of)).collect()
    }

    fn calls(&self) -> f64 {
        let matchers = [Matcher::equal("__name__", "traces_spanmetrics_calls_total")];
        let series = self.metrics.select(&matchers, 0, i64::MAX, &SelectLimits::default()).expect("an answer");
        series.iter().filter_map(|s| s.floats.values.last()).sum()
    }
}

#[test]
fn exemplars_lead_to_traces_once_and_survive_a_crash() {
    let mut stores = open(MemFs::new());
    let mut expected = Vec::new();
    for number in 1..4u64 {
        stores.push(number);
        stores.deriver.step(NOW + number.cast_signed() * 1000).expect("room");
        expected.push(format!("{number:032x}"));
        stores = open(stores.fs.crash(number));
        // Nothing new was committed: nothing new is derived.
        stores.deriver.step(NOW + number.cast_signed() * 1000 + 500).expect("room");
    }
    for (metric, value) in [("traces_spanmetrics_calls_total", 1.0), ("traces_spanmetrics_latency_bucket", 0.0)] {
        let all: Vec<(String, f64)> = expected.iter().map(|id| (id.clone(), value)).collect();
        assert_eq!(stores.exemplars(metric), all, "{metric}");
    }
    assert_eq!(stores.exemplars("traces_spanmetrics_size_total"), []);
}

#[test]
fn a_crash_neither_loses_nor_doubles() {
    for seed in 0..24u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut stores = open(MemFs::new());
        let mut pushed = 0;
        for life in 0..8 {
            let now = NOW + life * 1_000;
            for _ in 0..random.u64(0..4) {
                pushed += 1;
                stores.push(pushed);
            }
            match random.u8(0..3) {
                // Nothing is derived in this life.
                0 => {}
                // The batch is durable, and the process dies at once.
                1 => stores.deriver.step(now).expect("derived"),
                // The state is noted, the batch is not durable; it is kept and tried again.
                _ => {
                    stores.metrics.close();
                    for _ in 0..2 {
                        let result = stores.deriver.step(now);
                        let kept = stores.deriver.pending.is_some();
                        assert_eq!(result.is_err(), kept, "seed {seed}: {result:?}");
                    }
                }
            }
            stores = open(stores.fs.crash(seed));
            assert!(stores.calls() <= pushed as f64, "seed {seed}, life {life}");
        }
        stores.deriver.step(NOW + 60_000).expect("derived");
        assert_eq!(stores.calls(), pushed as f64, "seed {seed}");
    }
}

#[test]
fn a_backlog_is_read_in_steps() {
    let mut stores = open(MemFs::new());
    let at_once = 30;
    for batch in 1..=7 {
        stores.push_spans(batch, at_once);
    }
    let mut steps = Vec::new();
    for n in 0..3 {
        stores.deriver.step(NOW + n).expect("derived");
        steps.push((stores.calls() as usize / at_once, stores.deriver.is_caught_up()));
    }
    assert_eq!(steps, [(4, false), (7, true), (7, true)]);
}
