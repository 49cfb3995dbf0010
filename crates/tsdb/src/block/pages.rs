//! What is in the pages of a block: symbols, series, postings. Pure bytes.

use sonde_disk::varint::{Reader, put, put_signed};
use sonde_model::TimestampMs;

use crate::codec::DecodeError;

/// Symbols a page.
pub(crate) const SYMBOLS_PER_PAGE: usize = 128;
/// Series a page.
pub(crate) const SERIES_PER_PAGE: usize = 64;
/// A page of postings is closed when it has reached so many bytes.
pub(crate) const POSTINGS_PAGE_BYTES: usize = 8 << 10;
/// A page of chunks is closed when it has reached so many bytes.
pub(crate) const CHUNK_PAGE_BYTES: usize = 32 << 10;

/// A postings list as differences.
const DIFFERENCES: u8 = 0;
/// A postings list that has no gaps.
const RUN: u8 = 1;

/// Where a chunk lies, and of when it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    pub(crate) min: TimestampMs,
    pub(crate) max: TimestampMs,
    pub(crate) page: u32,
    pub(crate) offset: u32,
    pub(crate) len: u32,
    pub(crate) samples: u32,
}

/// A series of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeriesEntry {
    /// The labels as symbols, in the order of their names.
    pub(crate) pairs: Vec<(u32, u32)>,
    /// The chunks, by their first time.
    pub(crate) chunks: Vec<ChunkRef>,
}

/// A page of symbols, read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct SymbolPage {
    text: String,
    ends: Vec<u32>,
}

impl SymbolPage {
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, at: usize) -> Option<&str> {
        let end = *self.ends.get(at)? as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        self.text.get(start..end)
    }

    /// How many of the symbols are below `text`.
    pub(crate) fn lower_bound(&self, text: &str) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle).is_some_and(|s| s < text) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Appends a page of symbols, which are sorted.
pub(crate) fn put_symbols(symbols: &[&str], out: &mut Vec<u8>) {
    let mut before = "";
    for symbol in symbols {
        let shared = before.bytes().zip(symbol.bytes()).take_while(|(a, b)| a == b).count();
        put(out, shared as u64);
        put(out, (symbol.len() - shared) as u64);
        out.extend_from_slice(&symbol.as_bytes()[shared..]);
        before = symbol;
    }
}

/// Reads a page of symbols.
pub(crate) fn read_symbols(bytes: &[u8]) -> Result<SymbolPage, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut text: Vec<u8> = Vec::new();
    let mut ends: Vec<u32> = Vec::new();
    let mut start = 0;
    while !reader.is_empty() {
        let shared = reader.varint()? as usize;
        let end = text.len();
        if shared > end - start || ends.len() >= SYMBOLS_PER_PAGE {
            return Err(DecodeError::Inconsistent { what: "a symbol shares more than there is" });
        }
        let n = reader.count(1, "a symbol")?;
        text.extend_from_within(start..start + shared);
        text.extend_from_slice(reader.take(n)?);
        ends.push(u32::try_from(text.len()).map_err(|_| DecodeError::OutOfRange)?);
        start = end;
    }
    let text = String::from_utf8(text).map_err(|_| DecodeError::NotUtf8)?;
    if ends.iter().any(|end| !text.is_char_boundary(*end as usize)) {
        return Err(DecodeError::NotUtf8);
    }
    Ok(SymbolPage { text, ends })
}

/// Appends one series to a page. `before` is the last chunk of the series before it in the page.
pub(crate) fn put_series(entry: &SeriesEntry, before: Option<&ChunkRef>, out: &mut Vec<u8>) {
    put(out, entry.pairs.len() as u64);
    for (name, value) in &entry.pairs {
        put(out, u64::from(*name));
        put(out, u64::from(*value));
    }
    put(out, entry.chunks.len() as u64);
    let mut before = before.copied();
    for chunk in &entry.chunks {
        put_signed(out, chunk.min.wrapping_sub(before.map_or(0, |b| b.min)));
        put(out, chunk.max.wrapping_sub(chunk.min) as u64);
        put(out, u64::from(chunk.samples));
        put(out, u64::from(chunk.len));
        match before {
            Some(b) => {
                // Chunks are written in the order of the series, so that the place follows from the one before.
                put(out, u64::from(chunk.page - b.page));
                debug_assert_eq!(chunk.offset, if chunk.page == b.page { b.offset + b.len } else { 0 }, "BUG: a gap");
            }
            None => {
                put(out, u64::from(chunk.page));
                put(out, u64::from(chunk.offset));
            }
        }
        before = Some(*chunk);
    }
}

