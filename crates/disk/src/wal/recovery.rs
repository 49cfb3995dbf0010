//! Opening a WAL: what is intact, what was cut, what is lost. The rules are those of docs/format/wal.md, "Opening".

use std::path::{Path, PathBuf};

use super::create::{CreateFailure, SYNC, create_segment};
use super::frame::{FRAME_HEADER_LEN, FrameKind};
use super::scan::{Found, Frame, Scanner};
use super::segment::{self, FRAMES_AT, HeaderError, Segment, SegmentHeader, Segments, VERSION};
use super::window::Window;
use super::{DamageReason, DamagedRange, OpenReport, Position, TruncatedTail, WalError};
use crate::fs::Fs;

/// What was found, and where to go on.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) segments: Segments,
    pub(super) next_number: u64,
    pub(super) next_sequence: u64,
    pub(super) report: OpenReport,
}

/// What may be done with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To go on with the WAL: what is handed over is durable when the reading is over.
    Open,
    /// To look at it: nothing is changed.
    Examine,
}

/// Reads the WAL in `dir` and hands every record to `replay`.
pub(super) fn recover(
    fs: &dyn Fs,
    dir: &Path,
    purpose: Purpose,
    replay: &mut dyn FnMut(Position, &[u8]),
) -> Result<Recovered, WalError> {
    if purpose == Purpose::Open {
        // What is listed next must be what a crash leaves: a removal that a killed process did not sync would come undone.
        fs.sync_dir(dir).map_err(|error| WalError::io(SYNC, dir, error))?;
    }
    let files = list_segments(fs, dir, purpose)?;
    let mut recovery = Recovery {
        fs,
        dir,
        replay,
        segments: Segments::new(),
        expected: None,
        behind: Position::START,
        gap: None,
        report: OpenReport { segments: files.len() as u64, ..OpenReport::default() },
    };
    let mut unproven = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let later = files[index + 1..].iter().filter_map(|file| file.header);
        let superseded_from = later.map(|header| header.first_sequence).min().unwrap_or(u64::MAX);
        match &file.header {
            None => recovery.lost_segment(file),
            Some(header) if index + 1 == files.len() => unproven = recovery.last_segment(file, header)?,
            Some(header) => recovery.sealed_segment(file, header, superseded_from)?,
        }
    }
    recovery.end_gap();
    let mut next_number = files.last().map_or(1, |file| file.number.saturating_add(1));
    match purpose {
        Purpose::Open => recovery.write_again(unproven, &mut next_number)?,
        Purpose::Examine => recovery.show_again(unproven, next_number - 1),
    }
    Ok(Recovered {
        next_sequence: recovery.expected.unwrap_or(1),
        segments: recovery.segments,
        next_number,
        report: recovery.report,
    })
}

struct SegmentFile {
    number: u64,
    path: PathBuf,
    len: u64,
    header: Option<SegmentHeader>,
}

/// A record of the last segment that nothing proves to be on the disk.
struct Unproven {
    frame: Frame,
    record: Vec<u8>,
}

struct Recovery<'a> {
    fs: &'a dyn Fs,
    dir: &'a Path,
    replay: &'a mut dyn FnMut(Position, &[u8]),
    segments: Segments,
    /// The sequence number that the next record must have; `None` before the first segment.
    expected: Option<u64>,
    /// Where the last intact record ends.
    behind: Position,
    /// Damage that has begun and is not over, or may turn out to be none.
    gap: Option<(Position, DamageReason)>,
    report: OpenReport,
}

