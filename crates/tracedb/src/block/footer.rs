//! The first and the last bytes of a block file: magic, version, tables, directories of pages.

use std::sync::Arc;

use sonde_disk::varint::{Reader, put, put_signed};
use sonde_model::TimestampMs;
use sonde_model::span::{Resource, Scope, TraceId};

use super::columns::{AttributeColumn, FIRST_ATTRIBUTE, MAX_ATTRIBUTE_COLUMNS, MAX_SHAPES, Type};
use super::traces::TRACES_PER_PAGE;
use crate::codec::DecodeError;
use crate::codec::span::{put_resource, put_scope, read_resource, read_scope};
use crate::codec::text::{Dictionary, Interner};
use crate::query::TimeRange;

/// What a block file begins with.
pub(crate) const MAGIC: [u8; 8] = *b"SONDETRC";
/// What it ends with.
const END_MAGIC: [u8; 4] = *b"STRC";
/// The format that this program writes and reads.
pub(crate) const VERSION: u32 = 1;
/// Footer: offset, packed length, unpacked length, checksum; version, magic.
pub(crate) const TRAILER_LEN: usize = 28;
/// A footer or page over this, packed or unpacked, is refused.
pub(crate) const MAX_PAGE_BYTES: u32 = 512 << 20;
/// Rows of a group at most.
pub(crate) const MAX_GROUP_ROWS: u32 = 1 << 16;

/// Where a page lies, how large it is unpacked, and the checksum of what lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRef {
    pub(crate) offset: u64,
    pub(crate) len: u32,
    pub(crate) unpacked: u32,
    pub(crate) crc: u32,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The number of the block, which names its file.
    pub(crate) seq: u64,
    /// How many merges made it: 0 for a flush.
    pub(crate) level: u32,
    /// When it was written.
    pub(crate) created: TimestampMs,
    pub(crate) rows: u64,
    pub(crate) traces: u64,
    /// The starts of its spans.
    pub(crate) range: TimeRange,
}

/// Some rows that lie together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) first_row: u64,
    pub(crate) rows: u32,
    pub(crate) range: TimeRange,
    /// The column of each page, growing.
    pub(crate) pages: Vec<(u32, PageRef)>,
}

/// The tables and directories of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tables {
    pub(crate) columns: Vec<AttributeColumn>,
    pub(crate) shapes: Vec<Vec<u32>>,
    pub(crate) resources: Vec<Arc<Resource>>,
    pub(crate) scopes: Vec<Arc<Scope>>,
    /// Keys of attributes that lie in pieces: of spans, events and links.
    pub(crate) loose_keys: [Vec<Box<str>>; 3],
    pub(crate) groups: Vec<Group>,
    /// Pages of traces, each with its first id.
    pub(crate) traces: Vec<(TraceId, PageRef)>,
    pub(crate) bloom: Option<PageRef>,
}

impl Group {
    /// The page of a column, if some row of the group has a value there.
    pub(crate) fn page(&self, column: u32) -> Option<PageRef> {
        self.pages.binary_search_by_key(&column, |(c, _)| *c).ok().map(|at| self.pages[at].1)
    }
}

/// The trailer of a block file whose footer lies there.
pub(crate) fn trailer(footer: &PageRef) -> [u8; TRAILER_LEN] {
    let mut trailer = [0; TRAILER_LEN];
    trailer[..8].copy_from_slice(&footer.offset.to_le_bytes());
    trailer[8..12].copy_from_slice(&footer.len.to_le_bytes());
    trailer[12..16].copy_from_slice(&footer.unpacked.to_le_bytes());
    trailer[16..20].copy_from_slice(&footer.crc.to_le_bytes());
    trailer[20..24].copy_from_slice(&VERSION.to_le_bytes());
    trailer[24..].copy_from_slice(&END_MAGIC);
    trailer
}

