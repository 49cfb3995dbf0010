//! How spans become bytes: pure functions, append to a buffer, read from a slice. See docs/format/trace-wal-records.md.
//!
//! Nothing here knows of files, and no bytes can make it panic or allocate without bound.

pub(crate) mod id;
pub(crate) mod raw;
pub(crate) mod span;
pub(crate) mod text;
pub(crate) mod value;
pub(crate) mod varint;

use thiserror::Error;

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum DecodeError {
    /// The bytes end in the middle of a value.
    #[error("the bytes end too early")]
    Truncated,
    /// A number does not fit.
    #[error("a number is out of range")]
    OutOfRange,
    /// A codec, kind or version that this program does not know.
    #[error("unknown {what} {value}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// The byte that was found.
        value: u8,
    },
    /// A count or length is over its bound.
    #[error("{what} is over its bound")]
    TooLarge {
        /// What is too large.
        what: &'static str,
    },
    /// Text is not UTF-8.
    #[error("text is not UTF-8")]
    NotUtf8,
    /// The content contradicts itself.
    #[error("{what}")]
    Inconsistent {
        /// What does not hold.
        what: &'static str,
    },
}
