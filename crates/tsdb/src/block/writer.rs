//! Writes a block: series one after the other, then the index, then the footer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonde_disk::blocks::file::header;
use sonde_disk::{File, Fs};
use sonde_model::{Histogram, TimestampMs};

use super::footer::{self, Directories, Meta, PageRef};
use super::packing::Packer;
use super::pages::{self, CHUNK_PAGE_BYTES, POSTINGS_PAGE_BYTES, PostingsList, SYMBOLS_PER_PAGE};
use super::series_page::{ChunkRef, SERIES_PER_PAGE, SeriesEntry, SeriesPage};
use crate::Error;
use crate::codec::chunk;
use crate::codec::sealed::{self, Scratch};
use crate::columns::Columns;

/// Bytes that are collected before they are written.
const WRITE_BYTES: usize = 1 << 20;
/// Samples of a chunk of floats at most: half a day at 15 seconds. More would hardly be smaller, and dearer to read for
/// a query of an hour.
const CHUNK_SAMPLES: usize = 2_880;
/// Samples of a chunk of histograms at most.
const HISTOGRAM_CHUNK_SAMPLES: usize = 120;

/// What a block is besides its content: see [`Meta`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) seq: u64,
    pub(crate) rank: u64,
    pub(crate) level: u32,
    pub(crate) created: TimestampMs,
}

/// A block that is being written. Series come in the order of their labels.
#[derive(Debug)]
pub(crate) struct BlockWriter {
    file: Arc<dyn File>,
    path: PathBuf,
    buffer: Vec<u8>,
    written: u64,
    directories: Directories,
    postings: BTreeMap<(u32, u32), PostingsList>,
    series_page: SeriesPage,
    chunk_page: Vec<u8>,
    packer: Packer,
    last_pairs: Vec<(u32, u32)>,
    scratch: Scratch,
    meta: Meta,
}

impl BlockWriter {
    /// Begins a block with these symbols, which are sorted and unique. The file must not exist.
    pub(crate) fn create(fs: &dyn Fs, path: &Path, symbols: &[&str], identity: Identity) -> Result<Self, Error> {
        debug_assert!(symbols.windows(2).all(|w| w[0] < w[1]), "BUG: symbols not sorted");
        let file = fs.create(path).map_err(|source| io("create", path, source))?;
        let Identity { seq, rank, level, created } = identity;
        let (min_time, max_time) = (TimestampMs::MAX, TimestampMs::MIN);
        let meta = Meta { seq, rank, min_time, max_time, series: 0, samples: 0, level, created };
        let mut writer = BlockWriter {
            file,
            path: path.to_owned(),
            buffer: Vec::with_capacity(WRITE_BYTES + CHUNK_PAGE_BYTES),
            written: 0,
            directories: Directories { symbol_count: symbols.len() as u32, ..Directories::default() },
            postings: BTreeMap::new(),
            series_page: SeriesPage::default(),
            chunk_page: Vec::new(),
            packer: Packer::new().map_err(|source| io("pack", path, source))?,
            last_pairs: Vec::new(),
            scratch: Scratch::default(),
            meta,
        };
        writer.buffer.extend_from_slice(&header(footer::MAGIC, footer::VERSION));
        for page in symbols.chunks(SYMBOLS_PER_PAGE) {
            let mut bytes = Vec::new();
            pages::put_symbols(page, &mut bytes);
            let place = writer.page(&bytes)?;
            writer.directories.symbols.push((page[0].to_owned(), place));
        }
        Ok(writer)
    }

    /// Adds a series with its samples, of which there is at least one. Its labels come after those of the series
    /// before.
    pub(crate) fn series(&mut self, pairs: &[(u32, u32)], columns: &Columns) -> Result<(), Error> {
        debug_assert!(self.meta.series == 0 || self.last_pairs.as_slice() < pairs, "BUG: series out of order");
        self.last_pairs.clear();
        self.last_pairs.extend_from_slice(pairs);
        let mut entry = SeriesEntry { pairs: pairs.to_vec(), ..SeriesEntry::default() };
        let floats = &columns.floats;
        let mut since = floats.starts.as_slice();
        for (ts, values) in evenly(&floats.timestamps, CHUNK_SAMPLES).zip(evenly(&floats.values, CHUNK_SAMPLES)) {
            let start = self.chunk_page.len();
            let since = next_starts(&mut since, ts.len());
            sealed::encode_floats(ts, values, since, &mut self.scratch, &mut self.chunk_page);
            entry.chunks.push(self.place_chunk(start, ts)?);
        }
        let histograms = &columns.histograms;
        let samples: Vec<(TimestampMs, &Histogram)> =
            histograms.timestamps.iter().copied().zip(&histograms.values).collect();
        let mut since = histograms.starts.as_slice();
        for some in evenly(&samples, HISTOGRAM_CHUNK_SAMPLES) {
            let start = self.chunk_page.len();
            let ts: Vec<TimestampMs> = some.iter().map(|(t, _)| *t).collect();
            chunk::encode_histograms(some, next_starts(&mut since, ts.len()), &mut self.chunk_page);
            entry.chunks.push(self.place_chunk(start, &ts)?);
        }
        self.close_chunk_page(CHUNK_PAGE_BYTES)?;
        self.series_page.put(&entry);
        for pair in pairs {
            self.postings.entry(*pair).or_default().push(self.meta.series);
        }
        self.meta.series += 1;
        self.meta.samples += columns.len() as u64;
        if self.series_page.len() == SERIES_PER_PAGE {
            self.close_series_page()?;
        }
        Ok(())
    }

