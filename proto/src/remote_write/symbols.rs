//! The table of symbols of remote write 2.0, and the references into it.

use super::{DecodeError, Limits};
use crate::wire::{Field, Fields, Value, WireError};

/// The texts of a request, each of them once. They are proven to be UTF-8 when they are read, so that a broken one harms
/// nothing but the series that name it.
#[derive(Clone, Debug)]
pub struct Symbols<'a> {
    texts: Vec<&'a [u8]>,
}

impl<'a> Symbols<'a> {
    /// Collects the symbols of a request, which may come in pieces between its series.
    pub(super) fn read(body: &'a [u8], limits: &Limits) -> Result<Self, DecodeError> {
        let mut texts = Vec::new();
        let mut fields = Fields::new(body);
        while let Some(field) = fields.next()? {
            if field.number == 4 {
                DecodeError::check("symbols", texts.len() + 1, limits.max_symbols)?;
                texts.push(field.bytes()?);
            }
        }
        Ok(Symbols { texts })
    }

    /// The texts in the order of the table, not checked to be UTF-8.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a, '_> {
        self.texts.iter().copied()
    }

    /// What a reference stands for.
    #[inline]
    pub(super) fn get(&self, reference: u32) -> Result<&'a [u8], DecodeError> {
        let text = self.texts.get(reference as usize).copied();
        text.ok_or(DecodeError::Symbol { reason: "a reference goes beyond the table of symbols" })
    }
}

/// The references of field 1 of a message, which come packed, alone, or in several pieces. Pairs of them are labels.
#[derive(Clone, Debug)]
pub(super) struct Refs<'a> {
    fields: Fields<'a>,
    packed: Fields<'a>,
}

impl<'a> Refs<'a> {
    /// The references of a message.
    pub(super) fn new(message: &'a [u8]) -> Self {
        Refs { fields: Fields::new(message), packed: Fields::new(&[]) }
    }

    /// The references of one field.
    pub(super) fn of(field: &Field<'a>) -> Result<(Option<u32>, Self), WireError> {
        let refs = |packed| Refs { fields: Fields::new(&[]), packed: Fields::new(packed) };
        match field.value {
            Value::Bytes(packed) => Ok((None, refs(packed))),
            Value::Varint(value) => Ok((Some(value as u32), refs(&[]))),
            _ => Err(field.wrong_type()),
        }
    }

    #[inline]
    fn read(&mut self) -> Result<Option<u32>, WireError> {
        loop {
            if !self.packed.rest().is_empty() {
                // Of a varint that is longer protobuf takes the low 32 bits.
                return self.packed.varint().map(|value| Some(value as u32));
            }
            let Some(field) = self.fields.next()? else { return Ok(None) };
            if field.number == 1 {
                let (single, packed) = Refs::of(&field)?;
                if single.is_some() {
                    return Ok(single);
                }
                self.packed = packed.packed;
            }
        }
    }
}

impl Iterator for Refs<'_> {
    type Item = Result<u32, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = self.read().transpose();
        if let Some(Err(_)) = item {
            *self = Refs::new(&[]);
        }
        item
    }
}
