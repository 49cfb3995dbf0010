//! Attribute values of every type in bytes.

use sonde_disk::varint::{Reader, put, put_signed};
use sonde_model::span::{AttributeValue, Attributes};

use super::DecodeError;
use super::text::{Dictionary, Interner};

/// How deeply lists and maps may be nested. OTLP decoders stop earlier.
pub(crate) const MAX_DEPTH: usize = 64;

/// Elements for which room is made before they have been read.
const MAX_RESERVED: usize = 256;

pub(crate) const EMPTY: u8 = 0;
pub(crate) const STRING: u8 = 1;
pub(crate) const FALSE: u8 = 2;
pub(crate) const TRUE: u8 = 3;
pub(crate) const INT: u8 = 4;
pub(crate) const DOUBLE: u8 = 5;
pub(crate) const BYTES: u8 = 6;
pub(crate) const ARRAY: u8 = 7;
pub(crate) const MAP: u8 = 8;

/// Whether no value is nested more deeply than [`MAX_DEPTH`].
pub(crate) fn is_shallow(attributes: &Attributes) -> bool {
    fn within(value: &AttributeValue, depth: usize) -> bool {
        match value {
            AttributeValue::Array(_) | AttributeValue::Map(_) if depth == 0 => false,
            AttributeValue::Array(items) => items.iter().all(|v| within(v, depth - 1)),
            AttributeValue::Map(entries) => entries.iter().all(|(_, v)| within(v, depth - 1)),
            _ => true,
        }
    }
    attributes.iter().all(|(_, value)| within(value, MAX_DEPTH))
}

/// Appends a value that is not nested too deeply.
pub(crate) fn put_value<'a>(out: &mut Vec<u8>, texts: &mut Interner<'a>, value: &'a AttributeValue) {
    match value {
        AttributeValue::Empty => out.push(EMPTY),
        AttributeValue::String(text) => {
            out.push(STRING);
            texts.put(out, text);
        }
        AttributeValue::Bool(b) => out.push(if *b { TRUE } else { FALSE }),
        AttributeValue::Int(n) => {
            out.push(INT);
            put_signed(out, *n);
        }
        AttributeValue::Double(x) => {
            out.push(DOUBLE);
            out.extend_from_slice(&x.to_bits().to_le_bytes());
        }
        AttributeValue::Bytes(bytes) => {
            out.push(BYTES);
            put(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        }
        AttributeValue::Array(items) => {
            out.push(ARRAY);
            put(out, items.len() as u64);
            items.iter().for_each(|item| put_value(out, texts, item));
        }
        AttributeValue::Map(entries) => {
            out.push(MAP);
            put_attributes(out, texts, entries);
        }
    }
}

/// Appends attributes.
pub(crate) fn put_attributes<'a>(out: &mut Vec<u8>, texts: &mut Interner<'a>, attributes: &'a Attributes) {
    put(out, attributes.len() as u64);
    for (key, value) in attributes {
        texts.put(out, key);
        put_value(out, texts, value);
    }
}

/// Reads a value.
pub(crate) fn read_value(reader: &mut Reader<'_>, texts: &Dictionary) -> Result<AttributeValue, DecodeError> {
    nested_value(reader, texts, MAX_DEPTH)
}

/// Reads attributes.
pub(crate) fn read_attributes(reader: &mut Reader<'_>, texts: &Dictionary) -> Result<Attributes, DecodeError> {
    nested_attributes(reader, texts, MAX_DEPTH)
}

fn nested_value(reader: &mut Reader<'_>, texts: &Dictionary, depth: usize) -> Result<AttributeValue, DecodeError> {
    let deeper = || depth.checked_sub(1).ok_or(DecodeError::TooLarge { what: "the depth of a value" });
    Ok(match reader.u8()? {
        EMPTY => AttributeValue::Empty,
        STRING => AttributeValue::String(texts.next(reader)?.into()),
        FALSE => AttributeValue::Bool(false),
        TRUE => AttributeValue::Bool(true),
        INT => AttributeValue::Int(reader.signed()?),
        DOUBLE => AttributeValue::Double(f64::from_bits(reader.u64_le()?)),
        BYTES => {
            let n = reader.count(1, "bytes")?;
            AttributeValue::Bytes(reader.take(n)?.into())
        }
        ARRAY => {
            let n = reader.count(1, "elements")?;
            let mut items = Vec::with_capacity(n.min(MAX_RESERVED));
            for _ in 0..n {
                items.push(nested_value(reader, texts, deeper()?)?);
            }
            if n == 0 {
                deeper()?;
            }
            AttributeValue::Array(items)
        }
        MAP => AttributeValue::Map(nested_attributes(reader, texts, deeper()?)?),
        value => return Err(DecodeError::Unknown { what: "value type", value }),
    })
}

fn nested_attributes(reader: &mut Reader<'_>, texts: &Dictionary, depth: usize) -> Result<Attributes, DecodeError> {
    let n = reader.count(2, "attributes")?;
    let mut attributes = Vec::with_capacity(n.min(MAX_RESERVED));
    for _ in 0..n {
        let key = texts.next(reader)?.into();
        attributes.push((key, nested_value(reader, texts, depth)?));
    }
    Ok(attributes)
}