    /// Writes the index and the footer and makes the file durable. Its name is the caller's business.
    pub(crate) fn finish(mut self) -> Result<(Meta, u64), Error> {
        self.close_chunk_page(1)?;
        if self.series_page.len() > 0 {
            self.close_series_page()?;
        }
        let mut bytes = Vec::new();
        let mut first = None;
        for (label, list) in std::mem::take(&mut self.postings) {
            let first_label = *first.get_or_insert(label);
            list.write(label, &mut bytes);
            if bytes.len() >= POSTINGS_PAGE_BYTES {
                let page = self.page(&bytes)?;
                self.directories.postings.push((first_label, page));
                bytes.clear();
                first = None;
            }
        }
        if let Some(first_label) = first {
            let page = self.page(&bytes)?;
            self.directories.postings.push((first_label, page));
        }
        let footer = footer::encode(&self.meta, &self.directories);
        let offset = self.written + self.buffer.len() as u64;
        let trailer = footer::trailer(offset, &footer);
        self.buffer.extend_from_slice(&footer);
        self.buffer.extend_from_slice(&trailer);
        self.write(1)?;
        self.file.sync().map_err(|source| io("sync", &self.path, source))?;
        Ok((self.meta, self.written))
    }

    fn place_chunk(&mut self, start: usize, ts: &[TimestampMs]) -> Result<ChunkRef, Error> {
        let (min, max) = (ts[0], ts[ts.len() - 1]);
        self.meta.min_time = self.meta.min_time.min(min);
        self.meta.max_time = self.meta.max_time.max(max);
        let chunk = ChunkRef {
            min,
            max,
            page: self.directories.chunks.len() as u32,
            offset: start as u32,
            len: (self.chunk_page.len() - start) as u32,
            samples: ts.len() as u32,
        };
        self.close_chunk_page(CHUNK_PAGE_BYTES)?;
        Ok(chunk)
    }

    fn close_chunk_page(&mut self, at_least: usize) -> Result<(), Error> {
        if self.chunk_page.len() >= at_least {
            let mut bytes = std::mem::take(&mut self.chunk_page);
            let page = self.page(&bytes)?;
            self.directories.chunks.push(page);
            bytes.clear();
            self.chunk_page = bytes;
        }
        Ok(())
    }

    fn close_series_page(&mut self) -> Result<(), Error> {
        let mut bytes = Vec::new();
        self.series_page.finish(&mut bytes);
        let page = self.page(&bytes)?;
        self.directories.series.push(page);
        Ok(())
    }

    fn page(&mut self, page: &[u8]) -> Result<PageRef, Error> {
        let offset = self.written + self.buffer.len() as u64;
        let packed = self.packer.pack(page);
        let unpacked = if packed.is_some() { page.len() as u32 } else { 0 };
        let bytes = packed.unwrap_or(page);
        let place = PageRef { offset, len: bytes.len() as u32, unpacked, crc: crc32fast::hash(bytes) };
        self.buffer.extend_from_slice(bytes);
        self.write(WRITE_BYTES)?;
        Ok(place)
    }

    fn write(&mut self, at_least: usize) -> Result<(), Error> {
        if self.buffer.len() >= at_least {
            self.file.write_at(&self.buffer, self.written).map_err(|source| io("write", &self.path, source))?;
            self.written += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// Cuts a list into pieces of at most `most`, all of about the same length.
fn evenly<T>(list: &[T], most: usize) -> impl Iterator<Item = &[T]> {
    let pieces = list.len().div_ceil(most).max(1);
    list.chunks(list.len().div_ceil(pieces).max(1))
}

/// The start timestamps of the next chunk; none where the series has none.
fn next_starts<'s>(left: &mut &'s [TimestampMs], samples: usize) -> &'s [TimestampMs] {
    let (next, rest) = left.split_at(samples.min(left.len()));
    *left = rest;
    next
}

fn io(action: &'static str, path: &Path, source: std::io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}
