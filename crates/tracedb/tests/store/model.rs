//! Random operations against a plain map: no span is lost, made up or shown twice, through flushes, merges, retention,
//! crashes and restarts, and searches miss nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use sonde_disk::MemFs;
use sonde_model::span::{AttributeValue, Attributes, ScopedSpan, StatusCode, TraceId};
use sonde_tracedb::*;

use crate::support::*;

const RETENTION: i64 = 3 * DAY;

/// All spans that the store was given, by trace, each once.
#[derive(Default)]
struct Model {
    traces: BTreeMap<TraceId, BTreeMap<String, ScopedSpan>>,
    given: Vec<ScopedSpan>,
}

impl Model {
    fn give(&mut self, spans: &[ScopedSpan]) {
        for span in spans {
            self.traces.entry(span.span.trace_id).or_default().insert(print(span), span.clone());
            self.given.push(span.clone());
        }
    }

    /// Every span that must be there is, and none that must not.
    fn check(&self, db: &TraceDb, now: i64) {
        for (id, known) in &self.traces {
            let shown = printed(db, *id);
            assert!(shown.windows(2).all(|w| w[0] != w[1]), "a span of {id} is shown twice");
            assert!(shown.iter().all(|s| known.contains_key(s)), "a span of {id} was made up");
            for (text, span) in known {
                let kept = span.span.start_ns >= ns(now - RETENTION);
                assert!(!kept || shown.contains(text), "a span of {id} is lost: {text}");
            }
        }
    }

    fn check_search(&self, db: &TraceDb, now: i64, range: TimeRange, filters: &[Vec<Condition>]) {
        let as_slices: Vec<&[Condition]> = filters.iter().map(Vec::as_slice).collect();
        let delivered = found(db, range, &as_slices);
        assert!(delivered.windows(2).all(|w| w[0].id < w[1].id), "a trace is delivered twice");
        let in_range = |s: &ScopedSpan| range.start_ns <= s.span.start_ns && s.span.start_ns <= range.end_ns;
        for trace in &delivered {
            assert_eq!(trace.spans.iter().map(print).count(), printed(db, trace.id).len(), "a part of a trace");
            assert!(trace.spans.iter().any(in_range));
        }
        for (id, known) in &self.traces {
            let kept = || known.values().filter(|s| s.span.start_ns >= ns(now - RETENTION));
            let fulfils = |filter: &Vec<Condition>| kept().any(|s| filter.iter().all(|c| holds(s, c)));
            let wanted = kept().any(in_range) && filters.iter().all(fulfils);
            let is_there = delivered.binary_search_by_key(id, |t| t.id).is_ok();
            assert!(!wanted || is_there, "{id} is missed by {filters:?}");
        }
    }
}

/// What a condition says, plainly.
fn holds(scoped: &ScopedSpan, condition: &Condition) -> bool {
    let span = &scoped.span;
    let (op, literal) = (condition.op, &condition.value);
    let any = |attributes: &Attributes, key: &str| {
        attributes.iter().filter(|(k, _)| &**k == key).any(|(_, value)| match value {
            AttributeValue::Array(items) => items.iter().any(|item| compare(item, op, literal)),
            value => compare(value, op, literal),
        })
    };
    match &condition.target {
        Target::Name => compare(&AttributeValue::String(span.name.clone()), op, literal),
        Target::StatusMessage => compare(&AttributeValue::String(span.status_message.clone()), op, literal),
        Target::Duration => match literal {
            Literal::Number(x) => ordered((span.duration_ns() as f64).partial_cmp(x), op),
            _ => false,
        },
        Target::Status => matches!(literal, Literal::Status(s) if (*s == span.status) == (op == Compare::Equal)),
        Target::Kind => matches!(literal, Literal::Kind(k) if (*k == span.kind) == (op == Compare::Equal)),
        Target::Attribute(scope, key) => match scope {
            TagScope::Span => any(&span.attributes, key),
            TagScope::Resource => any(&scoped.resource.attributes, key),
            TagScope::Any => any(&span.attributes, key) || any(&scoped.resource.attributes, key),
            TagScope::Instrumentation => any(&scoped.scope.attributes, key),
            TagScope::Event => span.events.iter().any(|e| any(&e.attributes, key)),
            TagScope::Link => span.links.iter().any(|l| any(&l.attributes, key)),
        },
    }
}

fn compare(value: &AttributeValue, op: Compare, literal: &Literal) -> bool {
    match (value, literal) {
        (AttributeValue::String(a), Literal::String(b)) => ordered(Some(a.cmp(b)), op),
        (AttributeValue::Int(a), Literal::Int(b)) => ordered(Some(a.cmp(b)), op),
        (AttributeValue::Int(a), Literal::Number(b)) => ordered((*a as f64).partial_cmp(b), op),
        (AttributeValue::Double(a), Literal::Float(b) | Literal::Number(b)) => ordered(a.partial_cmp(b), op),
        (AttributeValue::Bool(a), Literal::Bool(b)) => ordered(Some(a.cmp(b)), op),
        _ => false,
    }
}

fn ordered(order: Option<std::cmp::Ordering>, op: Compare) -> bool {
    order.is_some_and(|o| match op {
        Compare::Equal => o.is_eq(),
        Compare::NotEqual => o.is_ne(),
        Compare::Less => o.is_lt(),
        Compare::LessEqual => o.is_le(),
        Compare::Greater => o.is_gt(),
        Compare::GreaterEqual => o.is_ge(),
        Compare::Regex | Compare::NotRegex => unreachable!("the model draws no patterns"),
    })
}

