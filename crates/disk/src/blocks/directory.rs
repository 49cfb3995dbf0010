//! The directory of a store: the blocks that lie in it, the file of its manifest, blocks that were set aside.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{layout, manifest};
use crate::varint::DecodeError;
use crate::{Fs, read_all, write_atomic};

/// The file system refused an operation on a file of the store.
#[derive(Debug, Error)]
#[error("{action} {path}")]
pub struct FileError {
    /// What was attempted.
    pub action: &'static str,
    /// On what.
    pub path: PathBuf,
    /// What the file system said.
    #[source]
    pub source: std::io::Error,
}

impl FileError {
    fn of(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| FileError { action, path, source }
    }
}

/// A block that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// Where the file is now; where it was, if it is missing or could not be renamed.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// The numbers of all blocks that lie there, whether they count or not.
pub fn list_blocks(fs: &dyn Fs, dir: &Path) -> Result<BTreeSet<u64>, FileError> {
    let blocks_dir = layout::blocks(dir);
    let entries = fs.list(&blocks_dir).map_err(FileError::of("list", &blocks_dir))?;
    Ok(entries.iter().filter(|e| !e.is_dir).filter_map(|e| layout::block_seq(&e.name)).collect())
}

/// The manifest as `decode` reads it, or how it is damaged. A new store is given the manifest `new`. A file that cannot
/// be read for a reason that says nothing about it is an error.
pub fn read_manifest<M>(
    fs: &dyn Fs,
    dir: &Path,
    new: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<M, DecodeError>,
) -> Result<Result<M, String>, FileError> {
    let path = layout::manifest(dir);
    if !fs.exists(&path).map_err(FileError::of("look for", &path))? {
        if fs.exists(&layout::wal(dir)).map_err(FileError::of("look for", &path))? {
            return Ok(Err("the file is missing".to_owned()));
        }
        // Written before the WAL is made, so that only a lost manifest is ever missing.
        write_atomic(fs, &path, new).map_err(FileError::of("write", &path))?;
        return Ok(decode(new).map_err(|error| error.to_string()));
    }
    let decoded = match read_all(fs, &path, manifest::MAX_BYTES) {
        Ok(bytes) => decode(&bytes).map_err(|error| error.to_string()),
        // A disk that answers again tomorrow still holds it: it must not be built anew for that.
        Err(source) if !says_damaged(&source) && source.kind() != io::ErrorKind::FileTooLarge => {
            return Err(FileError { action: "read", path, source });
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(reason) = &decoded {
        tracing::error!(path = %path.display(), reason, "the manifest is damaged; all readable blocks are taken");
    }
    Ok(decoded)
}

/// Makes a manifest count. If that fails, the old one may stand or the new one: the `new` files that it names join
/// the `orphans`, which are kept until another one is written.
pub fn write_manifest(
    fs: &dyn Fs,
    dir: &Path,
    manifest: &[u8],
    new: Vec<PathBuf>,
    orphans: &mut Vec<PathBuf>,
) -> Result<(), FileError> {
    let path = layout::manifest(dir);
    if let Err(source) = write_atomic(fs, &path, manifest) {
        orphans.extend(new);
        return Err(FileError { action: "write", path, source });
    }
    for orphan in std::mem::take(orphans) {
        // What cannot be removed now goes at the next start.
        let _ = fs.remove_file(&orphan);
    }
    Ok(())
}

/// Removes the files of flushes and merges that did not get as far as the manifest, and of blocks that were dropped:
/// those `listed` that do not `count`, which is sorted.
pub fn remove_leftovers(fs: &dyn Fs, dir: &Path, listed: &BTreeSet<u64>, count: &[u64]) {
    for seq in listed.iter().filter(|seq| count.binary_search(seq).is_err()) {
        let path = layout::block(dir, *seq);
        if let Err(error) = fs.remove_file(&path) {
            tracing::warn!(path = %path.display(), %error, "a left-over block could not be removed");
        }
    }
}

/// Removes the file of a block that does not count any more. If it cannot be removed now it goes at the next start.
pub fn remove_block(fs: &dyn Fs, block: &Path) {
    if let Err(error) = fs.remove_file(block) {
        tracing::warn!(block = %block.display(), %error, "a dropped block could not be removed yet");
    }
}

/// Whether an error of opening a block is about the file itself, and not about what the system is short of.
pub fn says_damaged(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}

/// Renames a damaged block, so that it is kept for a look and never opened again.
pub fn set_aside(fs: &dyn Fs, block: &Path, reason: String) -> Quarantined {
    let aside = layout::damaged(block);
    tracing::error!(block = %block.display(), reason, "a block is damaged and was set aside");
    match fs.rename(block, &aside) {
        Ok(()) => {
            // No manifest names it: under its old name a crash would leave it to be removed.
            if let Some(Err(error)) = block.parent().map(|dir| fs.sync_dir(dir)) {
                tracing::warn!(aside = %aside.display(), %error, "the new name of a damaged block may not outlive a crash");
            }
            Quarantined { path: aside, reason }
        }
        Err(_) => Quarantined { path: block.to_owned(), reason },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemFs;

    fn mark(bytes: &[u8]) -> Result<u64, DecodeError> {
        manifest::decode::<1>(*b"SONDETST", bytes).map(|([mark], _)| mark)
    }

    #[test]
    fn a_manifest_is_new_or_lost_or_damaged() {
        let (fs, dir) = (MemFs::new(), Path::new("/store"));
        fs.create_dir_all(&layout::blocks(dir)).unwrap();
        let bytes = |mark| manifest::encode(*b"SONDETST", &[mark], &[]);
        assert_eq!(read_manifest(&fs, dir, &bytes(0), mark).unwrap(), Ok(0));
        write_manifest(&fs, dir, &bytes(7), Vec::new(), &mut Vec::new()).unwrap();
        assert_eq!(read_manifest(&fs, dir, &bytes(0), mark).unwrap(), Ok(7));
        write_atomic(&fs, &layout::manifest(dir), b"nonsense").unwrap();
        assert!(read_manifest(&fs, dir, &bytes(0), mark).unwrap().unwrap_err().contains("checksum"));
        fs.remove_file(&layout::manifest(dir)).unwrap();
        fs.create_dir_all(&layout::wal(dir)).unwrap();
        assert_eq!(read_manifest(&fs, dir, &bytes(0), mark).unwrap(), Err("the file is missing".to_owned()));
    }

    #[test]
    fn only_blocks_that_count_stay() {
        let (fs, dir) = (MemFs::new(), Path::new("/store"));
        fs.create_dir_all(&layout::blocks(dir)).unwrap();
        for seq in 1..=4 {
            fs.create(&layout::block(dir, seq)).unwrap();
        }
        let listed = list_blocks(&fs, dir).unwrap();
        assert_eq!(listed, BTreeSet::from([1, 2, 3, 4]));
        remove_leftovers(&fs, dir, &listed, &[2, 4]);
        let aside = set_aside(&fs, &layout::block(dir, 4), "for a test".to_owned());
        assert!(fs.exists(&aside.path).unwrap());
        let mut orphans = vec![layout::block(dir, 2)];
        write_manifest(&fs, dir, b"", vec![layout::block(dir, 5)], &mut orphans).unwrap();
        assert_eq!((list_blocks(&fs, dir).unwrap(), orphans), (BTreeSet::new(), Vec::new()));
    }
}
