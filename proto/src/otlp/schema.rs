//! Which fields the messages of OTLP have, as tables for the scan.
//!
//! Source: opentelemetry-proto 1.10. A test decodes what the scan lets through with the generated messages, so that a
//! table that falls behind is found.

/// A message: what each field number holds. Numbers beyond the table and `Skip` are unknown fields.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) fields: &'static [Kind],
    pub(super) place: Place,
}

/// Where a message stands in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Items are found in it.
    Above,
    /// It is one item: a data point or a span.
    Item,
    /// It is one item, and messages in it that are as short as two bytes become samples each.
    ItemOfMany,
    /// It says something about an item, or about what holds items.
    Beside,
}

/// What a field holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Unknown: passed over.
    Skip,
    /// A varint of any kind.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Four bytes.
    Fixed32,
    /// Varints, packed or one by one.
    Varints,
    /// Eight bytes each, packed or one by one.
    Fixed64s,
    /// Bytes of no structure.
    Bytes,
    /// UTF-8.
    Text,
    /// UTF-8, repeated.
    Texts,
    /// A message, once or repeated.
    Message(&'static Schema),
}

use Kind::{Bytes, Fixed32, Fixed64, Fixed64s, Message, Skip, Text, Texts, Varint, Varints};

const fn message(fields: &'static [Kind]) -> Schema {
    Schema { fields, place: Place::Beside }
}

const fn above(fields: &'static [Kind]) -> Schema {
    Schema { fields, place: Place::Above }
}

const fn item_of_many(fields: &'static [Kind]) -> Schema {
    Schema { fields, place: Place::ItemOfMany }
}

const fn item(fields: &'static [Kind]) -> Schema {
    Schema { fields, place: Place::Item }
}

pub(super) static METRICS_REQUEST: Schema = above(&[Skip, Message(&RESOURCE_METRICS)]);
pub(super) static TRACES_REQUEST: Schema = above(&[Skip, Message(&RESOURCE_SPANS)]);

static RESOURCE_METRICS: Schema = above(&[Skip, Message(&RESOURCE), Message(&SCOPE_METRICS), Text]);
static SCOPE_METRICS: Schema = above(&[Skip, Message(&SCOPE), Message(&METRIC), Text]);
static METRIC: Schema = above(&[
    Skip,
    Text,
    Text,
    Text,
    Skip,
    Message(&GAUGE),
    Skip,
    Message(&SUM),
    Skip,
    Message(&HISTOGRAM),
    Message(&EXPONENTIAL_HISTOGRAM),
    Message(&SUMMARY),
    Message(&KEY_VALUE),
]);
static GAUGE: Schema = above(&[Skip, Message(&NUMBER_POINT)]);
static SUM: Schema = above(&[Skip, Message(&NUMBER_POINT), Varint, Varint]);
static HISTOGRAM: Schema = above(&[Skip, Message(&HISTOGRAM_POINT), Varint]);
static EXPONENTIAL_HISTOGRAM: Schema = above(&[Skip, Message(&EXPONENTIAL_POINT), Varint]);
static SUMMARY: Schema = above(&[Skip, Message(&SUMMARY_POINT)]);
static NUMBER_POINT: Schema =
    item(&[Skip, Skip, Fixed64, Fixed64, Fixed64, Message(&EXEMPLAR), Fixed64, Message(&KEY_VALUE), Varint]);
static HISTOGRAM_POINT: Schema = item(&[
    Skip,
    Skip,
    Fixed64,
    Fixed64,
    Fixed64,
    Fixed64,
    Fixed64s,
    Fixed64s,
    Message(&EXEMPLAR),
    Message(&KEY_VALUE),
    Varint,
    Fixed64,
    Fixed64,
]);
static EXPONENTIAL_POINT: Schema = item(&[
    Skip,
    Message(&KEY_VALUE),
    Fixed64,
    Fixed64,
    Fixed64,
    Fixed64,
    Varint,
    Fixed64,
    Message(&BUCKETS),
    Message(&BUCKETS),
    Varint,
    Message(&EXEMPLAR),
    Fixed64,
    Fixed64,
    Fixed64,
]);
static BUCKETS: Schema = message(&[Skip, Varint, Varints]);
static SUMMARY_POINT: Schema =
    item_of_many(&[Skip, Skip, Fixed64, Fixed64, Fixed64, Fixed64, Message(&QUANTILE), Message(&KEY_VALUE), Varint]);
static QUANTILE: Schema = message(&[Skip, Fixed64, Fixed64]);
static EXEMPLAR: Schema = message(&[Skip, Skip, Fixed64, Fixed64, Bytes, Bytes, Fixed64, Message(&KEY_VALUE)]);

static RESOURCE_SPANS: Schema = above(&[Skip, Message(&RESOURCE), Message(&SCOPE_SPANS), Text]);
static SCOPE_SPANS: Schema = above(&[Skip, Message(&SCOPE), Message(&SPAN), Text]);
static SPAN: Schema = item(&[
    Skip,
    Bytes,
    Bytes,
    Text,
    Bytes,
    Text,
    Varint,
    Fixed64,
    Fixed64,
    Message(&KEY_VALUE),
    Varint,
    Message(&EVENT),
    Varint,
    Message(&LINK),
    Varint,
    Message(&STATUS),
    Fixed32,
]);
static EVENT: Schema = message(&[Skip, Fixed64, Text, Message(&KEY_VALUE), Varint]);
static LINK: Schema = message(&[Skip, Bytes, Bytes, Text, Message(&KEY_VALUE), Varint, Fixed32]);
static STATUS: Schema = message(&[Skip, Skip, Text, Varint]);

static RESOURCE: Schema = message(&[Skip, Message(&KEY_VALUE), Varint, Message(&ENTITY)]);
static ENTITY: Schema = message(&[Skip, Text, Text, Texts, Texts]);
static SCOPE: Schema = message(&[Skip, Text, Text, Message(&KEY_VALUE), Varint]);
static KEY_VALUE: Schema = message(&[Skip, Text, Message(&ANY_VALUE), Varint]);
static ANY_VALUE: Schema =
    message(&[Skip, Text, Varint, Varint, Fixed64, Message(&ARRAY_VALUE), Message(&KEY_VALUE_LIST), Bytes, Varint]);
static ARRAY_VALUE: Schema = message(&[Skip, Message(&ANY_VALUE)]);
static KEY_VALUE_LIST: Schema = message(&[Skip, Message(&KEY_VALUE)]);
