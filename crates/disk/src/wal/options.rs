//! What the owner of a WAL chooses.

use std::time::Duration;

use super::WalError;
use super::frame::{FRAME_HEADER_LEN, MAX_RECORD_BYTES};

/// What the owner of a WAL chooses. Every value may differ from one opening to the next.
#[derive(Clone, Debug)]
pub struct WalOptions {
    /// A segment that has reached this many bytes is followed by a new one. Default 64 MiB: small enough that
    /// removing whole segments follows closely what is needed no more, large enough that changing them costs nothing.
    pub segment_bytes: u64,
    /// Bytes of records that may wait for their sync, counted with their frames; beyond that `append` answers
    /// [`WalError::Busy`]. Bounds memory and the time of one write. Default 64 MiB.
    pub max_pending_bytes: usize,
    /// The largest record. Default 32 MiB.
    pub max_record_bytes: usize,
    /// When a batch of waiting records is written and synced.
    pub sync: SyncPolicy,
    /// Zeros that are written behind a small batch when the file must grow. Later batches replace them, and their sync
    /// is spared the file system's journal, for which everyone waits who syncs anything. Costs that much space in the
    /// segment in use, and at most as much as the segment holds (16 KiB at first). Default 512 KiB: one sync in some
    /// dozens has to grow the file. 0 turns it off.
    pub zeros_ahead_bytes: usize,
}

/// When a batch of waiting records is written and synced. No record is acknowledged without a sync in either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// As soon as the sync before has ended: what arrives during a sync shares the next one. Shortest wait.
    Immediate,
    /// The first record of a batch waits so long for others to share its sync. Saves syncs where many small records
    /// come one by one.
    Gather(Duration),
}

impl Default for WalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            max_pending_bytes: 64 << 20,
            max_record_bytes: 32 << 20,
            sync: SyncPolicy::Immediate,
            zeros_ahead_bytes: 512 << 10,
        }
    }
}

impl WalOptions {
    /// Refuses what could never work.
    pub(super) fn check(&self) -> Result<(), WalError> {
        let invalid = |message: String| Err(WalError::InvalidOptions { message });
        if self.max_record_bytes == 0 || self.max_record_bytes > MAX_RECORD_BYTES {
            return invalid(format!(
                "max_record_bytes is {}, must be from 1 to {MAX_RECORD_BYTES}",
                self.max_record_bytes
            ));
        }
        if self.max_pending_bytes < self.max_record_bytes + FRAME_HEADER_LEN {
            return invalid(format!(
                "max_pending_bytes is {}, must hold one record of max_record_bytes ({}) and its frame of {FRAME_HEADER_LEN} bytes",
                self.max_pending_bytes, self.max_record_bytes
            ));
        }
        Ok(())
    }
}
