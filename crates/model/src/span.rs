//! The nouns of tracing: spans with everything that OTLP says of them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// The id of a trace: 128 bits, written as 32 hex digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub [u8; 16]);

/// The id of a span: 64 bits, written as 16 hex digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub [u8; 8]);

/// What a span is to its callers and callees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SpanKind {
    /// Nothing was said.
    #[default]
    Unspecified,
    /// Within a program.
    Internal,
    /// The callee of a synchronous call.
    Server,
    /// The caller of a synchronous call.
    Client,
    /// The sender of a message.
    Producer,
    /// The receiver of a message.
    Consumer,
}

impl SpanKind {
    /// The name of the value in OTLP's protobuf enumeration.
    pub fn otlp_name(self) -> &'static str {
        match self {
            SpanKind::Unspecified => "SPAN_KIND_UNSPECIFIED",
            SpanKind::Internal => "SPAN_KIND_INTERNAL",
            SpanKind::Server => "SPAN_KIND_SERVER",
            SpanKind::Client => "SPAN_KIND_CLIENT",
            SpanKind::Producer => "SPAN_KIND_PRODUCER",
            SpanKind::Consumer => "SPAN_KIND_CONSUMER",
        }
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StatusCode {
    /// Nothing was said.
    #[default]
    Unset,
    /// Well, as its author says.
    Ok,
    /// In failure.
    Error,
}

/// The value of an attribute, of every type that OTLP has.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AttributeValue {
    /// No value.
    #[default]
    Empty,
    /// A text.
    String(Box<str>),
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A float.
    Double(f64),
    /// Bytes.
    Bytes(Box<[u8]>),
    /// A list.
    Array(Vec<AttributeValue>),
    /// A map, in the order in which it came.
    Map(Attributes),
}

/// Keys and values in the order in which they came.
pub type Attributes = Vec<(Box<str>, AttributeValue)>;

/// Who produced telemetry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resource {
    /// What is known of it.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes: u32,
    /// The schema of the names, or empty.
    pub schema_url: Box<str>,
}

/// With which library telemetry was produced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scope {
    /// The name of the library.
    pub name: Box<str>,
    /// Its version.
    pub version: Box<str>,
    /// What else is known of it.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes: u32,
    /// The schema of the names, or empty.
    pub schema_url: Box<str>,
}

/// Something that happened within a span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// Nanoseconds since the epoch.
    pub time_ns: u64,
    /// What happened.
    pub name: Box<str>,
    /// What is known of it.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes: u32,
}

/// A relation to a span of this or another trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Link {
    /// The other trace.
    pub trace_id: TraceId,
    /// The other span.
    pub span_id: SpanId,
    /// W3C trace state.
    pub trace_state: Box<str>,
    /// W3C flags.
    pub flags: u32,
    /// What is known of it.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes: u32,
}

/// One operation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span that caused it; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// W3C trace state.
    pub trace_state: Box<str>,
    /// W3C flags.
    pub flags: u32,
    /// What it does.
    pub name: Box<str>,
    /// What it is to its callers and callees.
    pub kind: SpanKind,
    /// Nanoseconds since the epoch.
    pub start_ns: u64,
    /// Nanoseconds since the epoch.
    pub end_ns: u64,
    /// What is known of it.
    pub attributes: Attributes,
    /// How many attributes the sender dropped.
    pub dropped_attributes: u32,
    /// What happened within it.
    pub events: Vec<Event>,
    /// How many events the sender dropped.
    pub dropped_events: u32,
    /// Its relations.
    pub links: Vec<Link>,
    /// How many links the sender dropped.
    pub dropped_links: u32,
    /// How it ended.
    pub status: StatusCode,
    /// What was said of how it ended.
    pub status_message: Box<str>,
}

/// A span with who produced it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScopedSpan {
    /// Who produced it.
    pub resource: Arc<Resource>,
    /// With which library.
    pub scope: Arc<Scope>,
    /// The span.
    pub span: Span,
}

/// What is known of a trace, in no particular order. A trace may be incomplete for ever.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Its id.
    pub id: TraceId,
    /// Its spans.
    pub spans: Vec<ScopedSpan>,
}

impl Span {
    /// From start to end in nanoseconds; 0 where the clock ran backwards.
    pub fn duration_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

impl Resource {
    /// The value of `service.name`, or the empty string.
    pub fn service_name(&self) -> &str {
        match get(&self.attributes, "service.name") {
            Some(AttributeValue::String(name)) => name,
            _ => "",
        }
    }
}

/// The first value of `key`.
pub fn get<'a>(attributes: &'a Attributes, key: &str) -> Option<&'a AttributeValue> {
    attributes.iter().find(|(k, _)| &**k == key).map(|(_, value)| value)
}

/// A text is no id in hex digits of the right length.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("an id is at most {digits} hexadecimal digits")]
pub struct InvalidId {
    /// How many digits an id of the kind has.
    pub digits: usize,
}

macro_rules! hex_id {
    ($name:ident, $bytes:literal) => {
        impl $name {
            /// Whether all bits are 0, which OTLP calls invalid.
            pub fn is_zero(&self) -> bool {
                self.0 == [0; $bytes]
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            /// Hex digits in either case; a short text is filled with zeros on the left.
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = InvalidId { digits: 2 * $bytes };
                if text.is_empty() || text.len() > 2 * $bytes {
                    return Err(invalid);
                }
                let mut id = [0u8; $bytes];
                for (i, c) in text.bytes().rev().enumerate() {
                    let digit = (c as char).to_digit(16).ok_or(invalid)? as u8;
                    id[$bytes - 1 - i / 2] |= digit << (4 * (i % 2));
                }
                Ok($name(id))
            }
        }
    };
}

hex_id!(TraceId, 16);
hex_id!(SpanId, 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_print_and_parse() {
        let id: TraceId = "AA95749dd82b28aa5183450ace1440b2".parse().expect("an id");
        assert_eq!(id.to_string(), "aa95749dd82b28aa5183450ace1440b2");
        assert_eq!("abc".parse::<SpanId>().map(|id| id.to_string()), Ok("0000000000000abc".to_owned()));
        for text in ["", "xyz", "00000000000000000"] {
            assert!(text.parse::<SpanId>().is_err(), "{text}");
        }
    }
}
