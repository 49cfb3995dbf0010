//! Reading durable records while appending goes on.

use super::{Position, WalError};

/// Reads durable records in order, from where it stands to the end, and again when there are more.
#[derive(Debug)]
pub struct Reader {
    position: Position,
}

impl Reader {
    pub(super) fn new(position: Position) -> Self {
        Self { position }
    }

    /// The next durable record: where it lies, where the one behind it may lie, its bytes. `None` while there is no
    /// more. A position that was truncated away counts as the oldest that is kept. After [`WalError::Damaged`] the
    /// next call goes on behind the damage; after another error it tries again.
    #[expect(clippy::should_implement_trait, reason = "`None` means not yet, which an iterator must not say")]
    pub fn next(&mut self) -> Result<Option<(Position, Position, Vec<u8>)>, WalError> {
        Ok(None)
    }

    /// Where the next record will be looked for.
    pub fn position(&self) -> Position {
        self.position
    }
}
