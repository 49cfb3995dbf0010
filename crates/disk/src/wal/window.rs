//! A window of bytes over a segment's file.

use std::io;
use std::sync::Arc;

use crate::fs::File;

/// Bytes read at once: large enough that a sequential pass is bound by the disk, small enough to keep one per reader.
const CHUNK: usize = 256 << 10;

/// A window of bytes over a file, never beyond a limit that its owner moves: bytes behind it may still change.
#[derive(Debug)]
pub(super) struct Window {
    file: Arc<dyn File>,
    limit: u64,
    start: u64,
    buffer: Vec<u8>,
}

impl Window {
    pub(super) fn new(file: Arc<dyn File>, limit: u64) -> Self {
        Self { file, limit, start: 0, buffer: Vec::new() }
    }

    /// How far the window may reach.
    pub(super) fn limit(&self) -> u64 {
        self.limit
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
        let mut done = 0;
        while done < len {
            match self.file.read_at(&mut self.buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.buffer.clear();
                    return Err(error);
                }
            }
        }
        self.buffer.truncate(done);
        Ok(())
    }
}
