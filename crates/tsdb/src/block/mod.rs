//! Blocks: immutable files of sealed samples with an index of their own. See docs/format/block.md.
//!
//! The writer streams series in order and knows no reader; the reader needs only the file. Neither knows of the head.

pub(crate) mod footer;
pub(crate) mod hidden;
mod index;
pub(crate) mod outdated;
mod packing;
mod pages;
pub(crate) mod reader;
mod series_page;
pub(crate) mod usage;
pub(crate) mod verify;
pub(crate) mod writer;

pub(crate) use index::BlockIndex;
pub(crate) use reader::{Block, Caching, HeldPage};
pub(crate) use series_page::{ChunkRef, SeriesEntry};
pub(crate) use writer::{BlockWriter, Identity};

/// The pages of all blocks that are kept in memory.
pub(crate) type PageCache = sonde_disk::blocks::cache::PageCache<std::sync::Arc<[u8]>>;

#[cfg(test)]
mod tests;
