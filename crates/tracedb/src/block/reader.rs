//! An open block: tables and directories in memory, pages read when they are asked for.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use sonde_disk::blocks::file;
use sonde_disk::{File, Fs};
use sonde_model::span::{ScopedSpan, SpanId, TraceId};

use super::bloom::Bloom;
use super::cache::{Cached, PageCache};
use super::footer::{self, Group, MAGIC, Meta, PageRef, Tables, VERSION};
use super::group::Parent;
use super::page::Page;
use super::traces::{TRACES_PER_PAGE, TracePage};
use crate::Error;
use crate::codec::DecodeError;
use crate::query::TimeRange;

/// An open block.
#[derive(Debug)]
pub(crate) struct Block {
    file: Arc<dyn File>,
    path: PathBuf,
    cache: Arc<PageCache>,
    pub(super) tables: Tables,
    meta: Meta,
    bytes: u64,
    damaged: AtomicBool,
}

/// Whether pages that are read should be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// A read: what it touches is likely to be asked for again.
    Keep,
    /// A scan of the whole block.
    Pass,
}

impl Block {
    /// Opens a block. Reads tables and directories, no pages.
    pub(crate) fn open(fs: &dyn Fs, path: &Path, cache: Arc<PageCache>) -> Result<Self, Error> {
        let io = |source| Error::Io { action: "open", path: path.to_owned(), source };
        let damaged = |error: DecodeError| Error::DamagedBlock { path: path.to_owned(), reason: error.to_string() };
        let file = fs.open(path).map_err(io)?;
        let bytes = file.len().map_err(io)?;
        let trailer = file::read_trailer(file.as_ref(), bytes, MAGIC).map_err(io)?.map_err(damaged)?;
        let place = footer::read_trailer(&trailer, bytes).map_err(damaged)?;
        let mut header = [0; file::HEADER_LEN];
        file.read_exact_at(&mut header, 0).map_err(io)?;
        // A version that only one end of the file names is damage.
        if header != file::header(MAGIC, VERSION) {
            return Err(damaged(DecodeError::Inconsistent { what: "header and trailer name different versions" }));
        }
        let footer = read_page(file.as_ref(), place).map_err(io)?.map_err(damaged)?;
        let (meta, tables) = footer::decode(&footer, place.offset).map_err(damaged)?;
        Ok(Block { file, path: path.to_owned(), cache, tables, meta, bytes, damaged: AtomicBool::new(false) })
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The size of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The starts of its spans.
    pub(crate) fn range(&self) -> TimeRange {
        self.meta.range
    }

    /// Whether something was read whose checksum did not hold.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Relaxed)
    }

    /// The rows of a trace, if the block has it.
    pub(crate) fn rows_of(&self, id: TraceId) -> Result<Option<Vec<u32>>, Error> {
        let after = self.tables.traces.partition_point(|(first, _)| *first <= id);
        let Some(page) = after.checked_sub(1) else { return Ok(None) };
        Ok(self.trace_page(page)?.rows_of(id).map(<[u32]>::to_vec))
    }

    /// The spans of a trace in its rows.
    pub(crate) fn read_trace(&self, id: TraceId, rows: &[u32]) -> Result<Vec<ScopedSpan>, Error> {
        let mut spans: Vec<(ScopedSpan, Parent)> = Vec::with_capacity(rows.len());
        for (number, in_group) in self.by_group(rows) {
            spans.extend(self.read_rows(number, &in_group, Caching::Keep)?);
        }
        let ids: Vec<SpanId> = spans.iter().map(|(s, _)| s.span.span_id).collect();
        spans
            .into_iter()
            .map(|(mut scoped, parent)| {
                scoped.span.trace_id = id;
                scoped.span.parent_span_id = match parent {
                    Parent::Nobody => None,
                    Parent::Id(id) => Some(id),
                    Parent::Place(place) => {
                        let id = usize::try_from(place).ok().and_then(|place| ids.get(place));
                        Some(*id.ok_or_else(|| self.damage("a parent that the trace does not have"))?)
                    }
                };
                Ok(scoped)
            })
            .collect()
    }

    /// Rows of the block by the groups in which they lie, with their numbers there.
    fn by_group(&self, rows: &[u32]) -> Vec<(usize, Vec<u32>)> {
        let groups = &self.tables.groups;
        let mut found: Vec<(usize, Vec<u32>)> = Vec::new();
        for row in rows {
            let number = groups.partition_point(|g| g.first_row <= u64::from(*row)).saturating_sub(1);
            let within = (u64::from(*row) - groups[number].first_row) as u32;
            match found.last_mut() {
                Some((last, rows)) if *last == number => rows.push(within),
                _ => found.push((number, vec![within])),
            }
        }
        found
    }

