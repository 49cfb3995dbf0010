//! A text that refuses to grow without bound.

use std::fmt;

/// Bytes that one template may print: far over what a pager or a chat shows.
pub(super) const MAX_OUTPUT_BYTES: usize = 64 << 10;

#[derive(Debug, Default)]
pub(super) struct Bounded {
    text: String,
    overflowed: bool,
}

impl Bounded {
    /// Whether something did not fit.
    pub(super) fn overflowed(&self) -> bool {
        self.overflowed
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, s: &str) -> fmt::Result {
        if self.text.len() + s.len() > MAX_OUTPUT_BYTES {
            self.overflowed = true;
            return Err(fmt::Error);
        }
        self.text.push_str(s);
        Ok(())
    }
}
