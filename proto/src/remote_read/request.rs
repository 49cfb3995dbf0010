//! The request, decoded within limits.

use sonde_model::{MatchOp, TimestampMs};

use crate::wire::{Fields, Value, WireError};

/// Queries of a request at most: Prometheus sends one.
pub const MAX_QUERIES: usize = 100;
/// Matchers of a query at most.
pub const MAX_MATCHERS: usize = 1_000;
/// Forms of answers that are looked at.
const MAX_RESPONSE_TYPES: usize = 16;

/// What a reader asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadRequest {
    /// The queries, each of which has its part of the answer.
    pub queries: Vec<Query>,
    /// The form of the answer.
    pub response_type: ResponseType,
}

/// One query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Inclusive.
    pub from: TimestampMs,
    /// Inclusive.
    pub to: TimestampMs,
    /// All must hold.
    pub matchers: Vec<RequestMatcher>,
}

/// A matcher as it came; a regular expression is not compiled yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestMatcher {
    /// How it compares.
    pub op: MatchOp,
    /// The label.
    pub name: String,
    /// The value or the pattern.
    pub value: String,
}

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    /// One message with all samples.
    #[default]
    Samples,
    /// Frames with chunks.
    Chunks,
}

/// The request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It is no such message.
    #[error("the body is not a remote read request")]
    Wire(#[from] WireError),
    /// It holds more than is read.
    #[error("the request has more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is read.
        limit: usize,
    },
    /// A matcher of a kind that does not exist.
    #[error("unknown matcher type {0}")]
    MatcherType(u64),
    /// None of the forms of answers that the reader takes is known.
    #[error(
        "none of the requested response types {0:?} is supported; supported are SAMPLES (0) and STREAMED_XOR_CHUNKS (1)"
    )]
    ResponseType(Vec<u64>),
}

impl ReadRequest {
    /// Decodes a `prometheus.ReadRequest`.
    pub fn decode(message: &[u8]) -> Result<Self, DecodeError> {
        let mut request = ReadRequest::default();
        let mut accepted = Vec::new();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match (field.number, field.value) {
                (1, _) => {
                    check("queries", request.queries.len(), MAX_QUERIES)?;
                    request.queries.push(Query::decode(field.bytes()?)?);
                }
                (2, Value::Bytes(packed)) => {
                    let mut rest = Fields::new(packed);
                    while !rest.rest().is_empty() {
                        check("response types", accepted.len(), MAX_RESPONSE_TYPES)?;
                        accepted.push(rest.varint()?);
                    }
                }
                (2, _) => {
                    check("response types", accepted.len(), MAX_RESPONSE_TYPES)?;
                    accepted.push(field.uint()?);
                }
                _ => {}
            }
        }
        let known = accepted.iter().find_map(|kind| match kind {
            0 => Some(ResponseType::Samples),
            1 => Some(ResponseType::Chunks),
            _ => None,
        });
        request.response_type = match known {
            Some(known) => known,
            None if accepted.is_empty() => ResponseType::Samples,
            None => return Err(DecodeError::ResponseType(accepted)),
        };
        Ok(request)
    }
}

impl Query {
    fn decode(message: &[u8]) -> Result<Self, DecodeError> {
        let mut query = Query::default();
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => query.from = field.int()?,
                2 => query.to = field.int()?,
                3 => {
                    check("matchers in a query", query.matchers.len(), MAX_MATCHERS)?;
                    query.matchers.push(RequestMatcher::decode(field.bytes()?)?);
                }
                // Hints, which a reader must not depend on.
                _ => {}
            }
        }
        Ok(query)
    }
}

impl RequestMatcher {
    fn decode(message: &[u8]) -> Result<Self, DecodeError> {
        let (mut kind, mut name, mut value) = (0, "", "");
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => kind = field.uint()?,
                2 => name = field.string()?,
                3 => value = field.string()?,
                _ => {}
            }
        }
        let op = match kind {
            0 => MatchOp::Equal,
            1 => MatchOp::NotEqual,
            2 => MatchOp::Regex,
            3 => MatchOp::NotRegex,
            other => return Err(DecodeError::MatcherType(other)),
        };
        Ok(RequestMatcher { op, name: name.to_owned(), value: value.to_owned() })
    }
}

fn check(what: &'static str, found: usize, limit: usize) -> Result<(), DecodeError> {
    if found >= limit { Err(DecodeError::Limit { what, limit }) } else { Ok(()) }
}
