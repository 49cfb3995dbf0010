//! One thing at a time.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::{Fs, MemFs};
use sonde_model::CursorVerdict;
use sonde_model::span::{AttributeValue, SpanKind, StatusCode};
use sonde_tracedb::*;

use crate::support::*;

#[test]
fn a_trace_comes_back_whole_from_head_and_blocks_and_after_a_restart() {
    let mem = MemFs::new();
    let (db, _) = open(Arc::new(mem.clone()), Options::default());
    let mut rng = fastrand::Rng::with_seed(1);
    let spans: Vec<_> = (1..200).map(|i| any_span(&mut rng, i % 7, i, ns(NOW) + i)).collect();
    let expected = |n: u64| {
        let mut texts: Vec<String> = spans.iter().filter(|s| s.span.trace_id == trace_id(n)).map(print).collect();
        texts.sort();
        texts
    };
    append(&db, batch(spans[..150].to_vec()), NOW);
    let check = |db: &TraceDb| (0..8).for_each(|n| assert_eq!(printed(db, trace_id(n)), expected(n), "trace {n}"));
    db.flush(NOW).unwrap();
    // The last ones come late, and some come twice.
    append(&db, batch(spans[100..].to_vec()), NOW);
    check(&db);
    drop(db);
    let (db, report) = open(Arc::new(mem.clone()), Options::default());
    assert!(!report.is_damaged() && report.blocks == 1 && report.spans == 99, "{report:?}");
    check(&db);
    db.flush(NOW).unwrap();
    check(&db);
    db.compact(NOW).unwrap();
    check(&db);
    assert_eq!((db.status().blocks, db.status().block_spans), (1, 199));
    drop(db);
    let (db, _) = open(Arc::new(mem), Options::default());
    check(&db);
    let range = |from: u64, to: u64| Some(TimeRange { start_ns: ns(NOW) + from, end_ns: ns(NOW) + to });
    assert!(db.trace(trace_id(3), range(3, 3)).unwrap().is_some_and(|t| t.spans.len() == 29));
    assert_eq!(db.trace(trace_id(3), range(300, 400)).unwrap(), None);
}

#[test]
fn what_cannot_be_stored_is_refused_by_name() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    let mut deep = AttributeValue::Int(1);
    (0..65).for_each(|_| deep = AttributeValue::Array(vec![deep.clone()]));
    let mut no_trace = span(1, 1, ns(NOW), &[]);
    no_trace.span.trace_id = Default::default();
    let mut no_span = span(1, 1, ns(NOW), &[]);
    no_span.span.span_id = Default::default();
    let spans = vec![
        span(1, 1, ns(NOW), &[]),
        no_trace,
        no_span,
        span(1, 2, ns(NOW - 15 * DAY), &[]),
        span(1, 3, ns(NOW + HOUR), &[]),
        span(1, 4, ns(NOW), &[("deep", deep)]),
        span(1, 5, ns(NOW), &[]),
    ];
    let outcome = append(&db, batch(spans), NOW);
    let reasons: Vec<_> = outcome.rejected.iter().map(|r| (r.index, r.reason)).collect();
    assert_eq!(
        reasons,
        [
            (1, RejectReason::InvalidTraceId),
            (2, RejectReason::InvalidSpanId),
            (3, RejectReason::TooOld),
            (4, RejectReason::TooFarAhead),
            (5, RejectReason::TooDeep)
        ]
    );
    assert_eq!((outcome.accepted, printed(&db, trace_id(1)).len()), (2, 2));
    RejectReason::ALL.iter().for_each(|reason| assert_eq!(db.stats().rejected(*reason), 1));
}

