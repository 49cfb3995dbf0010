//! A block gives back what was written; damage is noticed and never a panic.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use sonde_disk::{Fs, MemFs};
use sonde_model::{FloatColumn, Histogram, Labels, MatchOp, Matcher};

use super::footer::Meta;
use super::reader::{Caching, HeldPage};
use super::*;
use crate::columns::Columns;
use crate::index::resolve::resolve;

fn write(fs: &dyn Fs, path: &Path, series: &BTreeMap<Labels, Columns>) -> (Meta, u64) {
    let mut symbols: Vec<&str> = series.keys().flat_map(|l| l.iter().flat_map(|(n, v)| [n, v])).collect();
    symbols.sort_unstable();
    symbols.dedup();
    let number = |text: &str| symbols.binary_search(&text).unwrap() as u32;
    let mut writer =
        BlockWriter::create(fs, path, &symbols, Identity { seq: 7, rank: 7, level: 0, created: 123 }).unwrap();
    for (labels, columns) in series {
        let pairs: Vec<(u32, u32)> = labels.iter().map(|(n, v)| (number(n), number(v))).collect();
        writer.series(&pairs, columns).unwrap();
    }
    writer.finish().unwrap()
}

fn series(n: usize, samples: usize) -> BTreeMap<Labels, Columns> {
    let mut all = BTreeMap::new();
    for i in 0..n {
        let labels = Labels::from_pairs([
            ("__name__", format!("metric_{}", i % 7)),
            ("instance", format!("host-{i:04}")),
            ("zone", if i % 3 == 0 { String::new() } else { format!("z{}", i % 5) }),
        ]);
        let ts: Vec<i64> = (0..samples as i64).map(|t| 1_000_000 + t * 15_000 + i as i64).collect();
        let values = ts.iter().map(|t| (*t % 1009) as f64 / 100.0 + i as f64).collect();
        let mut columns =
            Columns { floats: FloatColumn { timestamps: ts, values, ..FloatColumn::default() }, ..Columns::default() };
        if i % 11 == 0 {
            for t in 0..5 {
                columns.histograms.push(10 + t, Histogram { count: t as f64, ..Histogram::default() });
            }
        }
        all.insert(labels, columns);
    }
    all
}

fn open(fs: &dyn Fs, path: &Path) -> Result<Block, crate::Error> {
    Block::open(fs, path, Arc::new(PageCache::new(1 << 20, Cached::bytes)))
}

fn read_all(block: &Block) -> Result<BTreeMap<Labels, Columns>, crate::Error> {
    let index = BlockIndex::new(block);
    let (mut all, mut held) = (BTreeMap::new(), HeldPage::default());
    block.visit_series(0..block.meta().series, Caching::Pass, &mut |entry| {
        let columns = block.samples(entry, i64::MIN, i64::MAX, Caching::Pass, &mut held)?;
        all.insert(index.labels(&entry.pairs)?, columns);
        Ok(())
    })?;
    Ok(all)
}

#[test]
fn a_block_comes_back() {
    let (fs, path) = (MemFs::new(), Path::new("a.block"));
    let written = series(500, 300);
    let (meta, bytes) = write(&fs, path, &written);
    let block = open(&fs, path).unwrap();
    assert_eq!((block.meta(), block.bytes(), meta.series, meta.min_time), (&meta, bytes, 500, 10));
    assert!(read_all(&block).unwrap() == written);
    block.verify().unwrap();
    let index = BlockIndex::new(&block);
    assert_eq!(index.names().unwrap(), ["__name__", "instance", "zone"]);
    let sorted: Vec<&Labels> = written.keys().collect();
    for (name, op, value) in [
        ("__name__", MatchOp::Equal, "metric_3"),
        ("__name__", MatchOp::Equal, "metric_9"),
        ("zone", MatchOp::Equal, ""),
        ("zone", MatchOp::NotEqual, ""),
        ("zone", MatchOp::NotEqual, "z1"),
        ("instance", MatchOp::Regex, "host-00.*"),
        ("instance", MatchOp::Regex, "host-..99"),
        ("instance", MatchOp::Regex, "host-0001|host-0400|nothing"),
        ("instance", MatchOp::NotRegex, "host-0[0-3].*"),
        ("zzz", MatchOp::Regex, ".*"),
        ("zzz", MatchOp::Regex, ".+"),
        ("aaa", MatchOp::Equal, "b"),
    ] {
        let matcher = Matcher::new(name, op, value).unwrap();
        let expected: Vec<u32> =
            (0..500).filter(|i| matcher.matches(sorted[*i as usize].get(name).unwrap_or(""))).collect();
        assert_eq!(resolve(&index, std::slice::from_ref(&matcher)).unwrap(), expected, "{matcher}");
    }
}

