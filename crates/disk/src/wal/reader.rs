//! Reading durable records while appending goes on.

use std::io;
use std::sync::Arc;

use super::frame::FrameKind;
use super::scan::{Found, Scanner};
use super::segment::{self, FRAMES_AT, Segment};
use super::shared::Shared;
use super::window::Window;
use super::{DamageReason, DamagedRange, Position, WalError, WalStats};

/// Reads durable records in order, from where it stands to the end, and again when there are more.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    position: Position,
    /// The number of the record that was read last.
    sequence: u64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    number: u64,
    scanner: Scanner,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, position: Position) -> Self {
        Self { shared, position, sequence: 0, open: None }
    }

    /// The next durable record: where it lies, where the one behind it may lie, its bytes. `None` while there is no
    /// more. A position that was truncated away counts as the oldest that is kept. After [`WalError::Damaged`] the
    /// next call goes on behind the damage; after another error it tries again.
    #[expect(clippy::should_implement_trait, reason = "`None` means not yet, which an iterator must not say")]
    pub fn next(&mut self) -> Result<Option<(Position, Position, Vec<u8>)>, WalError> {
        loop {
            let Some((number, segment)) = self.shared.segment_from(self.position.segment) else { return Ok(None) };
            if number > self.position.segment {
                self.position = Position { segment: number, offset: FRAMES_AT };
            }
            let Some(salt) = segment.salt else { return Err(self.skip_segment(number)) };
            self.position.offset = self.position.offset.max(FRAMES_AT);
            if self.position.offset >= segment.end {
                if self.shared.segment_from(number + 1).is_none() {
                    return Ok(None);
                }
                // A later segment is made only after the last record of this one: look again, now that there is one.
                match self.shared.segment_from(number) {
                    Some((same, segment)) if same == number && self.position.offset < segment.end => {}
                    _ => self.step_to(Position { segment: number + 1, offset: FRAMES_AT }),
                }
                continue;
            }
            match self.read(number, segment, salt) {
                Ok(Some(record)) => return Ok(Some(record)),
                Ok(None) => {}
                Err(WalError::Io { source, .. }) if self.is_truncated(number, &source) => {
                    self.step_to(Position { segment: number + 1, offset: FRAMES_AT });
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Where the next record will be looked for.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The number of the record that was read last. It stays the record's for ever, also where the record is written
    /// again elsewhere after a crash; each record has one more than the one before it.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Reads at the reader's place, which is before the end of the segment; `None` if there was only a mark.
    fn read(
        &mut self,
        number: u64,
        segment: Segment,
        salt: u64,
    ) -> Result<Option<(Position, Position, Vec<u8>)>, WalError> {
        let path = segment::path(&self.shared.dir, number);
        let open = match &mut self.open {
            Some(open) if open.number == number && open.scanner.offset() == self.position.offset => open,
            open => {
                let file = self.shared.fs.open(&path).map_err(|error| WalError::io("open", &path, error))?;
                let window = Window::new(file, segment.end);
                let scanner = Scanner::resume(window, salt, self.position.offset);
                open.insert(Open { number, scanner })
            }
        };
        open.scanner.extend(segment.end);
        let failed = |error| WalError::io("read", &path, error);
        let at = |offset| Position { segment: number, offset };
        match open.scanner.next() {
            Ok(Found::Frame(frame)) => {
                let record = open.scanner.record(&frame).map_err(failed)?.to_vec();
                self.position.offset = frame.end;
                if frame.kind == FrameKind::Record {
                    self.sequence = frame.sequence;
                }
                Ok((frame.kind == FrameKind::Record).then(|| (at(frame.offset), at(frame.end), record)))
            }
            Ok(Found::Damage { from, to, reason }) => Err(self.damaged(at(from), at(to), reason)),
            Ok(Found::Trailing { from, reason, .. }) => Err(self.damaged(at(from), at(segment.end), reason)),
            Ok(Found::End) => {
                let from = self.position;
                Err(self.damaged(from, at(segment.end), DamageReason::MissingRecords))
            }
            Err(error) => {
                self.open = None;
                Err(failed(error))
            }
        }
    }

    fn skip_segment(&mut self, number: u64) -> WalError {
        let from = Position { segment: number, offset: 0 };
        self.damaged(from, Position { segment: number + 1, offset: FRAMES_AT }, DamageReason::SegmentHeader)
    }

    fn damaged(&mut self, from: Position, to: Position, reason: DamageReason) -> WalError {
        self.step_to(to);
        WalStats::add(&self.shared.stats.reader_damage, 1);
        WalError::Damaged(DamagedRange { from, to, lost_records: None, reason })
    }

    fn step_to(&mut self, position: Position) {
        self.position = position;
        if self.open.as_ref().is_some_and(|open| open.number != position.segment) {
            self.open = None;
        }
    }

    /// Whether the file is gone because the segment was truncated between the look-up and the opening.
    fn is_truncated(&self, number: u64, error: &io::Error) -> bool {
        error.kind() == io::ErrorKind::NotFound
            && self.shared.segment_from(number).is_none_or(|(found, _)| found != number)
    }
}
