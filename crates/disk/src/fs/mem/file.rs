//! The bytes of a file in memory: what a program sees and what the disk holds.

use std::io;
use std::ops::Range;

use fastrand::Rng;
use parking_lot::Mutex;

/// What a disk writes in one piece, at best.
const SECTOR: usize = 512;

#[derive(Debug, Default)]
pub(in crate::fs) struct MemFile(Mutex<Content>);

#[derive(Clone, Debug, Default)]
struct Content {
    /// What reads see.
    current: Vec<u8>,
    /// What is on the disk for sure.
    durable: Vec<u8>,
    /// Where `current` was written since the last sync; may overlap and may lie beyond a cut end.
    dirty: Vec<Range<usize>>,
}

/// How much of the unsynced bytes a power cut or a failed sync leaves on the disk.
#[derive(Clone, Copy)]
enum Survival {
    Nothing,
    Everything,
    /// The beginning, cut somewhere.
    Prefix,
    /// Each sector by its own luck.
    Sectors,
}

impl MemFile {
    pub(super) fn from_durable(bytes: Vec<u8>) -> Self {
        Self(Mutex::new(Content { current: bytes.clone(), durable: bytes, dirty: Vec::new() }))
    }

    pub(in crate::fs) fn len(&self) -> u64 {
        self.0.lock().current.len() as u64
    }

    pub(in crate::fs) fn read_at(&self, buf: &mut [u8], offset: u64) -> usize {
        let content = self.0.lock();
        let Some(rest) = usize::try_from(offset).ok().and_then(|start| content.current.get(start..)) else { return 0 };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }

    pub(super) fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        let start = to_index(offset)?;
        let end = start.checked_add(buf.len()).ok_or_else(too_large)?;
        let mut content = self.0.lock();
        if start > content.current.len() {
            content.grow(start);
        }
        if end > content.current.len() {
            content.current.resize(end, 0);
        }
        content.current[start..end].copy_from_slice(buf);
        content.mark(start..end);
        Ok(())
    }

    pub(in crate::fs) fn set_len(&self, len: u64) -> io::Result<()> {
        let len = to_index(len)?;
        let mut content = self.0.lock();
        if len < content.current.len() {
            content.current.truncate(len);
        } else {
            content.grow(len);
        }
        Ok(())
    }

    pub(in crate::fs) fn sync(&self) {
        let content = &mut *self.0.lock();
        content.durable.resize(content.current.len(), 0);
        for range in content.dirty.drain(..) {
            let range = clip(&range, content.current.len());
            content.durable[range.clone()].copy_from_slice(&content.current[range]);
        }
    }

    /// What a failed fsync does: some of the unsynced bytes are on the disk, and none is written by a later sync,
    /// though reads still see them all.
    pub(in crate::fs) fn fail_sync(&self, rng: &mut Rng) {
        let content = &mut *self.0.lock();
        content.durable = content.after_power_cut(rng);
        content.dirty.clear();
    }

    pub(super) fn crash(&self, rng: &mut Rng) -> Self {
        Self::from_durable(self.0.lock().after_power_cut(rng))
    }

    pub(super) fn fork(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }

    pub(super) fn corrupt(&self, offset: u64, mask: u8) -> io::Result<()> {
        let index = to_index(offset)?;
        let content = &mut *self.0.lock();
        let Some(byte) = content.current.get_mut(index) else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the byte to corrupt lies behind the end"));
        };
        *byte ^= mask;
        if let Some(byte) = content.durable.get_mut(index) {
            *byte ^= mask;
        }
        Ok(())
    }
}

impl Content {
    fn grow(&mut self, len: usize) {
        let old = self.current.len();
        self.current.resize(len, 0);
        self.mark(old..len);
    }

    fn mark(&mut self, range: Range<usize>) {
        match self.dirty.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ if range.is_empty() => {}
            _ => self.dirty.push(range),
        }
    }

    fn after_power_cut(&self, rng: &mut Rng) -> Vec<u8> {
        let survival = match rng.u8(..4) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            2 => Survival::Prefix,
            _ => Survival::Sectors,
        };
        let (old, new) = (self.durable.len(), self.current.len());
        let len = match survival {
            Survival::Nothing => old,
            Survival::Everything => new,
            Survival::Prefix | Survival::Sectors => rng.usize(old.min(new)..=old.max(new)),
        };
        let mut bytes = self.durable.clone();
        bytes.resize(len, 0);
        for range in &self.dirty {
            let range = clip(range, self.current.len().min(len));
            match survival {
                Survival::Nothing => {}
                Survival::Everything => bytes[range.clone()].copy_from_slice(&self.current[range]),
                Survival::Prefix => {
                    let cut = rng.usize(range.start..=range.end);
                    bytes[range.start..cut].copy_from_slice(&self.current[range.start..cut]);
                }
                Survival::Sectors => self.tear(&mut bytes, range, rng),
            }
        }
        bytes
    }

    /// Each sector is old, new, or new up to somewhere, or nonsense where old and new differ.
    fn tear(&self, bytes: &mut [u8], range: Range<usize>, rng: &mut Rng) {
        let mut start = range.start;
        while start < range.end {
            let end = ((start / SECTOR + 1) * SECTOR).min(range.end);
            match rng.u8(..5) {
                0 => {}
                1 => {
                    let cut = rng.usize(start..=end);
                    bytes[start..cut].copy_from_slice(&self.current[start..cut]);
                }
                2 => {
                    for (byte, new) in bytes[start..end].iter_mut().zip(&self.current[start..end]) {
                        if byte != new {
                            *byte = rng.u8(..);
                        }
                    }
                }
                _ => bytes[start..end].copy_from_slice(&self.current[start..end]),
            }
            start = end;
        }
    }
}

fn clip(range: &Range<usize>, len: usize) -> Range<usize> {
    range.start.min(len)..range.end.min(len)
}

fn to_index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| too_large())
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "a file in memory cannot be as large as that")
}
