//! A store of spans, and what lies in its folder.

use std::path::Path;
use std::sync::Arc;

use sonde_disk::MemFs;
use sonde_fuzz::{BLOCK, DIR};
use sonde_model::span::{
    AttributeValue, Attributes, Event, Link, Resource, Scope, ScopedSpan, Span, SpanId, StatusCode, TraceId,
};
use sonde_tracedb::{Options, SpanBatch, TraceDb};

use crate::{Corpus, records};

/// Small stores with everything that a span may bear: their blocks and their logs.
pub(crate) fn write(corpus: &Corpus) {
    for spans in [1, 7, 60] {
        let fs = MemFs::new();
        let open = || TraceDb::open(Arc::new(fs.clone()), Path::new(DIR), Options::default(), 0).expect("memory").0;
        let db = open();
        for batch in 0..3 {
            let spans = (0..spans).map(|i| span(batch * spans + i)).collect();
            db.append(SpanBatch { cursor: None, spans }, 0, |_| {}).expect("there is room");
        }
        db.close();
        drop(db);
        corpus.put("span_records", &records(&fs, &Path::new(DIR).join("wal")));
        let db = open();
        db.flush(0).expect("memory");
        db.close();
        drop(db);
        let block = sonde_disk::read_all(&fs, &Path::new(DIR).join(BLOCK), 1 << 24);
        corpus.put("span_block", &block.expect("it was flushed"));
    }
}

fn span(i: u8) -> ScopedSpan {
    let resource = Resource {
        attributes: vec![(
            "service.name".into(),
            AttributeValue::String(if i % 2 == 0 { "shop" } else { "bank" }.into()),
        )],
        dropped_attributes: 1,
        schema_url: "s".into(),
    };
    let scope = Scope { name: "lib".into(), version: "1".into(), attributes: attributes(i), ..Scope::default() };
    let start_ns = 1_000_000 * u64::from(i);
    let event = Event { time_ns: start_ns, name: "e".into(), attributes: attributes(i), dropped_attributes: 0 };
    let link = Link { trace_id: TraceId([9; 16]), span_id: SpanId([i | 1; 8]), flags: 1, ..Link::default() };
    let span = Span {
        trace_id: TraceId([1 + i / 5; 16]),
        span_id: SpanId([i + 1; 8]),
        parent_span_id: (i % 5 > 0).then_some(SpanId([i; 8])),
        name: format!("GET /{}", i % 3).into(),
        start_ns,
        end_ns: start_ns + 7_000 * u64::from(i),
        attributes: attributes(i),
        events: if i % 4 == 0 { vec![event] } else { Vec::new() },
        links: if i % 7 == 0 { vec![link] } else { Vec::new() },
        status: if i % 6 == 0 { StatusCode::Error } else { StatusCode::Unset },
        status_message: if i % 6 == 0 { "no".into() } else { "".into() },
        ..Span::default()
    };
    ScopedSpan { resource: Arc::new(resource), scope: Arc::new(scope), span }
}

/// One of each kind.
fn attributes(i: u8) -> Attributes {
    let values = [
        AttributeValue::Empty,
        AttributeValue::String("v".into()),
        AttributeValue::Bool(i % 2 == 0),
        AttributeValue::Int(i64::from(i) - 3),
        AttributeValue::Double(f64::from(i) / 3.0),
        AttributeValue::Bytes(vec![i, 0].into()),
        AttributeValue::Array(vec![AttributeValue::Int(1), AttributeValue::String("x".into())]),
        AttributeValue::Map(vec![("k".into(), AttributeValue::Bool(true))]),
    ];
    values.into_iter().enumerate().map(|(n, value)| (format!("a{n}").into(), value)).collect()
}
