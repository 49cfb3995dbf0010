//! Where a record lies.

use std::fmt;

/// The place of a record in the WAL: ordered as the records are. Stays valid across restarts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the segment; numbers only grow.
    pub segment: u64,
    /// The byte offset in the segment's file.
    pub offset: u64,
}

impl Position {
    /// Before every record.
    pub const START: Self = Self { segment: 0, offset: 0 };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.segment, self.offset)
    }
}
