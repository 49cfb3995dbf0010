//! What becomes of attribute values in a block: pages of columns, and entries of the filter.

use sonde_model::span::{AttributeValue, Attributes, ScopedSpan};

use super::bloom::{Bloom, Space, hash};
use super::columns::{Type, int_to_number};
use super::page;
use crate::codec::text::Interner;
use crate::codec::value::put_value;

/// The page of a column of attributes.
pub(super) fn attribute_page(of: Type, rows: &[u32], values: &[&AttributeValue], all: usize) -> Vec<u8> {
    let numbers = |of: &dyn Fn(&AttributeValue) -> u64| {
        let numbers: Vec<u64> = values.iter().map(|v| of(v)).collect();
        page::numbers(rows, &numbers, all)
    };
    match of {
        Type::Text => {
            let texts: Vec<&str> =
                values.iter().map(|v| if let AttributeValue::String(text) = v { text } else { "" }).collect();
            page::texts(rows, &texts, all)
        }
        Type::Bool => numbers(&|v| u64::from(*v == AttributeValue::Bool(true))),
        Type::Int => numbers(&|v| int_to_number(if let AttributeValue::Int(n) = v { *n } else { 0 })),
        Type::Double => numbers(&|v| if let AttributeValue::Double(x) = v { x.to_bits() } else { 0 }),
        Type::Other => {
            let mut texts = Interner::new();
            let pieces: Vec<Vec<u8>> = values.iter().map(|v| piece(|out| put_value(out, &mut texts, v))).collect();
            page::pieces(rows, &pieces, &texts, all)
        }
    }
}

/// What `write` writes.
pub(super) fn piece(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

/// Enters the texts of a value.
pub(super) fn note_value(bloom: &mut Bloom, space: Space, key: &str, value: &AttributeValue) {
    match value {
        AttributeValue::String(text) => bloom.insert(hash(space, key, text)),
        AttributeValue::Array(items) => items.iter().for_each(|item| note_value(bloom, space, key, item)),
        _ => {}
    }
}

/// About how many bytes a span takes.
pub(super) fn weight(scoped: &ScopedSpan) -> usize {
    fn of_value(value: &AttributeValue) -> usize {
        match value {
            AttributeValue::String(text) => text.len(),
            AttributeValue::Bytes(bytes) => bytes.len(),
            AttributeValue::Array(items) => items.iter().map(|v| 8 + of_value(v)).sum(),
            AttributeValue::Map(entries) => of_all(entries),
            _ => 8,
        }
    }
    fn of_all(attributes: &Attributes) -> usize {
        attributes.iter().map(|(key, value)| 8 + key.len() + of_value(value)).sum()
    }
    let span = &scoped.span;
    let events = span.events.iter().map(|e| e.name.len() + of_all(&e.attributes)).sum::<usize>();
    let links = span.links.iter().map(|l| l.trace_state.len() + of_all(&l.attributes)).sum::<usize>();
    span.name.len() + span.trace_state.len() + span.status_message.len() + of_all(&span.attributes) + events + links
}
