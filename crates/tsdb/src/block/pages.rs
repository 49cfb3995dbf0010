//! What is in the pages of a block besides series: symbols and postings. Pure bytes.

use sonde_disk::varint::{Reader, put};

use crate::codec::DecodeError;

/// Symbols a page.
pub(crate) const SYMBOLS_PER_PAGE: usize = 128;
/// A page of postings is closed when it has reached so many bytes.
pub(crate) const POSTINGS_PAGE_BYTES: usize = 8 << 10;
/// A page of chunks is closed when it has reached so many bytes.
pub(crate) const CHUNK_PAGE_BYTES: usize = 32 << 10;

/// A postings list as differences.
const DIFFERENCES: u8 = 0;
/// A postings list that has no gaps.
const RUN: u8 = 1;

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

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.text.len() + self.ends.len() * size_of::<u32>()
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
    let mut text = String::from_utf8(text).map_err(|_| DecodeError::NotUtf8)?;
    if ends.iter().any(|end| !text.is_char_boundary(*end as usize)) {
        return Err(DecodeError::NotUtf8);
    }
    text.shrink_to_fit();
    ends.shrink_to_fit();
    Ok(SymbolPage { text, ends })
}

/// The series that have a label, as they come: in the order of their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostingsList {
    first: u32,
    last: u32,
    count: u32,
    /// The differences, as they are written. A list without gaps has none: it is known by its first and last number.
    differences: Vec<u8>,
}

impl PostingsList {
    /// Adds a series, whose number is above those before.
    pub(crate) fn push(&mut self, series: u32) {
        if self.count == 0 {
            self.first = series;
        } else {
            debug_assert!(series > self.last, "BUG: postings do not grow");
            if series == self.last + 1 && self.is_run() {
                self.last = series;
                self.count += 1;
                return;
            }
            if self.is_run() {
                put(&mut self.differences, u64::from(self.first));
                (1..self.count).for_each(|_| self.differences.push(1));
            }
            put(&mut self.differences, u64::from(series - self.last));
        }
        self.last = series;
        self.count += 1;
    }

    /// Whether there is no gap.
    fn is_run(&self) -> bool {
        self.differences.is_empty()
    }

    /// Appends the list under its label to a page.
    pub(crate) fn write(&self, label: (u32, u32), out: &mut Vec<u8>) {
        put(out, u64::from(label.0));
        put(out, u64::from(label.1));
        put(out, u64::from(self.count));
        if self.is_run() {
            put(out, 1 + sonde_disk::varint::len(u64::from(self.first)) as u64);
            out.push(RUN);
            put(out, u64::from(self.first));
        } else {
            put(out, 1 + self.differences.len() as u64);
            out.push(DIFFERENCES);
            out.extend_from_slice(&self.differences);
        }
    }
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
    /// Appends the list to `out`; every number is below `series`.
    pub(crate) fn append_to(&self, out: &mut Vec<u32>, series: u32) -> Result<(), DecodeError> {
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
                out.extend(first..end as u32);
                Ok(())
            }
            DIFFERENCES => {
                out.reserve(self.count);
                let mut at = 0u32;
                for i in 0..self.count {
                    let step = reader.u32()?;
                    at = at.checked_add(step).filter(|a| *a < series).ok_or(DecodeError::OutOfRange)?;
                    if i > 0 && step == 0 {
                        return Err(DecodeError::Inconsistent { what: "a postings list that does not grow" });
                    }
                    out.push(at);
                }
                Ok(())
            }
            value => Err(DecodeError::Unknown { what: "postings codec", value }),
        }
    }
}
