//! Records give back what was written and take any bytes without panic.

use proptest::prelude::*;
use sonde_model::Labels;

use super::*;

fn id(seq: u64) -> BatchId {
    BatchId { agent: AgentId([7; 16]), epoch: 3, signal: Signal::Metrics, seq }
}

#[test]
fn a_batch_comes_back() {
    let mut registry = Registry::default();
    let a = registry.insert(&[("__name__", "up"), ("instance", "a"), ("job", "x")]).slot;
    let b = registry.insert(&[("__name__", "up"), ("instance", "b"), ("job", "x")]).slot;
    let c = registry.insert(&[("__name__", "down")]).slot;
    let help = Metadata { kind: MetricKind::Gauge, help: "is it up?".to_owned(), unit: String::new() };
    let mut writer = BatchWriter::new(9, Some((id(4), 77)), &[("up".to_owned(), help.clone())], 4);
    [a, b, c].iter().for_each(|slot| writer.define(*slot, &registry));
    writer.float(b, 1000, 1.5);
    writer.float(a, 999, sonde_model::stale_nan());
    writer.histogram(c, 2000, &Histogram::stale());
    let labels = Labels::from_pairs([("trace_id", "1")]);
    let given =
        [(c, 7), (a, 5)].map(|(slot, timestamp)| (slot, Exemplar { labels: labels.clone(), value: 0.5, timestamp }));
    given.iter().for_each(|(slot, exemplar)| writer.exemplar(*slot, exemplar));
    let bytes = writer.finish();
    let Ok(Record::Batch(batch)) = read(&bytes) else { panic!("not a batch") };
    assert_eq!((batch.epoch, batch.cursor, &batch.metadata), (9, Some((id(4), 77)), &vec![("up", help)]));
    let (mut definitions, mut samples, mut exemplars) = (Vec::new(), Vec::new(), Vec::new());
    let walked = batch.walk(&mut |item| match item {
        Item::Definition { slot, labels } => definitions.push((slot, format!("{labels:?}"))),
        Item::Sample { slot, timestamp, start, value } => {
            assert_eq!(start, 0);
            samples.push((slot, timestamp, value));
        }
        Item::Exemplar { slot, exemplar } => exemplars.push((slot, exemplar)),
    });
    assert_eq!(walked, Ok(()));
    assert_eq!(definitions[1].1, r#"[("__name__", "up"), ("instance", "b"), ("job", "x")]"#);
    assert_eq!(definitions[2].1, r#"[("__name__", "down")]"#);
    assert_eq!(samples[0], (b, 1000, Value::Float(1.5f64.to_bits())));
    assert_eq!(samples[1], (a, 999, Value::Float(sonde_model::STALE_NAN_BITS)));
    assert!(matches!(&samples[2].2, Value::Histogram(h) if h.is_stale()));
    assert_eq!(exemplars, given);
}

#[test]
fn a_checkpoint_comes_back_in_pieces() {
    let cursors: Vec<(StreamId, Cursor)> = (0..20u64)
        .map(|epoch| {
            let mut cursor = Cursor::default();
            (1..50).filter(|seq| *seq != 40).for_each(|seq| cursor.record(seq, seq as u32 * 3));
            (StreamId { epoch, ..id(1).into() }, cursor)
        })
        .collect();
    let metadata = Metadata { kind: MetricKind::Counter, help: "h".repeat(100), unit: "s".to_owned() };
    let metrics: Vec<String> = (0..20).map(|i| format!("m{i}")).collect();
    let records =
        checkpoint(5, 6, cursors.iter().map(|(s, c)| (s, c)), metrics.iter().map(|m| (m.as_str(), &metadata)), 1000);
    let (mut found, mut names, mut ended) = (Vec::new(), 0, false);
    for record in &records {
        assert!(record.len() < 2000 && !ended);
        match read(record).unwrap() {
            Record::Cursors(some) => found.extend(some),
            Record::Metadata(some) => names += some.len(),
            Record::Checkpoint { flush: 5, epoch: 6 } => ended = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(ended && records.len() > 5);
    assert_eq!((found, names), (cursors, 20));
}

proptest! {
    #[test]
    fn start_timestamps_come_back(
        runs in prop::collection::vec((prop_oneof![Just(0i64), 1i64..=i64::MAX], 1usize..5), 1..9), with_exemplar: bool,
    ) {
        let starts: Vec<i64> = runs.iter().flat_map(|(start, n)| std::iter::repeat_n(*start, *n)).collect();
        let mut writer = BatchWriter::new(1, None, &[], starts.len());
        (0..starts.len()).for_each(|i| writer.float(i as u32, i as i64, i as f64));
        writer.starts(&starts);
        let exemplar = Exemplar { labels: Labels::default(), value: 0.5, timestamp: 1 };
        if with_exemplar {
            writer.exemplar(0, &exemplar);
        }
        let bytes = writer.finish();
        let Ok(Record::Batch(batch)) = read(&bytes) else { panic!("not a batch") };
        let (mut read, mut exemplars) = (Vec::new(), 0);
        let walked = batch.walk(&mut |item| match item {
            Item::Sample { start, .. } => read.push(start),
            Item::Exemplar { .. } => exemplars += 1,
            Item::Definition { .. } => {}
        });
        prop_assert_eq!((walked, read, exemplars), (Ok(()), starts, usize::from(with_exemplar)));
    }

    #[test]
    fn any_bytes_are_taken_without_panic(
        kind in 0u8..6,
        version in 1u8..5,
        bytes in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let record = [&[kind, version], &bytes[..]].concat();
        if let Ok(Record::Batch(batch)) = read(&record) {
            let _ = batch.walk(&mut |_| {});
        }
    }
}

/// Ten thousand hosts that all changed their identity now and then: a checkpoint must fit what may wait for the WAL.
#[test]
fn a_checkpoint_of_many_agents_is_bounded() {
    let mut streams = sonde_model::Streams::<()>::of(Signal::Metrics);
    let mut cursor = Cursor::default();
    (1..=2_000).for_each(|seq| cursor.record(seq, seq as u32));
    for agent in 0..30_000u128 {
        let stream = StreamId { agent: AgentId(agent.to_be_bytes()), epoch: 1, signal: Signal::Metrics };
        streams.restore(stream, cursor.clone());
    }
    let bytes: usize = checkpoint(1, 1, streams.iter(), std::iter::empty(), 1 << 20).iter().map(Vec::len).sum();
    assert!(bytes <= crate::Options::default().wal_pending_bytes / 2, "{bytes} bytes, {} streams", streams.len());
    assert!(streams.len() >= 10_000, "{} streams", streams.len());
}