impl Recovery<'_> {
    fn lost_segment(&mut self, file: &SegmentFile) {
        let from = self.gap.map_or(Position { segment: file.number, offset: 0 }, |(from, _)| from);
        self.gap = Some((from, DamageReason::SegmentHeader));
        self.segments.insert(file.number, Segment { salt: None, end: 0, file_bytes: file.len });
    }

    fn sealed_segment(
        &mut self,
        file: &SegmentFile,
        header: &SegmentHeader,
        superseded_from: u64,
    ) -> Result<(), WalError> {
        self.begin_segment(file, header);
        let mut scanner = file.scanner(self.fs, header, superseded_from)?;
        loop {
            match scanner.next().map_err(|error| file.unreadable(error))? {
                Found::Frame(frame) => self.frame(file, &mut scanner, &frame)?,
                Found::Damage { from, reason, .. } | Found::Trailing { from, reason, .. } => {
                    self.begin_gap(file, from, reason);
                }
                Found::End => return Ok(()),
            }
        }
    }

    fn last_segment(&mut self, file: &SegmentFile, header: &SegmentHeader) -> Result<Vec<Unproven>, WalError> {
        self.begin_segment(file, header);
        let proven = file.proven(self.fs, header)?;
        let mut scanner = file.scanner(self.fs, header, u64::MAX)?;
        let mut unproven = Vec::new();
        loop {
            let (from, bytes, reason) = match scanner.next().map_err(|error| file.unreadable(error))? {
                Found::Frame(frame) if frame.offset >= proven && frame.kind == FrameKind::Record => {
                    self.advance(file.position(frame.offset), frame.sequence);
                    self.expected = Some(frame.sequence.saturating_add(1));
                    let record = scanner.record(&frame).map_err(|error| file.unreadable(error))?.to_vec();
                    unproven.push(Unproven { frame, record });
                    continue;
                }
                Found::Frame(frame) => {
                    self.frame(file, &mut scanner, &frame)?;
                    continue;
                }
                Found::Damage { from, to, reason } => (from, to - from, reason),
                Found::Trailing { from, bytes, reason } => (from, bytes, reason),
                Found::End => return Ok(unproven),
            };
            if from < proven {
                self.begin_gap(file, from, reason);
                continue;
            }
            // Here a disk that cannot be read just now would cost acknowledged records; in a proven place it only hides
            // them from this opening.
            scanner.check_readable(from).map_err(|error| file.unreadable(error))?;
            let bytes = scanner.bytes_before_zeros(from).map_err(|error| file.unreadable(error))?.max(bytes);
            self.report.truncated_tail = Some(TruncatedTail { at: file.position(from), bytes });
            return Ok(unproven);
        }
    }

    fn begin_segment(&mut self, file: &SegmentFile, header: &SegmentHeader) {
        self.advance(file.position(FRAMES_AT), header.first_sequence);
        let segment = Segment { salt: Some(header.salt), end: FRAMES_AT, file_bytes: file.len };
        self.segments.insert(file.number, segment);
    }

    fn frame(&mut self, file: &SegmentFile, scanner: &mut Scanner, frame: &Frame) -> Result<(), WalError> {
        let position = file.position(frame.offset);
        self.advance(position, frame.sequence);
        if frame.kind == FrameKind::Mark {
            return Ok(());
        }
        let record = scanner.record(frame).map_err(|error| file.unreadable(error))?;
        self.hand_over(position, frame.sequence, record);
        self.set_end(file.number, frame.end);
        Ok(())
    }

    fn hand_over(&mut self, position: Position, sequence: u64, record: &[u8]) {
        (self.replay)(position, record);
        self.expected = Some(sequence.saturating_add(1));
        self.report.records += 1;
        self.report.bytes += record.len() as u64;
        let offset = position.offset + (FRAME_HEADER_LEN + record.len()) as u64;
        self.behind = Position { segment: position.segment, offset };
    }

    fn set_end(&mut self, number: u64, end: u64) {
        if let Some(segment) = self.segments.get_mut(&number) {
            segment.end = end;
        }
    }

    fn begin_gap(&mut self, file: &SegmentFile, from: u64, reason: DamageReason) {
        self.gap.get_or_insert((file.position(from), reason));
    }

    /// The record with this sequence number stands, or will stand, at `position`: records between it and the last one
    /// are lost.
    fn advance(&mut self, position: Position, sequence: u64) {
        let lost = self.expected.map_or(0, |expected| sequence.saturating_sub(expected));
        let gap = self.gap.take();
        self.expected = Some(self.expected.map_or(sequence, |expected| expected.max(sequence)));
        match gap {
            // Nothing is missing: what looked damaged is the end of an abandoned segment.
            Some((_, reason)) if lost == 0 && reason != DamageReason::SegmentHeader => {}
            Some((from, reason)) => {
                let lost_records = Some(lost).filter(|lost| *lost > 0);
                self.report.add_damage(DamagedRange { from, to: position, lost_records, reason });
            }
            None if lost > 0 => {
                let (from, reason) = (self.behind, DamageReason::MissingRecords);
                self.report.add_damage(DamagedRange { from, to: position, lost_records: Some(lost), reason });
            }
            None => {}
        }
    }

    /// Nothing follows the damage.
    fn end_gap(&mut self) {
        let Some((from, reason)) = self.gap.take() else { return };
        let last = self.segments.last_key_value().map_or(from.segment, |(number, _)| *number);
        let to = Position { segment: last.saturating_add(1), offset: 0 };
        self.report.add_damage(DamagedRange { from, to, lost_records: None, reason });
    }

    /// Hands the unproven records over where they are.
    fn show_again(&mut self, unproven: Vec<Unproven>, number: u64) {
        self.report.rewritten_records = unproven.len() as u64;
        for Unproven { frame, record } in unproven {
            self.hand_over(Position { segment: number, offset: frame.offset }, frame.sequence, &record);
        }
    }

    /// Writes the unproven records to a new segment or, if that fails, over themselves; then hands them over.
    fn write_again(&mut self, unproven: Vec<Unproven>, next_number: &mut u64) -> Result<(), WalError> {
        let Some(first) = unproven.first().map(|unproven| unproven.frame) else { return Ok(()) };
        self.report.rewritten_records = unproven.len() as u64;
        let number = *next_number;
        *next_number = next_number.saturating_add(1);
        let records = unproven.iter().map(|unproven| unproven.record.as_slice());
        match create_segment(self.fs, self.dir, number, first.sequence, records) {
            Ok(created) => {
                let segment = Segment { salt: Some(created.salt), end: created.end, file_bytes: created.end };
                self.segments.insert(number, segment);
                let mut offset = FRAMES_AT;
                for Unproven { frame, record } in unproven {
                    self.hand_over(Position { segment: number, offset }, frame.sequence, &record);
                    offset += (FRAME_HEADER_LEN + record.len()) as u64;
                }
            }
            Err(CreateFailure { error, named }) => {
                let old = self.segments.last_key_value().map_or(0, |(number, _)| *number);
                let path = segment::path(self.dir, old);
                let end = unproven.last().map_or(first.end, |last| last.frame.end);
                tracing::warn!(%error, segment = old, "cannot write the end of the WAL to a new segment, doing it in place");
                // A new segment that may be there supersedes the records of the old one: then there is no way back.
                if named.is_some() || write_in_place(self.fs, &path, first.offset, end).is_err() {
                    return Err(error);
                }
                for Unproven { frame, record } in unproven {
                    self.hand_over(Position { segment: old, offset: frame.offset }, frame.sequence, &record);
                }
                self.set_end(old, end);
            }
        }
        Ok(())
    }
}

