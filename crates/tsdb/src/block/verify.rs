//! Reads every byte of a block and holds what it says against what it is. Goes on behind what is damaged.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use sonde_disk::blocks::file::{self, HEADER_LEN};
use sonde_disk::varint::Reader;
use sonde_model::{FloatColumn, HistogramColumn, TimestampMs};

use super::footer::{self, PageRef, TRAILER_LEN};
use super::pages::{self, PostingsList, next_postings};
use super::reader::{Block, Caching};
use super::series_page::{self, ChunkRef, SERIES_PER_PAGE, SeriesEntry};
use crate::codec::sealed::{self, Extent, ReadScratch};
use crate::codec::{DecodeError, chunk};
use crate::examine::Lost;

/// Something that does not hold.
#[derive(Debug)]
pub(crate) struct Flaw {
    /// Which bytes of the file.
    pub(crate) range: Option<Range<u64>>,
    pub(crate) reason: String,
    /// Which samples cannot be read for it.
    pub(crate) lost: Option<Lost>,
}

/// A page, or why it cannot be read.
type PageRead = Result<Arc<[u8]>, String>;

/// What is learnt on the way through a block.
struct Walk<'b> {
    block: &'b Block,
    flaws: Vec<Flaw>,
    postings: BTreeMap<(u32, u32), PostingsList>,
    /// Whether all series could be read, so that totals and postings can be held against them.
    all_series: bool,
    last_pairs: Vec<(u32, u32)>,
    series: u32,
    samples: u64,
    times: Option<(TimestampMs, TimestampMs)>,
    /// The page of chunks at hand, and what is wrong with it.
    page: Option<(u32, PageRead)>,
    scratch: ReadScratch,
    /// What is lost with pages of chunks.
    lost: HashMap<u32, (String, Lost)>,
}

impl Block {
    /// Every flaw of the block. `read` is told of the bytes that were read.
    pub(crate) fn flaws(&self, read: &mut dyn FnMut(u64)) -> Vec<Flaw> {
        let mut walk = Walk::new(self);
        walk.frame();
        walk.symbols(read);
        walk.series(read);
        walk.unread_chunks(read);
        walk.totals();
        walk.postings(read);
        let Walk { mut flaws, lost, .. } = walk;
        let mut lost: Vec<_> = lost.into_iter().collect();
        lost.sort_by_key(|(page, _)| *page);
        for (page, (reason, lost)) in lost {
            let range = self.directories.chunks.get(page as usize).map(|place| range(*place));
            flaws.push(Flaw { range, reason: format!("page {page} of chunks: {reason}"), lost: Some(lost) });
        }
        flaws
    }

    fn text_of_page(&self, place: PageRef) -> PageRead {
        self.page(place, Caching::Pass).map_err(|error| match error {
            crate::Error::DamagedBlock { reason, .. } => reason,
            crate::Error::Io { source, .. } => source.to_string(),
            other => other.to_string(),
        })
    }
}

impl<'b> Walk<'b> {
    fn new(block: &'b Block) -> Self {
        Walk {
            block,
            flaws: Vec::new(),
            postings: BTreeMap::new(),
            all_series: true,
            last_pairs: Vec::new(),
            series: 0,
            samples: 0,
            times: None,
            page: None,
            scratch: ReadScratch::default(),
            lost: HashMap::new(),
        }
    }

    fn flaw(&mut self, place: Option<PageRef>, reason: impl Into<String>) {
        self.flaws.push(Flaw { range: place.map(range), reason: reason.into(), lost: None });
    }

