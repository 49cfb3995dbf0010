//! A look at a store that nobody has open: what it holds, and whether every byte of it is sound. Nothing is changed.
//!
//! Opening a store cuts, renames and writes again; this reads the same files and says what an opening would find, but for
//! the mark of what was flushed that the deletes hold where the manifest is lost. Its tiers, each of
//! which is a store, are looked at with it.

mod inspect;
mod log;
mod report;
mod verify;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sonde_disk::blocks::directory::{list_blocks, says_damaged};
use sonde_disk::blocks::layout;
use sonde_disk::blocks::manifest::MAX_BYTES;
use sonde_disk::{Fs, FsLock, read_all};

pub use report::{BlockUse, CodecUse, Damage, Inspection, LogUse, Lost, MetricUse, SectionUse, Sections, Verification};

use crate::Error;
use crate::block::{Block, Cached, PageCache};
use crate::db::Db;
use crate::manifest::Manifest;
use crate::tier::TIERS;

/// Told now and then: bytes that were read, bytes to read in all.
pub type Progress<'p> = dyn FnMut(u64, u64) + 'p;

/// A store that is looked at. While it lives no other process can open the store.
#[derive(Debug)]
pub struct Examiner {
    fs: Arc<dyn Fs>,
    dir: PathBuf,
    /// The blocks that count, by the manifest or, if it cannot be read, by what lies there.
    blocks: Vec<u64>,
    /// The last flush that is in blocks.
    flushed: u64,
    /// Why the manifest cannot be read.
    manifest_damage: Option<String>,
    /// The downsampled tiers that lie in its directory, by name.
    tiers: Vec<Examiner>,
    _lock: FsLock,
}

impl Examiner {
    /// A look at the store in `dir`, which must be there and in nobody's use.
    pub fn open(fs: Arc<dyn Fs>, dir: &Path) -> Result<Self, Error> {
        let manifest = layout::manifest(dir);
        let there = |path: &Path| fs.exists(path).map_err(Db::io("look for", path));
        if !there(&manifest)? && !there(&layout::blocks(dir))? {
            return Err(Error::NoStore { dir: dir.to_owned() });
        }
        let lock = Db::lock(fs.as_ref(), dir)?;
        let decoded = match read_all(fs.as_ref(), &manifest, MAX_BYTES) {
            Ok(bytes) => Manifest::decode(&bytes).map_err(|error| error.to_string()),
            Err(source) if says_damaged(&source) || source.kind() == std::io::ErrorKind::FileTooLarge => {
                Err(source.to_string())
            }
            Err(source) => return Err(Db::io("read", &manifest)(source)),
        };
        let (found, manifest_damage) = match decoded {
            Ok(found) => (found, None),
            Err(reason) => {
                let blocks = list_blocks(fs.as_ref(), dir)?.into_iter().collect();
                (Manifest { flushed: 0, blocks }, Some(reason))
            }
        };
        let Manifest { flushed, blocks } = found;
        let tiers = Self::open_tiers(&fs, &dir.join(TIERS))?;
        Ok(Examiner { fs, dir: dir.to_owned(), blocks, flushed, manifest_damage, tiers, _lock: lock })
    }

    /// A tier is a store of its own, whether it is configured still or not.
    fn open_tiers(fs: &Arc<dyn Fs>, dir: &Path) -> Result<Vec<Self>, Error> {
        if !fs.exists(dir).map_err(Db::io("look for", dir))? {
            return Ok(Vec::new());
        }
        let mut names: Vec<String> = fs.list(dir).map_err(Db::io("list", dir))?.into_iter().map(|e| e.name).collect();
        names.sort_unstable();
        let mut tiers = Vec::new();
        for name in names {
            match Self::open(Arc::clone(fs), &dir.join(name)) {
                Ok(tier) => tiers.push(tier),
                // Whatever else lies there is none of ours.
                Err(Error::NoStore { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(tiers)
    }

    /// What the directory of a tier is called: the length of its steps.
    fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Bytes that a look reads, those of tiers included.
    fn read_bytes(&self) -> Result<u64, Error> {
        let own = self.block_bytes() + self.log_bytes()?;
        self.tiers.iter().try_fold(own, |sum, tier| Ok(sum + tier.read_bytes()?))
    }

    /// The directory of the store.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn block(&self, seq: u64) -> Result<Block, Error> {
        // Pages are read once: none is kept.
        let cache = Arc::new(PageCache::new(0, Cached::bytes));
        Block::open(self.fs.as_ref(), &layout::block(&self.dir, seq), cache)
    }

    /// Bytes of a file; 0 if it is not there.
    fn len(&self, path: &Path) -> u64 {
        self.fs.open(path).and_then(|file| file.len()).unwrap_or(0)
    }
}
