//! Pages of columns: which rows have a value, and the values, as numbers, texts or pieces of bytes.

use sonde_disk::varint::{Reader, put};

use crate::codec::DecodeError;
use crate::codec::text::{Dictionary, Interner};

const ALL: u8 = 0;
const SOME: u8 = 1;

const NUMBERS: u8 = 1;
const TEXTS: u8 = 2;
const PIECES: u8 = 3;

/// An unpacked page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    present: Option<Presence>,
    pub(crate) values: Values,
}

/// Which rows have a value: bits, and how many are set before each word.
#[derive(Debug, PartialEq, Eq)]
struct Presence {
    words: Vec<u64>,
    before: Vec<u32>,
}

/// The values of the rows that have one, in order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Numbers(Vec<u64>),
    /// Numbers of texts.
    Texts(Vec<u32>, Dictionary),
    /// Pieces of bytes that refer to the texts.
    Pieces {
        ends: Vec<u32>,
        bytes: Box<[u8]>,
        texts: Dictionary,
    },
}

/// Begins a page: which of the rows have a value. `rows` are those, growing.
fn put_presence(out: &mut Vec<u8>, rows: &[u32], all: usize) {
    if rows.len() == all {
        return out.push(ALL);
    }
    out.push(SOME);
    let start = out.len();
    out.resize(start + all.div_ceil(8), 0);
    rows.iter().for_each(|row| out[start + *row as usize / 8] |= 1 << (row % 8));
}

/// Appends numbers as offsets from the smallest, byte plane by byte plane.
pub(crate) fn put_numbers(out: &mut Vec<u8>, values: &[u64]) {
    let min = values.iter().min().copied().unwrap_or(0);
    let max = values.iter().max().copied().unwrap_or(0);
    let width = (64 - (max - min).leading_zeros() as usize).div_ceil(8);
    out.extend_from_slice(&min.to_le_bytes());
    out.push(width as u8);
    for plane in 0..width {
        out.extend(values.iter().map(|v| (v - min).to_le_bytes()[plane]));
    }
}

/// Reads `n` numbers.
pub(crate) fn read_numbers(reader: &mut Reader<'_>, n: usize) -> Result<Vec<u64>, DecodeError> {
    let min = reader.u64_le()?;
    let width = usize::from(reader.u8()?);
    if width > 8 {
        return Err(DecodeError::OutOfRange);
    }
    let mut values = vec![min; n];
    for plane in 0..width {
        let bytes = reader.take(n)?;
        values.iter_mut().zip(bytes).for_each(|(v, b)| *v = v.wrapping_add(u64::from(*b) << (8 * plane)));
    }
    Ok(values)
}

/// A page of numbers.
pub(crate) fn numbers(rows: &[u32], values: &[u64], all: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(values.len() * 4 + 16);
    put_presence(&mut out, rows, all);
    out.push(NUMBERS);
    put_numbers(&mut out, values);
    out
}

/// A page of texts.
pub(crate) fn texts(rows: &[u32], values: &[&str], all: usize) -> Vec<u8> {
    let mut interner = Interner::new();
    let ids: Vec<u64> = values.iter().map(|text| u64::from(interner.id(text))).collect();
    let mut out = Vec::new();
    put_presence(&mut out, rows, all);
    out.push(TEXTS);
    interner.finish(&mut out);
    put_numbers(&mut out, &ids);
    out
}

/// A page of pieces of bytes.
pub(crate) fn pieces(rows: &[u32], pieces: &[Vec<u8>], texts: &Interner<'_>, all: usize) -> Vec<u8> {
    let lengths: Vec<u64> = pieces.iter().map(|p| p.len() as u64).collect();
    let mut out = Vec::new();
    put_presence(&mut out, rows, all);
    out.push(PIECES);
    texts.finish(&mut out);
    put_numbers(&mut out, &lengths);
    put(&mut out, lengths.iter().sum());
    pieces.iter().for_each(|p| out.extend_from_slice(p));
    out
}