    /// Header and trailer, and whether every byte belongs to something.
    fn frame(&mut self) {
        let mut header = [0; HEADER_LEN];
        match self.block.file().read_exact_at(&mut header, 0) {
            Ok(()) if header == file::header(footer::MAGIC, footer::VERSION) => {}
            Ok(()) => self.flaws.push(Flaw {
                range: Some(0..HEADER_LEN as u64),
                reason: "the header is not that of a block of this version".to_owned(),
                lost: None,
            }),
            Err(error) => self.flaw(None, error.to_string()),
        }
        let directories = &self.block.directories;
        let named = directories.symbols.iter().map(|(_, place)| place);
        let named = named.chain(&directories.series).chain(directories.postings.iter().map(|(_, place)| place));
        let mut places: Vec<Range<u64>> = named.chain(&directories.chunks).map(|place| range(*place)).collect();
        places.sort_by_key(|place| place.start);
        let mut at = HEADER_LEN as u64;
        for place in places.into_iter().chain([self.block.footer_range()]) {
            if place.start != at {
                let (from, to) = (at.min(place.start), at.max(place.start));
                let reason = if at < place.start { "bytes that belong to no page" } else { "pages that overlap" };
                self.flaws.push(Flaw { range: Some(from..to), reason: reason.to_owned(), lost: None });
            }
            at = at.max(place.end);
        }
    }

    fn symbols(&mut self, read: &mut dyn FnMut(u64)) {
        let block = self.block;
        let (mut before, mut count): (Option<String>, usize) = (None, 0);
        let mut complete = true;
        for (number, (first, place)) in block.directories.symbols.iter().enumerate() {
            read(u64::from(place.len));
            let decoded = block.text_of_page(*place);
            match decoded.and_then(|bytes| pages::read_symbols(&bytes).map_err(|error| error.to_string())) {
                Ok(page) => {
                    let texts: Vec<&str> = (0..page.len()).filter_map(|at| page.get(at)).collect();
                    let grows = texts.windows(2).all(|w| w[0] < w[1]);
                    if !grows || before.as_deref() >= texts.first().copied() || texts.first() != Some(&first.as_str()) {
                        self.flaw(Some(*place), format!("page {number} of symbols is not in order"));
                    }
                    count += texts.len();
                    before = texts.last().map(|text| (*text).to_owned()).or(before);
                }
                Err(reason) => {
                    complete = false;
                    self.flaw(Some(*place), format!("page {number} of symbols: {reason}"));
                }
            }
        }
        if complete && count != block.directories.symbol_count as usize {
            let reason = format!("there are {count} symbols, the footer says {}", block.directories.symbol_count);
            self.flaw(None, reason);
        }
    }

    fn series(&mut self, read: &mut dyn FnMut(u64)) {
        let block = self.block;
        for (number, place) in block.directories.series.iter().enumerate() {
            read(u64::from(place.len));
            let expected = (block.meta().series as usize - number * SERIES_PER_PAGE).min(SERIES_PER_PAGE);
            let visited = block.text_of_page(*place).and_then(|bytes| {
                let visited = series_page::read_series(&bytes, &mut |_, entry| {
                    self.entry(*place, entry, read);
                    Ok(std::ops::ControlFlow::Continue(()))
                });
                visited.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            });
            match visited {
                Ok(found) if found == expected => {}
                Ok(found) => self.flaw(Some(*place), format!("page {number} of series has {found} of {expected}")),
                Err(reason) => {
                    self.all_series = false;
                    let lost = Lost {
                        series: expected as u64,
                        samples: 0,
                        from: block.meta().min_time,
                        to: block.meta().max_time,
                    };
                    let reason = format!("page {number} of series: {reason}");
                    self.flaws.push(Flaw { range: Some(range(*place)), reason, lost: Some(lost) });
                }
            }
        }
    }