/// Where the footer lies, by the trailer of a file of `file_len` bytes.
pub(crate) fn read_trailer(trailer: &[u8; TRAILER_LEN], file_len: u64) -> Result<PageRef, DecodeError> {
    let mut reader = Reader::new(trailer);
    let (offset, len) = (reader.u64_le()?, reader.u32_le()?);
    let (unpacked, crc, version) = (reader.u32_le()?, reader.u32_le()?, reader.u32_le()?);
    if reader.rest() != END_MAGIC {
        return Err(DecodeError::Inconsistent { what: "the file does not end as a block does" });
    }
    if version != VERSION {
        return Err(DecodeError::Unknown { what: "block version", value: version.min(255) as u8 });
    }
    let at_the_end = offset.checked_add(u64::from(len) + TRAILER_LEN as u64) == Some(file_len);
    if len > MAX_PAGE_BYTES || unpacked > MAX_PAGE_BYTES || !at_the_end {
        return Err(DecodeError::Inconsistent { what: "the footer is not where the trailer says" });
    }
    Ok(PageRef { offset, len, unpacked, crc })
}

/// The footer.
pub(crate) fn encode(meta: &Meta, tables: &Tables) -> Vec<u8> {
    let mut texts = Interner::new();
    let mut out = Vec::new();
    put(&mut out, meta.seq);
    put(&mut out, u64::from(meta.level));
    put_signed(&mut out, meta.created);
    put(&mut out, meta.rows);
    put(&mut out, meta.traces);
    put_range(&mut out, meta.range);
    put(&mut out, tables.columns.len() as u64);
    for column in &tables.columns {
        texts.put(&mut out, &column.key);
        out.push(column.of as u8);
        put(&mut out, u64::from(column.occurrence));
    }
    put(&mut out, tables.shapes.len() as u64);
    for shape in &tables.shapes {
        put(&mut out, shape.len() as u64);
        shape.iter().for_each(|column| put(&mut out, u64::from(*column)));
    }
    put(&mut out, tables.resources.len() as u64);
    tables.resources.iter().for_each(|r| put_resource(&mut out, &mut texts, r));
    put(&mut out, tables.scopes.len() as u64);
    tables.scopes.iter().for_each(|s| put_scope(&mut out, &mut texts, s));
    for keys in &tables.loose_keys {
        put(&mut out, keys.len() as u64);
        keys.iter().for_each(|key| texts.put(&mut out, key));
    }
    put(&mut out, tables.groups.len() as u64);
    for group in &tables.groups {
        put(&mut out, u64::from(group.rows));
        put_range(&mut out, group.range);
        put(&mut out, group.pages.len() as u64);
        for (column, page) in &group.pages {
            put(&mut out, u64::from(*column));
            put_page(&mut out, page);
        }
    }
    put(&mut out, tables.traces.len() as u64);
    for (first, page) in &tables.traces {
        out.extend_from_slice(&first.0);
        put_page(&mut out, page);
    }
    put(&mut out, u64::from(tables.bloom.is_some()));
    tables.bloom.iter().for_each(|page| put_page(&mut out, page));
    let mut all = Vec::with_capacity(out.len() * 2);
    texts.finish(&mut all);
    all.extend_from_slice(&out);
    all
}

/// Reads a footer that lies at `end`, so that no page may reach beyond it.
pub(crate) fn decode(bytes: &[u8], end: u64) -> Result<(Meta, Tables), DecodeError> {
    let mut reader = Reader::new(bytes);
    let texts = Dictionary::read(&mut reader)?;
    let reader = &mut reader;
    let mut meta = Meta {
        seq: reader.varint()?,
        level: reader.u32()?,
        created: reader.signed()?,
        rows: reader.varint()?,
        traces: reader.varint()?,
        range: read_range(reader)?,
    };
    let mut tables = Tables { columns: read_columns(reader, &texts)?, ..Tables::default() };
    tables.shapes = read_shapes(reader, tables.columns.len())?;
    for _ in 0..reader.count(3, "resources")? {
        tables.resources.push(Arc::new(read_resource(reader, &texts)?));
    }
    for _ in 0..reader.count(5, "scopes")? {
        tables.scopes.push(Arc::new(read_scope(reader, &texts)?));
    }
    for keys in &mut tables.loose_keys {
        for _ in 0..reader.count(1, "keys")? {
            keys.push(texts.next(reader)?.into());
        }
    }
    let mut first_row = 0;
    for _ in 0..reader.count(4, "groups")? {
        let group = read_group(reader, first_row, end)?;
        first_row += u64::from(group.rows);
        tables.groups.push(group);
    }
    for _ in 0..reader.count(16, "pages of traces")? {
        tables.traces.push((TraceId(reader.array()?), read_page(reader, end)?));
    }
    tables.bloom = if reader.varint()? == 0 { None } else { Some(read_page(reader, end)?) };
    meta.range.end_ns = meta.range.end_ns.max(meta.range.start_ns);
    let sorted = tables.traces.is_sorted_by_key(|(first, _)| *first);
    let trace_pages = meta.traces.div_ceil(TRACES_PER_PAGE as u64) == tables.traces.len() as u64;
    if first_row != meta.rows || meta.rows > u64::from(u32::MAX) || !trace_pages || !sorted || !reader.is_empty() {
        return Err(DecodeError::Inconsistent { what: "the counts of a footer do not fit together" });
    }
    Ok((meta, tables))
}