#[test]
fn a_trace_without_measure_does_not_hide_the_others() {
    let options = Options { max_trace_spans: 2, ..Options::default() };
    let (db, _) = open(Arc::new(MemFs::new()), options);
    append(&db, batch((1..4).map(|id| span(1, id, ns(NOW), &[])).collect()), NOW);
    append(&db, batch(vec![span(2, 1, ns(NOW), &[])]), NOW);
    let search = Search { range: TimeRange::ALL, filters: Vec::new() };
    let mut found = Vec::new();
    let searched = db.search(&search, &mut |trace| {
        found.push(trace.id);
        ControlFlow::Continue(())
    });
    searched.unwrap();
    assert_eq!((found, db.stats().traces_too_large.load(Relaxed)), (vec![trace_id(2)], 1));
    assert!(matches!(db.trace(trace_id(1), None), Err(ReadError::TraceTooLarge { limit: 2 })));
}

#[test]
fn a_numbered_batch_counts_once() {
    let mem = MemFs::new();
    let (mut db, _) = open(Arc::new(mem.clone()), Options::default());
    for round in 0..3 {
        let outcome = append(&db, numbered(1, vec![span(1, 1, ns(NOW), &[])]), NOW);
        let expected = if round == 0 { CursorVerdict::New } else { CursorVerdict::Duplicate };
        assert_eq!(outcome.verdict, expected, "round {round}");
        if round == 1 {
            db.flush(NOW).unwrap();
        }
        drop(db);
        db = open(Arc::new(mem.clone()), Options::default()).0;
    }
    let mut other = numbered(1, vec![span(2, 2, ns(NOW), &[])]);
    other.cursor = other.cursor.map(|(id, _)| (id, 99));
    assert!(matches!(send(&db, other, NOW), Err(AppendError::CursorConflict { .. })));
    assert_eq!(printed(&db, trace_id(1)).len(), 1);
    assert_eq!(db.cursors().len(), 1);
}

#[test]
fn committed_batches_are_held_until_they_are_released() {
    let mem = MemFs::new();
    let options = || Options { hold_for_derivations: true, wal_segment_bytes: 2 << 10, ..Options::default() };
    let (mut db, _) = open(Arc::new(mem.clone()), options());
    let all = |db: &TraceDb, from: u64| {
        let mut committed = db.committed(Position(from));
        let mut batches = Vec::new();
        while let Some((next, spans)) = committed.next().unwrap() {
            batches.push((next, spans[0].span.span_id));
        }
        batches
    };
    for i in 1..=50 {
        append(&db, numbered(i, vec![span(i, i, ns(NOW), &[])]), NOW);
    }
    let expected: Vec<_> = (1..=50).map(|i| (Position(i + 1), span_id(i))).collect();
    for _ in 0..2 {
        assert_eq!(all(&db, 0), expected);
        assert_eq!(all(&db, 20), expected[19..]);
        db.flush(NOW).unwrap();
        drop(db);
        db = open(Arc::new(mem.clone()), options()).0;
        assert_eq!(db.status().spans, 0, "what is in blocks does not come back into the head");
    }
    db.release_before(Position(40)).unwrap();
    append(&db, numbered(51, vec![span(51, 51, ns(NOW), &[])]), NOW);
    let before = db.status().wal_bytes;
    db.flush(NOW).unwrap();
    assert!(db.status().wal_bytes < before, "{before}");
    assert_eq!(all(&db, 40), [&expected[39..], &[(Position(52), span_id(51))]].concat());
    db.release_before(Position(52)).unwrap();
    assert_eq!(all(&db, 52), []);
    append(&db, numbered(52, vec![span(52, 52, ns(NOW), &[])]), NOW);
    assert_eq!(all(&db, 52), [(Position(53), span_id(52))]);
    (1..=52).for_each(|i| assert_eq!(printed(&db, trace_id(i)).len(), 1));
}

