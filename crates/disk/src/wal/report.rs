//! What opening a WAL found, in words that need no other context.

use std::fmt;

use super::Position;

/// Damaged ranges that a report lists at most; the rest is only counted.
pub(super) const MAX_LISTED_DAMAGE: usize = 1_000;

/// What opening a WAL found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// Segments found.
    pub segments: u64,
    /// Records replayed.
    pub records: u64,
    /// Their bytes, frames not counted.
    pub bytes: u64,
    /// Records at the end that no later write proves to have been synced; they were written again, elsewhere, before
    /// `open` returned, because a sync may have failed before the crash.
    pub rewritten_records: u64,
    /// The unsynced tail that was cut: what a crash leaves behind, no loss of anything acknowledged.
    pub truncated_tail: Option<TruncatedTail>,
    /// Damage outside of that tail, oldest first, at most 1,000 ranges: acknowledged records were lost.
    pub damage: Vec<DamagedRange>,
    /// Damaged ranges beyond those listed.
    pub unlisted_damage: u64,
}

/// The unsynced tail of the last segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TruncatedTail {
    /// Where the intact records end.
    pub at: Position,
    /// Bytes cut.
    pub bytes: u64,
}

/// A range whose records are lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DamagedRange {
    /// The first damaged byte.
    pub from: Position,
    /// Where reading goes on; in a later segment if the rest of this one is lost.
    pub to: Position,
    /// How many records are lost, from the sequence numbers around the range; `None` if nothing follows it.
    pub lost_records: Option<u64>,
    /// What was found there.
    pub reason: DamageReason,
}

/// What was found instead of an intact record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageReason {
    /// Both copies of a segment's header are unreadable.
    SegmentHeader,
    /// A segment's file is missing or empty of what its successor says was there.
    MissingRecords,
    /// A frame's header does not match its checksum.
    FrameHeader,
    /// A record does not match its checksum.
    Record,
}

impl OpenReport {
    pub(super) fn add_damage(&mut self, range: DamagedRange) {
        if self.damage.len() < MAX_LISTED_DAMAGE {
            self.damage.push(range);
        } else {
            self.unlisted_damage += 1;
        }
    }
}

impl fmt::Display for DamageReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SegmentHeader => "the segment header is unreadable",
            Self::MissingRecords => "records are missing",
            Self::FrameHeader => "a frame header does not match its checksum",
            Self::Record => "a record does not match its checksum",
        })
    }
}

impl fmt::Display for DamagedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {} to {}: {}", self.from, self.to, self.reason)?;
        match self.lost_records {
            Some(1) => write!(f, ", 1 record lost"),
            Some(n) => write!(f, ", {n} records lost"),
            None => write!(f, ", an unknown number of records lost"),
        }
    }
}

impl fmt::Display for OpenReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records ({} bytes) in {} segments", self.records, self.bytes, self.segments)?;
        if self.rewritten_records > 0 {
            write!(f, "; the last {} written again", self.rewritten_records)?;
        }
        if let Some(tail) = &self.truncated_tail {
            write!(f, "; unsynced tail of {} bytes cut at {}", tail.bytes, tail.at)?;
        }
        for range in &self.damage {
            write!(f, "; damaged {range}")?;
        }
        if self.unlisted_damage > 0 {
            write!(f, "; {} more damaged ranges", self.unlisted_damage)?;
        }
        Ok(())
    }
}
