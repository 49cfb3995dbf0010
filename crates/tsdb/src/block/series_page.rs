//! A page of series: labels as what differs from the series before, chunks in columns. Pure bytes.

use std::ops::ControlFlow;

use sonde_disk::varint::{Reader, put, put_signed, unzigzag, zigzag};
use sonde_model::TimestampMs;

use super::hidden::Range;
use crate::codec::DecodeError;

/// Series a page. More would be smaller on disk and dearer where one series of a page is wanted.
pub(crate) const SERIES_PER_PAGE: usize = 128;

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
    /// What of the samples in the chunks is deleted; not in the page.
    pub(crate) hidden: Vec<Range>,
}

/// A label is the one that the series before has at its place.
const SAME: u64 = 0;
/// The name is that of the series before, the value is not: this and above, less the zigzag difference of the value.
const OTHER_VALUE: u64 = 2;
/// Name and value follow.
const OTHER_LABEL: u64 = 1;

/// The columns of a page, in the order in which they are written.
const COLUMNS: usize = 6;
const LABELS: usize = 0;
const COUNTS: usize = 1;
const FIRST_TIMES: usize = 2;
const SPANS: usize = 3;
const SAMPLES: usize = 4;
const PLACES: usize = 5;

/// A page that is being filled.
#[derive(Debug, Default)]
pub(crate) struct SeriesPage {
    columns: [Vec<u8>; COLUMNS],
    pairs: Vec<(u32, u32)>,
    last_chunk: Option<ChunkRef>,
    series: usize,
}

impl SeriesPage {
    /// Adds a series; its chunks lie behind those of the series before.
    pub(crate) fn put(&mut self, entry: &SeriesEntry) {
        let labels = &mut self.columns[LABELS];
        put(labels, entry.pairs.len() as u64);
        for (i, (name, value)) in entry.pairs.iter().enumerate() {
            match self.pairs.get(i) {
                Some((n, v)) if n == name && v == value => put(labels, SAME),
                Some((n, v)) if n == name => {
                    put(labels, OTHER_VALUE + zigzag(i64::from(*value) - i64::from(*v)));
                }
                _ => {
                    put(labels, OTHER_LABEL);
                    put(labels, u64::from(*name));
                    put(labels, u64::from(*value));
                }
            }
        }
        self.pairs.clone_from(&entry.pairs);
        put(&mut self.columns[COUNTS], entry.chunks.len() as u64);
        for chunk in &entry.chunks {
            let before = self.last_chunk;
            put_signed(&mut self.columns[FIRST_TIMES], chunk.min.wrapping_sub(before.map_or(0, |b| b.min)));
            put(&mut self.columns[SPANS], chunk.max.wrapping_sub(chunk.min) as u64);
            put(&mut self.columns[SAMPLES], u64::from(chunk.samples));
            let places = &mut self.columns[PLACES];
            match before {
                Some(b) => {
                    // Chunks are written in the order of the series, so that the place follows from the one before.
                    let pages = chunk.page - b.page;
                    debug_assert_eq!(chunk.offset, if pages == 0 { b.offset + b.len } else { 0 }, "BUG: a gap");
                    put(places, u64::from(chunk.len) << 1 | u64::from(pages != 0));
                    if pages != 0 {
                        put(places, u64::from(pages));
                    }
                }
                None => {
                    put(places, u64::from(chunk.page));
                    put(places, u64::from(chunk.offset));
                    put(places, u64::from(chunk.len));
                }
            }
            self.last_chunk = Some(*chunk);
        }
        self.series += 1;
    }

    /// How many series it holds.
    pub(crate) fn len(&self) -> usize {
        self.series
    }

    /// Writes the page out and begins the next one.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        for column in &mut self.columns {
            put(out, column.len() as u64);
            out.extend_from_slice(column);
            column.clear();
        }
        self.pairs.clear();
        self.last_chunk = None;
        self.series = 0;
    }
}

/// Takes a series of a page and its place in it, and may stop the reading.
type Visit<'v> = dyn FnMut(usize, &SeriesEntry) -> Result<ControlFlow<()>, crate::Error> + 'v;

