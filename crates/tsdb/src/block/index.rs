//! The inverted index of a block, as one query sees it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::rc::Rc;

use sonde_disk::varint::Reader;
use sonde_model::Labels;

use super::pages::{PostingsEntry, SYMBOLS_PER_PAGE, SymbolPage, next_postings};
use super::reader::{Block, Caching, place_of_symbol};
use crate::Error;
use crate::index::postings::{Postings, union};
use crate::index::resolve::InvertedIndex;

type VisitEntry<'v> = dyn FnMut(&PostingsEntry<'_>) -> Result<ControlFlow<()>, Error> + 'v;
type VisitValue<'v> = dyn FnMut(&str) -> Result<ControlFlow<()>, Error> + 'v;

/// A block and the pages of symbols that a query has read so far.
#[derive(Debug)]
pub(crate) struct BlockIndex<'b> {
    block: &'b Block,
    symbols: RefCell<HashMap<usize, Rc<SymbolPage>, foldhash::fast::RandomState>>,
}

impl<'b> BlockIndex<'b> {
    pub(crate) fn new(block: &'b Block) -> Self {
        BlockIndex { block, symbols: RefCell::default() }
    }

    /// The labels that these symbols name.
    pub(crate) fn labels(&self, pairs: &[(u32, u32)]) -> Result<Labels, Error> {
        let mut texts = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            texts.push((self.symbol(*name)?, self.symbol(*value)?));
        }
        let pairs: Vec<(&str, &str)> = texts.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        if !pairs.windows(2).all(|w| w[0].0 < w[1].0) {
            return Err(self.block.damage("labels that are not sorted"));
        }
        Ok(Labels::from_sorted(&pairs))
    }

    /// The text of a symbol.
    pub(crate) fn text(&self, symbol: u32) -> Result<String, Error> {
        self.symbol(symbol).map(Symbol::into_string)
    }

    /// The label names, in order.
    pub(crate) fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        let mut from = 0;
        while let Some(name) = self.first_name(from)? {
            names.push(self.symbol(name)?.into_string());
            from = name + 1;
        }
        Ok(names)
    }

    /// The values of a label, in order.
    pub(crate) fn values(&self, name: &str, visit: &mut VisitValue<'_>) -> Result<(), Error> {
        let Some(name) = self.find(name)? else { return Ok(()) };
        self.scan((name, 0), &mut |entry| {
            if entry.label.0 != name {
                return Ok(ControlFlow::Break(()));
            }
            visit(self.symbol(entry.label.1)?.as_str())
        })
    }

    fn list(&self, entry: &PostingsEntry<'_>) -> Result<Vec<u32>, Error> {
        entry.list(self.block.meta().series).map_err(|e| self.block.undecodable(e))
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
        Ok((self.symbol(symbol)?.as_str() == text).then_some(symbol))
    }

    fn symbol(&self, symbol: u32) -> Result<Symbol, Error> {
        let (page, at) = place_of_symbol(symbol);
        let page = self.symbol_page(page)?;
        if page.get(at).is_none() {
            return Err(self.block.damage("a symbol that is not there"));
        }
        Ok(Symbol { page, at })
    }

    fn symbol_page(&self, number: usize) -> Result<Rc<SymbolPage>, Error> {
        if let Some(page) = self.symbols.borrow().get(&number) {
            return Ok(Rc::clone(page));
        }
        let page = Rc::new(self.block.symbol_page(number, Caching::Keep)?);
        self.symbols.borrow_mut().insert(number, Rc::clone(&page));
        Ok(page)
    }
}

/// A symbol that keeps its page.
#[derive(Debug)]
struct Symbol {
    page: Rc<SymbolPage>,
    at: usize,
}

impl Symbol {
    fn as_str(&self) -> &str {
        self.page.get(self.at).unwrap_or("")
    }

    fn into_string(self) -> String {
        self.as_str().to_owned()
    }
}

impl InvertedIndex for BlockIndex<'_> {
    type Error = Error;

    fn all(&self) -> Result<Cow<'_, [u32]>, Error> {
        Ok((0..self.block.meta().series).collect::<Vec<_>>().into())
    }

    fn postings(&self, name: &str, value: &str) -> Result<Cow<'_, [u32]>, Error> {
        let Some(label) = self.find(name)?.zip(self.find(value)?) else { return Ok(Cow::Borrowed(&[])) };
        let mut list = Vec::new();
        self.scan(label, &mut |entry| {
            if entry.label == label {
                list = self.list(entry)?;
            }
            Ok(ControlFlow::Break(()))
        })?;
        Ok(list.into())
    }

    fn union_of(&self, name: &str, prefix: &str, keep: &mut dyn FnMut(&str) -> bool) -> Result<Postings, Error> {
        let Some(name) = self.find(name)? else { return Ok(Vec::new()) };
        let first = self.lower_bound(prefix)?;
        let mut lists = Vec::new();
        self.scan((name, first), &mut |entry| {
            let value = self.symbol(entry.label.1)?;
            if entry.label.0 != name || !value.as_str().starts_with(prefix) {
                return Ok(ControlFlow::Break(()));
            }
            if keep(value.as_str()) {
                lists.push(self.list(entry)?);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let slices: Vec<&[u32]> = lists.iter().map(Vec::as_slice).collect();
        Ok(union(&slices))
    }
}
