//! The frame around a record.

/// Bytes of a frame before its record.
pub(super) const FRAME_HEADER_LEN: usize = 32;

/// The largest record that the format allows.
pub(super) const MAX_RECORD_BYTES: usize = 256 << 20;
