//! Looks through a block for spans that fulfil filters, column by column.

use sonde_model::span::Attributes;

use super::bloom::{Bloom, Space, hash};
use super::columns::{self as c, Type, number_to_int};
use super::footer::Group;
use super::page::{Page, Values, WRONG_KIND};
use super::reader::{Block, Caching};
use super::writer::MAX_LOOSE_KEYS;
use crate::Error;
use crate::codec::DecodeError;
use crate::codec::raw::{RawValue, visit_attributes, visit_event_attributes, visit_link_attributes};
use crate::codec::span::{kind_of, status_of};
use crate::codec::value::read_value;
use crate::plan::{Check, Matches, Plan, Test};
use crate::query::{TagScope, Target};
use crate::scan::any_holds;

/// A test with what can be said about it for the whole block.
struct Bound<'p> {
    test: &'p Test,
    /// Which resources or scopes hold.
    tables: Vec<bool>,
    /// The columns that may hold, of those of the key.
    columns: Vec<(u32, Type)>,
    /// Whether attributes that lie in pieces may hold.
    pieces: bool,
}

/// What was found of a trace.
#[derive(Clone, Copy, Debug, Default)]
struct Mark {
    is_found: bool,
    filters: u64,
    newest_ns: u64,
}

/// Rows of a group, each in or out.
type Rows = Vec<bool>;

