//! Pages of blocks in memory, bounded by bytes.

use std::collections::HashMap;

use parking_lot::Mutex;

/// A page: number of the block, offset in its file.
pub type PageKey = (u64, u64);

/// Pages in two generations: a hit moves a page to the young one; when that is full the old one is dropped. It keeps
/// what is asked for again and forgets a scan, without a list to maintain.
///
/// `P` is a page as the store uses it, cheap to clone.
#[derive(Debug)]
pub struct PageCache<P> {
    generations: Mutex<Generations<P>>,
    bytes: usize,
    weigh: fn(&P) -> usize,
}

#[derive(Debug)]
struct Generations<P> {
    young: HashMap<PageKey, P, foldhash::fast::RandomState>,
    old: HashMap<PageKey, P, foldhash::fast::RandomState>,
    young_bytes: usize,
}

impl<P: Clone> PageCache<P> {
    /// A cache that holds about so many bytes; `weigh` tells those of a page.
    pub fn new(bytes: usize, weigh: fn(&P) -> usize) -> Self {
        let generations = Generations { young: HashMap::default(), old: HashMap::default(), young_bytes: 0 };
        PageCache { generations: Mutex::new(generations), bytes, weigh }
    }

    /// The page, if it is still there.
    pub fn get(&self, key: PageKey) -> Option<P> {
        let mut generations = self.generations.lock();
        if let Some(page) = generations.young.get(&key) {
            return Some(page.clone());
        }
        let page = generations.old.remove(&key)?;
        self.put_young(&mut generations, key, page.clone());
        Some(page)
    }

    /// Keeps a page for a while.
    pub fn put(&self, key: PageKey, page: P) {
        self.put_young(&mut self.generations.lock(), key, page);
    }

    fn put_young(&self, generations: &mut Generations<P>, key: PageKey, page: P) {
        let bytes = (self.weigh)(&page);
        if let Some(before) = generations.young.remove(&key) {
            generations.young_bytes -= (self.weigh)(&before);
        }
        if generations.young_bytes + bytes > self.bytes / 2 {
            generations.old = std::mem::take(&mut generations.young);
            generations.young_bytes = 0;
        }
        generations.young_bytes += bytes;
        generations.young.insert(key, page);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_again_stays_and_a_scan_is_forgotten() {
        let cache: PageCache<usize> = PageCache::new(200, |page| *page);
        cache.put((1, 0), 60);
        for scanned in 0..10 {
            assert_eq!(cache.get((1, 0)), Some(60), "{scanned}");
            cache.put((2, scanned), 60);
        }
        assert_eq!((cache.get((2, 0)), cache.get((2, 9))), (None, Some(60)));
    }

    #[test]
    fn what_is_replaced_takes_no_room() {
        let cache: PageCache<usize> = PageCache::new(200, |page| *page);
        cache.put((1, 0), 10);
        (30..60).for_each(|bytes| cache.put((2, 0), bytes));
        assert_eq!((cache.get((1, 0)), cache.get((2, 0))), (Some(10), Some(59)));
        assert_eq!(cache.generations.lock().young_bytes, 69);
    }
}