impl Page {
    /// Reads a page of a group of `rows` rows.
    pub(crate) fn read(bytes: &[u8], rows: usize) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let present = match reader.u8()? {
            ALL => None,
            SOME => Some(Presence::read(reader.take(rows.div_ceil(8))?, rows)?),
            value => return Err(DecodeError::Unknown { what: "presence", value }),
        };
        let n = present.as_ref().map_or(rows, Presence::count);
        let values = match reader.u8()? {
            NUMBERS => Values::Numbers(read_numbers(&mut reader, n)?),
            TEXTS => {
                let texts = Dictionary::read(&mut reader)?;
                let ids = read_numbers(&mut reader, n)?;
                if ids.iter().any(|id| *id >= texts.len() as u64) {
                    return Err(DecodeError::Inconsistent { what: "a text that the dictionary does not have" });
                }
                Values::Texts(ids.into_iter().map(|id| id as u32).collect(), texts)
            }
            PIECES => {
                let texts = Dictionary::read(&mut reader)?;
                let lengths = read_numbers(&mut reader, n)?;
                let total = reader.count(1, "pieces")?;
                let bytes = reader.take(total)?.into();
                let mut end = 0u64;
                let mut ends = Vec::with_capacity(n);
                for length in lengths {
                    end = end.checked_add(length).filter(|e| *e <= total as u64).ok_or(DecodeError::OutOfRange)?;
                    ends.push(u32::try_from(end).map_err(|_| DecodeError::OutOfRange)?);
                }
                Values::Pieces { ends, bytes, texts }
            }
            value => return Err(DecodeError::Unknown { what: "page kind", value }),
        };
        if !reader.is_empty() {
            return Err(DecodeError::Inconsistent { what: "bytes behind a page" });
        }
        Ok(Page { present, values })
    }

    /// Where the value of a row lies among the values, if it has one.
    pub(crate) fn index(&self, row: u32) -> Option<usize> {
        match &self.present {
            None => Some(row as usize),
            Some(presence) => presence.index(row),
        }
    }

    /// Visits each row that has a value, with the place of the value.
    pub(crate) fn visit_rows(&self, mut visit: impl FnMut(usize, usize)) {
        match &self.present {
            None => (0..self.values.len()).for_each(|i| visit(i, i)),
            Some(presence) => {
                let mut at = 0;
                for (i, word) in presence.words.iter().enumerate() {
                    let mut word = *word;
                    while word != 0 {
                        visit(i * 64 + word.trailing_zeros() as usize, at);
                        at += 1;
                        word &= word - 1;
                    }
                }
            }
        }
    }

    /// The number of a row, 0 where there is none.
    pub(crate) fn number(&self, row: u32) -> Result<u64, DecodeError> {
        match &self.values {
            Values::Numbers(values) => Ok(self.index(row).and_then(|i| values.get(i)).copied().unwrap_or(0)),
            _ => Err(WRONG_KIND),
        }
    }

    /// The text of a row, empty where there is none.
    pub(crate) fn text(&self, row: u32) -> Result<&str, DecodeError> {
        match &self.values {
            Values::Texts(ids, texts) => texts.get(self.index(row).and_then(|i| ids.get(i)).copied().unwrap_or(0)),
            _ => Err(WRONG_KIND),
        }
    }

    /// The piece of a row, with the texts that it refers to.
    pub(crate) fn piece(&self, row: u32) -> Result<Option<(Reader<'_>, &Dictionary)>, DecodeError> {
        match self.index(row) {
            Some(at) => self.piece_at(at).map(Some),
            None => Ok(None),
        }
    }

    /// The piece at a place.
    pub(crate) fn piece_at(&self, at: usize) -> Result<(Reader<'_>, &Dictionary), DecodeError> {
        let Values::Pieces { ends, bytes, texts } = &self.values else { return Err(WRONG_KIND) };
        let start = if at == 0 { 0 } else { ends.get(at - 1).copied().unwrap_or(u32::MAX) as usize };
        let end = ends.get(at).copied().unwrap_or(0) as usize;
        let piece = bytes.get(start..end).ok_or(DecodeError::Inconsistent { what: "a piece that a page lacks" })?;
        Ok((Reader::new(piece), texts))
    }

    /// An estimate of the memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        let present = self.present.as_ref().map_or(0, |p| p.words.len() * 12);
        present
            + 64
            + match &self.values {
                Values::Numbers(values) => values.len() * 8,
                Values::Texts(ids, texts) => ids.len() * 4 + texts.bytes(),
                Values::Pieces { ends, bytes, texts } => ends.len() * 4 + bytes.len() + texts.bytes(),
            }
    }
}

/// A page of another kind than its column has.
pub(crate) const WRONG_KIND: DecodeError = DecodeError::Inconsistent { what: "a page of the wrong kind" };

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Numbers(values) => values.len(),
            Values::Texts(ids, _) => ids.len(),
            Values::Pieces { ends, .. } => ends.len(),
        }
    }
}

impl Presence {
    fn read(bytes: &[u8], rows: usize) -> Result<Self, DecodeError> {
        let mut words = vec![0u64; bytes.len().div_ceil(8)];
        bytes.iter().enumerate().for_each(|(i, b)| words[i / 8] |= u64::from(*b) << (8 * (i % 8)));
        if !rows.is_multiple_of(8) && bytes.last().is_some_and(|last| last >> (rows % 8) != 0) {
            return Err(DecodeError::Inconsistent { what: "a value for a row that is not there" });
        }
        let mut count = 0;
        let before = words
            .iter()
            .map(|word| {
                let before = count;
                count += word.count_ones();
                before
            })
            .collect();
        Ok(Presence { words, before })
    }

    fn count(&self) -> usize {
        match (self.words.last(), self.before.last()) {
            (Some(word), Some(before)) => (word.count_ones() + before) as usize,
            _ => 0,
        }
    }

    fn index(&self, row: u32) -> Option<usize> {
        let (at, bit) = (row as usize / 64, row % 64);
        let word = *self.words.get(at)?;
        let below = word & ((1 << bit) - 1);
        (word >> bit & 1 == 1).then(|| (self.before[at] + below.count_ones()) as usize)
    }
}
