//! The names of all files of a store, relative to its directory.

use std::path::{Path, PathBuf};

/// Held while the store is open.
pub fn lock(dir: &Path) -> PathBuf {
    dir.join("LOCK")
}

/// The list of blocks: the commit point of flushes, merges and retention.
pub fn manifest(dir: &Path) -> PathBuf {
    dir.join("manifest")
}

/// What is known about the clock.
pub fn clock(dir: &Path) -> PathBuf {
    dir.join("clock")
}

/// The write-ahead log.
pub fn wal(dir: &Path) -> PathBuf {
    dir.join("wal")
}

/// Where blocks lie.
pub fn blocks(dir: &Path) -> PathBuf {
    dir.join("blocks")
}

/// The file of a block.
pub fn block(dir: &Path, seq: u64) -> PathBuf {
    blocks(dir).join(format!("{seq:016x}.block"))
}

/// The name under which a damaged block is kept.
pub fn damaged(block: &Path) -> PathBuf {
    block.with_extension("block.damaged")
}

/// The number of the block that a file name stands for.
pub fn block_seq(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".block").filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}
