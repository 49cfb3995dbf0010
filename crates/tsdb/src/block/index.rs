//! The inverted index of a block, as one query sees it.

use std::cell::OnceCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use smallvec::SmallVec;
use sonde_disk::varint::Reader;
use sonde_model::Labels;

use super::pages::{PostingsEntry, SYMBOLS_PER_PAGE, SymbolPage, next_postings};
use super::reader::{Block, Caching, place_of_symbol};
use crate::Error;
use crate::index::postings::Postings;
use crate::index::resolve::InvertedIndex;

type VisitEntry<'v> = dyn FnMut(&PostingsEntry<'_>) -> Result<ControlFlow<()>, Error> + 'v;
type VisitValue<'v> = dyn FnMut(&str) -> Result<ControlFlow<()>, Error> + 'v;

/// A block and the pages of symbols that a query has read so far.
#[derive(Debug)]
pub(crate) struct BlockIndex<'b> {
    block: &'b Block,
    symbols: Box<[OnceCell<Arc<SymbolPage>>]>,
}

impl<'b> BlockIndex<'b> {
    pub(crate) fn new(block: &'b Block) -> Self {
        BlockIndex { block, symbols: block.directories.symbols.iter().map(|_| OnceCell::new()).collect() }
    }

    /// The labels that these symbols name.
    pub(crate) fn labels(&self, pairs: &[(u32, u32)]) -> Result<Labels, Error> {
        let mut texts: SmallVec<[(&str, &str); 16]> = SmallVec::with_capacity(pairs.len());
        for (name, value) in pairs {
            texts.push((self.text(*name)?, self.text(*value)?));
        }
        if !texts.windows(2).all(|w| w[0].0 < w[1].0) {
            return Err(self.block.damage("labels that are not sorted"));
        }
        Ok(Labels::from_sorted(&texts))
    }

    /// The text of a symbol.
    pub(crate) fn text(&self, symbol: u32) -> Result<&str, Error> {
        let (page, at) = place_of_symbol(symbol);
        let text = self.symbol_page(page)?.get(at);
        text.ok_or_else(|| self.block.damage("a symbol that is not there"))
    }

    /// Reads the symbols of labels and checks that they are labels. `before` holds those that were read last, of which
    /// most are the same.
    pub(crate) fn load(&self, pairs: &[(u32, u32)], before: &mut SmallVec<[(u32, u32); 16]>) -> Result<(), Error> {
        // Symbols are sorted as their texts are.
        if !pairs.windows(2).all(|w| w[0].0 < w[1].0) {
            return Err(self.block.damage("labels that are not sorted"));
        }
        for (i, (name, value)) in pairs.iter().enumerate() {
            match before.get_mut(i) {
                Some(known) if *known == (*name, *value) => continue,
                Some(known) => *known = (*name, *value),
                None => before.push((*name, *value)),
            }
            self.text(*name)?;
            self.text(*value)?;
        }
        Ok(())
    }

    /// The text of a symbol that was asked for before.
    pub(crate) fn known_text(&self, symbol: u32) -> &str {
        let (page, at) = place_of_symbol(symbol);
        self.symbols.get(page).and_then(OnceCell::get).and_then(|page| page.get(at)).unwrap_or_default()
    }

