//! Blocks of formats that are not read any more: they are set aside, and go when all that they may hold is too old.

use std::path::{Path, PathBuf};

use sonde_disk::Fs;
use sonde_disk::blocks::layout;
use sonde_model::TimestampMs;

use crate::Error;
use crate::db::Db;

/// Comes between the name of such a block and the time at which it was set aside, in ms since the epoch.
pub(crate) const MARK: &str = ".block.outdated-";

/// Renames a block.
pub(crate) fn set_aside(fs: &dyn Fs, block: &Path, now: TimestampMs) -> std::io::Result<PathBuf> {
    let aside = block.with_extension(format!("block.outdated-{now}"));
    tracing::error!(block = %block.display(), aside = %aside.display(), "a block of an old format is not read any more");
    fs.rename(block, &aside)?;
    // The manifest will not name it: under its old name a crash would leave it to be removed.
    if let Some(Err(error)) = block.parent().map(|dir| fs.sync_dir(dir)) {
        tracing::warn!(aside = %aside.display(), %error, "the new name of an old block may not outlive a crash");
    }
    Ok(aside)
}

/// Those that lie in the store at `dir`, with the times at which they were set aside.
pub(crate) fn list(fs: &dyn Fs, dir: &Path) -> Result<Vec<(TimestampMs, PathBuf)>, Error> {
    let blocks = layout::blocks(dir);
    let entries = fs.list(&blocks).map_err(Db::io("list", &blocks))?;
    let since = |name: &str| name.split_once(MARK).and_then(|(_, since)| since.parse().ok());
    Ok(entries.iter().filter_map(|entry| Some((since(&entry.name)?, blocks.join(&entry.name)))).collect())
}

/// Removes those that were set aside before `cutoff`. What cannot be removed is tried again.
pub(crate) fn remove_before(fs: &dyn Fs, outdated: &mut Vec<(TimestampMs, PathBuf)>, cutoff: TimestampMs) -> u64 {
    let before = outdated.len();
    outdated.retain(|(since, path)| *since >= cutoff || fs.remove_file(path).is_err());
    (before - outdated.len()) as u64
}
