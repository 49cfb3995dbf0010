//! One borrowed exemplar.

use super::DecodeError;
use super::labels::{LabelReader, label_bytes};
use super::symbols::{Refs, Symbols};
use crate::wire::{Fields, WireError};

/// An exemplar.
#[derive(Clone, Copy, Debug)]
pub struct ExemplarView<'a> {
    /// Milliseconds since the Unix epoch.
    pub timestamp: i64,
    /// The observed value.
    pub value: f64,
    message: &'a [u8],
    symbols: Option<&'a Symbols<'a>>,
}

impl<'a> ExemplarView<'a> {
    /// An exemplar of remote write 2.0 where there are symbols, of 1.0 where there are none.
    pub(super) fn parse(message: &'a [u8], symbols: Option<&'a Symbols<'a>>) -> Result<Self, WireError> {
        let mut view = ExemplarView { timestamp: 0, value: 0.0, message, symbols };
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 if symbols.is_none() => {
                    label_bytes(field.bytes()?)?;
                }
                2 => view.value = field.double()?,
                3 => view.timestamp = field.int()?,
                _ => {}
            }
        }
        Ok(view)
    }

    /// The labels of the exemplar, `trace_id` among them where there is one.
    pub fn labels(&self) -> impl Iterator<Item = Result<(&'a str, &'a str), DecodeError>> + use<'a> {
        LabelReader::new(self.message, self.symbols)
    }
}

/// How many bytes the labels of an exemplar have when they are spelled out.
pub(super) fn referenced_bytes(message: &[u8], symbols: &Symbols<'_>) -> Result<usize, WireError> {
    let mut bytes = 0;
    for reference in Refs::new(message) {
        bytes += symbols.get(reference?).map_or(0, <[u8]>::len);
    }
    Ok(bytes)
}
