//! How spans become bytes: pure functions, append to a buffer, read from a slice. See docs/format/trace-wal-records.md.
//!
//! Nothing here knows of files, and no bytes can make it panic or allocate without bound.

pub(crate) mod id;
pub(crate) mod raw;
pub(crate) mod span;
pub(crate) mod text;
pub(crate) mod value;

pub(crate) use sonde_disk::varint::DecodeError;