#[test]
fn searches_deliver_whole_traces_newest_first() {
    let (db, _) = open(Arc::new(MemFs::new()), Options::default());
    let text = |t: &str| AttributeValue::String(t.into());
    let mut error = span(3, 30, ns(NOW) + 30, &[("v", AttributeValue::Int(5))]);
    error.span.status = StatusCode::Error;
    error.span.kind = SpanKind::Server;
    error.span.name = "boom".into();
    error.span.end_ns = error.span.start_ns + 2_000_000_000;
    let list = AttributeValue::Array(vec![text("x"), text("y")]);
    let first = vec![
        span(1, 10, ns(NOW) + 10, &[("route", text("/a")), ("v", AttributeValue::Int(1))]),
        span(1, 11, ns(NOW) + 11, &[("route", text("/b")), ("list", list)]),
        span(2, 20, ns(NOW) + 20, &[("v", AttributeValue::Double(1.5)), ("ok", AttributeValue::Bool(true))]),
        error,
    ];
    let attribute = |scope, key: &str| Target::Attribute(scope, key.into());
    let of = |key: &str, op, value| condition(attribute(TagScope::Span, key), op, value);
    let string = |t: &str| Literal::String(t.into());
    for round in 0..3 {
        match round {
            0 => drop(append(&db, batch(first.clone()), NOW)),
            1 => db.flush(NOW).unwrap(),
            // Part of a trace in the block, part in the head.
            _ => drop(append(&db, batch(vec![span(2, 21, ns(NOW) + 40, &[("route", text("/late"))])]), NOW)),
        }
        let check = |filters: &[&[Condition]], expected: &[u64]| {
            let ids: Vec<_> = found(&db, TimeRange::ALL, filters).iter().map(|t| t.id).collect();
            let mut expected: Vec<_> = expected.iter().map(|n| trace_id(*n)).collect();
            expected.sort();
            assert_eq!(ids, expected, "round {round}: {filters:?}");
        };
        check(&[], &[1, 2, 3]);
        check(&[&[of("route", Compare::Equal, string("/a"))]], &[1]);
        check(&[&[of("route", Compare::Equal, string("/none"))]], &[]);
        check(&[&[of("none", Compare::NotEqual, string("/a"))]], &[]);
        check(&[&[of("route", Compare::Regex, string("/[ab]"))]], &[1]);
        check(&[&[of("list", Compare::Equal, string("y"))]], &[1]);
        check(&[&[of("v", Compare::GreaterEqual, Literal::Int(1))]], &[1, 3]);
        check(&[&[of("v", Compare::Less, Literal::Float(2.0))]], &[2]);
        check(&[&[of("v", Compare::Less, Literal::Number(2.0))]], &[1, 2]);
        check(&[&[of("ok", Compare::Equal, Literal::Bool(true))]], &[2]);
        check(&[&[condition(Target::Status, Compare::Equal, Literal::Status(StatusCode::Error))]], &[3]);
        check(&[&[condition(Target::Kind, Compare::Equal, Literal::Kind(SpanKind::Server))]], &[3]);
        check(&[&[condition(Target::Name, Compare::Equal, string("boom"))]], &[3]);
        check(&[&[condition(Target::Duration, Compare::Greater, Literal::Number(1e9))]], &[3]);
        let service = |scope| condition(attribute(scope, "service.name"), Compare::Equal, string("shop"));
        check(&[&[service(TagScope::Resource)]], &[1, 2, 3]);
        check(&[&[service(TagScope::Any), of("v", Compare::Equal, Literal::Int(5))]], &[3]);
        check(&[&[service(TagScope::Span)]], &[]);
        let (a, b) = (of("route", Compare::Equal, string("/a")), of("route", Compare::Equal, string("/b")));
        check(&[std::slice::from_ref(&a), std::slice::from_ref(&b)], &[1]);
        check(&[&[a, b]], &[]);
        let mixed = [of("ok", Compare::Equal, Literal::Bool(true)), of("route", Compare::Equal, string("/late"))];
        check(&[&mixed[..1], &mixed[1..]], if round == 2 { &[2] } else { &[] });
        let mut order = Vec::new();
        let search = Search { range: TimeRange::ALL, filters: Vec::new() };
        db.search(&search, &mut |trace| {
            order.push(trace.id);
            if order.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        let expected = if round == 2 { [2, 3] } else { [3, 2] };
        assert_eq!(order, expected.map(trace_id));
        let range = TimeRange { start_ns: ns(NOW) + 15, end_ns: ns(NOW) + 25 };
        assert_eq!(found(&db, range, &[]).len(), 1);
        let names = db.tag_names(TagScope::Any, TimeRange::ALL, 100).unwrap();
        let names: Vec<&str> = names.iter().map(|(_, name)| &**name).collect();
        assert_eq!(names, ["list", "ok", "route", "v", "service.name"]);
        let values = db.tag_values(&attribute(TagScope::Any, "v"), TimeRange::ALL, 100).unwrap();
        assert_eq!(values, [TagValue::Int(1), TagValue::Int(5), TagValue::Double(1.5)]);
        let values = db.tag_values(&attribute(TagScope::Span, "list"), TimeRange::ALL, 1).unwrap();
        assert_eq!(values, [TagValue::String("x".into())]);
        let services = db.tag_values(&attribute(TagScope::Resource, "service.name"), TimeRange::ALL, 9).unwrap();
        assert_eq!(services, [TagValue::String("shop".into())]);
        assert_eq!(db.tag_values(&Target::Name, TimeRange::ALL, 9).unwrap().len(), 2);
    }
}

#[test]
fn retention_takes_whole_days_and_the_oldest_when_there_is_too_much() {
    let fs = Arc::new(MemFs::new());
    let options = Options { retention_ms: 3 * DAY, ..Options::default() };
    let (db, _) = open(Arc::clone(&fs) as _, options.clone());
    for day in 0..5 {
        let now = NOW + day * DAY;
        append(&db, batch(vec![span(day as u64 + 1, 1, ns(now), &[])]), now);
        db.flush(now).unwrap();
        db.maintain(now).unwrap();
    }
    let kept: Vec<u64> = (1..=5).filter(|n| !printed(&db, trace_id(*n)).is_empty()).collect();
    assert_eq!(kept, [2, 3, 4, 5]);
    assert_eq!(db.stats().blocks_expired.load(Relaxed), 1);
    let leapt = NOW + 100 * DAY;
    db.maintain(leapt).unwrap();
    assert!(db.status().retention_paused && db.status().blocks == 4);
    // Spans of the leapt time prove nothing, nor does a restart; and what comes with the old time is taken.
    append(&db, batch(vec![span(6, 1, ns(leapt), &[]), span(7, 1, ns(NOW + 4 * DAY), &[])]), leapt);
    assert_eq!(db.stats().rejected(RejectReason::TooOld), 0);
    db.flush(leapt).unwrap();
    db.maintain(leapt).unwrap();
    drop(db);
    let (db, _) = TraceDb::open(fs, Path::new("data"), options, leapt).unwrap();
    db.maintain(leapt).unwrap();
    assert!(db.status().retention_paused && db.status().blocks == 6);
    // A day during which the clock runs on does.
    (0..=DAY / MINUTE).for_each(|minute| db.maintain(leapt + minute * MINUTE).unwrap());
    assert_eq!((db.status().retention_paused, db.status().blocks), (false, 1));
    let (db, _) = open(Arc::new(MemFs::new()), Options { retention_bytes: Some(0), ..Options::default() });
    append(&db, batch(vec![span(1, 1, ns(NOW), &[])]), NOW);
    db.flush(NOW).unwrap();
    db.maintain(NOW).unwrap();
    assert_eq!((db.status().blocks, db.stats().blocks_evicted.load(Relaxed)), (0, 1));
}

#[test]
fn a_block_whose_header_names_another_version_is_set_aside() {
    let fs = Arc::new(MemFs::new());
    let (db, _) = open(Arc::clone(&fs) as _, Options::default());
    append(&db, batch(vec![span(1, 1, ns(NOW), &[])]), NOW);
    db.flush(NOW).unwrap();
    drop(db);
    let folder = Path::new("data/blocks");
    let block = folder.join(&fs.list(folder).unwrap()[0].name);
    fs.open(&block).unwrap().write_at(&[2], 8).unwrap();
    let (db, report) = open(fs, Options::default());
    assert_eq!((report.quarantined.len(), db.status().blocks), (1, 0), "{report:?}");
}
