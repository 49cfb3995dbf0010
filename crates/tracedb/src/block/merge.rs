//! All spans of several blocks in the order of rows, group by group.

use std::collections::VecDeque;
use std::sync::Arc;

use sonde_model::span::{ScopedSpan, SpanId};

use super::columns as c;
use super::group::Parent;
use super::page::Values;
use super::reader::{Block, Caching};
use super::writer::sort_key;
use crate::Error;

/// The spans of several blocks, merged.
#[derive(Debug)]
pub(crate) struct Merge {
    cursors: Vec<Cursor>,
}

/// The spans of one block from a place on.
#[derive(Debug)]
struct Cursor {
    block: Arc<Block>,
    next_group: usize,
    spans: VecDeque<ScopedSpan>,
    /// The ids of all spans: parents are places in traces, whose rows lie anywhere.
    ids: Vec<SpanId>,
}

impl Merge {
    /// Begins with the first groups.
    pub(crate) fn new(blocks: &[Arc<Block>]) -> Result<Self, Error> {
        let cursors = blocks.iter().map(|block| {
            let mut cursor = Cursor::new(Arc::clone(block))?;
            cursor.fill()?;
            Ok(cursor)
        });
        Ok(Merge { cursors: cursors.collect::<Result<_, Error>>()? })
    }

    /// The next span.
    pub(crate) fn next(&mut self) -> Result<Option<ScopedSpan>, Error> {
        let fronts = self.cursors.iter().enumerate().filter_map(|(i, c)| Some((i, sort_key(c.spans.front()?))));
        let Some((first, _)) = fronts.min_by(|a, b| a.1.cmp(&b.1)) else { return Ok(None) };
        let cursor = &mut self.cursors[first];
        let span = cursor.spans.pop_front();
        if cursor.spans.is_empty() {
            cursor.fill()?;
        }
        Ok(span)
    }
}

impl Cursor {
    fn new(block: Arc<Block>) -> Result<Self, Error> {
        let mut ids = Vec::with_capacity(block.meta().rows as usize);
        for group in &block.tables.groups {
            let page = block.column(group, c::SPAN_ID, Caching::Pass)?;
            for row in 0..group.rows {
                let id = page.as_ref().map_or(Ok(0), |p| p.number(row)).map_err(|e| block.undecodable(e))?;
                ids.push(SpanId(id.to_be_bytes()));
            }
        }
        Ok(Cursor { block, next_group: 0, spans: VecDeque::new(), ids })
    }

    /// Reads the next group, if there is one.
    fn fill(&mut self) -> Result<(), Error> {
        let block = &self.block;
        let Some(group) = block.tables.groups.get(self.next_group) else { return Ok(()) };
        let rows: Vec<u32> = (0..group.rows).collect();
        let spans = block.read_rows(self.next_group, &rows, Caching::Pass)?;
        let places = block.column(group, c::TRACE, Caching::Pass)?;
        for (row, (mut scoped, parent)) in (0u32..).zip(spans) {
            let place = match places.as_deref().map(|page| (&page.values, page.index(row))) {
                Some((Values::Numbers(values), Some(at))) => values.get(at).copied().unwrap_or(u64::MAX),
                _ => return Err(block.damage("a row without a trace")),
            };
            let (id, page, at) = block.trace_at(place)?;
            scoped.span.trace_id = id;
            scoped.span.parent_span_id = match parent {
                Parent::Nobody => None,
                Parent::Id(id) => Some(id),
                Parent::Place(place) => {
                    let rows = page.rows_at(at).unwrap_or_default();
                    let row = usize::try_from(place).ok().and_then(|place| rows.get(place));
                    let id = row.and_then(|row| self.ids.get(*row as usize));
                    Some(*id.ok_or_else(|| block.damage("a parent that the trace does not have"))?)
                }
            };
            self.spans.push_back(scoped);
        }
        self.next_group += 1;
        Ok(())
    }
}
