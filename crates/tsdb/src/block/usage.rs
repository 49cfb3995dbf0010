//! What the bytes of a block are for.

use std::collections::BTreeMap;

use super::footer::PageRef;
use super::index::BlockIndex;
use super::reader::{Block, Caching, HeldPage};
use super::series_page::SeriesEntry;
use crate::Error;
use crate::codec::chunk;
use crate::codec::sealed::{self, Extent};
use crate::examine::{BlockUse, CodecUse, MetricUse, SectionUse, Sections};

/// What metrics take, by name.
pub(crate) type Metrics = BTreeMap<String, MetricUse>;

/// The symbol of a metric's name, and what it takes: bytes in hundredths, so that small shares add up.
type BySymbol = BTreeMap<Option<u32>, (u64, u64, f64)>;

impl Block {
    /// What the bytes of the block are for; `metrics` is added to. `read` is told of each page that was read.
    pub(crate) fn usage(&self, metrics: &mut Metrics, read: &mut dyn FnMut(u64)) -> Result<BlockUse, Error> {
        let meta = self.meta();
        let directories = &self.directories;
        let mut sections = Sections::default();
        let symbols = directories.symbols.iter().map(|(_, page)| page);
        let postings = directories.postings.iter().map(|(_, page)| page);
        symbols.for_each(|page| add(&mut sections.symbols, *page));
        postings.for_each(|page| add(&mut sections.postings, *page));
        directories.series.iter().for_each(|page| add(&mut sections.series, *page));
        let chunks: u64 = directories.chunks.iter().map(|page| u64::from(page.len)).sum();
        let pages = sections.symbols.bytes + sections.postings.bytes + sections.series.bytes + chunks;
        let frame = self.bytes().saturating_sub(pages);
        sections.frame.add(frame, frame);

        let index = BlockIndex::new(self);
        let name = index.find(sonde_model::METRIC_NAME)?;
        let mut by_symbol = BySymbol::new();
        let mut codecs: BTreeMap<&'static str, CodecUse> = BTreeMap::new();
        let mut shares = [0.0; 3];
        let mut held = HeldPage::default();
        let mut page_read = None;
        self.visit_series(0..meta.series, Caching::Pass, &mut |entry: &SeriesEntry| {
            let of_name = entry.pairs.iter().find(|(n, _)| Some(*n) == name).map(|(_, value)| *value);
            let taken = by_symbol.entry(of_name).or_default();
            taken.0 += 1;
            for place in &entry.chunks {
                if page_read != Some(place.page) {
                    page_read = Some(place.page);
                    read(directories.chunks.get(place.page as usize).map_or(0, |page| u64::from(page.len)));
                }
                let ratio = directories.chunks.get(place.page as usize).map_or(1.0, ratio);
                let bytes = self.chunk(place, Caching::Pass, &mut held)?;
                let (codec, parts) = if chunk::holds_histograms(bytes) {
                    ("histograms", [0, 0, bytes.len()])
                } else {
                    let extent = Extent { min: place.min, max: place.max, samples: place.samples };
                    let anatomy = sealed::anatomy(bytes, extent).map_err(|e| self.undecodable(e))?;
                    (anatomy.codec, [anatomy.times, anatomy.values, 0])
                };
                let codec = codecs.entry(codec).or_insert_with(|| CodecUse { codec, ..CodecUse::default() });
                codec.chunks += 1;
                codec.samples += u64::from(place.samples);
                codec.bytes += bytes.len() as u64;
                taken.1 += u64::from(place.samples);
                taken.2 += bytes.len() as f64 * ratio;
                let of_part = [&mut sections.timestamps, &mut sections.values, &mut sections.histograms];
                for ((section, share), part) in of_part.into_iter().zip(&mut shares).zip(parts) {
                    section.unpacked += part as u64;
                    *share += part as f64 * ratio;
                }
            }
            Ok(())
        })?;
        for (section, share) in
            [&mut sections.timestamps, &mut sections.values, &mut sections.histograms].into_iter().zip(shares)
        {
            section.bytes = share.round() as u64;
        }
        for (symbol, (series, samples, bytes)) in by_symbol {
            let name = symbol.map_or(Ok(""), |symbol| index.text(symbol))?.to_owned();
            let metric = metrics.entry(name).or_default();
            metric.series += series;
            metric.samples += samples;
            metric.bytes += bytes.round() as u64;
        }
        let mut codecs: Vec<CodecUse> = codecs.into_values().collect();
        codecs.sort_by_key(|codec| std::cmp::Reverse(codec.bytes));
        Ok(BlockUse {
            seq: meta.seq,
            level: meta.level,
            min_time: meta.min_time,
            max_time: meta.max_time,
            created: meta.created,
            series: u64::from(meta.series),
            samples: meta.samples,
            bytes: self.bytes(),
            sections,
            codecs,
        })
    }
}

fn add(section: &mut SectionUse, page: PageRef) {
    section.add(u64::from(page.len), u64::from(if page.unpacked == 0 { page.len } else { page.unpacked }));
}

/// Bytes in the file for each byte of a page.
fn ratio(page: &PageRef) -> f64 {
    if page.unpacked == 0 { 1.0 } else { f64::from(page.len) / f64::from(page.unpacked) }
}
