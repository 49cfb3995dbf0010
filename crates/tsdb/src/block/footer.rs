//! The first and the last bytes of a block file: magic, version, directories of pages, what the block holds.

use sonde_disk::varint::{Reader, put, put_signed, put_str};
use sonde_model::TimestampMs;

use crate::codec::DecodeError;

/// What a block file begins with.
pub(crate) const MAGIC: [u8; 8] = *b"SONDEBLK";
/// What it ends with.
const END_MAGIC: [u8; 4] = *b"SBLK";
/// The format that this program writes and reads.
pub(crate) const VERSION: u32 = 3;
/// The oldest format that is read. No release wrote an older one; version 3 only adds start timestamps to chunks.
pub(crate) const OLDEST: u32 = 2;
/// Footer offset, footer length, footer checksum, version, magic.
pub(crate) const TRAILER_LEN: usize = 24;
/// A footer over this is refused: it would describe a block of terabytes.
pub(crate) const MAX_FOOTER_BYTES: u32 = 256 << 20;
/// A page over this is refused.
pub(crate) const MAX_PAGE_BYTES: u32 = 256 << 20;

/// Where a page lies, how it is to be unpacked, and its checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRef {
    pub(crate) offset: u64,
    pub(crate) len: u32,
    /// Its bytes once unpacked, 0 if it is not packed.
    pub(crate) unpacked: u32,
    pub(crate) crc: u32,
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The number of the block, which names its file.
    pub(crate) seq: u64,
    /// Of two samples with one timestamp that of the block with the higher rank counts. A flush has its number as its
    /// rank, a merge the highest rank of what it merged.
    pub(crate) rank: u64,
    pub(crate) min_time: TimestampMs,
    pub(crate) max_time: TimestampMs,
    pub(crate) series: u32,
    pub(crate) samples: u64,
    /// How many merges made it: 0 for a flush.
    pub(crate) level: u32,
    /// When it was written.
    pub(crate) created: TimestampMs,
}

/// The directories of a block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directories {
    /// Symbols, [`SYMBOLS_PER_PAGE`](super::pages::SYMBOLS_PER_PAGE) a page, each page with its first symbol.
    pub(crate) symbols: Vec<(String, PageRef)>,
    /// Series, [`SERIES_PER_PAGE`](super::series_page::SERIES_PER_PAGE) a page.
    pub(crate) series: Vec<PageRef>,
    /// Postings, each page with its first label: symbol of the name, symbol of the value.
    pub(crate) postings: Vec<((u32, u32), PageRef)>,
    /// Chunks.
    pub(crate) chunks: Vec<PageRef>,
    /// How many symbols there are.
    pub(crate) symbol_count: u32,
}

/// The trailer of a block file whose footer is `footer` and lies at `offset`.
pub(crate) fn trailer(offset: u64, footer: &[u8]) -> [u8; TRAILER_LEN] {
    let mut trailer = [0; TRAILER_LEN];
    trailer[..8].copy_from_slice(&offset.to_le_bytes());
    trailer[8..12].copy_from_slice(&(footer.len() as u32).to_le_bytes());
    trailer[12..16].copy_from_slice(&crc32fast::hash(footer).to_le_bytes());
    trailer[16..20].copy_from_slice(&VERSION.to_le_bytes());
    trailer[20..].copy_from_slice(&END_MAGIC);
    trailer
}

/// Where the footer lies, by the trailer of a file of `file_len` bytes, and the version of the format.
pub(crate) fn read_trailer(trailer: &[u8; TRAILER_LEN], file_len: u64) -> Result<(PageRef, u32), DecodeError> {
    let mut reader = Reader::new(trailer);
    let (offset, len, crc, version) = (reader.u64_le()?, reader.u32_le()?, reader.u32_le()?, reader.u32_le()?);
    if reader.rest() != END_MAGIC {
        return Err(DecodeError::Inconsistent { what: "the file does not end as a block does" });
    }
    if len > MAX_FOOTER_BYTES || offset.checked_add(u64::from(len) + TRAILER_LEN as u64) != Some(file_len) {
        return Err(DecodeError::Inconsistent { what: "the footer is not where the trailer says" });
    }
    Ok((PageRef { offset, len, unpacked: 0, crc }, version))
}

