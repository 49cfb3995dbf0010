//! A window of bytes over a segment's file.

use std::io;
use std::sync::Arc;

use crate::fs::File;

/// Bytes read at once: large enough that a sequential pass is bound by the disk, small enough to keep one per reader.
const CHUNK: usize = 256 << 10;

/// What is read by itself where a longer read fails: a bad sector must not take its neighbours with it.
const BLOCK: usize = 4 << 10;

/// What stands for a byte that cannot be read. No frame consists of it, and it does not look like the end of a file.
const UNREADABLE: u8 = 0xff;

/// A window of bytes over a file, never beyond a limit that its owner moves: bytes behind it may still change.
#[derive(Debug)]
pub(super) struct Window {
    file: Arc<dyn File>,
    limit: u64,
    start: u64,
    buffer: Vec<u8>,
    unreadable: Option<(u64, io::ErrorKind)>,
}

impl Window {
    pub(super) fn new(file: Arc<dyn File>, limit: u64) -> Self {
        Self { file, limit, start: 0, buffer: Vec::new(), unreadable: None }
    }

    /// How far the window may reach.
    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// The last place that could not be read, and why: bytes there are made up.
    pub(super) fn unreadable(&self) -> Option<(u64, io::ErrorKind)> {
        self.unreadable
    }

    /// Lets the window reach further. Bytes below the old limit have not changed.
    pub(super) fn extend(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    /// The bytes from `offset` on, exactly `len` of them, or fewer if the limit or the end of the file comes first.
    pub(super) fn bytes(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let bytes = self.at_least(offset, len)?;
        Ok(&bytes[..bytes.len().min(len)])
    }

    /// Whatever is at hand from `offset` on, but at least `len` bytes unless the limit or the end comes first.
    pub(super) fn at_least(&mut self, offset: u64, len: usize) -> io::Result<&[u8]> {
        let left = usize::try_from(self.limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = len.min(left);
        let at_hand = offset.checked_sub(self.start).and_then(|skip| usize::try_from(skip).ok());
        if let Some(skip) = at_hand
            && skip <= self.buffer.len()
            && self.buffer.len() - skip >= wanted
        {
            return Ok(&self.buffer[skip..]);
        }
        self.fill(offset, len.max(CHUNK).min(left))?;
        Ok(&self.buffer)
    }

    fn fill(&mut self, offset: u64, len: usize) -> io::Result<()> {
        if self.buffer.capacity() > 4 * CHUNK && len <= CHUNK {
            // One large record must not cost its memory for ever.
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        self.buffer.resize(len, 0);
        self.start = offset;
        let done = match read_full(self.file.as_ref(), &mut self.buffer, offset) {
            Ok(done) => done,
            Err(error) => self.fill_by_blocks(offset).ok_or_else(|| {
                self.buffer.clear();
                error
            })?,
        };
        self.buffer.truncate(done);
        Ok(())
    }

    /// Reads what can be read; `None` if nothing can, not even the file's beginning: that is no bad sector but a disk
    /// that is gone.
    fn fill_by_blocks(&mut self, offset: u64) -> Option<usize> {
        read_full(self.file.as_ref(), &mut [0], 0).ok()?;
        let mut done = 0;
        while done < self.buffer.len() {
            let at = offset + done as u64;
            // Up to the next multiple of a block, as the operating system reads.
            let to_boundary = BLOCK - (at % BLOCK as u64) as usize;
            let end = (done + to_boundary).min(self.buffer.len());
            let block = &mut self.buffer[done..end];
            match read_full(self.file.as_ref(), block, at) {
                Ok(read) if read < block.len() => return Some(done + read),
                Ok(_) => {}
                Err(error) => {
                    block.fill(UNREADABLE);
                    self.unreadable = Some((at, error.kind()));
                }
            }
            done = end;
        }
        Some(done)
    }
}

/// Reads until the buffer is full or the file ends.
fn read_full(file: &dyn File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read_at(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
