//! The seam between everything that stores bytes and the file system beneath.
//!
//! Three implementations: [`OsFs`] is the operating system, [`MemFs`] keeps files in memory and can lose power,
//! [`FaultFs`] wraps a [`MemFs`] and fails on demand. The seam promises no more than POSIX does: bytes are durable
//! after [`File::sync`], names after [`Fs::sync_dir`], and nothing else is.

mod fault;
mod mem;
mod os;

use std::any::Any;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use fault::{FaultFs, FaultRates, Operation};
pub use mem::MemFs;
pub use os::OsFs;

/// A file system, as much of one as a store needs. Paths are used as given; parents must exist unless said otherwise.
pub trait Fs: Send + Sync + fmt::Debug {
    /// Creates an empty file for reading and writing; fails with `AlreadyExists` if there is one.
    /// The name is durable after [`Fs::sync_dir`] of its parent.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// As [`Fs::create`]; nobody but the owner may open the file, where the file system knows owners.
    fn create_private(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.create(path)
    }

    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;

    /// The entries of a directory, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Creates a directory and the parents it lacks, durably: the names survive a crash once this has returned.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Renames a file or a directory, replacing a file that has the new name. Atomic; durable after [`Fs::sync_dir`]
    /// of the parent (of both, if they differ).
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Gives a file a second name, which must not exist, on the same file system. Durable after [`Fs::sync_dir`] of the
    /// new name's parent; the bytes are shared.
    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file. Open handles keep working; durable after [`Fs::sync_dir`] of the parent.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes a directory and all it holds; durable after [`Fs::sync_dir`] of the parent.
    fn remove_dir_all(&self, dir: &Path) -> io::Result<()>;

    /// Makes the names in a directory durable: what was created, renamed and removed in it.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// Whether a file or directory of this name exists.
    fn exists(&self, path: &Path) -> io::Result<bool>;

    /// Bytes that an ordinary user can still write on the file system that holds `dir`.
    fn available_space(&self, dir: &Path) -> io::Result<u64>;

    /// Takes an exclusive lock on `path`, creating the file if needed; fails with `WouldBlock` while another process
    /// or another holder in this one has it. The lock ends when the returned value is dropped or the process dies.
    fn lock(&self, path: &Path) -> io::Result<FsLock>;
}

/// An open file. Positions are explicit, so a handle can be shared between threads.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads up to `buf.len()` bytes at `offset`; 0 means the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `buf` at `offset`, growing the file if needed. After an error any part of it may have been
    /// written. Durable after [`File::sync`].
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the bytes and the length durable. After an error nothing is known about bytes written since the last
    /// success, and a later success says nothing about them: they must be written elsewhere.
    fn sync(&self) -> io::Result<()>;

    /// The length in bytes.
    fn len(&self) -> io::Result<u64>;

    /// Cuts the file or extends it with zeros.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Whether the file holds no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }

    /// Fills `buf` from `offset`; `UnexpectedEof` if the file ends before.
    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            match self.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends inside the range")),
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name without the directory. Names that are not UTF-8 are not listed: nothing of ours has one.
    pub name: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// The length in bytes; 0 for a directory.
    pub len: u64,
}

/// An exclusive lock that ends when it is dropped.
pub struct FsLock {
    path: PathBuf,
    _held: Box<dyn Any + Send + Sync>,
}

impl FsLock {
    fn new(path: &Path, held: impl Any + Send + Sync) -> Self {
        Self { path: path.to_owned(), _held: Box::new(held) }
    }
}

impl fmt::Debug for FsLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsLock").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The directory of a path, as [`Fs::sync_dir`] wants it: never empty.
pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
