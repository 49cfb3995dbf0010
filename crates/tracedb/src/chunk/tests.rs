//! Batches come back, and no bytes make their decoder panic.

use proptest::prelude::*;
use sonde_model::span::{AttributeValue, Event, Link, Span, SpanId};

use super::*;
use crate::plan::{Matches, Plan};
use crate::query::{Compare, Condition, Literal, Search, SpanFilter, Target, TimeRange};
use crate::record::{self, Record};
use crate::scan;

fn spans() -> Vec<ScopedSpan> {
    let values = [
        AttributeValue::Empty,
        AttributeValue::String("text".into()),
        AttributeValue::Bool(true),
        AttributeValue::Int(-5),
        AttributeValue::Double(1.5),
        AttributeValue::Bytes([1, 2].into()),
        AttributeValue::Array(vec![AttributeValue::Int(1), AttributeValue::Array(Vec::new())]),
        AttributeValue::Map(vec![("k".into(), AttributeValue::Empty)]),
    ];
    let attributes: Vec<_> = values.into_iter().map(|value| ("key".into(), value)).collect();
    let span = Span {
        span_id: SpanId([3; 8]),
        parent_span_id: Some(SpanId([4; 8])),
        name: "name".into(),
        start_ns: 9,
        end_ns: 2,
        attributes: attributes.clone(),
        events: vec![Event { time_ns: 3, attributes: attributes.clone(), ..Event::default() }],
        links: vec![Link { attributes, ..Link::default() }],
        ..Span::default()
    };
    let one = ScopedSpan { span, ..ScopedSpan::default() };
    vec![one.clone(), ScopedSpan::default(), one]
}

/// Reads all that a body has.
fn walk(body: &[u8]) {
    let Ok(chunk) = Chunk::parse(body) else { return };
    for at in 0..chunk.len() {
        // An error is fine, a panic is not.
        let _ = chunk.decode(at);
    }
    chunk.tags();
    let target = Target::Attribute(TagScope::Link, "key".into());
    let condition = Condition { target, op: Compare::NotEqual, value: Literal::String("x".into()) };
    let filters = vec![SpanFilter { conditions: vec![condition] }];
    let plan = Plan::new(&Search { range: TimeRange::ALL, filters }, 0);
    let _ = scan::scan(&chunk, &plan, &mut Matches::default());
}

#[test]
fn a_batch_comes_back() {
    let spans = spans();
    let chunk = Chunk::parse(&encode(spans.iter())).unwrap();
    let back: Vec<ScopedSpan> = (0..chunk.len()).map(|at| chunk.decode(at).unwrap()).collect();
    assert_eq!(back, spans);
    assert_eq!((chunk.resources.len(), chunk.scopes.len()), (1, 1));
    let smallest = vec![ScopedSpan::default(); 10];
    assert_eq!(Chunk::parse(&encode(smallest.iter())).map(|c| c.len()), Ok(10));
    assert_eq!(Chunk::parse(&encode([].iter())).map(|c| c.len()), Ok(0));
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        walk(&bytes);
        let mut record = vec![bytes.first().copied().unwrap_or(0) % 4, 1];
        record.extend_from_slice(&bytes);
        if let Ok(Record::Batch { body, .. }) = record::read(&record) {
            walk(body);
        }
    }

    #[test]
    fn damaged_bytes_are_taken_without_panic(flips in prop::collection::vec(any::<(usize, u8)>(), 1..5)) {
        let mut body = encode(spans().iter());
        for (at, mask) in flips {
            let at = at % body.len();
            body[at] ^= mask;
        }
        walk(&body);
    }
}
