//! Memory for the encoded samples of a head: blocks out of large pages, freed as a whole.

/// Blocks lie at multiples of so many bytes, so that 32 bits can name 128 GiB.
const UNIT: usize = 32;

/// Bytes a page.
const PAGE: usize = 256 << 10;

/// No block.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// Blocks of bytes, known by 32-bit addresses.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pages: Vec<Vec<u8>>,
    /// Bytes in use of the last page.
    used: usize,
}

impl Arena {
    /// A new block of `len` bytes, all 0; `len` is a multiple of 32 and much smaller than a page.
    pub(crate) fn allocate(&mut self, len: usize) -> u32 {
        debug_assert!(len.is_multiple_of(UNIT) && len <= PAGE, "BUG: a block of {len} bytes");
        if self.pages.is_empty() || self.used + len > PAGE {
            self.pages.push(vec![0; PAGE]);
            self.used = 0;
        }
        let at = (self.pages.len() - 1) * PAGE + self.used;
        self.used += len;
        (at / UNIT) as u32
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// The first `len` bytes of a block.
    #[inline]
    pub(crate) fn get(&self, block: u32, len: usize) -> &[u8] {
        let at = block as usize * UNIT;
        &self.pages[at / PAGE][at % PAGE..at % PAGE + len]
    }

    /// The same, to be written.
    #[inline]
    pub(crate) fn get_mut(&mut self, block: u32, len: usize) -> &mut [u8] {
        let at = block as usize * UNIT;
        &mut self.pages[at / PAGE][at % PAGE..at % PAGE + len]
    }
}
