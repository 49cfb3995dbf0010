//! An open block: footer and directories in memory, pages read when they are asked for.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use sonde_disk::blocks::file;
use sonde_disk::{File, Fs};
use sonde_model::{FloatColumn, TimestampMs};

use super::cache::{Cached, PageCache, key_of_chunk};
use super::footer::{self, Directories, MAGIC, Meta, PageRef};
use super::hidden::{self, Hidden};
use super::packing::unpack;
use super::pages::{self, SYMBOLS_PER_PAGE, SymbolPage};
use super::series_page::{self, ChunkRef, SERIES_PER_PAGE, SeriesEntry};
use crate::Error;
use crate::codec::sealed::{self, Extent, ReadScratch};
use crate::codec::{DecodeError, chunk, unseal};
use crate::columns::{Columns, overlay};

/// An open block.
#[derive(Debug)]
pub(crate) struct Block {
    file: Arc<dyn File>,
    path: PathBuf,
    cache: Arc<PageCache>,
    pub(super) directories: Directories,
    meta: Meta,
    bytes: u64,
    damaged: AtomicBool,
    hidden: Hidden,
    /// The label names, once they were asked for.
    pub(super) names: OnceLock<Vec<String>>,
}

/// Whether pages that are read should be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caching {
    /// A query: what it reads is likely to be asked for again.
    Keep,
    /// A scan of the whole block.
    Pass,
}

impl Block {
    /// Opens a block. Reads footer and directories, no pages.
    pub(crate) fn open(fs: &dyn Fs, path: &Path, cache: Arc<PageCache>) -> Result<Self, Error> {
        let io = |source| Error::Io { action: "open", path: path.to_owned(), source };
        let damaged = |error: DecodeError| Error::DamagedBlock { path: path.to_owned(), reason: error.to_string() };
        let file = fs.open(path).map_err(io)?;
        let bytes = file.len().map_err(io)?;
        let trailer = file::read_trailer(file.as_ref(), bytes, MAGIC).map_err(io)?.map_err(damaged)?;
        let (place, version) = footer::read_trailer(&trailer, bytes).map_err(damaged)?;
        if !(footer::OLDEST..=footer::VERSION).contains(&version) {
            let mut header = [0; file::HEADER_LEN];
            file.read_exact_at(&mut header, 0).map_err(io)?;
            // A version that only one end of the file names is damage.
            if header != file::header(MAGIC, version) {
                return Err(damaged(DecodeError::Inconsistent { what: "header and trailer name different versions" }));
            }
            return Err(Error::UnknownVersion { path: path.to_owned(), version, readable: footer::VERSION });
        }
        let damage = "the checksum of the footer does not hold";
        let footer = file::read_checked(file.as_ref(), place.offset, place.len, place.crc, damage);
        let footer = footer.map_err(io)?.map_err(damaged)?;
        let (meta, directories) = footer::decode(&footer, place.offset).map_err(damaged)?;
        let (damaged, hidden) = (AtomicBool::new(false), Hidden::default());
        Ok(Block {
            file,
            path: path.to_owned(),
            cache,
            directories,
            meta,
            bytes,
            damaged,
            hidden,
            names: OnceLock::new(),
        })
    }

    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    #[cfg(test)]
    pub(super) fn cached(&self, key: sonde_disk::blocks::cache::PageKey) -> Option<Cached> {
        self.cache.get(key)
    }

    pub(super) fn file(&self) -> &dyn File {
        self.file.as_ref()
    }

