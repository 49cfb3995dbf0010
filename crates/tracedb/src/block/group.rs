//! Builds spans again from the columns of a group.

use std::collections::HashMap;
use std::sync::Arc;

use sonde_model::span::{AttributeValue, Attributes, ScopedSpan, Span, SpanId};

use super::columns::{self as c, Type, number_to_int};
use super::footer::Group;
use super::page::{Page, Values, WRONG_KIND};
use super::reader::{Block, Caching};
use crate::Error;
use crate::codec::DecodeError;
use crate::codec::span::{kind_of, read_events, read_links, status_of};
use crate::codec::value::{read_attributes, read_value};

/// What a row says of its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parent {
    Nobody,
    Id(SpanId),
    /// The span at this place in the rows of the trace.
    Place(u64),
}

/// The columns of a group, each read when it is needed first.
struct Columns<'b> {
    block: &'b Block,
    group: &'b Group,
    caching: Caching,
    fixed: [Option<Arc<Page>>; c::FIRST_ATTRIBUTE as usize],
    attributes: HashMap<u32, Option<Arc<Page>>, foldhash::fast::RandomState>,
}

impl Block {
    /// Some rows of a group, which are growing. Trace id and parent are left to the caller.
    pub(super) fn read_rows(
        &self,
        group: usize,
        rows: &[u32],
        caching: Caching,
    ) -> Result<Vec<(ScopedSpan, Parent)>, Error> {
        let group = self.tables.groups.get(group).ok_or_else(|| self.damage("a group that is not there"))?;
        let mut columns =
            Columns { block: self, group, caching, fixed: Default::default(), attributes: HashMap::default() };
        for column in c::SPAN_ID..=c::LOOSE_ATTRIBUTES {
            columns.fixed[column as usize] = self.column(group, column, caching)?;
        }
        rows.iter().map(|row| columns.row(*row)).collect()
    }
}

