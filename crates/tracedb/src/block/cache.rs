//! Unpacked pages of blocks in memory, bounded by bytes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::bloom::Bloom;
use super::page::Page;
use super::traces::TracePage;

/// A page: number of the block, offset in its file.
pub(crate) type PageKey = (u64, u64);

/// An unpacked page.
#[derive(Clone, Debug)]
pub(crate) enum Cached {
    Column(Arc<Page>),
    Traces(Arc<TracePage>),
    Bloom(Arc<Bloom>),
}

impl Cached {
    fn bytes(&self) -> usize {
        match self {
            Cached::Column(page) => page.bytes(),
            Cached::Traces(page) => page.bytes(),
            Cached::Bloom(bloom) => bloom.bytes(),
        }
    }
}

/// Pages in two generations: a hit moves a page to the young one; when that is full the old one is dropped. It keeps
/// what is asked for again and forgets a scan, without a list to maintain.
#[derive(Debug)]
pub(crate) struct PageCache {
    generations: Mutex<Generations>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<PageKey, Cached, foldhash::fast::RandomState>,
    old: HashMap<PageKey, Cached, foldhash::fast::RandomState>,
    young_bytes: usize,
}

impl PageCache {
    /// A cache that holds about so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        PageCache { generations: Mutex::default(), bytes }
    }

    pub(crate) fn get(&self, key: PageKey) -> Option<Cached> {
        let mut generations = self.generations.lock();
        if let Some(page) = generations.young.get(&key) {
            return Some(page.clone());
        }
        let page = generations.old.remove(&key)?;
        self.put_young(&mut generations, key, page.clone());
        Some(page)
    }

    pub(crate) fn put(&self, key: PageKey, page: Cached) {
        self.put_young(&mut self.generations.lock(), key, page);
    }

    fn put_young(&self, generations: &mut Generations, key: PageKey, page: Cached) {
        if generations.young_bytes + page.bytes() > self.bytes / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
        generations.young_bytes += page.bytes();
        generations.young.insert(key, page);
    }
}