/// Reads a page of series and hands them out one by one.
pub(crate) fn read_series(
    bytes: &[u8],
    visit: &mut dyn FnMut(usize, &SeriesEntry) -> Result<(), crate::Error>,
) -> Result<Result<usize, crate::Error>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut entry = SeriesEntry::default();
    let mut before: Option<ChunkRef> = None;
    let mut at = 0;
    while !reader.is_empty() {
        entry.pairs.clear();
        entry.chunks.clear();
        for _ in 0..reader.count(2, "labels")? {
            entry.pairs.push((reader.u32()?, reader.u32()?));
        }
        for _ in 0..reader.count(5, "chunks")? {
            let min = before.map_or(0, |b| b.min).wrapping_add(reader.signed()?);
            let max = min.wrapping_add(reader.varint()? as i64);
            let (samples, len) = (reader.u32()?, reader.u32()?);
            let (page, offset) = match before {
                Some(b) => match reader.u32()? {
                    0 => (b.page, b.offset.checked_add(b.len).ok_or(DecodeError::OutOfRange)?),
                    pages => (b.page.checked_add(pages).ok_or(DecodeError::OutOfRange)?, 0),
                },
                None => (reader.u32()?, reader.u32()?),
            };
            let chunk = ChunkRef { min, max, page, offset, len, samples };
            entry.chunks.push(chunk);
            before = Some(chunk);
        }
        if let Err(error) = visit(at, &entry) {
            return Ok(Err(error));
        }
        at += 1;
    }
    Ok(Ok(at))
}

/// Appends a label and its series to a page of postings.
pub(crate) fn put_postings(label: (u32, u32), list: &[u32], out: &mut Vec<u8>) {
    put(out, u64::from(label.0));
    put(out, u64::from(label.1));
    put(out, list.len() as u64);
    let mut body = Vec::new();
    let run = list.windows(2).all(|w| w[1] == w[0] + 1);
    if run {
        body.push(RUN);
        put(&mut body, u64::from(list.first().copied().unwrap_or(0)));
    } else {
        body.push(DIFFERENCES);
        let mut before = 0;
        for series in list {
            put(&mut body, u64::from(series - before));
            before = *series;
        }
    }
    put(out, body.len() as u64);
    out.extend_from_slice(&body);
}

/// One label of a page of postings, its list not yet read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PostingsEntry<'a> {
    pub(crate) label: (u32, u32),
    count: usize,
    body: &'a [u8],
}

/// Reads the next label of a page of postings.
pub(crate) fn next_postings<'a>(reader: &mut Reader<'a>) -> Result<Option<PostingsEntry<'a>>, DecodeError> {
    if reader.is_empty() {
        return Ok(None);
    }
    let label = (reader.u32()?, reader.u32()?);
    let count = reader.varint()? as usize;
    let n = reader.count(1, "a postings list")?;
    Ok(Some(PostingsEntry { label, count, body: reader.take(n)? }))
}

impl PostingsEntry<'_> {
    /// The list; every number is below `series`.
    pub(crate) fn list(&self, series: u32) -> Result<Vec<u32>, DecodeError> {
        if self.count > series as usize {
            return Err(DecodeError::TooLarge { what: "a postings list" });
        }
        let mut reader = Reader::new(self.body);
        match reader.u8()? {
            RUN => {
                let first = reader.u32()?;
                let end = u64::from(first) + self.count as u64;
                if end > u64::from(series) {
                    return Err(DecodeError::OutOfRange);
                }
                Ok((first..end as u32).collect())
            }
            DIFFERENCES => {
                let mut list = Vec::with_capacity(self.count);
                let mut at = 0u32;
                for i in 0..self.count {
                    let step = reader.u32()?;
                    at = at.checked_add(step).filter(|a| *a < series).ok_or(DecodeError::OutOfRange)?;
                    if i > 0 && step == 0 {
                        return Err(DecodeError::Inconsistent { what: "a postings list that does not grow" });
                    }
                    list.push(at);
                }
                Ok(list)
            }
            value => Err(DecodeError::Unknown { what: "postings codec", value }),
        }
    }
}
