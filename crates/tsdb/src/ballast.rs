//! A reserved file that is given up where a full disk would keep the store from making room.
//!
//! Retention, deletes and the cleaning after them write before they free: a manifest, a list of deletes, what is left of
//! a block. Without the reserve a disk that is full to the last byte could not be emptied by them.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use crate::Error;
use crate::db::Db;

/// Written piece by piece.
const PIECE_BYTES: usize = 1 << 20;
/// The reserve is made when so many times its size are free, so that it is not what fills the disk.
const ROOM: u64 = 4;

/// Where the file lies in the directory of a store.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("ballast")
}

impl Db {
    /// Does a step that makes room. If it fails on a full disk the reserve is given up, and it is tried once more.
    pub(crate) fn with_room<T>(&self, mut step: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        match step() {
            Err(error) if self.is_full(&error) && self.release_ballast() => step(),
            done => done,
        }
    }

    /// Makes the reserve if there is none, the store is large enough for one, and the disk far from full.
    pub(crate) fn restore_ballast(&self) {
        let (options, path) = (&self.shared.options, path(&self.dir));
        let bytes = options.ballast_bytes;
        let blocks: u64 = self.shared.data.read().blocks.iter().map(|b| b.bytes()).sum();
        let there = || self.fs.open(&path).and_then(|file| file.len()).is_ok_and(|len| len >= bytes);
        if bytes == 0 || blocks < options.ballast_from || there() {
            return;
        }
        let _ = self.fs.remove_file(&path);
        let available = self.fs.available_space(&self.dir).unwrap_or(0);
        if available / ROOM < bytes {
            return;
        }
        if let Err(error) = self.write_ballast(&path, bytes) {
            let _ = self.fs.remove_file(&path);
            tracing::warn!(path = %path.display(), %error, "no room could be reserved; it will be tried again");
        }
    }

    /// Random bytes, because some file systems do not store zeros.
    fn write_ballast(&self, path: &Path, bytes: u64) -> std::io::Result<()> {
        let file = self.fs.create(path)?;
        let mut piece = vec![0; PIECE_BYTES];
        let mut state = bytes | 1;
        let mut at = 0;
        while at < bytes {
            for word in piece.chunks_exact_mut(8) {
                // Marsaglia's xorshift64.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                word.copy_from_slice(&state.to_le_bytes());
            }
            let n = usize::try_from(bytes - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
            file.write_at(&piece[..n], at)?;
            at += n as u64;
        }
        file.sync()?;
        self.fs.sync_dir(&self.dir)
    }

    /// Gives the reserve up; true if there was one.
    fn release_ballast(&self) -> bool {
        let released = self.fs.remove_file(&path(&self.dir)).is_ok();
        if released {
            // The room is there once the name is gone for good on file systems that free lazily.
            let _ = self.fs.sync_dir(&self.dir);
            self.shared.stats.ballast_released.fetch_add(1, Relaxed);
            tracing::warn!("the disk is full: the reserved room was given up, so that the store can make room");
        }
        released
    }

    /// Whether a step has failed for want of room that the reserve has.
    fn is_full(&self, error: &Error) -> bool {
        let reserve = self.shared.options.ballast_bytes;
        match error {
            // Where it would not do, it would be given up and made again with each maintenance.
            Error::NoSpace { needed, available } => *needed <= available.saturating_add(reserve),
            Error::Io { .. } | Error::NotWritten { .. } | Error::Wal(_) => {
                self.fs.available_space(&self.dir).is_ok_and(|available| available < reserve)
            }
            _ => false,
        }
    }
}
