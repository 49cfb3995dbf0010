//! Repeated fields: messages one after the other, and packed numbers.

use std::marker::PhantomData;

use super::ViewError;
use crate::wire::{Field, Fields, Value, WireError};

/// A view that is made of one encoded message.
pub trait View<'a>: Sized {
    /// Reads the fields of a message.
    fn parse(message: &'a [u8]) -> Result<Self, ViewError>;
}

/// The messages of one repeated field, in the order of the sender. After an error the iterator ends.
#[derive(Debug)]
pub struct Messages<'a, V> {
    fields: Fields<'a>,
    number: u32,
    view: PhantomData<fn() -> V>,
}

impl<'a, V> Messages<'a, V> {
    pub(super) fn new(message: &'a [u8], number: u32) -> Self {
        Messages { fields: Fields::new(message), number, view: PhantomData }
    }

    /// Whether there is nothing in which they could be.
    pub fn is_empty(&self) -> bool {
        self.fields.rest().is_empty()
    }

    /// How many there are, up to the first field that is broken.
    pub fn count_fields(&self) -> usize {
        let (mut rest, mut count) = (*self, 0);
        while let Ok(Some(_)) = rest.step() {
            count += 1;
        }
        count
    }

    fn step(&mut self) -> Result<Option<&'a [u8]>, WireError> {
        while let Some(field) = self.fields.next()? {
            if field.number == self.number {
                return field.bytes().map(Some);
            }
        }
        Ok(None)
    }
}

impl<V> Default for Messages<'_, V> {
    /// None.
    fn default() -> Self {
        Messages { fields: Fields::new(&[]), number: 0, view: PhantomData }
    }
}

impl<V> Clone for Messages<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Messages<'_, V> {}

impl<'a, V: View<'a>> Iterator for Messages<'a, V> {
    type Item = Result<V, ViewError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let item = match self.step() {
            Ok(None) => return None,
            Ok(Some(message)) => V::parse(message),
            Err(error) => Err(error.into()),
        };
        if item.is_err() {
            self.fields = Fields::new(&[]);
        }
        Some(item)
    }
}

/// Packed numbers of eight bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fixed64s<'a>(&'a [u8]);

impl<'a> Fixed64s<'a> {
    /// Takes the field in, which may come once.
    pub(super) fn set(slot: &mut Option<Self>, field: &Field<'a>) -> Result<(), ViewError> {
        let packed = match field.value {
            Value::Bytes(bytes) if bytes.len().is_multiple_of(8) => bytes,
            Value::Bytes(_) => return Err(WireError::Truncated.into()),
            Value::Fixed64(_) => return Err(ViewError::Unusual { field: field.number }),
            _ => return Err(field.wrong_type().into()),
        };
        match slot.replace(Fixed64s(packed)) {
            None => Ok(()),
            Some(_) => Err(ViewError::Unusual { field: field.number }),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len() / 8
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The encoded numbers: equal bytes mean equal numbers.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// As unsigned numbers.
    pub fn integers(&self) -> impl Iterator<Item = u64> + use<'a> {
        self.0.chunks_exact(8).map(|chunk| u64::from_le_bytes(chunk.try_into().expect("BUG: a chunk has 8 bytes")))
    }

    /// As floats.
    pub fn doubles(&self) -> impl Iterator<Item = f64> + use<'a> {
        self.integers().map(f64::from_bits)
    }
}

/// Packed varints, proven when they were taken in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Varints<'a>(&'a [u8]);

impl<'a> Varints<'a> {
    pub(super) fn set(slot: &mut Option<Self>, field: &Field<'a>) -> Result<(), ViewError> {
        let packed = match field.value {
            Value::Bytes(bytes) => bytes,
            Value::Varint(_) => return Err(ViewError::Unusual { field: field.number }),
            _ => return Err(field.wrong_type().into()),
        };
        let mut fields = Fields::new(packed);
        while !fields.rest().is_empty() {
            fields.varint()?;
        }
        match slot.replace(Varints(packed)) {
            None => Ok(()),
            Some(_) => Err(ViewError::Unusual { field: field.number }),
        }
    }

    /// The numbers.
    pub fn iter(&self) -> impl Iterator<Item = u64> + use<'a> {
        let mut fields = Fields::new(self.0);
        std::iter::from_fn(move || if fields.rest().is_empty() { None } else { fields.varint().ok() })
    }
}