impl Block {
    /// Adds the traces of which a span fulfils filters.
    pub(crate) fn scan(&self, plan: &Plan, found: &mut Matches) -> Result<(), Error> {
        let mut bound: Vec<(usize, Vec<Bound<'_>>)> = Vec::new();
        for (bit, tests) in plan.filters.iter().enumerate() {
            if let Some(tests) = self.bind(tests)? {
                bound.push((bit, tests));
            }
        }
        if bound.is_empty() && !plan.filters.is_empty() {
            return Ok(());
        }
        let mut marks = vec![Mark::default(); self.meta().traces as usize];
        for group in self.tables.groups.iter().filter(|g| plan.reach.overlaps(g.range)) {
            if plan.filters.is_empty() {
                self.add(group, &vec![true; group.rows as usize], 0, plan, &mut marks)?;
            }
            for (bit, tests) in &bound {
                let mut rows = vec![true; group.rows as usize];
                for test in tests {
                    self.narrow(group, test, &mut rows)?;
                    if !rows.contains(&true) {
                        break;
                    }
                }
                self.add(group, &rows, 1 << bit, plan, &mut marks)?;
            }
        }
        for (place, mark) in (0u64..).zip(marks).filter(|(_, mark)| mark.is_found) {
            found.add(self.trace_at(place)?.0, mark.filters, mark.newest_ns);
        }
        Ok(())
    }

    /// The tests of a filter; `None` if no span of the block can fulfil all of them.
    fn bind<'p>(&self, tests: &'p [Test]) -> Result<Option<Vec<Bound<'p>>>, Error> {
        let mut bound = Vec::with_capacity(tests.len());
        for test in tests {
            match self.bind_one(test, self.may_hold_text(test)?) {
                Some(test) => bound.push(test),
                None => return Ok(None),
            }
        }
        // What is in few rows and cheap to ask comes first.
        bound.sort_by_key(|b| b.tables.is_empty());
        Ok(Some(bound))
    }

    /// Whether the text that is demanded may be in the block, resources and scopes apart.
    fn may_hold_text(&self, test: &Test) -> Result<bool, Error> {
        let Some(text) = test.check.equal_text() else { return Ok(true) };
        let (space, key) = match &test.target {
            Target::Name => (Space::Name, ""),
            Target::StatusMessage if text.is_empty() => return Ok(true),
            Target::StatusMessage => (Space::StatusMessage, ""),
            Target::Attribute(TagScope::Any | TagScope::Span, key) => (Space::Span, &**key),
            Target::Attribute(TagScope::Event, key) => (Space::Event, &**key),
            Target::Attribute(TagScope::Link, key) => (Space::Link, &**key),
            _ => return Ok(true),
        };
        let bloom = self.bloom()?;
        Ok(bloom.is_none_or(|bloom: std::sync::Arc<Bloom>| bloom.contains(hash(space, key, text))))
    }

    fn bind_one<'p>(&self, test: &'p Test, may_hold_text: bool) -> Option<Bound<'p>> {
        let mut bound = Bound { test, tables: Vec::new(), columns: Vec::new(), pieces: false };
        let Target::Attribute(scope, key) = &test.target else { return may_hold_text.then_some(bound) };
        let tables = &self.tables;
        let holds = |attributes: &Attributes| any_holds(attributes, key, &test.check);
        // Keys beyond those that are listed may be there.
        let is_loose = |of: usize| tables.loose_keys[of].contains(key) || tables.loose_keys[of].len() >= MAX_LOOSE_KEYS;
        match scope {
            TagScope::Any | TagScope::Resource => {
                bound.tables = tables.resources.iter().map(|r| holds(&r.attributes)).collect();
            }
            TagScope::Instrumentation => bound.tables = tables.scopes.iter().map(|s| holds(&s.attributes)).collect(),
            _ => {}
        }
        if matches!(scope, TagScope::Any | TagScope::Span) && may_hold_text {
            bound.columns = self.columns_of(key, &test.check);
        }
        bound.pieces = may_hold_text
            && match scope {
                TagScope::Any | TagScope::Span => is_loose(0),
                TagScope::Event => is_loose(1),
                TagScope::Link => is_loose(2),
                TagScope::Resource | TagScope::Instrumentation => false,
            };
        (bound.pieces || !bound.columns.is_empty() || bound.tables.contains(&true)).then_some(bound)
    }

    /// The columns of a key whose values a check may accept.
    fn columns_of(&self, key: &str, check: &Check) -> Vec<(u32, Type)> {
        let of_key = self.tables.columns.iter().zip(c::FIRST_ATTRIBUTE..).filter(|(column, _)| &*column.key == key);
        let may = |of: Type| of == Type::Other || (of == Type::Text) == check.wants_text();
        of_key.filter(|(column, _)| may(column.of)).map(|(column, number)| (number, column.of)).collect()
    }

    /// Takes the rows out that do not hold.
    fn narrow(&self, group: &Group, bound: &Bound<'_>, rows: &mut Rows) -> Result<(), Error> {
        let check = &bound.test.check;
        let bad = |e: DecodeError| self.undecodable(e);
        match &bound.test.target {
            Target::Name => self.narrow_texts(group, c::NAME, check, rows),
            Target::StatusMessage => self.narrow_texts(group, c::STATUS_MESSAGE, check, rows),
            Target::Duration => self.narrow_numbers(group, c::DURATION, rows, &mut |n| {
                // What ends before it starts wraps around, and its duration is 0. Either is allowed.
                Ok(check.duration(n) || n > i64::MAX as u64 && check.duration(0))
            }),
            Target::Kind => {
                self.narrow_numbers(group, c::KIND_STATUS, rows, &mut |n| Ok(check.kind(kind_of(n as u8 & 7)?)))
            }
            Target::Status => {
                self.narrow_numbers(group, c::KIND_STATUS, rows, &mut |n| Ok(check.status(status_of(n as u8 >> 3)?)))
            }
            Target::Attribute(TagScope::Resource, _) => self.narrow_table(group, c::RESOURCE, &bound.tables, rows),
            Target::Attribute(TagScope::Instrumentation, _) => self.narrow_table(group, c::SCOPE, &bound.tables, rows),
            Target::Attribute(scope, key) => {
                let mut holds = vec![false; rows.len()];
                if *scope == TagScope::Any && bound.tables.contains(&true) {
                    holds.fill(true);
                    self.narrow_table(group, c::RESOURCE, &bound.tables, &mut holds)?;
                }
                let pieces = match scope {
                    TagScope::Event => c::EVENTS,
                    TagScope::Link => c::LINKS,
                    _ => c::LOOSE_ATTRIBUTES,
                };
                for (column, of) in &bound.columns {
                    if let Some(page) = self.column(group, *column, Caching::Keep)? {
                        mark(&page, *of, check, &mut holds).map_err(bad)?;
                    }
                }
                if bound.pieces
                    && let Some(page) = self.column(group, pieces, Caching::Keep)?
                {
                    mark_pieces(&page, *scope, key, check, &mut holds).map_err(bad)?;
                }
                rows.iter_mut().zip(holds).for_each(|(row, holds)| *row &= holds);
                Ok(())
            }
        }
    }

    fn narrow_texts(&self, group: &Group, column: u32, check: &Check, rows: &mut Rows) -> Result<(), Error> {
        // Rows without a text have the empty one.
        let mut holds = vec![check.text(""); rows.len()];
        if let Some(page) = self.column(group, column, Caching::Keep)? {
            let Values::Texts(ids, texts) = &page.values else { return Err(self.undecodable(WRONG_KIND)) };
            let accepted: Vec<bool> =
                (0..texts.len() as u32).map(|id| texts.get(id).is_ok_and(|text| check.text(text))).collect();
            page.visit_rows(|row, at| holds[row] = accepted[ids[at] as usize]);
        }
        rows.iter_mut().zip(holds).for_each(|(row, holds)| *row &= holds);
        Ok(())
    }

    fn narrow_numbers(
        &self,
        group: &Group,
        column: u32,
        rows: &mut Rows,
        holds: &mut dyn FnMut(u64) -> Result<bool, DecodeError>,
    ) -> Result<(), Error> {
        let page = self.column(group, column, Caching::Keep)?;
        for (at, row) in (0u32..).zip(rows.iter_mut()) {
            if *row {
                let number = page.as_ref().map_or(Ok(0), |p| p.number(at));
                *row = number.and_then(&mut *holds).map_err(|e| self.undecodable(e))?;
            }
        }
        Ok(())
    }

    fn narrow_table(&self, group: &Group, column: u32, table: &[bool], rows: &mut Rows) -> Result<(), Error> {
        self.narrow_numbers(group, column, rows, &mut |n| Ok(table.get(n as usize).copied().unwrap_or(false)))
    }

    /// Marks the traces of the rows that are left and start within reach.
    fn add(&self, group: &Group, rows: &Rows, filter: u64, plan: &Plan, marks: &mut [Mark]) -> Result<(), Error> {
        if !rows.contains(&true) {
            return Ok(());
        }
        let bad = |e: DecodeError| self.undecodable(e);
        let starts = self.column(group, c::START, Caching::Keep)?;
        let traces = self.column(group, c::TRACE, Caching::Keep)?;
        for (row, _) in (0u32..).zip(rows).filter(|(_, holds)| **holds) {
            let start = starts.as_ref().map_or(Ok(0), |p| p.number(row)).map_err(bad)?;
            if !plan.reach.contains(start) {
                continue;
            }
            let place = traces.as_ref().map_or(Ok(0), |p| p.number(row)).map_err(bad)?;
            let mark = usize::try_from(place).ok().and_then(|place| marks.get_mut(place));
            let mark = mark.ok_or_else(|| self.damage("a row whose trace is not there"))?;
            mark.is_found = true;
            mark.filters |= filter;
            mark.newest_ns = mark.newest_ns.max(start);
        }
        Ok(())
    }
}

