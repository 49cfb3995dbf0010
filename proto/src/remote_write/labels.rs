//! Labels as they are written: spelled out in remote write 1.0, by references to symbols in 2.0.

use super::DecodeError;
use super::symbols::{Refs, Symbols};
use crate::wire::{Fields, WireError};

/// The labels of a message, in the order of the sender.
#[derive(Clone, Debug)]
pub(super) enum LabelReader<'a> {
    /// Field 1 holds name and value.
    Spelled(Fields<'a>),
    /// Field 1 holds references, of names and values in turn.
    Referenced(Refs<'a>, &'a Symbols<'a>),
}

impl<'a> LabelReader<'a> {
    /// The labels of a series or an exemplar.
    pub(super) fn new(message: &'a [u8], symbols: Option<&'a Symbols<'a>>) -> Self {
        match symbols {
            None => LabelReader::Spelled(Fields::new(message)),
            Some(symbols) => LabelReader::Referenced(Refs::new(message), symbols),
        }
    }

    fn read(&mut self) -> Result<Option<(&'a str, &'a str)>, DecodeError> {
        let (name, value) = match self {
            LabelReader::Spelled(fields) => loop {
                let Some(field) = fields.next()? else { return Ok(None) };
                if field.number == 1 {
                    break label_bytes(field.bytes()?)?;
                }
            },
            LabelReader::Referenced(refs, symbols) => {
                let Some(name) = refs.next() else { return Ok(None) };
                let value = refs.next().ok_or(DecodeError::Symbol { reason: "the last label has no value" })?;
                (symbols.get(name?)?, symbols.get(value?)?)
            }
        };
        Ok(Some((text(1, name)?, text(2, value)?)))
    }
}

impl<'a> Iterator for LabelReader<'a> {
    type Item = Result<(&'a str, &'a str), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// Name and value of a `prometheus.Label`, not checked to be text.
#[inline]
pub(super) fn label_bytes(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    // As senders write it: name and value once each, both shorter than 128 bytes.
    if let [0x0a, length @ 0..0x80, rest @ ..] = message
        && let Some((name, [0x12, length @ 0..0x80, value @ ..])) = rest.split_at_checked(usize::from(*length))
        && value.len() == usize::from(*length)
    {
        return Ok((name, value));
    }
    let (mut name, mut value) = (&[][..], &[][..]);
    let mut fields = Fields::new(message);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    Ok((name, value))
}

/// Text of field `field`.
pub(super) fn text(field: u32, bytes: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(bytes).map_err(|_| WireError::Utf8 { field })
}
