//! Durable bytes: the file-system seam, atomic files, checksums, the write-ahead log, and what all stores of blocks share.
//!
//! This is the only crate that calls fsync. It moves bytes and must not know what they mean: no series, no spans,
//! no protobuf, no clock.

pub mod atomic_file;
pub mod blocks;
pub mod checksum;
pub mod frame;
pub mod fs;
pub mod varint;
pub mod wal;

pub use atomic_file::{read_all, write_atomic, write_private};
pub use frame::Frame;
pub use fs::{Entry, FaultFs, File, Fs, FsLock, MemFs, OsFs};
pub use wal::{
    DamagedRange, OnDurable, OpenReport, Position, Reader, SyncPolicy, TruncatedTail, Wal, WalError, WalOptions,
    WalStats,
};
