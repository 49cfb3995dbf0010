//! Writes a block: groups of rows as they come, then traces, tables and footer.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonde_disk::blocks::file::header;
use sonde_disk::{File, Fs};
use sonde_model::TimestampMs;
use sonde_model::span::{AttributeValue, Attributes, Resource, Scope, ScopedSpan, SpanId, StatusCode, TraceId};

use super::bloom::{Bloom, Space, hash};
use super::cells::{attribute_page, note_value, piece, weight};
use super::columns::{self as c, Shapes};
use super::footer::{self, Group, Meta, PageRef, Tables};
use super::page;
use super::traces::{self, TRACES_PER_PAGE, TraceEntry};
use super::unique::Table;
use crate::Error;
use crate::codec::span::{kind_code, put_events, put_links, put_resource, put_scope, status_code};
use crate::codec::text::Interner;
use crate::codec::value::put_attributes;
use crate::query::TimeRange;

/// Bytes that are collected before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// Rows of a group. Fewer would pack worse, more would make a trace by id read more.
pub(crate) const GROUP_ROWS: usize = 2048;
/// A group whose spans are about this large is closed before it is full.
const GROUP_BYTES: usize = 16 << 20;
/// How hard pages are packed.
const ZSTD_LEVEL: i32 = 3;
/// Keys of loose attributes that are listed for each of spans, events and links.
pub(super) const MAX_LOOSE_KEYS: usize = 10_000;

/// What a block is besides its content: see [`Meta`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) seq: u64,
    pub(crate) level: u32,
    pub(crate) created: TimestampMs,
}

/// The order of rows: service, name, start; then what makes duplicates neighbours.
pub(crate) fn sort_key(scoped: &ScopedSpan) -> (&str, &str, u64, TraceId, SpanId) {
    let span = &scoped.span;
    (scoped.resource.service_name(), &span.name, span.start_ns, span.trace_id, span.span_id)
}

/// A block that is being written. Spans come in the order of [`sort_key`].
pub(crate) struct BlockWriter {
    file: Arc<dyn File>,
    path: PathBuf,
    packer: zstd::bulk::Compressor<'static>,
    buffer: Vec<u8>,
    written: u64,
    identity: Identity,
    group: Vec<ScopedSpan>,
    group_bytes: usize,
    rows: Vec<Row>,
    names: HashMap<Arc<str>, u32, foldhash::fast::RandomState>,
    name_list: Vec<Arc<str>>,
    resources: Table<Resource>,
    scopes: Table<Scope>,
    shapes: Shapes,
    loose_keys: [BTreeSet<Box<str>>; 3],
    bloom: Bloom,
    tables: Tables,
}

/// What is remembered of a row until the traces are known.
#[derive(Clone, Copy, Debug)]
struct Row {
    trace: TraceId,
    span: SpanId,
    parent: Option<SpanId>,
    start_ns: u64,
    end_ns: u64,
    error: bool,
    service: u32,
    name: u32,
}