    /// One series and its chunks.
    fn entry(&mut self, place: PageRef, entry: &SeriesEntry, read: &mut dyn FnMut(u64)) {
        let symbols = self.block.directories.symbol_count;
        let is_known = |(name, value): &(u32, u32)| *name < symbols && *value < symbols;
        if !entry.pairs.iter().all(is_known) || !entry.pairs.windows(2).all(|w| w[0].0 < w[1].0) {
            self.flaw(Some(place), format!("series {} has labels that cannot be", self.series));
        } else if self.series > 0 && self.last_pairs >= entry.pairs {
            self.flaw(Some(place), format!("series {} is not behind the one before", self.series));
        }
        self.last_pairs.clone_from(&entry.pairs);
        // Each label once, also where a damaged page repeats one.
        let mut pairs = entry.pairs.clone();
        pairs.sort_unstable();
        pairs.dedup();
        for pair in pairs {
            self.postings.entry(pair).or_default().push(self.series);
        }
        let (mut floats, mut histograms) = (FloatColumn::default(), HistogramColumn::default());
        let mut whole = true;
        for chunk in &entry.chunks {
            self.samples += u64::from(chunk.samples);
            let (min, max) = self.times.unwrap_or((chunk.min, chunk.max));
            self.times = Some((min.min(chunk.min), max.max(chunk.max)));
            if let Err(reason) = self.chunk(chunk, &mut floats, &mut histograms, read) {
                whole = false;
                let lost = Lost { series: 0, samples: 0, from: chunk.min, to: chunk.max };
                let (_, lost) = self.lost.entry(chunk.page).or_insert((reason, lost));
                lost.series += 1;
                lost.samples += u64::from(chunk.samples);
                lost.from = lost.from.min(chunk.min);
                lost.to = lost.to.max(chunk.max);
            }
        }
        let grows = |times: &[TimestampMs]| times.windows(2).all(|w| w[0] < w[1]);
        if whole && (entry.chunks.is_empty() || !grows(&floats.timestamps) || !grows(&histograms.timestamps)) {
            self.flaw(Some(place), format!("series {} has no chunks, or some that overlap", self.series));
        }
        self.series += 1;
    }

    /// Decodes a chunk and holds it against its entry.
    fn chunk(
        &mut self,
        chunk: &ChunkRef,
        floats: &mut FloatColumn,
        histograms: &mut HistogramColumn,
        read: &mut dyn FnMut(u64),
    ) -> Result<(), String> {
        if self.page.as_ref().is_none_or(|(number, _)| *number != chunk.page) {
            let place = self.block.directories.chunks.get(chunk.page as usize);
            let page = place.ok_or_else(|| "a chunk lies in a page that is not there".to_owned());
            let page = page.and_then(|place| {
                read(u64::from(place.len));
                self.block.text_of_page(*place)
            });
            self.page = Some((chunk.page, page));
        }
        let Some((_, page)) = &self.page else { return Ok(()) };
        let page = page.as_ref().map_err(Clone::clone)?;
        let bytes = page.get(chunk.offset as usize..).and_then(|rest| rest.get(..chunk.len as usize));
        let bytes = bytes.ok_or_else(|| "a chunk lies outside of it".to_owned())?;
        let wrong = |error: DecodeError| format!("a chunk: {error}");
        if !chunk::holds_histograms(bytes) {
            let ChunkRef { min, max, samples, .. } = *chunk;
            return sealed::decode_floats(bytes, Extent { min, max, samples }, &mut self.scratch, floats)
                .map_err(wrong);
        }
        let before = histograms.timestamps.len();
        chunk::decode_histograms(bytes, histograms).map_err(wrong)?;
        let times = &histograms.timestamps[before..];
        let holds = times.len() == chunk.samples as usize
            && (times.first(), times.last()) == (Some(&chunk.min), Some(&chunk.max));
        if holds { Ok(()) } else { Err("a chunk of histograms is not of the times that its entry says".to_owned()) }
    }

    /// Pages of chunks that no series led to.
    fn unread_chunks(&mut self, read: &mut dyn FnMut(u64)) {
        if self.all_series {
            return;
        }
        for (number, place) in self.block.directories.chunks.iter().enumerate() {
            if !self.lost.contains_key(&(number as u32))
                && let Err(reason) = self.block.text_of_page(*place)
            {
                read(u64::from(place.len));
                self.flaw(Some(*place), format!("page {number} of chunks: {reason}"));
            }
        }
    }

