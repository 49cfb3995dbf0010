//! The columns of a block: those that every span has, and one for each key and type of attributes.

use std::collections::HashMap;

use sonde_model::span::{AttributeValue, Attributes};

/// The trace of the row: its place in the table of traces.
pub(crate) const TRACE: u32 = 0;
pub(crate) const SPAN_ID: u32 = 1;
/// 0 for a root, 1 where the id lies in `PARENT_ID`, else 2 more than the parent's place in the rows of the trace.
pub(crate) const PARENT: u32 = 2;
pub(crate) const PARENT_ID: u32 = 3;
pub(crate) const START: u32 = 4;
/// End minus start, wrapping.
pub(crate) const DURATION: u32 = 5;
/// Kind, and status times 8.
pub(crate) const KIND_STATUS: u32 = 6;
pub(crate) const NAME: u32 = 7;
pub(crate) const RESOURCE: u32 = 8;
pub(crate) const SCOPE: u32 = 9;
pub(crate) const SHAPE: u32 = 10;
pub(crate) const TRACE_STATE: u32 = 11;
pub(crate) const FLAGS: u32 = 12;
pub(crate) const STATUS_MESSAGE: u32 = 13;
pub(crate) const DROPPED_ATTRIBUTES: u32 = 14;
pub(crate) const DROPPED_EVENTS: u32 = 15;
pub(crate) const DROPPED_LINKS: u32 = 16;
pub(crate) const EVENTS: u32 = 17;
pub(crate) const LINKS: u32 = 18;
/// All attributes of the rows whose shape is [`LOOSE`].
pub(crate) const LOOSE_ATTRIBUTES: u32 = 19;
/// The first column of attributes.
pub(crate) const FIRST_ATTRIBUTE: u32 = 32;

/// The shape of spans without attributes.
pub(crate) const BARE: u32 = 0;
/// The shape of spans whose attributes lie in one piece.
pub(crate) const LOOSE: u32 = 1;
/// The first shape of the table.
pub(crate) const FIRST_SHAPE: u32 = 2;

/// Columns of attributes in a block at most; what has further keys is kept in one piece a span.
pub(crate) const MAX_ATTRIBUTE_COLUMNS: usize = 4096;
/// Shapes in a block at most.
pub(crate) const MAX_SHAPES: usize = 1 << 16;
/// Attributes of a span that is cut into columns at most.
const MAX_ATTRIBUTES: usize = 256;

/// The type of the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Type {
    Text = 1,
    Bool = 2,
    Int = 3,
    Double = 4,
    /// Lists, maps, bytes, nothing.
    Other = 5,
}

impl Type {
    pub(crate) fn of(value: &AttributeValue) -> Self {
        match value {
            AttributeValue::String(_) => Type::Text,
            AttributeValue::Bool(_) => Type::Bool,
            AttributeValue::Int(_) => Type::Int,
            AttributeValue::Double(_) => Type::Double,
            _ => Type::Other,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Type::Text, Type::Bool, Type::Int, Type::Double, Type::Other].into_iter().find(|t| *t as u8 == code)
    }
}

/// Int values as numbers in the same order.
pub(crate) fn int_to_number(n: i64) -> u64 {
    (n as u64) ^ (1 << 63)
}

pub(crate) fn number_to_int(n: u64) -> i64 {
    (n ^ (1 << 63)) as i64
}

/// A column of attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AttributeColumn {
    pub(crate) key: Box<str>,
    pub(crate) of: Type,
    /// For the how-many-th value of the key and type in a span: keys may come twice.
    pub(crate) occurrence: u32,
}

/// The columns and shapes of a block that is being written. A shape is the columns of a span in their order.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    pub(crate) columns: Vec<AttributeColumn>,
    pub(crate) shapes: Vec<Vec<u32>>,
    keys: HashMap<Box<str>, u32, foldhash::fast::RandomState>,
    known_columns: HashMap<(u32, Type, u32), u32, foldhash::fast::RandomState>,
    known_shapes: HashMap<Vec<u32>, u32, foldhash::fast::RandomState>,
}

impl Shapes {
    /// The shape of attributes, and the column of each; no columns for [`LOOSE`] ones.
    pub(crate) fn of(&mut self, attributes: &Attributes, columns: &mut Vec<u32>) -> u32 {
        columns.clear();
        if attributes.is_empty() {
            return BARE;
        }
        if attributes.len() > MAX_ATTRIBUTES {
            return LOOSE;
        }
        for (i, (key, value)) in attributes.iter().enumerate() {
            let of = Type::of(value);
            let same = |(k, v): &&(Box<str>, AttributeValue)| k == key && Type::of(v) == of;
            let occurrence = attributes[..i].iter().filter(same).count() as u32;
            match self.column(key, of, occurrence) {
                Some(column) => columns.push(column),
                None => {
                    columns.clear();
                    return LOOSE;
                }
            }
        }
        if let Some(shape) = self.known_shapes.get(columns.as_slice()) {
            return *shape;
        }
        if self.shapes.len() >= MAX_SHAPES {
            columns.clear();
            return LOOSE;
        }
        let shape = FIRST_SHAPE + self.shapes.len() as u32;
        self.shapes.push(columns.clone());
        self.known_shapes.insert(columns.clone(), shape);
        shape
    }

    fn column(&mut self, key: &str, of: Type, occurrence: u32) -> Option<u32> {
        let next = self.keys.len() as u32;
        let known = self.keys.get(key).copied();
        if known.is_none() && self.columns.len() >= MAX_ATTRIBUTE_COLUMNS {
            return None;
        }
        let number = known.unwrap_or_else(|| *self.keys.entry(key.into()).or_insert(next));
        let place = (number, of, occurrence);
        if let Some(column) = self.known_columns.get(&place) {
            return Some(*column);
        }
        if self.columns.len() >= MAX_ATTRIBUTE_COLUMNS {
            return None;
        }
        let column = FIRST_ATTRIBUTE + self.columns.len() as u32;
        self.columns.push(AttributeColumn { key: key.into(), of, occurrence });
        self.known_columns.insert(place, column);
        Some(column)
    }
}
