//! Blocks: immutable files of sealed samples with an index of their own. See docs/format/block.md.
//!
//! The writer streams series in order and knows no reader; the reader needs only the file. Neither knows of the head.

mod cache;
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

pub(crate) use cache::{Cached, PageCache};
pub(crate) use index::BlockIndex;
pub(crate) use reader::{Block, Caching, HeldPage};
pub(crate) use series_page::{ChunkRef, SeriesEntry};
pub(crate) use writer::{BlockWriter, Identity};

#[cfg(test)]
mod tests;