#[test]
fn another_version_is_told_from_damage() {
    let (fs, path) = (MemFs::new(), Path::new("a.block"));
    let (_, bytes) = write(&fs, path, &series(3, 3));
    let file = fs.open(path).unwrap();
    file.write_at(&[1], bytes - 8).unwrap();
    assert!(matches!(open(&fs, path), Err(crate::Error::DamagedBlock { .. })));
    file.write_at(&[1], 8).unwrap();
    let error = open(&fs, path).unwrap_err();
    assert!(matches!(error, crate::Error::UnknownVersion { version: 1, readable: 3, .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "block a.block has format version 1, this program reads 3; run the release that wrote it"
    );
}

#[test]
fn every_flipped_byte_is_noticed_or_harmless() {
    let (fs, path) = (MemFs::new(), Path::new("a.block"));
    let written = series(9, 20);
    let (_, bytes) = write(&fs, path, &written);
    let file = fs.open(path).unwrap();
    for at in 0..bytes {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_at(&[byte[0] ^ 0x41], at).unwrap();
        let found = open(&fs, path).and_then(|block| block.verify().and_then(|()| read_all(&block)));
        let reserved = (8..16).contains(&at);
        assert!(found.is_err() || reserved, "byte {at}");
        file.write_at(&byte, at).unwrap();
    }
    assert!(read_all(&open(&fs, path).unwrap()).unwrap() == written);
}

proptest! {
    #[test]
    fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = footer::decode(&bytes, 1000);
        let _ = pages::read_symbols(&bytes).map(|page| page.lower_bound("a"));
        let _ = series_page::read_series(&bytes, &mut |_, _| Ok(std::ops::ControlFlow::Continue(())));
        let mut reader = sonde_disk::varint::Reader::new(&bytes);
        while let Ok(Some(entry)) = pages::next_postings(&mut reader) {
            let _ = entry.append_to(&mut Vec::new(), 1000);
        }
    }

    #[test]
    fn postings_lists_come_back(
        list in prop_oneof![prop::collection::btree_set(0u32..5000, 0..300), prop::collection::btree_set(0u32..20, 0..20)]
    ) {
        let list: Vec<u32> = list.into_iter().collect();
        let mut bytes = Vec::new();
        let mut postings = pages::PostingsList::default();
        list.iter().for_each(|series| postings.push(*series));
        postings.write((3, 4), &mut bytes);
        let mut reader = sonde_disk::varint::Reader::new(&bytes);
        let entry = pages::next_postings(&mut reader).unwrap().unwrap();
        let mut read = Vec::new();
        entry.append_to(&mut read, 5000).unwrap();
        prop_assert_eq!((entry.label, read), ((3, 4), list));
    }
}

/// A footer whose checksum holds and that counts the same pages many times over: found by fuzzing.
#[test]
fn pages_that_overlap_are_told_and_counted() {
    let (fs, path) = (MemFs::new(), Path::new("block"));
    write(&fs, path, &series(40, 30));
    let block = open(&fs, path).unwrap();
    let (meta, mut directories) = (*block.meta(), block.directories.clone());
    directories.chunks = directories.chunks.iter().cycle().take(50 * directories.chunks.len()).copied().collect();
    let file = fs.open(path).unwrap();
    let mut trailer = [0; footer::TRAILER_LEN];
    let len = file.len().unwrap();
    file.read_exact_at(&mut trailer, len - footer::TRAILER_LEN as u64).unwrap();
    let (place, _) = footer::read_trailer(&trailer, len).unwrap();
    let footer = footer::encode(&meta, &directories);
    file.set_len(place.offset).unwrap();
    file.write_at(&[footer.as_slice(), &footer::trailer(place.offset, &footer)].concat(), place.offset).unwrap();
    let block = open(&fs, path).unwrap();
    let usage = block.usage(&mut Default::default(), &mut |_| {}).unwrap();
    assert_eq!((usage.series, usage.sections.frame.bytes), (40, 0));
    let flaws = block.flaws(&mut |_| {});
    assert!(flaws.iter().any(|flaw| flaw.reason.contains("overlap")), "{flaws:?}");
}

#[test]
fn parts_of_long_chunks_are_the_same_whatever_was_read_before() {
    let (fs, path) = (MemFs::new(), Path::new("block"));
    let all = series(3, 1_440);
    write(&fs, path, &all);
    let block = open(&fs, path).unwrap();
    let read = |from: i64, to: i64, caching: Caching| {
        let (mut read, mut held) = (Vec::new(), HeldPage::default());
        let mut take = |entry: &SeriesEntry| {
            read.push(block.samples(entry, from, to, caching, &mut held)?);
            Ok(())
        };
        block.visit_series(0..block.meta().series, Caching::Keep, &mut take).unwrap();
        read
    };
    let expected = |from: i64, to: i64| {
        let cut = |columns: &Columns| {
            let mut cut = columns.clone();
            cut.restrict(from, to);
            cut
        };
        all.values().map(cut).collect::<Vec<_>>()
    };
    let end = 1_000_000 + 1_440 * 15_000;
    for (from, to) in
        [(-300_000, 0), (-300_000, 0), (-400_000, 0), (-300_000, 0), (-20_000_000, -19_000_000), (-21_600_000, 9)]
    {
        let (from, to) = (end + from, end + to);
        assert_eq!(read(from, to, Caching::Keep), expected(from, to), "{from} {to}");
        assert_eq!(read(from, to, Caching::Pass), expected(from, to), "{from} {to}");
    }
    let numbers: Vec<u32> = (0..block.meta().series).collect();
    block
        .visit_series(numbers, Caching::Keep, &mut |entry| {
            let key = super::cache::key_of_chunk(block.meta().seq, &entry.chunks[0]);
            assert!(matches!(block.cached(key), Some(Cached::Chunk(_))), "{entry:?}");
            Ok(())
        })
        .unwrap();
}
