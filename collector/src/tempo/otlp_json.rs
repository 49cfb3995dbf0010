//! Traces in the JSON of Tempo: proto3 JSON of OTLP's messages, so that ids are base64 and enumerations are words.

use sonde_proto::otlp::common::{AnyValue, KeyValue, any_value};
use sonde_proto::otlp::trace::span::{Event, Link};
use sonde_proto::otlp::trace::{ResourceSpans, ScopeSpans, Span};

use crate::api::json::JsonWriter;

/// The elements of a list of `ResourceSpans`, with the brackets.
pub(super) fn resource_spans(json: &mut JsonWriter, all: &[ResourceSpans]) {
    list(json, all, |json, of_resource| {
        let mut object = Object::open(json);
        if let Some(resource) = &of_resource.resource {
            let json = object.key("resource");
            let mut inner = Object::open(json);
            inner.attributes(&resource.attributes, resource.dropped_attributes_count);
            inner.close();
        }
        scope_spans(object.key("scopeSpans"), &of_resource.scope_spans);
        object.text("schemaUrl", &of_resource.schema_url);
        object.close();
    });
}

fn scope_spans(json: &mut JsonWriter, all: &[ScopeSpans]) {
    list(json, all, |json, of_scope| {
        let mut object = Object::open(json);
        if let Some(scope) = &of_scope.scope {
            let json = object.key("scope");
            let mut inner = Object::open(json);
            inner.text("name", &scope.name);
            inner.text("version", &scope.version);
            inner.attributes(&scope.attributes, scope.dropped_attributes_count);
            inner.close();
        }
        list(object.key("spans"), &of_scope.spans, span);
        object.text("schemaUrl", &of_scope.schema_url);
        object.close();
    });
}

fn span(json: &mut JsonWriter, span: &Span) {
    let mut object = Object::open(json);
    object.bytes("traceId", &span.trace_id);
    object.bytes("spanId", &span.span_id);
    object.text("traceState", &span.trace_state);
    object.bytes("parentSpanId", &span.parent_span_id);
    object.count("flags", span.flags);
    object.text("name", &span.name);
    if span.kind != 0 {
        object.text("kind", span.kind().as_str_name());
    }
    object.time("startTimeUnixNano", span.start_time_unix_nano);
    object.time("endTimeUnixNano", span.end_time_unix_nano);
    object.attributes(&span.attributes, span.dropped_attributes_count);
    if !span.events.is_empty() {
        list(object.key("events"), &span.events, event);
    }
    object.count("droppedEventsCount", span.dropped_events_count);
    if !span.links.is_empty() {
        list(object.key("links"), &span.links, link);
    }
    object.count("droppedLinksCount", span.dropped_links_count);
    if let Some(status) = &span.status {
        let json = object.key("status");
        let mut inner = Object::open(json);
        inner.text("message", &status.message);
        if status.code != 0 {
            inner.text("code", status.code().as_str_name());
        }
        inner.close();
    }
    object.close();
}

fn event(json: &mut JsonWriter, event: &Event) {
    let mut object = Object::open(json);
    object.time("timeUnixNano", event.time_unix_nano);
    object.text("name", &event.name);
    object.attributes(&event.attributes, event.dropped_attributes_count);
    object.close();
}

fn link(json: &mut JsonWriter, link: &Link) {
    let mut object = Object::open(json);
    object.bytes("traceId", &link.trace_id);
    object.bytes("spanId", &link.span_id);
    object.text("traceState", &link.trace_state);
    object.attributes(&link.attributes, link.dropped_attributes_count);
    object.count("flags", link.flags);
    object.close();
}

fn key_value(json: &mut JsonWriter, pair: &KeyValue) {
    let mut object = Object::open(json);
    object.text("key", &pair.key);
    if let Some(item) = &pair.value {
        value(object.key("value"), item);
    }
    object.close();
}

