//! Attributes and their values.

use super::{Messages, View, ViewError, set_once};
use crate::wire::{Fields, WireError};

/// The attributes of a message, in the order of the sender.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttributesView<'a> {
    message: &'a [u8],
    /// Where in the message the first of them begins and the last one ends.
    start: usize,
    end: usize,
    number: u32,
    count: usize,
    /// Whether something else lies between them.
    broken: bool,
}

/// One attribute.
#[derive(Clone, Copy, Debug)]
pub struct AttributeView<'a> {
    /// The key.
    pub key: &'a str,
    /// The value; absent ones have none.
    pub value: Option<AnyValueView<'a>>,
}

/// The value of an attribute. Strings are UTF-8; arrays and maps are read when they are asked for, and may hold
/// themselves as deep as their bytes allow: who walks them down bounds the depth.
#[derive(Clone, Copy, Debug)]
pub enum AnyValueView<'a> {
    /// Text.
    String(&'a str),
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Double(f64),
    /// Values.
    Array(ArrayView<'a>),
    /// Pairs.
    Map(MapView<'a>),
    /// Bytes.
    Bytes(&'a [u8]),
    /// An index into a table of texts, which metrics do not have.
    Index,
    /// No value was written.
    Empty,
}

/// The values of an array.
#[derive(Clone, Copy, Debug)]
pub struct ArrayView<'a>(&'a [u8]);

/// The pairs of a map.
#[derive(Clone, Copy, Debug)]
pub struct MapView<'a>(&'a [u8]);

impl<'a> AttributesView<'a> {
    /// Takes in `count` fields of `message` that follow each other: `before` and `after` are what was left of the message
    /// around them.
    #[inline]
    pub(super) fn take(&mut self, number: u32, message: &'a [u8], before: usize, after: usize, count: usize) {
        let start = message.len() - before;
        if self.count == 0 {
            (self.message, self.start, self.number) = (message, start, number);
        } else {
            self.broken |= self.end != start;
        }
        self.end = message.len() - after;
        self.count += count;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The encoded attributes in one piece, for a memo of what was seen before; `None` where the sender did not write
    /// them in one piece. Equal bytes mean equal attributes.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        (!self.broken).then(|| self.run())
    }

    /// The attributes.
    pub fn iter(&self) -> Messages<'a, AttributeView<'a>> {
        Messages::new(self.run(), self.number)
    }

    fn run(&self) -> &'a [u8] {
        &self.message[self.start..self.end]
    }
}

impl<'a> View<'a> for AttributeView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let (mut key, mut value) = ("", None);
        let mut fields = Fields::new(message);
        while let Some(field) = fields.next()? {
            match field.number {
                1 => key = field.string()?,
                2 => set_once(&mut value, &field)?,
                _ => {}
            }
        }
        Ok(AttributeView { key, value: value.map(AnyValueView::parse).transpose()? })
    }
}

impl<'a> View<'a> for AnyValueView<'a> {
    fn parse(message: &'a [u8]) -> Result<Self, ViewError> {
        let mut value = AnyValueView::Empty;
        let mut fields = Fields::new(message);
        // Of the kinds only one may be set: the last one wins.
        while let Some(field) = fields.next()? {
            value = match (field.number, value) {
                (1, _) => AnyValueView::String(field.string()?),
                (2, _) => AnyValueView::Bool(field.uint()? != 0),
                (3, _) => AnyValueView::Int(field.int()?),
                (4, _) => AnyValueView::Double(field.double()?),
                (5, AnyValueView::Array(_)) | (6, AnyValueView::Map(_)) => {
                    return Err(ViewError::Unusual { field: field.number });
                }
                (5, _) => AnyValueView::Array(ArrayView(field.bytes()?)),
                (6, _) => AnyValueView::Map(MapView(field.bytes()?)),
                (7, _) => AnyValueView::Bytes(field.bytes()?),
                (8, _) => {
                    field.uint()?;
                    AnyValueView::Index
                }
                (_, before) => before,
            };
        }
        Ok(value)
    }
}

impl<'a> ArrayView<'a> {
    /// The values.
    pub fn values(&self) -> Messages<'a, AnyValueView<'a>> {
        Messages::new(self.0, 1)
    }
}

impl<'a> MapView<'a> {
    /// The pairs, in the order of the sender.
    pub fn pairs(&self) -> Messages<'a, AttributeView<'a>> {
        Messages::new(self.0, 1)
    }
}

/// Reads a message of which only its attributes matter.
pub(super) fn attributes_of(message: &[u8], number: u32) -> Result<AttributesView<'_>, WireError> {
    let mut attributes = AttributesView::default();
    let mut fields = Fields::new(message);
    loop {
        let before = fields.rest().len();
        let Some(field) = fields.next()? else { return Ok(attributes) };
        if field.number == number {
            field.bytes()?;
            attributes.take(number, message, before, fields.rest().len(), 1);
        }
    }
}
