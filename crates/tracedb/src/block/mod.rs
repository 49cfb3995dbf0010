//! Immutable files of spans. See docs/format/trace-block.md.
//!
//! Rows lie in the order of service, name and start, in groups; each column of a group is a page. Pages are read when
//! they are asked for, checked, unpacked and kept in one bounded cache.

mod bloom;
mod cache;
mod cells;
mod columns;
mod footer;
mod group;
mod merge;
mod page;
mod reader;
mod scan;
mod tags;
mod traces;
mod unique;
mod writer;

pub(crate) use cache::{Cached, PageCache};
pub(crate) use merge::Merge;
pub(crate) use reader::Block;
pub(crate) use writer::{BlockWriter, Identity};

#[cfg(test)]
mod tests;