/// The footer.
pub(crate) fn encode(meta: &Meta, directories: &Directories) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, meta.seq);
    put(&mut out, meta.rank);
    put_signed(&mut out, meta.min_time);
    put_signed(&mut out, meta.max_time);
    put(&mut out, u64::from(meta.series));
    put(&mut out, meta.samples);
    put(&mut out, u64::from(meta.level));
    put_signed(&mut out, meta.created);
    put(&mut out, u64::from(directories.symbol_count));
    put(&mut out, directories.symbols.len() as u64);
    for (first, page) in &directories.symbols {
        put_page(&mut out, page);
        put_str(&mut out, first);
    }
    put(&mut out, directories.series.len() as u64);
    directories.series.iter().for_each(|page| put_page(&mut out, page));
    put(&mut out, directories.postings.len() as u64);
    for ((name, value), page) in &directories.postings {
        put_page(&mut out, page);
        put(&mut out, u64::from(*name));
        put(&mut out, u64::from(*value));
    }
    put(&mut out, directories.chunks.len() as u64);
    directories.chunks.iter().for_each(|page| put_page(&mut out, page));
    out
}

/// Reads a footer that lies at `end`, so that no page may reach beyond it.
pub(crate) fn decode(bytes: &[u8], end: u64) -> Result<(Meta, Directories), DecodeError> {
    let mut reader = Reader::new(bytes);
    let meta = Meta {
        seq: reader.varint()?,
        rank: reader.varint()?,
        min_time: reader.signed()?,
        max_time: reader.signed()?,
        series: reader.u32()?,
        samples: reader.varint()?,
        level: reader.u32()?,
        created: reader.signed()?,
    };
    let symbol_count = reader.u32()?;
    let mut directories = Directories { symbol_count, ..Directories::default() };
    for _ in 0..reader.count(8, "symbol pages")? {
        let page = read_page(&mut reader, end)?;
        directories.symbols.push((reader.str()?.to_owned(), page));
    }
    for _ in 0..reader.count(7, "series pages")? {
        directories.series.push(read_page(&mut reader, end)?);
    }
    for _ in 0..reader.count(9, "postings pages")? {
        let page = read_page(&mut reader, end)?;
        directories.postings.push(((reader.u32()?, reader.u32()?), page));
    }
    for _ in 0..reader.count(7, "chunk pages")? {
        directories.chunks.push(read_page(&mut reader, end)?);
    }
    let pages_for = |n: u32, per_page: usize| (n as usize).div_ceil(per_page);
    if directories.symbols.len() != pages_for(symbol_count, super::pages::SYMBOLS_PER_PAGE)
        || directories.series.len() != pages_for(meta.series, super::series_page::SERIES_PER_PAGE)
        || !reader.is_empty()
    {
        return Err(DecodeError::Inconsistent { what: "the counts of a footer do not fit together" });
    }
    Ok((meta, directories))
}

fn put_page(out: &mut Vec<u8>, page: &PageRef) {
    put(out, page.offset);
    put(out, u64::from(page.len));
    put(out, u64::from(page.unpacked));
    out.extend_from_slice(&page.crc.to_le_bytes());
}

fn read_page(reader: &mut Reader<'_>, end: u64) -> Result<PageRef, DecodeError> {
    let (offset, len, unpacked) = (reader.varint()?, reader.u32()?, reader.u32()?);
    let page = PageRef { offset, len, unpacked, crc: reader.u32_le()? };
    if page.len.max(page.unpacked) > MAX_PAGE_BYTES
        || page.offset.checked_add(u64::from(page.len)).is_none_or(|e| e > end)
    {
        return Err(DecodeError::Inconsistent { what: "a page lies outside its block" });
    }
    Ok(page)
}