    /// The label names, in order. They are few, and looked for once.
    pub(crate) fn names(&self) -> Result<&'b [String], Error> {
        if let Some(names) = self.block.names.get() {
            return Ok(names);
        }
        let mut names = Vec::new();
        let mut from = 0;
        while let Some(name) = self.first_name(from)? {
            names.push(self.text(name)?.to_owned());
            from = name + 1;
        }
        Ok(self.block.names.get_or_init(|| names))
    }

    /// The values of a label, in order.
    pub(crate) fn values(&self, name: &str, visit: &mut VisitValue<'_>) -> Result<(), Error> {
        let Some(name) = self.find(name)? else { return Ok(()) };
        self.scan((name, 0), &mut |entry| {
            if entry.label.0 != name {
                return Ok(ControlFlow::Break(()));
            }
            visit(self.text(entry.label.1)?)
        })
    }

    fn append(&self, entry: &PostingsEntry<'_>, out: &mut Vec<u32>) -> Result<(), Error> {
        entry.append_to(out, self.block.meta().series).map_err(|e| self.block.undecodable(e))
    }

    fn first_name(&self, from: u32) -> Result<Option<u32>, Error> {
        let mut found = None;
        self.scan((from, 0), &mut |entry| {
            found = Some(entry.label.0);
            Ok(ControlFlow::Break(()))
        })?;
        Ok(found)
    }

    /// Visits the entries from `label` on, in order.
    fn scan(&self, label: (u32, u32), visit: &mut VisitEntry<'_>) -> Result<(), Error> {
        let pages = &self.block.directories.postings;
        let start = pages.partition_point(|(first, _)| *first <= label).saturating_sub(1);
        for (_, place) in &pages[start.min(pages.len())..] {
            let bytes = self.block.page(*place, Caching::Keep)?;
            let mut reader = Reader::new(&bytes);
            while let Some(entry) = next_postings(&mut reader).map_err(|e| self.block.undecodable(e))? {
                if entry.label >= label && visit(&entry)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The first symbol that is not below `text`.
    fn lower_bound(&self, text: &str) -> Result<u32, Error> {
        let pages = &self.block.directories.symbols;
        let page = pages.partition_point(|(first, _)| first.as_str() <= text).saturating_sub(1);
        if pages.is_empty() {
            return Ok(0);
        }
        let at = self.symbol_page(page)?.lower_bound(text);
        Ok((page * SYMBOLS_PER_PAGE + at) as u32)
    }

    /// The number of a symbol.
    pub(crate) fn find(&self, text: &str) -> Result<Option<u32>, Error> {
        let symbol = self.lower_bound(text)?;
        if symbol >= self.block.directories.symbol_count {
            return Ok(None);
        }
        Ok((self.text(symbol)? == text).then_some(symbol))
    }

    fn symbol_page(&self, number: usize) -> Result<&SymbolPage, Error> {
        let cell = self.symbols.get(number).ok_or_else(|| self.block.damage("a symbol without a page"))?;
        if let Some(page) = cell.get() {
            return Ok(page);
        }
        let page = self.block.symbol_page(number, Caching::Keep)?;
        Ok(cell.get_or_init(|| page))
    }
}

impl InvertedIndex for BlockIndex<'_> {
    type Error = Error;

    fn all(&self) -> Result<Postings<'_>, Error> {
        Ok(Postings::List((0..self.block.meta().series).collect::<Vec<_>>().into()))
    }

    fn postings(&self, name: &str, value: &str) -> Result<Postings<'_>, Error> {
        let Some(label) = self.find(name)?.zip(self.find(value)?) else { return Ok(Postings::NONE) };
        let mut list = Vec::new();
        self.scan(label, &mut |entry| {
            if entry.label == label {
                self.append(entry, &mut list)?;
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(Postings::List(list.into()))
    }

    fn gather(&self, name: &str, prefix: &str, keep: &mut dyn FnMut(&str) -> bool) -> Result<Vec<u32>, Error> {
        let Some(name) = self.find(name)? else { return Ok(Vec::new()) };
        let first = self.lower_bound(prefix)?;
        let mut gathered = Vec::new();
        self.scan((name, first), &mut |entry| {
            let value = self.text(entry.label.1)?;
            if entry.label.0 != name || !value.starts_with(prefix) {
                return Ok(ControlFlow::Break(()));
            }
            if keep(value) {
                self.append(entry, &mut gathered)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(gathered)
    }

    fn bound(&self) -> u32 {
        self.block.meta().series
    }
}
