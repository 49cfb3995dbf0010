//! The series of an answer on their way out of head and blocks: each part gives them in the order of their labels, and
//! what several parts have is laid together.
//!
//! A label is two symbols of its part until the end: text is compared only where the symbols say nothing, and labels
//! are made once a series.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::ops::Range;

use smallvec::{SmallVec, smallvec};
use sonde_model::Labels;

use crate::block::BlockIndex;
use crate::head::Registry;
use crate::head::registry::SymbolPair;

/// Where samples of a series lie: in so many places of a part, from `start` on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layer {
    /// The number of the part, in the order in which they were laid over each other.
    pub(crate) part: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// Where the samples of a series lie, older parts first: later ones win.
pub(crate) type Layers = SmallVec<[Layer; 2]>;

/// Series with their labels as symbols of their part.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The labels of all series one after the other.
    pairs: Vec<SymbolPair>,
    series: Vec<Item>,
}

impl Gathered {
    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Adds a series; false if its symbols do not come after those of the series before.
    #[must_use]
    pub(crate) fn push(&mut self, pairs: &[SymbolPair], places: Range<usize>) -> bool {
        let grows = self.series.last().is_none_or(|last| self.pairs(last) < pairs);
        let (start, labels) = (self.pairs.len() as u32, pairs.len() as u32);
        self.pairs.extend_from_slice(pairs);
        let layer = Layer { part: 0, start: places.start as u32, len: places.len() as u32 };
        self.series.push(Item { start, labels, run: 0, layers: smallvec![layer] });
        grows
    }

    fn pairs(&self, item: &Item) -> &[SymbolPair] {
        &self.pairs[item.start as usize..(item.start + item.labels) as usize]
    }
}

/// The series of one part, in the order of their labels.
#[derive(Debug)]
pub(crate) struct Run<'b> {
    text: Text<'b>,
    gathered: Gathered,
}

#[derive(Debug)]
struct Item {
    start: u32,
    labels: u32,
    /// The run that the labels are of.
    run: u32,
    layers: Layers,
}

/// What the symbols of a run stand for.
#[derive(Debug)]
enum Text<'b> {
    Block(BlockIndex<'b>),
    Head { text: String, ends: Vec<usize> },
}

impl Text<'_> {
    fn get(&self, symbol: u32) -> &str {
        match self {
            Text::Block(index) => index.known_text(symbol),
            Text::Head { text, ends } => {
                let symbol = symbol as usize;
                &text[if symbol == 0 { 0 } else { ends[symbol - 1] }..ends[symbol]]
            }
        }
    }
}

impl<'b> Run<'b> {
    /// A run out of a block; the index was asked for all symbols of the series, which are in order.
    pub(crate) fn of_block(index: BlockIndex<'b>, gathered: Gathered) -> Self {
        Run { text: Text::Block(index), gathered }
    }

    fn labels(&self, item: &Item) -> Labels {
        let text = |(name, value): &SymbolPair| (self.text.get(*name), self.text.get(*value));
        let pairs: SmallVec<[(&str, &str); 16]> = self.gathered.pairs(item).iter().map(text).collect();
        Labels::from_sorted(&pairs)
    }
}

/// A run out of the head that is being gathered, while the head is locked: its symbols are copied, each once.
#[derive(Debug, Default)]
pub(crate) struct HeadRun {
    text: String,
    ends: Vec<usize>,
    numbers: HashMap<u32, u32, foldhash::fast::RandomState>,
    gathered: Gathered,
    /// The labels of the last series, as the head names them: most of the next one's are the same.
    last: Vec<SymbolPair>,
}

impl HeadRun {
    /// How many series it has.
    pub(crate) fn len(&self) -> usize {
        self.gathered.len()
    }

    /// Adds a series, in any order.
    pub(crate) fn push(&mut self, registry: &Registry, slot: u32, places: Range<usize>) {
        let of_head = registry.pairs(slot);
        let before = self.gathered.pairs.len() - self.last.len();
        let mut pairs: SmallVec<[SymbolPair; 16]> = SmallVec::with_capacity(of_head.len());
        for (i, pair) in of_head.iter().enumerate() {
            let same = self.last.get(i).filter(|last| **last == *pair).map(|_| self.gathered.pairs[before + i]);
            pairs.push(match same {
                Some(known) => known,
                None => (self.number(registry, pair.0), self.number(registry, pair.1)),
            });
        }
        self.last.clear();
        self.last.extend_from_slice(of_head);
        // Numbers say nothing about the order yet.
        let _ = self.gathered.push(&pairs, places);
    }

    fn number(&mut self, registry: &Registry, symbol: u32) -> u32 {
        *self.numbers.entry(symbol).or_insert_with(|| {
            self.text.push_str(registry.text(symbol));
            self.ends.push(self.text.len());
            self.ends.len() as u32 - 1
        })
    }

