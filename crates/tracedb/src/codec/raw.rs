//! Walks over the attributes of an encoded span without building it.

use sonde_disk::varint::Reader;
use sonde_model::span::AttributeValue;

use super::DecodeError;
use super::text::Dictionary;
use super::value::{self, read_value};

/// A value that borrows what it can.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum RawValue<'a> {
    String(&'a str),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// A list, a map, bytes, or nothing.
    Other(AttributeValue),
}

impl<'a> RawValue<'a> {
    pub(crate) fn of(value: &'a AttributeValue) -> Self {
        match value {
            AttributeValue::String(text) => RawValue::String(text),
            AttributeValue::Bool(b) => RawValue::Bool(*b),
            AttributeValue::Int(n) => RawValue::Int(*n),
            AttributeValue::Double(x) => RawValue::Double(*x),
            other => RawValue::Other(other.clone()),
        }
    }

    fn read(reader: &mut Reader<'_>, texts: &'a Dictionary) -> Result<Self, DecodeError> {
        let mut ahead = reader.clone();
        let found = match ahead.u8()? {
            value::STRING => RawValue::String(texts.next(&mut ahead)?),
            value::FALSE => RawValue::Bool(false),
            value::TRUE => RawValue::Bool(true),
            value::INT => RawValue::Int(ahead.signed()?),
            value::DOUBLE => RawValue::Double(f64::from_bits(ahead.u64_le()?)),
            _ => return Ok(RawValue::Other(read_value(reader, texts)?)),
        };
        *reader = ahead;
        Ok(found)
    }
}

/// Visits the number of each key, with its value.
pub(crate) fn visit_attributes<'a>(
    reader: &mut Reader<'_>,
    texts: &'a Dictionary,
    visit: &mut dyn FnMut(u32, RawValue<'a>),
) -> Result<(), DecodeError> {
    for _ in 0..reader.count(2, "attributes")? {
        let key = reader.u32()?;
        visit(key, RawValue::read(reader, texts)?);
    }
    Ok(())
}

/// Visits the attributes of the events that come next.
pub(crate) fn visit_event_attributes<'a>(
    reader: &mut Reader<'_>,
    texts: &'a Dictionary,
    visit: &mut dyn FnMut(u32, RawValue<'a>),
) -> Result<(), DecodeError> {
    for _ in 0..reader.count(4, "events")? {
        reader.signed()?;
        reader.u32()?;
        reader.u32()?;
        visit_attributes(reader, texts, visit)?;
    }
    Ok(())
}

/// Visits the attributes of the links that come next.
pub(crate) fn visit_link_attributes<'a>(
    reader: &mut Reader<'_>,
    texts: &'a Dictionary,
    visit: &mut dyn FnMut(u32, RawValue<'a>),
) -> Result<(), DecodeError> {
    for _ in 0..reader.count(28, "links")? {
        reader.take(24)?;
        reader.u32()?;
        reader.u32()?;
        reader.u32()?;
        visit_attributes(reader, texts, visit)?;
    }
    Ok(())
}
