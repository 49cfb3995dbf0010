//! Merges blocks: series by series in the order of their labels, newer samples over older ones.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;

use sonde_model::TimestampMs;

use crate::Error;
use crate::block::{Block, Caching, HeldPage, SeriesEntry};
use crate::columns::{Columns, overlay};

/// The symbols of several blocks in one order.
#[derive(Debug)]
pub(crate) struct Symbols {
    pub(crate) all: Vec<String>,
    /// For each block, the new number of each of its symbols.
    pub(crate) renamed: Vec<Vec<u32>>,
}

/// Gathers the symbols of the blocks.
pub(crate) fn symbols(blocks: &[Arc<Block>]) -> Result<Symbols, Error> {
    let each = blocks.iter().map(|block| block.symbols()).collect::<Result<Vec<_>, _>>()?;
    let mut all: BTreeSet<&String> = BTreeSet::new();
    for (block, symbols) in blocks.iter().zip(&each) {
        match visible_symbols(block)? {
            None => all.extend(symbols),
            Some(visible) => all.extend(visible.into_iter().filter_map(|s| symbols.get(s as usize))),
        }
    }
    let all: Vec<String> = all.into_iter().cloned().collect();
    let mut renamed = Vec::with_capacity(each.len());
    for symbols in &each {
        // Both are sorted, so that one walk finds all.
        let mut at = 0;
        let mut numbers = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            while all.get(at).is_some_and(|text| text < symbol) {
                at += 1;
            }
            // Those of deleted series are not there, and nobody asks for them.
            let is_there = all.get(at) == Some(symbol);
            numbers.push(if is_there { at as u32 } else { u32::MAX });
        }
        renamed.push(numbers);
    }
    Ok(Symbols { all, renamed })
}

/// The symbols of the series that are not deleted; `None` if no series is.
fn visible_symbols(block: &Block) -> Result<Option<BTreeSet<u32>>, Error> {
    if block.hidden().is_empty() {
        return Ok(None);
    }
    let mut visible = BTreeSet::new();
    block.visit_series(0..block.meta().series, Caching::Pass, &mut |entry| {
        visible.extend(entry.pairs.iter().flat_map(|(name, value)| [*name, *value]));
        Ok(())
    })?;
    Ok(Some(visible))
}

/// Takes the labels of a series, in new numbers, and its samples.
pub(crate) type Sink<'s> = dyn FnMut(&[(u32, u32)], &Columns) -> Result<(), Error> + 's;

/// Hands out every series of the blocks that has samples of a range, inclusive, once, with those. `blocks` are in the order
/// of their ranks.
pub(crate) fn run(
    blocks: &[Arc<Block>],
    renamed: &[Vec<u32>],
    range: (TimestampMs, TimestampMs),
    series: &mut Sink<'_>,
) -> Result<(), Error> {
    let mut inputs: Vec<Input<'_>> =
        blocks.iter().zip(renamed).map(|(block, renamed)| Input::new(block, renamed, range)).collect();
    let mut heads = BinaryHeap::new();
    for (i, input) in inputs.iter_mut().enumerate() {
        if let Some(pairs) = input.next()? {
            heads.push(Reverse((pairs, i)));
        }
    }
    while let Some(Reverse((pairs, first))) = heads.pop() {
        // The heap hands out equal labels in the order of the blocks, the older ones first.
        let mut columns = inputs[first].samples()?;
        let mut taken = vec![first];
        while heads.peek().is_some_and(|Reverse((other, _))| *other == pairs) {
            if let Some(Reverse((_, i))) = heads.pop() {
                overlay(&mut columns, inputs[i].samples()?);
                taken.push(i);
            }
        }
        if !columns.is_empty() {
            series(&pairs, &columns)?;
        }
        for i in taken {
            if let Some(pairs) = inputs[i].next()? {
                heads.push(Reverse((pairs, i)));
            }
        }
    }
    Ok(())
}

/// A block that is read from its first series to its last.
struct Input<'b> {
    block: &'b Block,
    renamed: &'b [u32],
    range: (TimestampMs, TimestampMs),
    read: u32,
    waiting: VecDeque<SeriesEntry>,
    current: SeriesEntry,
    held: HeldPage,
}

/// Series that are read ahead.
const READ_AHEAD: u32 = 64;

impl<'b> Input<'b> {
    fn new(block: &'b Block, renamed: &'b [u32], range: (TimestampMs, TimestampMs)) -> Self {
        let (waiting, current, held) = (VecDeque::new(), SeriesEntry::default(), HeldPage::default());
        Input { block, renamed, range, read: 0, waiting, current, held }
    }

    /// Goes to the next series and gives its labels in new numbers.
    fn next(&mut self) -> Result<Option<Vec<(u32, u32)>>, Error> {
        let total = self.block.meta().series;
        while self.waiting.is_empty() && self.read < total {
            let end = (self.read + READ_AHEAD).min(total);
            let waiting = &mut self.waiting;
            self.block.visit_series(self.read..end, Caching::Pass, &mut |entry| {
                waiting.push_back(entry.clone());
                Ok(())
            })?;
            self.read = end;
        }
        let Some(entry) = self.waiting.pop_front() else { return Ok(None) };
        let new = |symbol: u32| {
            let unknown = || Error::DamagedBlock {
                path: self.block.path().to_owned(),
                reason: "a symbol that is not there".to_owned(),
            };
            self.renamed.get(symbol as usize).copied().ok_or_else(unknown)
        };
        let pairs = entry.pairs.iter().map(|(n, v)| Ok((new(*n)?, new(*v)?))).collect::<Result<_, Error>>()?;
        self.current = entry;
        Ok(Some(pairs))
    }

    fn samples(&mut self) -> Result<Columns, Error> {
        let (from, to) = self.range;
        self.block.samples(&self.current, from, to, Caching::Pass, &mut self.held)
    }
}