/// Reads a page of series and hands them out one by one, until `visit` breaks.
pub(crate) fn read_series(bytes: &[u8], visit: &mut Visit<'_>) -> Result<Result<usize, crate::Error>, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut columns: [Reader<'_>; COLUMNS] = std::array::from_fn(|_| Reader::new(&[]));
    for column in &mut columns {
        let n = reader.count(1, "a column of a page of series")?;
        *column = Reader::new(reader.take(n)?);
    }
    let [labels, counts, first_times, spans, samples, places] = &mut columns;
    let mut entry = SeriesEntry::default();
    let mut before: Option<ChunkRef> = None;
    let mut at = 0;
    while !labels.is_empty() {
        read_labels(labels, &mut entry.pairs)?;
        entry.chunks.clear();
        let chunks = counts.varint()?;
        if chunks > first_times.rest().len() as u64 {
            return Err(DecodeError::TooLarge { what: "the chunks of a series" });
        }
        for _ in 0..chunks {
            let min = before.map_or(0, |b| b.min).wrapping_add(first_times.signed()?);
            let max = min.wrapping_add(spans.varint()? as i64);
            let chunk = ChunkRef { min, max, samples: samples.u32()?, ..read_place(places, before.as_ref())? };
            entry.chunks.push(chunk);
            before = Some(chunk);
        }
        at += 1;
        match visit(at - 1, &entry) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return Ok(Ok(at)),
            Err(error) => return Ok(Err(error)),
        }
    }
    if !reader.is_empty() || columns.iter().any(|column| !column.is_empty()) {
        return Err(DecodeError::Inconsistent { what: "a page of series has columns of different lengths" });
    }
    Ok(Ok(at))
}

/// Reads the labels of a series over those of the series before.
fn read_labels(reader: &mut Reader<'_>, pairs: &mut Vec<(u32, u32)>) -> Result<(), DecodeError> {
    let n = reader.count(1, "labels")?;
    pairs.truncate(n);
    for i in 0..n {
        let read = match (reader.varint()?, pairs.get(i)) {
            (SAME, Some(pair)) => *pair,
            (OTHER_LABEL, _) => (reader.u32()?, reader.u32()?),
            (code, Some((name, value))) => {
                let value = i64::from(*value).checked_add(unzigzag(code - OTHER_VALUE));
                (*name, value.and_then(|v| u32::try_from(v).ok()).ok_or(DecodeError::OutOfRange)?)
            }
            (_, None) => return Err(DecodeError::Inconsistent { what: "a label refers to a series without it" }),
        };
        match pairs.get_mut(i) {
            Some(pair) => *pair = read,
            None => pairs.push(read),
        }
    }
    Ok(())
}

fn read_place(reader: &mut Reader<'_>, before: Option<&ChunkRef>) -> Result<ChunkRef, DecodeError> {
    let (page, offset, len) = match before {
        None => (reader.u32()?, reader.u32()?, reader.u32()?),
        Some(b) => {
            let tagged = reader.varint()?;
            let len = u32::try_from(tagged >> 1).map_err(|_| DecodeError::OutOfRange)?;
            let (page, offset) = match tagged & 1 {
                0 => (Some(b.page), b.offset.checked_add(b.len)),
                _ => (b.page.checked_add(reader.u32()?), Some(0)),
            };
            (page.ok_or(DecodeError::OutOfRange)?, offset.ok_or(DecodeError::OutOfRange)?, len)
        }
    };
    Ok(ChunkRef { min: 0, max: 0, page, offset, len, samples: 0 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entries() -> impl Strategy<Value = Vec<SeriesEntry>> {
        let pairs = prop::collection::vec((0u32..4, any::<u32>()), 0..5);
        let pairs = prop_oneof![pairs, prop::collection::vec((0u32..3, 0u32..3), 0..5)];
        let chunk = (any::<i64>(), 0i64..1 << 40, any::<u32>(), 0u32..1000, 0u32..3);
        let series = (pairs, prop::collection::vec(chunk, 0..4));
        prop::collection::vec(series, 0..20).prop_map(|series| {
            let mut place = (3, 70);
            let mut entries = Vec::new();
            for (pairs, chunks) in series {
                let mut entry = SeriesEntry { pairs, ..SeriesEntry::default() };
                for (min, span, samples, len, pages) in chunks {
                    if pages > 0 {
                        place = (place.0 + pages, 0);
                    }
                    let min = min >> 1;
                    let (page, offset) = place;
                    entry.chunks.push(ChunkRef { min, max: min + span, page, offset, len, samples });
                    place.1 += len;
                }
                entries.push(entry);
            }
            entries
        })
    }

    proptest! {
        #[test]
        fn series_come_back(entries in entries(), again in any::<bool>()) {
            let mut page = SeriesPage::default();
            let mut bytes = Vec::new();
            if again {
                entries.iter().for_each(|entry| page.put(entry));
                page.finish(&mut bytes);
                bytes.clear();
            }
            entries.iter().for_each(|entry| page.put(entry));
            prop_assert_eq!(page.len(), entries.len());
            page.finish(&mut bytes);
            let mut read = Vec::new();
            let n = read_series(&bytes, &mut |_, entry| {
                read.push(entry.clone());
                Ok(ControlFlow::Continue(()))
            });
            prop_assert_eq!(n.unwrap().unwrap(), entries.len());
            prop_assert_eq!(read, entries);
        }
    }
}
