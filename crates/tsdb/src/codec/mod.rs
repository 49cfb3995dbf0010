//! How samples become bytes: pure functions, append to a buffer, read from a slice. See docs/format/chunk.md.
//!
//! Nothing here knows of files or series, and no bytes can make it panic or allocate without bound.

pub(crate) mod bits;
pub mod chunk;
pub(crate) mod decimal;
pub(crate) mod histogram;
pub(crate) mod number;
pub(crate) mod pack;
pub mod sealed;
pub(crate) mod starts;
pub(crate) mod timestamps;
pub(crate) mod unseal;
pub(crate) mod xor;

pub use sonde_disk::varint::DecodeError;

#[cfg(test)]
mod tests;
