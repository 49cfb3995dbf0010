//! A file system in memory that fails on demand.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fastrand::Rng;
use parking_lot::Mutex;

use super::mem::MemFile;
use super::{Entry, File, Fs, FsLock, MemFs};

/// Wraps a [`MemFs`] and fails on demand: by script or by chance. A clone shares the faults.
///
/// Failures leave behind what real ones do: a failed write has written a part, a failed sync has forgotten that bytes
/// were unsynced, so that a later sync succeeds and proves nothing. A full disk is [`MemFs::set_capacity`].
#[derive(Clone, Debug)]
pub struct FaultFs {
    mem: MemFs,
    faults: Arc<Mutex<Faults>>,
}

/// What can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// [`Fs::create`], [`Fs::create_dir_all`] and [`Fs::hard_link`].
    Create,
    /// [`Fs::open`].
    Open,
    /// [`File::read_at`].
    Read,
    /// [`File::write_at`].
    Write,
    /// [`File::set_len`].
    SetLen,
    /// [`File::sync`].
    Sync,
    /// [`Fs::rename`].
    Rename,
    /// [`Fs::remove_file`] and [`Fs::remove_dir_all`].
    Remove,
    /// [`Fs::sync_dir`].
    SyncDir,
}

/// How often operations fail, from 0 (never) to 1 (always).
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultRates {
    /// Writes and cuts.
    pub write: f64,
    /// Syncs of files and directories.
    pub sync: f64,
    /// Creating, renaming, removing.
    pub name: f64,
}

#[derive(Debug)]
struct Faults {
    rng: Rng,
    rates: FaultRates,
    scripts: Vec<Script>,
    unreadable: Vec<(PathBuf, Range<u64>)>,
    operations: u64,
    injected: u64,
}

#[derive(Debug)]
struct Script {
    operation: Option<Operation>,
    skip: u64,
    times: u64,
    kind: io::ErrorKind,
}

impl FaultFs {
    /// Wraps `mem`; nothing fails yet. The seed decides what fails by chance and what failures leave behind.
    pub fn new(mem: MemFs, seed: u64) -> Self {
        let faults = Faults {
            rng: Rng::with_seed(seed),
            rates: FaultRates::default(),
            scripts: Vec::new(),
            unreadable: Vec::new(),
            operations: 0,
            injected: 0,
        };
        Self { mem, faults: Arc::new(Mutex::new(faults)) }
    }

    /// The file system beneath.
    pub fn mem(&self) -> &MemFs {
        &self.mem
    }

    /// From now on operations fail at these rates.
    pub fn set_rates(&self, rates: FaultRates) {
        self.faults.lock().rates = rates;
    }

    /// Lets `skip` operations of this kind (`None`: of any kind) pass, then fails the next `times` with `kind`.
    /// Several scripts run side by side.
    pub fn fail(&self, operation: Option<Operation>, skip: u64, times: u64, kind: io::ErrorKind) {
        self.faults.lock().scripts.push(Script { operation, skip, times, kind });
    }

    /// From now on reads that touch `range` of the file at `path` fail, as those of a bad sector do.
    pub fn make_unreadable(&self, path: &Path, range: Range<u64>) {
        self.faults.lock().unreadable.push((path.to_owned(), range));
    }

    /// Ends all scripts and rates and makes everything readable.
    pub fn heal(&self) {
        let mut faults = self.faults.lock();
        faults.scripts.clear();
        faults.unreadable.clear();
        faults.rates = FaultRates::default();
    }

    /// Operations seen so far, those that failed among them.
    pub fn operations(&self) -> u64 {
        self.faults.lock().operations
    }

    /// Operations that were made to fail so far.
    pub fn injected(&self) -> u64 {
        self.faults.lock().injected
    }

    fn check(&self, operation: Operation) -> io::Result<()> {
        self.faults.lock().check(operation)
    }

    fn handle(&self, path: &Path, file: Arc<MemFile>) -> Arc<dyn File> {
        Arc::new(FaultFile { fs: self.clone(), path: path.to_owned(), file })
    }
}

impl Faults {
    fn check_readable(&mut self, path: &Path, offset: u64, len: usize) -> io::Result<()> {
        let touches = |range: &Range<u64>| range.start < offset + len as u64 && offset < range.end;
        if self.unreadable.iter().any(|(broken, range)| broken == path && touches(range)) {
            self.injected += 1;
            return Err(io::Error::other("injected bad sector"));
        }
        Ok(())
    }

    fn check(&mut self, operation: Operation) -> io::Result<()> {
        self.operations += 1;
        let mut failure = None;
        for script in &mut self.scripts {
            if script.operation.is_some_and(|wanted| wanted != operation) {
                continue;
            }
            if script.skip > 0 {
                script.skip -= 1;
            } else if script.times > 0 {
                script.times -= 1;
                failure = failure.or(Some(script.kind));
            }
        }
        let rate = match operation {
            Operation::Write | Operation::SetLen => self.rates.write,
            Operation::Sync | Operation::SyncDir => self.rates.sync,
            Operation::Create | Operation::Rename | Operation::Remove => self.rates.name,
            Operation::Open | Operation::Read => 0.0,
        };
        if failure.is_none() && rate > 0.0 && self.rng.f64() < rate {
            failure = Some(io::ErrorKind::Other);
        }
        match failure {
            Some(kind) => {
                self.injected += 1;
                Err(io::Error::new(kind, format!("injected failure of {operation:?}")))
            }
            None => Ok(()),
        }
    }
}

impl Fs for FaultFs {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.check(Operation::Create)?;
        Ok(self.handle(path, self.mem.create_file(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        self.check(Operation::Open)?;
        Ok(self.handle(path, self.mem.file(path)?))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.mem.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.check(Operation::Create)?;
        self.mem.create_dir_all(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Operation::Rename)?;
        self.mem.rename(from, to)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.check(Operation::Create)?;
        self.mem.hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.check(Operation::Remove)?;
        self.mem.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> io::Result<()> {
        self.check(Operation::Remove)?;
        self.mem.remove_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.check(Operation::SyncDir)?;
        self.mem.sync_dir(dir)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        self.mem.exists(path)
    }

    fn available_space(&self, dir: &Path) -> io::Result<u64> {
        self.mem.available_space(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<FsLock> {
        self.mem.lock(path)
    }
}

#[derive(Debug)]
struct FaultFile {
    fs: FaultFs,
    /// The name it was opened by.
    path: PathBuf,
    file: Arc<MemFile>,
}

impl File for FaultFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.fs.check(Operation::Read)?;
        self.fs.faults.lock().check_readable(&self.path, offset, buf.len())?;
        Ok(self.file.read_at(buf, offset))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        if let Err(error) = self.fs.check(Operation::Write) {
            let written = self.fs.faults.lock().rng.usize(..=buf.len());
            self.fs.mem.write(&self.file, &buf[..written], offset)?;
            return Err(error);
        }
        self.fs.mem.write(&self.file, buf, offset)
    }

    fn sync(&self) -> io::Result<()> {
        if let Err(error) = self.fs.check(Operation::Sync) {
            self.file.fail_sync(&mut self.fs.faults.lock().rng);
            return Err(error);
        }
        self.file.sync();
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.file.len())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.fs.check(Operation::SetLen)?;
        self.file.set_len(len)
    }
}