    /// The size of the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether a page was read whose checksum did not hold.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Relaxed)
    }

    /// Its pages were read again, and are what they should be.
    pub(crate) fn found_sound(&self) {
        self.damaged.store(false, Relaxed);
    }

    /// Which samples are deleted and still in the file.
    pub(crate) fn hidden(&self) -> &Hidden {
        &self.hidden
    }

    pub(crate) fn overlaps(&self, from: TimestampMs, to: TimestampMs) -> bool {
        self.meta.min_time <= to && self.meta.max_time >= from
    }

    /// Visits series by their numbers, which are sorted, except those that are deleted as a whole.
    pub(crate) fn visit_series(
        &self,
        numbers: impl IntoIterator<Item = u32>,
        caching: Caching,
        visit: &mut dyn FnMut(&SeriesEntry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.visit_series_while(numbers, caching, &mut |entry| visit(entry).map(ControlFlow::Continue))
    }

    /// The same, until `visit` breaks.
    pub(crate) fn visit_series_while(
        &self,
        numbers: impl IntoIterator<Item = u32>,
        caching: Caching,
        visit: &mut dyn FnMut(&SeriesEntry) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let hidden = self.hidden.ranges();
        let mut has_broken = false;
        let mut numbers = numbers.into_iter().peekable();
        while let Some(&first) = numbers.peek() {
            let page = first as usize / SERIES_PER_PAGE;
            let place = *self.directories.series.get(page).ok_or_else(|| self.damage("a series without a page"))?;
            let bytes = self.page(place, caching)?;
            let base = page * SERIES_PER_PAGE;
            let mut wanted = |at: usize, entry: &SeriesEntry| {
                if let Some(number) = numbers.next_if(|n| *n as usize == base + at) {
                    let visible = hidden.get(&number).map(|ranges| hidden::visible(entry, ranges));
                    let visited = match visible {
                        None => visit(entry)?,
                        Some(Some(entry)) => visit(&entry)?,
                        Some(None) => ControlFlow::Continue(()),
                    };
                    if visited.is_break() {
                        has_broken = true;
                        return Ok(visited);
                    }
                }
                let is_over = numbers.peek().is_none_or(|n| *n as usize / SERIES_PER_PAGE != page);
                Ok(if is_over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            };
            series_page::read_series(&bytes, &mut wanted).map_err(|e| self.undecodable(e))??;
            if has_broken {
                return Ok(());
            }
            if numbers.peek().is_some_and(|n| *n as usize / SERIES_PER_PAGE == page) {
                return Err(self.damage("a page lacks series"));
            }
        }
        Ok(())
    }

    /// The samples of a series from `from` to `to` inclusive. `held` keeps the last page of chunks from call to call.
    pub(crate) fn samples(
        &self,
        entry: &SeriesEntry,
        from: TimestampMs,
        to: TimestampMs,
        caching: Caching,
        held: &mut HeldPage,
    ) -> Result<Columns, Error> {
        let mut columns = Columns::default();
        self.samples_of(&entry.chunks, &entry.hidden, (from, to), caching, held, &mut columns)?;
        Ok(columns)
    }

    /// The same for chunks and what of them is deleted, in columns that are empty.
    pub(crate) fn samples_of(
        &self,
        chunks: &[ChunkRef],
        deleted: &[hidden::Range],
        (from, to): (TimestampMs, TimestampMs),
        caching: Caching,
        held: &mut HeldPage,
        columns: &mut Columns,
    ) -> Result<(), Error> {
        let mut histograms = Columns::default();
        // Within a chunk times grow; that they do from chunk to chunk is checked here.
        let (mut last_float, mut last_histogram) = (None, None);
        for chunk_ref in chunks.iter().filter(|c| c.min <= to && c.max >= from) {
            let ChunkRef { min, max, .. } = *chunk_ref;
            let mut scratch = std::mem::take(&mut held.scratch);
            let bytes = self.chunk(chunk_ref, caching, held)?;
            let (last, decoded) = if chunk::holds_histograms(bytes) {
                (&mut last_histogram, chunk::decode_histograms(bytes, &mut histograms.histograms))
            } else {
                let floats = &mut columns.floats;
                (&mut last_float, self.read_floats(bytes, chunk_ref, (from, to), caching, &mut scratch, floats))
            };
            held.scratch = scratch;
            decoded.map_err(|e| self.undecodable(e))?;
            if last.replace(max).is_some_and(|last| last >= min) {
                return Err(self.damage("chunks that overlap"));
            }
        }
        if !histograms.is_empty() {
            let ordered = histograms.histograms.timestamps.windows(2).all(|w| w[0] < w[1]);
            if !ordered {
                return Err(self.damage("chunks that overlap"));
            }
            overlay(columns, histograms);
            columns.restrict(from, to);
        }
        deleted.iter().for_each(|(from, to)| columns.remove(*from, *to));
        Ok(())
    }

    /// Reads what a chunk of floats has of a range, and keeps what it unpacks for that from the second time on.
    fn read_floats(
        &self,
        bytes: &[u8],
        chunk: &ChunkRef,
        range: (TimestampMs, TimestampMs),
        caching: Caching,
        scratch: &mut ReadScratch,
        out: &mut FloatColumn,
    ) -> Result<(), DecodeError> {
        let ChunkRef { min, max, samples, .. } = *chunk;
        let extent = Extent { min, max, samples };
        if caching == Caching::Pass || !unseal::is_dear(bytes, samples) {
            return sealed::decode_floats_within(bytes, extent, range, scratch, out);
        }
        let key = key_of_chunk(self.meta.seq, chunk);
        let known = match self.cache.get(key) {
            Some(Cached::Chunk(known)) => Some(known),
            Some(_) => None,
            None => {
                self.cache.put(key, Cached::Met);
                return sealed::decode_floats_within(bytes, extent, range, scratch, out);
            }
        };
        if let Some(more) = unseal::decode_floats_known(bytes, extent, range, known.as_deref(), scratch, out)? {
            self.cache.put(key, Cached::Chunk(Arc::new(more)));
        }
        Ok(())
    }

    /// A page of symbols, from the cache or from the file.
    pub(super) fn symbol_page(&self, page: usize, caching: Caching) -> Result<Arc<SymbolPage>, Error> {
        let (_, place) = self.directories.symbols.get(page).ok_or_else(|| self.damage("a symbol without a page"))?;
        let key = (self.meta.seq, place.offset);
        if caching == Caching::Keep
            && let Some(Cached::Symbols(symbols)) = self.cache.get(key)
        {
            return Ok(symbols);
        }
        let symbols = Arc::new(pages::read_symbols(&self.read_page(*place)?).map_err(|e| self.undecodable(e))?);
        if caching == Caching::Keep {
            self.cache.put(key, Cached::Symbols(Arc::clone(&symbols)));
        }
        Ok(symbols)
    }

    /// All symbols in order.
    pub(crate) fn symbols(&self) -> Result<Vec<String>, Error> {
        let mut symbols = Vec::with_capacity(self.directories.symbol_count as usize);
        for page in 0..self.directories.symbols.len() {
            let page = self.symbol_page(page, Caching::Pass)?;
            symbols.extend((0..page.len()).filter_map(|i| page.get(i).map(str::to_owned)));
        }
        let complete = symbols.len() == self.directories.symbol_count as usize;
        if !complete || !symbols.windows(2).all(|w| w[0] < w[1]) {
            return Err(self.damage("symbols are missing or not sorted"));
        }
        Ok(symbols)
    }

    /// Reads every page, so that a checksum that does not hold is found.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        let directories = &self.directories;
        let symbols = directories.symbols.iter().map(|(_, page)| page);
        let postings = directories.postings.iter().map(|(_, page)| page);
        for page in symbols.chain(&directories.series).chain(postings).chain(&directories.chunks) {
            self.page(*page, Caching::Pass)?;
        }
        Ok(())
    }

    /// A page of anything but symbols, from the cache or from the file.
    pub(super) fn page(&self, place: PageRef, caching: Caching) -> Result<Arc<[u8]>, Error> {
        let key = (self.meta.seq, place.offset);
        if caching == Caching::Keep
            && let Some(Cached::Page(page)) = self.cache.get(key)
        {
            return Ok(page);
        }
        let page: Arc<[u8]> = self.read_page(place)?.into();
        if caching == Caching::Keep {
            self.cache.put(key, Cached::Page(Arc::clone(&page)));
        }
        Ok(page)
    }

    /// A page, from the file.
    fn read_page(&self, place: PageRef) -> Result<Vec<u8>, Error> {
        let io = |source| Error::Io { action: "read", path: self.path.clone(), source };
        let damage = "the checksum of a page does not hold";
        let bytes = file::read_checked(self.file.as_ref(), place.offset, place.len, place.crc, damage);
        let bytes = bytes.map_err(io)?.map_err(|e| self.undecodable(e))?;
        let bytes = if place.unpacked == 0 { Ok(bytes) } else { unpack(&bytes, place.unpacked) };
        bytes.map_err(|e| self.undecodable(e))
    }

    pub(crate) fn damage(&self, reason: &str) -> Error {
        self.damaged.store(true, Relaxed);
        Error::DamagedBlock { path: self.path.clone(), reason: reason.to_owned() }
    }

    pub(super) fn undecodable(&self, error: DecodeError) -> Error {
        self.damage(&error.to_string())
    }

    pub(super) fn chunk<'p>(
        &self,
        chunk: &ChunkRef,
        caching: Caching,
        held: &'p mut HeldPage,
    ) -> Result<&'p [u8], Error> {
        if held.page.is_none() || held.number != (self.meta.seq, chunk.page) {
            let place = self.directories.chunks.get(chunk.page as usize);
            let place = *place.ok_or_else(|| self.damage("a chunk without a page"))?;
            held.page = Some(self.page(place, caching)?);
            held.number = (self.meta.seq, chunk.page);
        }
        let range = chunk.offset as usize..chunk.offset as usize + chunk.len as usize;
        held.page.as_deref().and_then(|page| page.get(range)).ok_or_else(|| self.damage("a chunk outside its page"))
    }
}

/// The page of chunks that was read last: the next series is likely to lie in it.
#[derive(Debug, Default)]
pub(crate) struct HeldPage {
    scratch: ReadScratch,
    number: (u64, u32),
    page: Option<Arc<[u8]>>,
}

/// The page and the place in it of a symbol.
pub(super) fn place_of_symbol(symbol: u32) -> (usize, usize) {
    (symbol as usize / SYMBOLS_PER_PAGE, symbol as usize % SYMBOLS_PER_PAGE)
}