/// Marks the rows whose value in a column of attributes holds.
fn mark(page: &Page, of: Type, check: &Check, holds: &mut Rows) -> Result<(), DecodeError> {
    match &page.values {
        Values::Texts(ids, texts) => {
            let mut accepted = Vec::with_capacity(texts.len());
            for id in 0..texts.len() as u32 {
                accepted.push(check.text(texts.get(id)?));
            }
            if accepted.contains(&true) {
                page.visit_rows(|row, at| holds[row] |= accepted[ids[at] as usize]);
            }
        }
        Values::Numbers(values) => page.visit_rows(|row, at| {
            holds[row] |= match of {
                Type::Bool => check.boolean(values[at] != 0),
                Type::Int => check.int(number_to_int(values[at])),
                Type::Double => check.double(f64::from_bits(values[at])),
                _ => false,
            };
        }),
        Values::Pieces { .. } => {
            let mut failed = Ok(());
            page.visit_rows(|row, at| {
                let value = page.piece_at(at).and_then(|(mut reader, texts)| read_value(&mut reader, texts));
                match value {
                    Ok(value) => holds[row] |= check.raw(&RawValue::of(&value)),
                    Err(error) => failed = Err(error),
                }
            });
            failed?;
        }
    }
    Ok(())
}

/// Marks the rows of which a piece holds the key with a value that holds.
fn mark_pieces(page: &Page, scope: TagScope, key: &str, check: &Check, holds: &mut Rows) -> Result<(), DecodeError> {
    let Values::Pieces { texts, .. } = &page.values else { return Err(WRONG_KIND) };
    let Some(number) = texts.find(key) else { return Ok(()) };
    let mut failed = Ok(());
    page.visit_rows(|row, at| {
        let mut see = |key: u32, value: RawValue<'_>| holds[row] |= key == number && check.raw(&value);
        let visited = page.piece_at(at).and_then(|(mut reader, texts)| match scope {
            TagScope::Event => visit_event_attributes(&mut reader, texts, &mut see),
            TagScope::Link => visit_link_attributes(&mut reader, texts, &mut see),
            _ => visit_attributes(&mut reader, texts, &mut see),
        });
        if let Err(error) = visited {
            failed = Err(error);
        }
    });
    failed
}