fn any_condition(rng: &mut fastrand::Rng) -> Condition {
    use Compare::*;
    let op = [Equal, Equal, Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual][rng.usize(0..8)];
    let texts = ["GET", "POST", "/api/cart", "ümlaut", "", "service-1", "query", "it broke", "nowhere"];
    let text = |rng: &mut fastrand::Rng| Literal::String(texts[rng.usize(0..texts.len())].into());
    let scopes = [
        TagScope::Any,
        TagScope::Span,
        TagScope::Span,
        TagScope::Resource,
        TagScope::Event,
        TagScope::Link,
        TagScope::Instrumentation,
    ];
    let keys = ["http.method", "http.route", "status", "v", "ok", "", "service.name", "none"];
    match rng.u8(0..8) {
        0 => condition(Target::Name, op, text(rng)),
        1 => condition(Target::StatusMessage, op, text(rng)),
        2 => condition(Target::Duration, op, Literal::Number(rng.f64() * 1e10)),
        3 => condition(Target::Status, [Equal, NotEqual][rng.usize(0..2)], Literal::Status(StatusCode::Error)),
        _ => {
            let literal = match rng.u8(0..8) {
                0 => Literal::Int([0, -1, 200][rng.usize(0..3)]),
                1 => Literal::Float([0.0, 1.5][rng.usize(0..2)]),
                2 => Literal::Number(1.0),
                3 => Literal::Bool(true),
                _ => text(rng),
            };
            let target = Target::Attribute(scopes[rng.usize(0..scopes.len())], keys[rng.usize(0..keys.len())].into());
            condition(target, op, literal)
        }
    }
}

fn any_batch(rng: &mut fastrand::Rng, model: &Model, now: i64) -> Vec<ScopedSpan> {
    let n = if rng.u8(0..40) == 0 { 2500 } else { rng.usize(1..40) };
    (0..n)
        .map(|_| match rng.u8(0..10) {
            // The same span again.
            0 if !model.given.is_empty() => {
                let again = model.given[rng.usize(0..model.given.len())].clone();
                if again.span.start_ns >= ns(now - RETENTION) { again } else { any_span(rng, 1, 1, ns(now)) }
            }
            // Other content under the id of another span.
            1 => any_span(rng, rng.clone().u64(0..30), rng.clone().u64(0..20), ns(now)),
            late => {
                let back = if late < 4 { rng.i64(0..RETENTION - HOUR) } else { rng.i64(0..60_000) };
                let (trace, id, more) = (rng.u64(0..60), rng.u64(1..), rng.u64(0..1_000));
                any_span(rng, trace, id, ns(now - back) + more)
            }
        })
        .collect()
}

#[test]
fn the_store_agrees_with_a_map() {
    for seed in 0..6u64 {
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let options = Options {
            retention_ms: RETENTION,
            search_reach_ms: 10 * DAY,
            wal_segment_bytes: 64 << 10,
            cache_bytes: [0, 1 << 20][rng.usize(0..2)],
            block_rows: [500, 1_000_000][rng.usize(0..2)],
            ..Options::default()
        };
        let mut mem = MemFs::new();
        let (mut db, _) = open(Arc::new(mem.clone()), options.clone());
        let mut model = Model::default();
        let (mut now, mut seq) = (NOW, 0);
        for _ in 0..45 {
            match rng.u8(0..16) {
                0..6 => {
                    let spans = any_batch(&mut rng, &model, now);
                    let outcome = append(&db, batch(spans.clone()), now);
                    assert_eq!(outcome.accepted as usize, spans.len());
                    model.give(&spans);
                }
                6 | 7 => db.flush(now).unwrap(),
                8 => db.compact(now).unwrap(),
                9 => {
                    now += rng.i64(0..HOUR * 8);
                    db.maintain(now).unwrap();
                }
                10 | 11 => {
                    // A batch is on its way when the power goes; then it is sent again.
                    seq += 1;
                    let spans = any_batch(&mut rng, &model, now);
                    let on_its_way = send(&db, numbered(seq, spans.clone()), now);
                    mem = mem.crash(rng.u64(..));
                    drop((db, on_its_way));
                    let (opened, report) = open(Arc::new(mem.clone()), options.clone());
                    assert!(!report.is_damaged(), "{report:?}");
                    db = opened;
                    append(&db, numbered(seq, spans.clone()), now);
                    model.give(&spans);
                }
                12 => model.check(&db, now),
                _ => {
                    let at = ns(now) - rng.u64(0..ns(RETENTION));
                    let range = [TimeRange::ALL, TimeRange { start_ns: at, end_ns: at + rng.u64(0..ns(DAY)) }];
                    let filters = (0..rng.usize(0..3))
                        .map(|_| (0..rng.usize(1..3)).map(|_| any_condition(&mut rng)).collect())
                        .collect::<Vec<_>>();
                    model.check_search(&db, now, range[rng.usize(0..2)], &filters);
                }
            }
        }
        model.check(&db, now);
        db.flush(now).unwrap();
        db.compact(now).unwrap();
        model.check(&db, now);
    }
}
