//! Texts by number: each text of a record or page is written once.

use std::collections::HashMap;

use sonde_disk::varint::{Reader, put, put_str};

use super::DecodeError;

/// Gives numbers to texts. Number 0 is the empty text.
#[derive(Debug)]
pub(crate) struct Interner<'a> {
    ids: HashMap<&'a str, u32, foldhash::fast::RandomState>,
    texts: Vec<&'a str>,
}

impl<'a> Interner<'a> {
    pub(crate) fn new() -> Self {
        let mut interner = Interner { ids: HashMap::default(), texts: Vec::new() };
        interner.id("");
        interner
    }

    /// The number of a text.
    pub(crate) fn id(&mut self, text: &'a str) -> u32 {
        let Interner { ids, texts } = self;
        *ids.entry(text).or_insert_with(|| {
            texts.push(text);
            (texts.len() - 1) as u32
        })
    }

    /// Appends the number of a text to `out`.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, text: &'a str) {
        put(out, u64::from(self.id(text)));
    }

    /// Appends all texts.
    pub(crate) fn finish(&self, out: &mut Vec<u8>) {
        put(out, self.texts.len() as u64 - 1);
        self.texts[1..].iter().for_each(|text| put_str(out, text));
    }
}

/// Texts by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dictionary {
    text: Box<str>,
    /// Where each text ends; the first is the empty one.
    ends: Box<[u32]>,
}

impl Dictionary {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let n = reader.count(1, "texts")?;
        let mut text = String::new();
        let mut ends = Vec::with_capacity(n + 1);
        ends.push(0);
        for _ in 0..n {
            text.push_str(reader.str()?);
            ends.push(u32::try_from(text.len()).map_err(|_| DecodeError::OutOfRange)?);
        }
        Ok(Dictionary { text: text.into(), ends: ends.into() })
    }

    /// How many texts there are, the empty one included.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn get(&self, id: u32) -> Result<&str, DecodeError> {
        let missing = DecodeError::Inconsistent { what: "a text that the dictionary does not have" };
        let at = id as usize;
        let end = *self.ends.get(at).ok_or(missing)? as usize;
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        self.text.get(start..end).ok_or(missing)
    }

    /// The text whose number is next in `reader`.
    pub(crate) fn next<'d>(&'d self, reader: &mut Reader<'_>) -> Result<&'d str, DecodeError> {
        self.get(reader.u32()?)
    }

    /// The number of a text, found by looking through all.
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        (0..self.len() as u32).find(|id| self.get(*id) == Ok(text))
    }

    /// An estimate of the memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len() + self.ends.len() * 4
    }
}
