use proptest::collection::vec;
use proptest::prelude::*;
use sonde_proto::otlp::Message;
use sonde_proto::otlp::trace::{ResourceSpans, ScopeSpans};

use super::*;

fn text() -> impl Strategy<Value = Box<str>> {
    "[a-z\u{e4}]{0,6}".prop_map(String::into_boxed_str)
}

fn any_value() -> impl Strategy<Value = AttributeValue> {
    let leaf = prop_oneof![
        Just(AttributeValue::Empty),
        text().prop_map(AttributeValue::String),
        any::<bool>().prop_map(AttributeValue::Bool),
        any::<i64>().prop_map(AttributeValue::Int),
        (-1e9..1e9).prop_map(AttributeValue::Double),
        vec(any::<u8>(), 0..5).prop_map(|bytes| AttributeValue::Bytes(bytes.into())),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(AttributeValue::Array),
            vec((text(), inner), 0..4).prop_map(AttributeValue::Map),
        ]
    })
}

fn pairs() -> impl Strategy<Value = Attributes> {
    vec((text(), any_value()), 0..4)
}

fn trace_ids() -> impl Strategy<Value = TraceId> {
    any::<[u8; 16]>().prop_map(TraceId).prop_filter("zero", |id| !id.is_zero())
}

fn span_ids() -> impl Strategy<Value = SpanId> {
    any::<[u8; 8]>().prop_map(SpanId).prop_filter("zero", |id| !id.is_zero())
}

fn events() -> impl Strategy<Value = Event> {
    (any::<u64>(), text(), pairs(), any::<u32>()).prop_map(|(time_ns, name, attributes, dropped_attributes)| Event {
        time_ns,
        name,
        attributes,
        dropped_attributes,
    })
}

fn links() -> impl Strategy<Value = Link> {
    (trace_ids(), span_ids(), text(), any::<u32>(), pairs(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, flags, attributes, dropped_attributes)| Link {
            trace_id,
            span_id,
            trace_state,
            flags,
            attributes,
            dropped_attributes,
        },
    )
}

fn any_span() -> impl Strategy<Value = Span> {
    use SpanKind::{Client, Consumer, Internal, Producer, Server, Unspecified};
    let ids = (trace_ids(), span_ids(), proptest::option::of(span_ids()), text(), any::<u32>());
    let kinds = proptest::sample::select(vec![Unspecified, Internal, Server, Client, Producer, Consumer]);
    let codes = proptest::sample::select(vec![StatusCode::Unset, StatusCode::Ok, StatusCode::Error]);
    let what = (text(), kinds, any::<u64>(), any::<u64>(), pairs(), any::<u32>());
    let more = (vec(events(), 0..3), any::<u32>(), vec(links(), 0..3), any::<u32>(), codes, text());
    (ids, what, more).prop_map(|(ids, what, more)| Span {
        trace_id: ids.0,
        span_id: ids.1,
        parent_span_id: ids.2,
        trace_state: ids.3,
        flags: ids.4,
        name: what.0,
        kind: what.1,
        start_ns: what.2,
        end_ns: what.3,
        attributes: what.4,
        dropped_attributes: what.5,
        events: more.0,
        dropped_events: more.1,
        links: more.2,
        dropped_links: more.3,
        status: more.4,
        status_message: more.5,
    })
}

fn resources() -> impl Strategy<Value = Resource> {
    (pairs(), any::<u32>(), text()).prop_map(|(attributes, dropped_attributes, schema_url)| Resource {
        attributes,
        dropped_attributes,
        schema_url,
    })
}

fn scopes() -> impl Strategy<Value = Scope> {
    (text(), text(), pairs(), any::<u32>(), text()).prop_map(
        |(name, version, attributes, dropped_attributes, schema_url)| Scope {
            name,
            version,
            attributes,
            dropped_attributes,
            schema_url,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_size_of_a_span_is_that_of_its_bytes(span in any_span()) {
        prop_assert_eq!(otlp_span_bytes(&span), otlp_span(&span).encoded_len());
    }

    #[test]
    fn nothing_is_lost_on_the_way_there_and_back(
        groups in vec((resources(), vec((scopes(), vec(any_span(), 0..3)), 0..3)), 0..3),
    ) {
        let mut given: Vec<ScopedSpan> = Vec::new();
        for (resource, of_resource) in groups {
            let resource = Arc::new(resource);
            for (scope, spans) in of_resource {
                let scope = Arc::new(scope);
                given.extend(spans.into_iter().map(|span| ScopedSpan {
                    resource: Arc::clone(&resource),
                    scope: Arc::clone(&scope),
                    span,
                }));
            }
        }
        let request = ExportTraceServiceRequest { resource_spans: resource_spans(&given) };
        let bytes = request.encode_to_vec();
        let back = spans(ExportTraceServiceRequest::decode(bytes.as_slice()).expect("it was just encoded"));
        prop_assert!(back.rejected.is_empty() && back.dropped_links == 0);
        // Equal resources are put together, so that only the order of spans may differ.
        let key = |s: &ScopedSpan| format!("{s:?}");
        let (mut back, mut given) = (back.spans, given);
        back.sort_by_key(key);
        given.sort_by_key(key);
        prop_assert_eq!(back, given);
    }
}

fn request(spans: Vec<trace::Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

fn valid() -> trace::Span {
    trace::Span { trace_id: vec![1; 16], span_id: vec![2; 8], ..trace::Span::default() }
}

fn nested(depth: usize) -> AnyValue {
    let mut value = AnyValue { value: Some(any_value::Value::IntValue(1)) };
    for _ in 0..depth {
        let array = sonde_proto::otlp::common::ArrayValue { values: vec![value] };
        value = AnyValue { value: Some(any_value::Value::ArrayValue(array)) };
    }
    value
}

#[test]
fn a_span_that_cannot_be_kept_is_left_out_alone() {
    let with = |change: fn(&mut trace::Span)| {
        let mut span = valid();
        change(&mut span);
        span
    };
    let pair = |depth| KeyValue { key: "k".into(), value: Some(nested(depth)), key_strindex: 0 };
    let mut deep = valid();
    deep.attributes = vec![pair(MAX_VALUE_DEPTH + 1)];
    let mut just_so = valid();
    just_so.attributes = vec![pair(MAX_VALUE_DEPTH)];
    let found = spans(request(vec![
        valid(),
        with(|s| s.trace_id = vec![0; 16]),
        with(|s| s.trace_id = vec![1; 15]),
        with(|s| s.span_id.clear()),
        with(|s| s.parent_span_id = vec![1; 3]),
        with(|s| s.parent_span_id = vec![0; 8]),
        with(|s| s.links.push(trace::span::Link::default())),
        deep,
        just_so,
    ]));
    let rejected = BTreeMap::from([
        (SpanReject::InvalidTraceId, 2),
        (SpanReject::InvalidSpanId, 1),
        (SpanReject::InvalidParentId, 1),
        (SpanReject::TooDeep, 1),
    ]);
    assert_eq!((found.spans.len(), found.rejected, found.dropped_links), (4, rejected, 1));
    assert_eq!(found.spans[1].span.parent_span_id, None, "eight zeros are no parent");
    assert_eq!((found.spans[2].span.links.len(), found.spans[2].span.dropped_links), (0, 1));
}