    /// Brings symbols and series into order. Needs the head no more.
    pub(crate) fn sorted<'b>(self) -> Run<'b> {
        let HeadRun { text, ends, mut gathered, .. } = self;
        let get = |symbol: usize| &text[if symbol == 0 { 0 } else { ends[symbol - 1] }..ends[symbol]];
        let mut order: Vec<(&str, u32)> = (0..ends.len()).map(|symbol| (get(symbol), symbol as u32)).collect();
        order.sort_unstable();
        let mut ranks = vec![0; order.len()];
        let mut sorted = Text::Head { text: String::with_capacity(text.len()), ends: Vec::with_capacity(ends.len()) };
        if let Text::Head { text, ends } = &mut sorted {
            for (rank, (symbol, number)) in order.iter().enumerate() {
                ranks[*number as usize] = rank as u32;
                text.push_str(symbol);
                ends.push(text.len());
            }
        }
        for (name, value) in &mut gathered.pairs {
            (*name, *value) = (ranks[*name as usize], ranks[*value as usize]);
        }
        let mut series = std::mem::take(&mut gathered.series);
        series.sort_unstable_by(|a, b| gathered.pairs(a).cmp(gathered.pairs(b)));
        gathered.series = series;
        Run { text: sorted, gathered }
    }
}

/// Runs laid together: those of older parts first, later ones win.
#[derive(Debug, Default)]
pub(crate) struct Runs<'b> {
    runs: Vec<Run<'b>>,
    series: Vec<Item>,
}

impl<'b> Runs<'b> {
    /// How many series there are.
    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Lays a run over what is there.
    pub(crate) fn lay_over(&mut self, mut run: Run<'b>) {
        let mut newer = std::mem::take(&mut run.gathered.series);
        let number = self.runs.len() as u32;
        for item in &mut newer {
            item.run = number;
            item.layers.iter_mut().for_each(|layer| layer.part = number);
        }
        self.runs.push(run);
        if self.series.is_empty() {
            self.series = newer;
            return;
        }
        let mut comparing = Comparing::new(&self.runs);
        let mut at = 0;
        let mut unknown = Vec::new();
        for item in newer {
            let order = loop {
                let Some(known) = self.series.get(at) else { break Ordering::Greater };
                match comparing.compare(known, &item) {
                    Ordering::Less => at += 1,
                    order => break order,
                }
            };
            if order == Ordering::Equal {
                self.series[at].layers.extend(item.layers);
                at += 1;
            } else {
                unknown.push((at, item));
            }
        }
        if unknown.is_empty() {
            return;
        }
        let mut all = Vec::with_capacity(self.series.len() + unknown.len());
        let mut unknown = unknown.into_iter().peekable();
        for (i, item) in std::mem::take(&mut self.series).into_iter().enumerate() {
            while let Some((_, new)) = unknown.next_if(|(at, _)| *at <= i) {
                all.push(new);
            }
            all.push(item);
        }
        all.extend(unknown.map(|(_, new)| new));
        self.series = all;
    }

    /// The series in the order of their labels, each with the places of its samples.
    pub(crate) fn into_series(self) -> Vec<(Labels, Layers)> {
        let Runs { runs, series } = self;
        series.into_iter().map(|item| (runs[item.run as usize].labels(&item), item.layers)).collect()
    }
}

/// Compares the labels of series of two runs. Remembers which symbols stand for the same at each place: from series to
/// series most stay as they are.
struct Comparing<'r, 'b> {
    runs: &'r [Run<'b>],
    same: Vec<(u32, SymbolPair, SymbolPair)>,
}

impl<'r, 'b> Comparing<'r, 'b> {
    fn new(runs: &'r [Run<'b>]) -> Self {
        Comparing { runs, same: Vec::new() }
    }

    fn compare(&mut self, known: &Item, new: &Item) -> Ordering {
        let (a, b) = (&self.runs[known.run as usize], &self.runs[new.run as usize]);
        let (of_a, of_b) = (a.gathered.pairs(known), b.gathered.pairs(new));
        for (i, (x, y)) in of_a.iter().zip(of_b).enumerate() {
            let both = (known.run, *x, *y);
            if self.same.get(i) == Some(&both) {
                continue;
            }
            let names = a.text.get(x.0).cmp(b.text.get(y.0));
            let order = names.then_with(|| a.text.get(x.1).cmp(b.text.get(y.1)));
            if order != Ordering::Equal {
                return order;
            }
            match self.same.get_mut(i) {
                Some(same) => *same = both,
                None => self.same.push(both),
            }
        }
        of_a.len().cmp(&of_b.len())
    }
}