    fn totals(&mut self) {
        if !self.all_series {
            return;
        }
        let meta = *self.block.meta();
        let found = (self.series, self.samples, self.times);
        if found != (meta.series, meta.samples, Some((meta.min_time, meta.max_time))) {
            let reason = format!(
                "the footer says {} series and {} samples from {} to {}, there are {} and {} from {:?}",
                meta.series, meta.samples, meta.min_time, meta.max_time, self.series, self.samples, self.times
            );
            self.flaw(None, reason);
        }
    }

    /// Holds the postings against what the series say.
    fn postings(&mut self, read: &mut dyn FnMut(u64)) {
        let block = self.block;
        let mut expected = std::mem::take(&mut self.postings).into_iter();
        let mut comparable = self.all_series;
        let mut written = Vec::new();
        for (number, (first, place)) in block.directories.postings.iter().enumerate() {
            read(u64::from(place.len));
            let bytes = match block.text_of_page(*place) {
                Ok(bytes) => bytes,
                Err(reason) => {
                    comparable = false;
                    self.flaw(Some(*place), format!("page {number} of postings: {reason}"));
                    continue;
                }
            };
            let mut reader = Reader::new(&bytes);
            let mut is_first = true;
            loop {
                let start = bytes.len() - reader.rest().len();
                let entry = match next_postings(&mut reader) {
                    Ok(Some(entry)) => entry,
                    Ok(None) => break,
                    Err(error) => {
                        comparable = false;
                        self.flaw(Some(*place), format!("page {number} of postings: {error}"));
                        break;
                    }
                };
                if std::mem::take(&mut is_first) && entry.label != *first {
                    self.flaw(Some(*place), format!("page {number} of postings does not begin as its directory says"));
                }
                if !comparable {
                    continue;
                }
                written.clear();
                if let Some((label, list)) = expected.next() {
                    list.write(label, &mut written);
                }
                if bytes.get(start..bytes.len() - reader.rest().len()) != Some(written.as_slice()) {
                    comparable = false;
                    self.flaw(Some(*place), format!("page {number} of postings does not list what the series say"));
                }
            }
        }
        if comparable && expected.next().is_some() {
            self.flaw(None, "labels of series have no postings");
        }
    }
}

fn range(place: PageRef) -> Range<u64> {
    place.offset..place.offset + u64::from(place.len)
}

impl Block {
    /// The footer and what follows it.
    fn footer_range(&self) -> Range<u64> {
        let mut trailer = [0; TRAILER_LEN];
        let at = self.bytes().saturating_sub(TRAILER_LEN as u64);
        let read = self.file().read_exact_at(&mut trailer, at);
        let offset = read.ok().and_then(|()| footer::read_trailer(&trailer, self.bytes()).ok());
        offset.map_or(at, |(footer, _)| footer.offset)..self.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sonde_disk::MemFs;

    use super::*;
    use crate::block::{BlockWriter, Cached, Identity, PageCache};
    use crate::columns::Columns;

    #[test]
    fn a_series_that_repeats_a_label_is_a_flaw_and_no_more() {
        let (fs, path) = (MemFs::new(), Path::new("block"));
        let identity = Identity { seq: 1, rank: 1, level: 0, created: 0 };
        let mut writer = BlockWriter::create(&fs, path, &["a", "b"], identity).unwrap();
        let mut columns = Columns::default();
        columns.floats.push(5, 1.0);
        writer.series(&[(0, 1)], &columns).unwrap();
        writer.finish().unwrap();
        let block = Block::open(&fs, path, Arc::new(PageCache::new(1 << 20, Cached::bytes))).unwrap();
        let mut walk = Walk::new(&block);
        let place = block.directories.series[0];
        let mut entries = Vec::new();
        let found = block.visit_series(0..1, Caching::Pass, &mut |entry| {
            entries.push(entry.clone());
            Ok(())
        });
        found.unwrap();
        entries[0].pairs = vec![(0, 1), (0, 1)];
        walk.entry(place, &entries[0], &mut |_| {});
        assert!(walk.flaws[0].reason.contains("labels that cannot be"), "{:?}", walk.flaws);
    }
}
