//! One walk over an encoded request that allocates nothing: structure, text, sizes and depth.
//!
//! Two bytes on the wire can become a hundred in memory, so counting has to come before decoding. What this walk lets
//! through, the generated messages decode.

use sonde_model::Signal;

use super::schema::{self, Kind, Place, Schema};
use crate::wire::{Fields, Value, WireError, bytes_key};

/// The bounds of a request.
#[derive(Clone, Copy, Debug)]
pub struct ScanLimits {
    /// Data points, or spans.
    pub max_items: u64,
    /// Messages of all kinds: resources, metrics, points, attributes, values.
    pub max_messages: u64,
    /// How deep messages may lie in each other; an attribute of a point is at depth 7. At most 90: the decoder's own
    /// limit is 100.
    pub max_depth: u32,
}

/// What a request holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scanned {
    /// Data points, or spans.
    pub items: u64,
    /// Messages of all kinds.
    pub messages: u64,
}

/// A request must not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// It is not the message it should be.
    #[error("the body is not an OTLP request")]
    Wire(#[from] WireError),
    /// There is too much of something.
    #[error("the request has more than {limit} {what}: send smaller requests")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// Messages lie too deep in each other.
    #[error("the request is nested deeper than {limit} messages")]
    TooDeep {
        /// The limit.
        limit: u32,
    },
}

/// Walks an encoded `ExportMetricsServiceRequest` or `ExportTraceServiceRequest`, by the signal.
pub fn scan(signal: Signal, body: &[u8], limits: &ScanLimits) -> Result<Scanned, ScanError> {
    let mut walk = Walk { limits, max_depth: limits.max_depth.min(90), scanned: Scanned::default() };
    walk.message(request_schema(signal), body, 0)?;
    Ok(walk.scanned)
}

/// Walks down to the data points or spans and counts them, for readers that prove themselves what they read. Neither what
/// is in an item nor what stands beside it is proven, and `messages` counts only what becomes something in memory: items,
/// what holds them, and the quantiles of summaries.
pub fn count_items(signal: Signal, body: &[u8], limits: &ScanLimits) -> Result<Scanned, ScanError> {
    let mut walk = Walk { limits, max_depth: 0, scanned: Scanned::default() };
    walk.count_in(request_schema(signal), body)?;
    Ok(walk.scanned)
}

fn request_schema(signal: Signal) -> &'static Schema {
    match signal {
        Signal::Metrics => &schema::METRICS_REQUEST,
        Signal::Traces => &schema::TRACES_REQUEST,
    }
}

struct Walk<'a> {
    limits: &'a ScanLimits,
    max_depth: u32,
    scanned: Scanned,
}

impl Walk<'_> {
    /// Recursion is bounded by `max_depth`.
    fn message(&mut self, schema: &'static Schema, body: &[u8], depth: u32) -> Result<(), ScanError> {
        self.count(1)?;
        if matches!(schema.place, Place::Item | Place::ItemOfMany) {
            self.count_items(1)?;
        }
        if depth > self.max_depth {
            return Err(ScanError::TooDeep { limit: self.max_depth });
        }
        let mut fields = Fields::new(body);
        while let Some(field) = fields.next()? {
            let kind = schema.fields.get(field.number as usize).copied().unwrap_or(Kind::Skip);
            match (kind, field.value) {
                (Kind::Skip, _)
                | (Kind::Varint | Kind::Varints, Value::Varint(_))
                | (Kind::Fixed64 | Kind::Fixed64s, Value::Fixed64(_))
                | (Kind::Fixed32, Value::Fixed32)
                | (Kind::Bytes, Value::Bytes(_)) => {}
                (Kind::Message(inner), Value::Bytes(bytes)) => self.message(inner, bytes, depth + 1)?,
                (Kind::Text, Value::Bytes(_)) => {
                    field.string()?;
                }
                (Kind::Texts, Value::Bytes(_)) => {
                    field.string()?;
                    self.count(1)?;
                }
                (Kind::Fixed64s, Value::Bytes(bytes)) if bytes.len() % 8 == 0 => {}
                (Kind::Varints, Value::Bytes(bytes)) => {
                    let mut packed = Fields::new(bytes);
                    while !packed.rest().is_empty() {
                        packed.varint()?;
                    }
                }
                _ => return Err(field.wrong_type().into()),
            }
        }
        Ok(())
    }

    /// Recursion is bounded by the schema: no message lies above itself.
    fn count_in(&mut self, schema: &'static Schema, body: &[u8]) -> Result<(), ScanError> {
        self.count(1)?;
        let mut fields = Fields::new(body);
        while let Some(field) = fields.next()? {
            let Some(Kind::Message(inner)) = schema.fields.get(field.number as usize) else { continue };
            match inner.place {
                Place::Beside if schema.place == Place::ItemOfMany => self.count(1)?,
                Place::Beside => {}
                Place::Item => {
                    // Items stand one after the other.
                    let more = fields.skip_run(bytes_key(field.number))? as u64;
                    self.count(1 + more)?;
                    self.count_items(1 + more)?;
                }
                Place::ItemOfMany => {
                    self.count_items(1)?;
                    self.count_in(inner, field.bytes()?)?;
                }
                Place::Above => self.count_in(inner, field.bytes()?)?,
            }
        }
        Ok(())
    }

    fn count_items(&mut self, items: u64) -> Result<(), ScanError> {
        self.scanned.items += items;
        if self.scanned.items > self.limits.max_items {
            return Err(ScanError::TooMany { what: "data points or spans", limit: self.limits.max_items });
        }
        Ok(())
    }

    fn count(&mut self, messages: u64) -> Result<(), ScanError> {
        self.scanned.messages += messages;
        if self.scanned.messages > self.limits.max_messages {
            return Err(ScanError::TooMany { what: "messages", limit: self.limits.max_messages });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