fn read_columns(reader: &mut Reader<'_>, texts: &Dictionary) -> Result<Vec<AttributeColumn>, DecodeError> {
    let n = reader.count(3, "columns")?;
    if n > MAX_ATTRIBUTE_COLUMNS {
        return Err(DecodeError::TooLarge { what: "columns" });
    }
    (0..n)
        .map(|_| {
            let key = texts.next(reader)?.into();
            let code = reader.u8()?;
            let of = Type::from_code(code).ok_or(DecodeError::Unknown { what: "column type", value: code })?;
            Ok(AttributeColumn { key, of, occurrence: reader.u32()? })
        })
        .collect()
}

fn read_shapes(reader: &mut Reader<'_>, columns: usize) -> Result<Vec<Vec<u32>>, DecodeError> {
    let n = reader.count(1, "shapes")?;
    if n > MAX_SHAPES {
        return Err(DecodeError::TooLarge { what: "shapes" });
    }
    let known = FIRST_ATTRIBUTE..FIRST_ATTRIBUTE + columns as u32;
    (0..n)
        .map(|_| {
            let len = reader.count(1, "the columns of a shape")?;
            let shape = (0..len).map(|_| reader.u32()).collect::<Result<Vec<_>, _>>()?;
            let valid = shape.iter().all(|column| known.contains(column));
            if valid { Ok(shape) } else { Err(DecodeError::Inconsistent { what: "a column that is not there" }) }
        })
        .collect()
}

fn read_group(reader: &mut Reader<'_>, first_row: u64, end: u64) -> Result<Group, DecodeError> {
    let rows = reader.u32()?;
    let range = read_range(reader)?;
    let mut pages = Vec::new();
    for _ in 0..reader.count(8, "pages")? {
        pages.push((reader.u32()?, read_page(reader, end)?));
    }
    if rows == 0 || rows > MAX_GROUP_ROWS || !pages.is_sorted_by_key(|(column, _)| *column) {
        return Err(DecodeError::Inconsistent { what: "a group of rows" });
    }
    Ok(Group { first_row, rows, range, pages })
}

fn put_range(out: &mut Vec<u8>, range: TimeRange) {
    put(out, range.start_ns);
    put(out, range.end_ns.saturating_sub(range.start_ns));
}

fn read_range(reader: &mut Reader<'_>) -> Result<TimeRange, DecodeError> {
    let start_ns = reader.varint()?;
    Ok(TimeRange { start_ns, end_ns: start_ns.saturating_add(reader.varint()?) })
}

fn put_page(out: &mut Vec<u8>, page: &PageRef) {
    put(out, page.offset);
    put(out, u64::from(page.len));
    put(out, u64::from(page.unpacked));
    out.extend_from_slice(&page.crc.to_le_bytes());
}

fn read_page(reader: &mut Reader<'_>, end: u64) -> Result<PageRef, DecodeError> {
    let page = PageRef { offset: reader.varint()?, len: reader.u32()?, unpacked: reader.u32()?, crc: reader.u32_le()? };
    let outside = page.offset.checked_add(u64::from(page.len)).is_none_or(|e| e > end);
    if page.len > MAX_PAGE_BYTES || page.unpacked > MAX_PAGE_BYTES || outside {
        return Err(DecodeError::Inconsistent { what: "a page lies outside its block" });
    }
    Ok(page)
}