impl BlockWriter {
    /// Begins a block. The file must not exist.
    pub(crate) fn create(fs: &dyn Fs, path: &Path, identity: Identity) -> Result<Self, Error> {
        let io = |action, source| Error::Io { action, path: path.to_owned(), source };
        let file = fs.create(path).map_err(|source| io("create", source))?;
        let packer = zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|source| io("pack", source))?;
        Ok(BlockWriter {
            file,
            path: path.to_owned(),
            packer,
            buffer: header(footer::MAGIC, footer::VERSION).to_vec(),
            written: 0,
            identity,
            group: Vec::with_capacity(GROUP_ROWS),
            group_bytes: 0,
            rows: Vec::new(),
            names: HashMap::default(),
            name_list: Vec::new(),
            resources: Table::default(),
            scopes: Table::default(),
            shapes: Shapes::default(),
            loose_keys: Default::default(),
            bloom: Bloom::new(),
            tables: Tables::default(),
        })
    }

    /// Adds a span, which does not come before the last one.
    pub(crate) fn push(&mut self, scoped: ScopedSpan) -> Result<(), Error> {
        debug_assert!(self.group.last().is_none_or(|last| sort_key(last) <= sort_key(&scoped)), "BUG: out of order");
        self.group_bytes += weight(&scoped);
        self.group.push(scoped);
        if self.group.len() >= GROUP_ROWS || self.group_bytes >= GROUP_BYTES {
            self.close_group()?;
        }
        Ok(())
    }

    /// Writes traces, tables and footer and makes the file durable. Its name is the caller's business.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        self.close_group()?;
        let traces = self.write_traces()?;
        for group in &mut self.tables.groups {
            group.pages.sort_unstable_by_key(|(column, _)| *column);
        }
        if let Some(bytes) = std::mem::replace(&mut self.bloom, Bloom::new()).finish() {
            self.tables.bloom = Some(self.page(&bytes)?);
        }
        self.tables.columns = std::mem::take(&mut self.shapes.columns);
        self.tables.shapes = std::mem::take(&mut self.shapes.shapes);
        self.tables.resources = std::mem::take(&mut self.resources.list);
        self.tables.scopes = std::mem::take(&mut self.scopes.list);
        self.tables.loose_keys = self.loose_keys.each_ref().map(|keys| keys.iter().cloned().collect());
        let starts = || self.rows.iter().map(|row| row.start_ns);
        let range = TimeRange { start_ns: starts().min().unwrap_or(0), end_ns: starts().max().unwrap_or(0) };
        let Identity { seq, level, created } = self.identity;
        let meta = Meta { seq, level, created, rows: self.rows.len() as u64, traces, range };
        let bytes = footer::encode(&meta, &self.tables);
        let place = self.page(&bytes)?;
        self.buffer.extend_from_slice(&footer::trailer(&place));
        self.write(1)?;
        self.file.sync().map_err(|source| self.io("sync", source))
    }

    fn close_group(&mut self) -> Result<(), Error> {
        let group = std::mem::take(&mut self.group);
        self.group_bytes = 0;
        if group.is_empty() {
            return Ok(());
        }
        let first_row = self.rows.len() as u64;
        for scoped in &group {
            let ScopedSpan { resource, span, .. } = scoped;
            let row = Row {
                trace: span.trace_id,
                span: span.span_id,
                parent: span.parent_span_id,
                start_ns: span.start_ns,
                end_ns: span.end_ns,
                error: span.status == StatusCode::Error,
                service: self.name(resource.service_name()),
                name: self.name(&span.name),
            };
            self.rows.push(row);
            self.note_texts(scoped);
        }
        let starts = || group.iter().map(|s| s.span.start_ns);
        let range = TimeRange { start_ns: starts().min().unwrap_or(0), end_ns: starts().max().unwrap_or(0) };
        self.tables.groups.push(Group { first_row, rows: group.len() as u32, range, pages: Vec::new() });
        self.fixed_columns(&group)?;
        self.attribute_columns(&group)?;
        self.piece_columns(&group)?;
        self.group = group;
        self.group.clear();
        Ok(())
    }

    fn fixed_columns(&mut self, group: &[ScopedSpan]) -> Result<(), Error> {
        let resources: Vec<u64> = group.iter().map(|s| self.resources.id(&s.resource, put_resource)).collect();
        let scopes: Vec<u64> = group.iter().map(|s| self.scopes.id(&s.scope, put_scope)).collect();
        self.numbers(c::RESOURCE, &resources)?;
        self.numbers(c::SCOPE, &scopes)?;
        let mut column = |column: u32, of: &dyn Fn(&ScopedSpan) -> u64| {
            let values: Vec<u64> = group.iter().map(of).collect();
            self.numbers(column, &values)
        };
        column(c::SPAN_ID, &|s| u64::from_be_bytes(s.span.span_id.0))?;
        column(c::START, &|s| s.span.start_ns)?;
        column(c::DURATION, &|s| s.span.end_ns.wrapping_sub(s.span.start_ns))?;
        column(c::KIND_STATUS, &|s| u64::from(kind_code(s.span.kind) | status_code(s.span.status) << 3))?;
        column(c::FLAGS, &|s| u64::from(s.span.flags))?;
        column(c::DROPPED_ATTRIBUTES, &|s| u64::from(s.span.dropped_attributes))?;
        column(c::DROPPED_EVENTS, &|s| u64::from(s.span.dropped_events))?;
        column(c::DROPPED_LINKS, &|s| u64::from(s.span.dropped_links))?;
        let mut texts = |column: u32, of: &dyn Fn(&ScopedSpan) -> &str| {
            let values: Vec<(u32, &str)> =
                (0u32..).zip(group.iter().map(of)).filter(|(_, text)| !text.is_empty()).collect();
            let (rows, values): (Vec<u32>, Vec<&str>) = values.into_iter().unzip();
            self.column(column, &rows, || page::texts(&rows, &values, group.len()))
        };
        texts(c::NAME, &|s| &s.span.name)?;
        texts(c::TRACE_STATE, &|s| &s.span.trace_state)?;
        texts(c::STATUS_MESSAGE, &|s| &s.span.status_message)
    }

    fn attribute_columns(&mut self, group: &[ScopedSpan]) -> Result<(), Error> {
        let mut cells: BTreeMap<u32, (Vec<u32>, Vec<&AttributeValue>)> = BTreeMap::new();
        let mut shapes = Vec::with_capacity(group.len());
        let mut columns = Vec::new();
        let mut loose: (Vec<u32>, Vec<&Attributes>) = Default::default();
        for (row, scoped) in (0u32..).zip(group) {
            let attributes = &scoped.span.attributes;
            let shape = self.shapes.of(attributes, &mut columns);
            shapes.push(u64::from(shape));
            if shape == c::LOOSE {
                loose.0.push(row);
                loose.1.push(attributes);
                self.note_keys(0, attributes);
            }
            for (column, (_, value)) in columns.iter().zip(attributes) {
                let cell = cells.entry(*column).or_default();
                cell.0.push(row);
                cell.1.push(value);
            }
        }
        self.numbers(c::SHAPE, &shapes)?;
        let all = group.len();
        for (column, (rows, values)) in cells {
            let of = self.shapes.columns[(column - c::FIRST_ATTRIBUTE) as usize].of;
            self.column(column, &rows, || attribute_page(of, &rows, &values, all))?;
        }
        let (rows, loose) = loose;
        self.column(c::LOOSE_ATTRIBUTES, &rows, || {
            let mut texts = Interner::new();
            let pieces: Vec<Vec<u8>> =
                loose.iter().map(|attributes| piece(|out| put_attributes(out, &mut texts, attributes))).collect();
            page::pieces(&rows, &pieces, &texts, all)
        })
    }

    fn piece_columns(&mut self, group: &[ScopedSpan]) -> Result<(), Error> {
        for scoped in group {
            scoped.span.events.iter().for_each(|e| self.note_keys(1, &e.attributes));
            scoped.span.links.iter().for_each(|l| self.note_keys(2, &l.attributes));
        }
        let with = |has: &dyn Fn(&ScopedSpan) -> bool| -> (Vec<u32>, Vec<&ScopedSpan>) {
            (0u32..).zip(group).filter(|(_, s)| has(s)).unzip()
        };
        let (rows, spans) = with(&|s| !s.span.events.is_empty());
        self.column(c::EVENTS, &rows, || {
            let mut texts = Interner::new();
            let mut pieces = Vec::with_capacity(spans.len());
            for s in &spans {
                pieces.push(piece(|out| put_events(out, &mut texts, &s.span.events, s.span.start_ns)));
            }
            page::pieces(&rows, &pieces, &texts, group.len())
        })?;
        let (rows, spans) = with(&|s| !s.span.links.is_empty());
        self.column(c::LINKS, &rows, || {
            let mut texts = Interner::new();
            let mut pieces = Vec::with_capacity(spans.len());
            for s in &spans {
                pieces.push(piece(|out| put_links(out, &mut texts, &s.span.links)));
            }
            page::pieces(&rows, &pieces, &texts, group.len())
        })
    }

    /// Writes the table of traces, and for each row its trace and its parent. Answers how many traces there are.
    fn write_traces(&mut self) -> Result<u64, Error> {
        let rows = std::mem::take(&mut self.rows);
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        order.sort_unstable_by_key(|row| (rows[*row as usize].trace, *row));
        let mut trace_of = vec![0u64; rows.len()];
        let mut parent_of = vec![0u64; rows.len()];
        let mut entries = Vec::with_capacity(TRACES_PER_PAGE);
        let mut count = 0;
        for members in order.chunk_by(|a, b| rows[*a as usize].trace == rows[*b as usize].trace) {
            resolve_parents(members, &rows, &mut parent_of);
            members.iter().for_each(|row| trace_of[*row as usize] = count);
            entries.push(self.entry(members, &rows));
            count += 1;
            if entries.len() == TRACES_PER_PAGE {
                self.trace_page(&mut entries)?;
            }
        }
        self.trace_page(&mut entries)?;
        let mut groups = std::mem::take(&mut self.tables.groups);
        for group in &mut groups {
            let range = group.first_row as usize..group.first_row as usize + group.rows as usize;
            let all = group.rows as usize;
            let every: Vec<u32> = (0..group.rows).collect();
            let page = self.page(&page::numbers(&every, &trace_of[range.clone()], all))?;
            group.pages.push((c::TRACE, page));
            let parents = &parent_of[range.clone()];
            if parents.iter().any(|p| *p != 0) {
                group.pages.push((c::PARENT, self.page(&page::numbers(&every, parents, all))?));
            }
            let strangers = (0u32..).zip(range).filter(|(_, row)| parent_of[*row] == 1);
            let (strangers, ids): (Vec<u32>, Vec<u64>) =
                strangers.filter_map(|(at, row)| Some((at, u64::from_be_bytes(rows[row].parent?.0)))).unzip();
            if !strangers.is_empty() {
                group.pages.push((c::PARENT_ID, self.page(&page::numbers(&strangers, &ids, all))?));
            }
        }
        self.tables.groups = groups;
        self.rows = rows;
        Ok(count)
    }

    fn entry(&self, members: &[u32], rows: &[Row]) -> TraceEntry {
        let of = || members.iter().map(|row| &rows[*row as usize]);
        let text = |id: u32| Arc::clone(&self.name_list[id as usize]);
        let mut services: Vec<Arc<str>> =
            of().map(|r| r.service).collect::<BTreeSet<_>>().into_iter().map(text).collect();
        services.sort_unstable();
        TraceEntry {
            id: rows[members[0] as usize].trace,
            rows: members.to_vec(),
            start_ns: of().map(|r| r.start_ns).min().unwrap_or(0),
            end_ns: of().map(|r| r.end_ns).max().unwrap_or(0),
            errors: of().filter(|r| r.error).count() as u64,
            root: of()
                .filter(|r| r.parent.is_none())
                .min_by_key(|r| r.start_ns)
                .map(|r| (text(r.service), text(r.name))),
            services,
        }
    }

    fn trace_page(&mut self, entries: &mut Vec<TraceEntry>) -> Result<(), Error> {
        if let Some(first) = entries.first().map(|e| e.id) {
            let page = self.page(&traces::encode(entries))?;
            self.tables.traces.push((first, page));
            entries.clear();
        }
        Ok(())
    }

    fn name(&mut self, text: &str) -> u32 {
        if let Some(id) = self.names.get(text) {
            return *id;
        }
        let (text, id): (Arc<str>, u32) = (text.into(), self.name_list.len() as u32);
        self.name_list.push(Arc::clone(&text));
        self.names.insert(text, id);
        id
    }

    fn note_keys(&mut self, of: usize, attributes: &Attributes) {
        let keys = &mut self.loose_keys[of];
        for (key, _) in attributes {
            if !keys.contains(key) && keys.len() < MAX_LOOSE_KEYS {
                keys.insert(key.clone());
            }
        }
    }

    fn note_texts(&mut self, scoped: &ScopedSpan) {
        let span = &scoped.span;
        let bloom = &mut self.bloom;
        bloom.insert(hash(Space::Name, "", &span.name));
        if !span.status_message.is_empty() {
            bloom.insert(hash(Space::StatusMessage, "", &span.status_message));
        }
        let mut all = |space: Space, attributes: &Attributes| {
            for (key, value) in attributes {
                note_value(bloom, space, key, value);
            }
        };
        all(Space::Span, &span.attributes);
        span.events.iter().for_each(|e| all(Space::Event, &e.attributes));
        span.links.iter().for_each(|l| all(Space::Link, &l.attributes));
    }

    /// A column of which every row has a number; left out if all are 0.
    fn numbers(&mut self, column: u32, values: &[u64]) -> Result<(), Error> {
        if values.iter().all(|v| *v == 0) {
            return Ok(());
        }
        let rows: Vec<u32> = (0..values.len() as u32).collect();
        self.column(column, &rows, || page::numbers(&rows, values, values.len()))
    }

    /// A column of the group at the end; left out if no row has a value.
    fn column(&mut self, column: u32, rows: &[u32], encode: impl FnOnce() -> Vec<u8>) -> Result<(), Error> {
        if rows.is_empty() {
            return Ok(());
        }
        let page = self.page(&encode())?;
        if let Some(group) = self.tables.groups.last_mut() {
            group.pages.push((column, page));
        }
        Ok(())
    }

    fn page(&mut self, bytes: &[u8]) -> Result<PageRef, Error> {
        let packed = self.packer.compress(bytes).map_err(|source| self.io("pack", source))?;
        let offset = self.written + self.buffer.len() as u64;
        self.buffer.extend_from_slice(&packed);
        self.write(WRITE_BYTES)?;
        let (len, unpacked) = (packed.len() as u32, bytes.len() as u32);
        Ok(PageRef { offset, len, unpacked, crc: crc32fast::hash(&packed) })
    }

    fn write(&mut self, at_least: usize) -> Result<(), Error> {
        if self.buffer.len() >= at_least {
            self.file.write_at(&self.buffer, self.written).map_err(|source| self.io("write", source))?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    fn io(&self, action: &'static str, source: std::io::Error) -> Error {
        Error::Io { action, path: self.path.clone(), source }
    }
}

/// For each row of a trace what [`c::PARENT`] says.
fn resolve_parents(members: &[u32], rows: &[Row], parent_of: &mut [u64]) {
    let mut places: HashMap<SpanId, u64, foldhash::fast::RandomState> = HashMap::default();
    for (place, row) in (0u64..).zip(members) {
        places.entry(rows[*row as usize].span).or_insert(place);
    }
    for row in members {
        parent_of[*row as usize] = match rows[*row as usize].parent {
            None => 0,
            Some(parent) => places.get(&parent).map_or(1, |place| place + 2),
        };
    }
}
