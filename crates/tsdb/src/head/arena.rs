//! Memory in pages: it grows without moving what is there, and is freed as a whole.

/// Values by number, in pages, so that growth copies nothing.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    pages: Vec<Vec<T>>,
}

/// Values a page.
const SLAB_PAGE: usize = 1024;

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { pages: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Adds a value and gives its number.
    pub(crate) fn push(&mut self, value: T) -> u32 {
        if self.pages.last().is_none_or(|page| page.len() == SLAB_PAGE) {
            self.pages.push(Vec::with_capacity(SLAB_PAGE));
        }
        let last = self.pages.len() - 1;
        self.pages[last].push(value);
        (last * SLAB_PAGE + self.pages[last].len() - 1) as u32
    }

    #[inline]
    pub(crate) fn get(&self, number: u32) -> &T {
        &self.pages[number as usize / SLAB_PAGE][number as usize % SLAB_PAGE]
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> &mut T {
        &mut self.pages[number as usize / SLAB_PAGE][number as usize % SLAB_PAGE]
    }
}

/// Where bytes lie in an arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    page: u32,
    offset: u32,
    len: u32,
}

/// Bytes, appended and never changed.
#[derive(Debug, Default)]
pub(crate) struct Arena {
    pages: Vec<Vec<u8>>,
}

/// Bytes a page; longer values get a page of their own.
const ARENA_PAGE: usize = 256 << 10;

impl Arena {
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Place {
        if self.pages.last().is_none_or(|page| page.capacity() - page.len() < bytes.len()) {
            self.pages.push(Vec::with_capacity(ARENA_PAGE.max(bytes.len())));
        }
        let last = self.pages.len() - 1;
        let page = &mut self.pages[last];
        let place = Place { page: last as u32, offset: page.len() as u32, len: bytes.len() as u32 };
        page.extend_from_slice(bytes);
        place
    }

    pub(crate) fn get(&self, place: Place) -> &[u8] {
        let start = place.offset as usize;
        &self.pages[place.page as usize][start..start + place.len as usize]
    }
}
