//! What the cache of pages holds: pages that are checked, unpacked and ready to be read.

use std::sync::Arc;

use super::bloom::Bloom;
use super::page::Page;
use super::traces::TracePage;

/// The pages of all blocks that are kept in memory.
pub(crate) type PageCache = sonde_disk::blocks::cache::PageCache<Cached>;

/// An unpacked page.
#[derive(Clone, Debug)]
pub(crate) enum Cached {
    Column(Arc<Page>),
    Traces(Arc<TracePage>),
    Bloom(Arc<Bloom>),
}

impl Cached {
    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Cached::Column(page) => page.bytes(),
            Cached::Traces(page) => page.bytes(),
            Cached::Bloom(bloom) => bloom.bytes(),
        }
    }
}
