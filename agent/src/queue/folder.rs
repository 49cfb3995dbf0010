//! What the queues of the two signals share: the agent's folder, its lock, its identity, the space on its disk.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use sonde_disk::{Fs, FsLock};
use sonde_model::AgentId;

use super::OpenError;
use crate::identity::{Identity, IdentityError};

/// The agent's folder, held by one agent.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) fs: Arc<dyn Fs>,
    pub(super) dir: PathBuf,
    pub(super) min_free_bytes: u64,
    identity: Mutex<Identity>,
    /// Held while a new identity is written.
    renewing: Mutex<()>,
    low_on_space: AtomicBool,
    _lock: FsLock,
}

impl Folder {
    /// A folder whose lock is held; batches are numbered under `identity`, which is on disk.
    pub(super) fn new(fs: Arc<dyn Fs>, dir: &Path, min_free_bytes: u64, identity: Identity, lock: FsLock) -> Self {
        Folder {
            fs,
            dir: dir.to_owned(),
            min_free_bytes,
            identity: Mutex::new(identity),
            renewing: Mutex::default(),
            low_on_space: AtomicBool::new(false),
            _lock: lock,
        }
    }

    /// Under which identity batches are numbered.
    pub(super) fn identity(&self) -> Identity {
        *self.identity.lock()
    }

    /// Takes a new id, unless that has happened since the agent was `taken`: both signals may meet the same conflict.
    pub(super) fn renew_identity(&self, taken: AgentId) -> Result<Identity, IdentityError> {
        let _one_at_a_time = self.renewing.lock();
        let identity = self.identity();
        if identity.agent != taken {
            return Ok(identity);
        }
        let identity = Identity::new()?;
        identity.store(self.fs.as_ref(), &self.dir)?;
        *self.identity.lock() = identity;
        Ok(identity)
    }

    /// Whether the disk had too little space left when it was looked at last.
    pub(super) fn is_low_on_space(&self) -> bool {
        self.low_on_space.load(Ordering::Relaxed)
    }

    /// Looks at how much space the disk has left. Blocks.
    pub(super) fn check_space(&self) {
        // A file system that does not say counts as one with space.
        let free = self.fs.available_space(&self.dir).unwrap_or(u64::MAX);
        let is_low = free < self.min_free_bytes;
        if self.low_on_space.swap(is_low, Ordering::Relaxed) != is_low {
            let min_free = self.min_free_bytes;
            if is_low {
                tracing::warn!(
                    "only {free} bytes are left on the queue's disk, queue.min_free is {min_free}: refusing"
                );
            } else {
                tracing::info!("{free} bytes are left on the queue's disk: taking batches again");
            }
        }
    }
}

/// Locks the folder, creating it if needed.
pub(super) fn lock(fs: &dyn Fs, dir: &Path) -> Result<FsLock, OpenError> {
    fs.create_dir_all(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
    let path = dir.join("lock");
    fs.lock(&path).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::InUse { path },
        _ => OpenError::Io { path, source },
    })
}