    /// The trace of a place in the table of traces, and the page in which it lies.
    pub(super) fn trace_at(&self, place: u64) -> Result<(TraceId, Arc<TracePage>, usize), Error> {
        let per_page = TRACES_PER_PAGE as u64;
        let page = self.trace_page((place / per_page) as usize)?;
        let at = (place % per_page) as usize;
        let id = page.id(at).ok_or_else(|| self.damage("a row whose trace is not there"))?;
        Ok((id, page, at))
    }

    pub(super) fn trace_page(&self, number: usize) -> Result<Arc<TracePage>, Error> {
        let (_, place) = self.tables.traces.get(number).ok_or_else(|| self.damage("a trace without a page"))?;
        let key = (self.meta.seq, place.offset);
        if let Some(Cached::Traces(page)) = self.cache.get(key) {
            return Ok(page);
        }
        let bytes = self.unpacked(*place)?;
        let page = Arc::new(TracePage::read(&bytes, self.meta.rows).map_err(|e| self.undecodable(e))?);
        self.cache.put(key, Cached::Traces(Arc::clone(&page)));
        Ok(page)
    }

    /// The page of a column of a group; `None` where all rows lack a value.
    pub(super) fn column(&self, group: &Group, column: u32, caching: Caching) -> Result<Option<Arc<Page>>, Error> {
        let Some(place) = group.page(column) else { return Ok(None) };
        let key = (self.meta.seq, place.offset);
        if let Some(Cached::Column(page)) = self.cache.get(key) {
            return Ok(Some(page));
        }
        let bytes = self.unpacked(place)?;
        let page = Arc::new(Page::read(&bytes, group.rows as usize).map_err(|e| self.undecodable(e))?);
        if caching == Caching::Keep {
            self.cache.put(key, Cached::Column(Arc::clone(&page)));
        }
        Ok(Some(page))
    }

    /// The filter over the texts of the block, if it has one.
    pub(super) fn bloom(&self) -> Result<Option<Arc<Bloom>>, Error> {
        let Some(place) = self.tables.bloom else { return Ok(None) };
        let key = (self.meta.seq, place.offset);
        if let Some(Cached::Bloom(bloom)) = self.cache.get(key) {
            return Ok(Some(bloom));
        }
        let bytes = self.unpacked(place)?;
        let bloom = Arc::new(Bloom::read(&bytes).ok_or_else(|| self.damage("a filter of an impossible size"))?);
        self.cache.put(key, Cached::Bloom(Arc::clone(&bloom)));
        Ok(Some(bloom))
    }

    /// Reads every page, so that a checksum that does not hold is found.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        let columns = self.tables.groups.iter().flat_map(|g| g.pages.iter().map(|(_, page)| page));
        let traces = self.tables.traces.iter().map(|(_, page)| page);
        for place in columns.chain(traces).chain(&self.tables.bloom) {
            self.unpacked(*place)?;
        }
        Ok(())
    }

    pub(super) fn damage(&self, reason: &str) -> Error {
        self.damaged.store(true, Relaxed);
        Error::DamagedBlock { path: self.path.clone(), reason: reason.to_owned() }
    }

    pub(super) fn undecodable(&self, error: DecodeError) -> Error {
        self.damage(&error.to_string())
    }

    fn unpacked(&self, place: PageRef) -> Result<Vec<u8>, Error> {
        let io = |source| Error::Io { action: "read", path: self.path.clone(), source };
        read_page(self.file.as_ref(), place).map_err(io)?.map_err(|e| self.undecodable(e))
    }
}

/// Reads a page, checks and unpacks it.
fn read_page(file: &dyn File, place: PageRef) -> std::io::Result<Result<Vec<u8>, DecodeError>> {
    let damage = "the checksum of a page does not hold";
    let packed = match file::read_checked(file, place.offset, place.len, place.crc, damage)? {
        Ok(packed) => packed,
        Err(damaged) => return Ok(Err(damaged)),
    };
    let unpacked = zstd::bulk::decompress(&packed, place.unpacked as usize);
    Ok(match unpacked {
        Ok(bytes) if bytes.len() == place.unpacked as usize => Ok(bytes),
        _ => Err(DecodeError::Inconsistent { what: "a page that cannot be unpacked" }),
    })
}
