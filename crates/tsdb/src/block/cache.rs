//! Pages of blocks in memory, bounded by bytes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// A page: number of the block, offset in its file.
pub(crate) type PageKey = (u64, u64);

/// Pages in two generations: a hit moves a page to the young one; when that is full the old one is dropped. It keeps
/// what is asked for again and forgets a scan, without a list to maintain.
#[derive(Debug)]
pub(crate) struct PageCache {
    generations: Mutex<Generations>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<PageKey, Arc<[u8]>, foldhash::fast::RandomState>,
    old: HashMap<PageKey, Arc<[u8]>, foldhash::fast::RandomState>,
    young_bytes: usize,
}

impl PageCache {
    /// A cache that holds about so many bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        PageCache { generations: Mutex::default(), bytes }
    }

    pub(crate) fn get(&self, key: PageKey) -> Option<Arc<[u8]>> {
        let mut generations = self.generations.lock();
        if let Some(page) = generations.young.get(&key) {
            return Some(Arc::clone(page));
        }
        let page = generations.old.remove(&key)?;
        self.put_young(&mut generations, key, &page);
        Some(page)
    }

    pub(crate) fn put(&self, key: PageKey, page: &Arc<[u8]>) {
        self.put_young(&mut self.generations.lock(), key, page);
    }

    fn put_young(&self, generations: &mut Generations, key: PageKey, page: &Arc<[u8]>) {
        if generations.young_bytes + page.len() > self.bytes / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
        generations.young_bytes += page.len();
        generations.young.insert(key, Arc::clone(page));
    }
}