/// As deep as the ingest takes values, which is bounded.
fn value(json: &mut JsonWriter, item: &AnyValue) {
    use any_value::Value;
    let mut object = Object::open(json);
    match &item.value {
        None | Some(Value::StringValueStrindex(_)) => {}
        Some(Value::StringValue(text)) => {
            object.key("stringValue").string(text);
        }
        Some(Value::BoolValue(b)) => {
            object.key("boolValue").raw(if *b { "true" } else { "false" });
        }
        Some(Value::IntValue(n)) => {
            object.key("intValue").string(&n.to_string());
        }
        Some(Value::DoubleValue(x)) if x.is_finite() => {
            object.key("doubleValue").number(*x);
        }
        Some(Value::DoubleValue(x)) => {
            object.key("doubleValue").string(non_finite(*x));
        }
        Some(Value::BytesValue(bytes)) => {
            object.key("bytesValue").string(&base64(bytes));
        }
        Some(Value::ArrayValue(array)) => {
            let mut inner = Object::open(object.key("arrayValue"));
            if !array.values.is_empty() {
                list(inner.key("values"), &array.values, value);
            }
            inner.close();
        }
        Some(Value::KvlistValue(map)) => {
            let mut inner = Object::open(object.key("kvlistValue"));
            if !map.values.is_empty() {
                list(inner.key("values"), &map.values, key_value);
            }
            inner.close();
        }
    }
    object.close();
}

/// What proto3 JSON writes for a number that JSON cannot hold.
pub(super) fn non_finite(x: f64) -> &'static str {
    if x.is_nan() {
        "NaN"
    } else if x > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

fn list<T>(json: &mut JsonWriter, items: &[T], write: impl Fn(&mut JsonWriter, &T)) {
    json.raw("[");
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            json.raw(",");
        }
        write(json, item);
    }
    json.raw("]");
}

/// An object that is being written; what has the default value is left out, as proto3 JSON does.
struct Object<'a> {
    json: &'a mut JsonWriter,
    empty: bool,
}

impl<'a> Object<'a> {
    fn open(json: &'a mut JsonWriter) -> Self {
        json.raw("{");
        Object { json, empty: true }
    }

    fn key(&mut self, key: &str) -> &mut JsonWriter {
        if !std::mem::replace(&mut self.empty, false) {
            self.json.raw(",");
        }
        self.json.key(key)
    }

    fn text(&mut self, key: &str, text: &str) {
        if !text.is_empty() {
            self.key(key).string(text);
        }
    }

    fn bytes(&mut self, key: &str, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.key(key).string(&base64(bytes));
        }
    }

    fn time(&mut self, key: &str, ns: u64) {
        if ns > 0 {
            self.key(key).string(&ns.to_string());
        }
    }

    fn count(&mut self, key: &str, n: u32) {
        if n > 0 {
            self.key(key).integer(i64::from(n));
        }
    }

    fn attributes(&mut self, pairs: &[KeyValue], dropped: u32) {
        if !pairs.is_empty() {
            list(self.key("attributes"), pairs, key_value);
        }
        self.count("droppedAttributesCount", dropped);
    }

    fn close(self) {
        self.json.raw("}");
    }
}

/// The bytes in base64 with padding (RFC 4648, section 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for i in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn values_of_every_type_are_proto3_json() {
        use any_value::Value;
        let of = |value| AnyValue { value };
        let pair = KeyValue { key: "k".into(), value: Some(of(Some(Value::BoolValue(false)))), key_strindex: 0 };
        let array = sonde_proto::otlp::common::ArrayValue { values: vec![of(Some(Value::IntValue(-1))), of(None)] };
        let map = sonde_proto::otlp::common::KeyValueList { values: vec![pair] };
        for (item, text) in [
            (of(None), "{}"),
            (of(Some(Value::StringValue(String::new()))), r#"{"stringValue":""}"#),
            (of(Some(Value::DoubleValue(1.5))), r#"{"doubleValue":1.5}"#),
            (of(Some(Value::DoubleValue(f64::NEG_INFINITY))), r#"{"doubleValue":"-Infinity"}"#),
            (of(Some(Value::BytesValue(vec![0, 255]))), r#"{"bytesValue":"AP8="}"#),
            (of(Some(Value::ArrayValue(array))), r#"{"arrayValue":{"values":[{"intValue":"-1"},{}]}}"#),
            (
                of(Some(Value::KvlistValue(map))),
                r#"{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":false}}]}}"#,
            ),
        ] {
            let mut json = JsonWriter::new();
            value(&mut json, &item);
            assert_eq!(json.into_string(), text);
        }
    }
}
