//! What the cache of pages holds: pages that are checked and ready to be read, and what was unpacked of their chunks.
//!
//! Long chunks are packed by an entropy coder, which reads them from the beginning: a query for the last minutes unpacks
//! hours. What the second of two queries unpacks is kept, so that a single scan costs no memory.

use std::sync::Arc;

use sonde_disk::blocks::cache::PageKey;

use super::pages::SymbolPage;
use super::series_page::ChunkRef;
use crate::codec::unseal::Unpacked;

/// The pages and chunks of all blocks that are kept in memory.
pub(crate) type PageCache = sonde_disk::blocks::cache::PageCache<Cached>;

/// A page or a chunk.
#[derive(Clone, Debug)]
pub(crate) enum Cached {
    Page(Arc<[u8]>),
    /// Symbols, read: every query looks some up, in the same few pages.
    Symbols(Arc<SymbolPage>),
    /// A chunk that was unpacked once.
    Met,
    Chunk(Arc<Unpacked>),
}

impl Cached {
    /// The memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        /// Of the entry itself, about.
        const ENTRY: usize = 48;
        ENTRY
            + match self {
                Cached::Page(page) => page.len(),
                Cached::Symbols(symbols) => symbols.bytes(),
                Cached::Met => 0,
                Cached::Chunk(unpacked) => unpacked.bytes(),
            }
    }
}

/// The key of a chunk. Those of pages are offsets in a file, which are below all of these.
pub(super) fn key_of_chunk(block: u64, chunk: &ChunkRef) -> PageKey {
    (block, 1 << 63 | u64::from(chunk.page) << 32 | u64::from(chunk.offset))
}