impl SegmentFile {
    fn position(&self, offset: u64) -> Position {
        Position { segment: self.number, offset }
    }

    fn scanner(&self, fs: &dyn Fs, header: &SegmentHeader, superseded_from: u64) -> Result<Scanner, WalError> {
        let file = fs.open(&self.path).map_err(|error| WalError::io("open", &self.path, error))?;
        Ok(Scanner::new(Window::new(file, self.len), header, superseded_from))
    }

    /// The offset below which everything was synced, as far as the segment itself can prove it.
    fn proven(&self, fs: &dyn Fs, header: &SegmentHeader) -> Result<u64, WalError> {
        let mut scanner = self.scanner(fs, header, u64::MAX)?;
        let mut proven = header.synced;
        loop {
            match scanner.next().map_err(|error| self.unreadable(error))? {
                Found::Frame(frame) => proven = proven.max(frame.synced),
                Found::Damage { .. } | Found::Trailing { .. } => {}
                Found::End => return Ok(proven),
            }
        }
    }

    fn unreadable(&self, error: std::io::Error) -> WalError {
        WalError::io("read", &self.path, error)
    }
}

/// The segments by number. Segments that never got their name are removed, where that is the purpose.
fn list_segments(fs: &dyn Fs, dir: &Path, purpose: Purpose) -> Result<Vec<SegmentFile>, WalError> {
    let mut files = Vec::new();
    for entry in fs.list(dir).map_err(|error| WalError::io("list", dir, error))? {
        if segment::is_temporary(&entry.name) {
            if purpose == Purpose::Open {
                // It holds nothing; if it cannot be removed now, it will be when its number is used.
                let _ = fs.remove_file(&dir.join(&entry.name));
            }
            continue;
        }
        let Some(number) = segment::parse_name(&entry.name).filter(|_| !entry.is_dir) else { continue };
        let path = dir.join(&entry.name);
        let file = fs.open(&path).map_err(|error| WalError::io("open", &path, error))?;
        let header = match SegmentHeader::read(file.as_ref(), number) {
            Ok(header) => Some(header),
            Err(HeaderError::Damaged) => None,
            Err(HeaderError::Newer(version)) => {
                return Err(WalError::UnsupportedVersion { path, version, supported: VERSION });
            }
            Err(HeaderError::Io(error)) => return Err(WalError::io("read", &path, error)),
        };
        files.push(SegmentFile { number, path, len: entry.len, header });
    }
    files.sort_by_key(|file| file.number);
    files.dedup_by_key(|file| file.number);
    Ok(files)
}

/// Writes a range of a file over itself, so that a sync covers it again, and syncs.
fn write_in_place(fs: &dyn Fs, path: &Path, from: u64, to: u64) -> std::io::Result<()> {
    let file = fs.open(path)?;
    let mut bytes = vec![0; usize::try_from(to - from).map_err(std::io::Error::other)?];
    file.read_exact_at(&mut bytes, from)?;
    file.write_at(&bytes, from)?;
    file.sync()
}