impl Columns<'_> {
    fn row(&mut self, row: u32) -> Result<(ScopedSpan, Parent), Error> {
        let shape = self.number(c::SHAPE, row)? as u32;
        let attributes = self.attributes(shape, row)?;
        let tables = &self.block.tables;
        let resource = tables.resources.get(self.number(c::RESOURCE, row)? as usize);
        let scope = tables.scopes.get(self.number(c::SCOPE, row)? as usize);
        let start_ns = self.number(c::START, row)?;
        let kind_status = self.number(c::KIND_STATUS, row)? as u8;
        let parent = match self.number(c::PARENT, row)? {
            0 => Parent::Nobody,
            1 => Parent::Id(SpanId(self.number(c::PARENT_ID, row)?.to_be_bytes())),
            place => Parent::Place(place - 2),
        };
        let bad = |e: DecodeError| self.block.undecodable(e);
        let span = Span {
            trace_id: Default::default(),
            span_id: SpanId(self.number(c::SPAN_ID, row)?.to_be_bytes()),
            parent_span_id: None,
            trace_state: self.text(c::TRACE_STATE, row)?.into(),
            flags: self.number(c::FLAGS, row)? as u32,
            name: self.text(c::NAME, row)?.into(),
            kind: kind_of(kind_status & 7).map_err(bad)?,
            start_ns,
            end_ns: start_ns.wrapping_add(self.number(c::DURATION, row)?),
            attributes,
            dropped_attributes: self.number(c::DROPPED_ATTRIBUTES, row)? as u32,
            events: match &self.fixed[c::EVENTS as usize] {
                Some(page) => match page.piece(row).map_err(bad)? {
                    Some((mut reader, texts)) => read_events(&mut reader, texts, start_ns).map_err(bad)?,
                    None => Vec::new(),
                },
                None => Vec::new(),
            },
            dropped_events: self.number(c::DROPPED_EVENTS, row)? as u32,
            links: match &self.fixed[c::LINKS as usize] {
                Some(page) => match page.piece(row).map_err(bad)? {
                    Some((mut reader, texts)) => read_links(&mut reader, texts).map_err(bad)?,
                    None => Vec::new(),
                },
                None => Vec::new(),
            },
            dropped_links: self.number(c::DROPPED_LINKS, row)? as u32,
            status: status_of(kind_status >> 3).map_err(bad)?,
            status_message: self.text(c::STATUS_MESSAGE, row)?.into(),
        };
        let missing = || self.block.damage("a resource or scope that is not there");
        let resource = Arc::clone(resource.ok_or_else(missing)?);
        let scope = Arc::clone(scope.ok_or_else(missing)?);
        Ok((ScopedSpan { resource, scope, span }, parent))
    }

    fn attributes(&mut self, shape: u32, row: u32) -> Result<Attributes, Error> {
        let block = self.block;
        if shape == c::BARE {
            return Ok(Vec::new());
        }
        if shape == c::LOOSE {
            let missing = || block.damage("a row without the attributes that it should have");
            let page = self.fixed[c::LOOSE_ATTRIBUTES as usize].as_ref().ok_or_else(missing)?;
            let (mut reader, texts) = page.piece(row).map_err(|e| block.undecodable(e))?.ok_or_else(missing)?;
            return read_attributes(&mut reader, texts).map_err(|e| block.undecodable(e));
        }
        let columns = block.tables.shapes.get((shape - c::FIRST_SHAPE) as usize);
        let columns = columns.ok_or_else(|| block.damage("a shape that is not there"))?;
        let mut attributes = Vec::with_capacity(columns.len());
        for column in columns {
            let page = match self.attributes.get(column) {
                Some(page) => page,
                None => {
                    let page = block.column(self.group, *column, self.caching)?;
                    self.attributes.entry(*column).or_insert(page)
                }
            };
            let attribute = block.tables.columns.get((column - c::FIRST_ATTRIBUTE) as usize);
            let (Some(page), Some(attribute)) = (page, attribute) else {
                return Err(block.damage("a column that a shape names and a group lacks"));
            };
            let value = value_of(page, attribute.of, row).map_err(|e| block.undecodable(e))?;
            attributes.push((attribute.key.clone(), value));
        }
        Ok(attributes)
    }

    fn number(&self, column: u32, row: u32) -> Result<u64, Error> {
        match &self.fixed[column as usize] {
            Some(page) => page.number(row).map_err(|e| self.block.undecodable(e)),
            None => Ok(0),
        }
    }

    fn text(&self, column: u32, row: u32) -> Result<&str, Error> {
        match &self.fixed[column as usize] {
            Some(page) => page.text(row).map_err(|e| self.block.undecodable(e)),
            None => Ok(""),
        }
    }
}

/// The value of a row in a column of attributes, where the shape says that it has one.
fn value_of(page: &Page, of: Type, row: u32) -> Result<AttributeValue, DecodeError> {
    let at = page.index(row).ok_or(DecodeError::Inconsistent { what: "a row that lacks the value of its shape" })?;
    value_at(page, of, at)
}

/// The value at a place of a column of attributes.
pub(super) fn value_at(page: &Page, of: Type, at: usize) -> Result<AttributeValue, DecodeError> {
    let missing = DecodeError::Inconsistent { what: "a value that a page lacks" };
    Ok(match (&page.values, of) {
        (Values::Texts(ids, texts), Type::Text) => {
            AttributeValue::String(texts.get(*ids.get(at).ok_or(missing)?)?.into())
        }
        (Values::Numbers(values), of) => {
            let number = *values.get(at).ok_or(missing)?;
            match of {
                Type::Bool => AttributeValue::Bool(number != 0),
                Type::Int => AttributeValue::Int(number_to_int(number)),
                Type::Double => AttributeValue::Double(f64::from_bits(number)),
                _ => return Err(WRONG_KIND),
            }
        }
        (Values::Pieces { .. }, Type::Other) => {
            let (mut reader, texts) = page.piece_at(at)?;
            read_value(&mut reader, texts)?
        }
        _ => return Err(WRONG_KIND),
    })
}
