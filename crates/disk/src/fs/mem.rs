//! A file system in memory that can lose power.
//!
//! It keeps apart what a program sees and what a disk holds: [`MemFs::crash`] yields the machine after a power cut,
//! where any part of what was not synced may be there, torn by sectors, and any of the names not synced may be missing.

mod file;
mod tree;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use parking_lot::Mutex;

use super::{Entry, File, Fs, FsLock};
pub(super) use file::MemFile;
use tree::{Node, Tree};

/// A file system in memory that can lose power. A clone is the same file system.
#[derive(Clone, Debug, Default)]
pub struct MemFs {
    tree: Arc<Mutex<Tree>>,
    capacity: Arc<Mutex<Option<u64>>>,
    locks: Arc<Mutex<HashSet<PathBuf>>>,
}

impl MemFs {
    /// An empty file system without a limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bounds the bytes of all files together: writes beyond it fail with `StorageFull`. `None` lifts the bound.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        *self.capacity.lock() = bytes;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.tree.lock().used()
    }

    /// What is found after a power cut at this moment, as a file system of its own without locks: synced bytes and
    /// names are there, of everything else the seed decides. This file system stays as it is, so that what still runs
    /// on it does no harm.
    pub fn crash(&self, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let tree = self.tree.lock().crash(&mut rng);
        Self {
            tree: Arc::new(Mutex::new(tree)),
            capacity: Arc::new(Mutex::new(*self.capacity.lock())),
            locks: Arc::default(),
        }
    }

    /// What another process finds after this one was killed at this moment: everything that was written, whether it
    /// is synced or not, as a file system of its own without locks.
    pub fn fork(&self) -> Self {
        let tree = self.tree.lock().fork();
        Self {
            tree: Arc::new(Mutex::new(tree)),
            capacity: Arc::new(Mutex::new(*self.capacity.lock())),
            locks: Arc::default(),
        }
    }

    /// Flips the bits of `mask` in one byte of a file, below every promise: for tests of damage.
    pub fn corrupt(&self, path: &Path, offset: u64, mask: u8) -> io::Result<()> {
        self.file(path)?.corrupt(offset, mask)
    }

    pub(super) fn create_file(&self, path: &Path) -> io::Result<Arc<MemFile>> {
        let file = Arc::new(MemFile::default());
        self.tree.lock().create(path, Node::File(Arc::clone(&file)))?;
        Ok(file)
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<Arc<MemFile>> {
        self.tree.lock().file(path)
    }

    /// Writes through to `file` if the capacity allows it; like a disk that fills up, it writes the part that fits.
    pub(super) fn write(&self, file: &MemFile, buf: &[u8], offset: u64) -> io::Result<()> {
        let capacity = self.capacity.lock();
        let Some(capacity) = *capacity else { return file.write_at(buf, offset) };
        let free = capacity.saturating_sub(self.used());
        let writable = (file.len() + free).saturating_sub(offset).min(buf.len() as u64);
        let fits = usize::try_from(writable).unwrap_or(buf.len());
        file.write_at(&buf[..fits], offset)?;
        if fits < buf.len() {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the in-memory file system is full"));
        }
        Ok(())
    }

    fn handle(&self, file: Arc<MemFile>) -> Arc<dyn File> {
        Arc::new(MemHandle { fs: self.clone(), file })
    }
}

impl Fs for MemFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.handle(self.create_file(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        Ok(self.handle(self.file(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.tree.lock().list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.tree.lock().create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.tree.lock().rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut tree = self.tree.lock();
        let file = tree.file(from)?;
        tree.create(to, Node::File(file))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.tree.lock().remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.tree.lock().remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.tree.lock().sync_dir(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        Ok(self.tree.lock().exists(path))
    }

    fn available_space(&self, _dir: &Path) -> io::Result<u64> {
        Ok(self.capacity.lock().map_or(u64::MAX, |capacity| capacity.saturating_sub(self.used())))
    }

    fn lock(&self, path: &Path) -> io::Result<FsLock> {
        if !self.exists(path)? {
            self.create_file(path)?;
        }
        if !self.locks.lock().insert(path.to_owned()) {
            return Err(io::Error::new(io::ErrorKind::WouldBlock, format!("{} is locked", path.display())));
        }
        Ok(FsLock::new(path, HeldLock { locks: Arc::clone(&self.locks), path: path.to_owned() }))
    }
}

/// A handle on a file, which needs the file system for its capacity.
#[derive(Debug)]
struct MemHandle {
    fs: MemFs,
    file: Arc<MemFile>,
}

impl File for MemHandle {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        Ok(self.file.read_at(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.fs.write(&self.file, buf, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = len.saturating_sub(self.file.len());
        if self.fs.capacity.lock().is_some_and(|capacity| grows > capacity.saturating_sub(self.fs.used())) {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the in-memory file system is full"));
        }
        self.file.set_len(len)
    }
}

struct HeldLock {
    locks: Arc<Mutex<HashSet<PathBuf>>>,
    path: PathBuf,
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        self.locks.lock().remove(&self.path);
    }
}
