//! Making a new segment: it gets its name only once its header and first batch are on the disk.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::WalError;
use super::frame::encode_record;
use super::segment::{self, FRAMES_AT, SegmentHeader};
use crate::fs::{File, Fs};

/// The action of an error that came from a sync.
pub(super) const SYNC: &str = "sync";

/// A segment that can be written to.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    pub(super) number: u64,
    pub(super) salt: u64,
    pub(super) file: Arc<dyn File>,
    /// Where the next frame goes: everything below is synced.
    pub(super) end: u64,
    /// The length of the file: from `end` up to here it holds zeros.
    pub(super) file_bytes: u64,
}

/// Why a segment could not be made.
#[derive(Debug)]
pub(super) struct CreateFailure {
    pub(super) error: WalError,
    /// The segment has its name, though nobody knows whether it keeps it: what it holds must count as superseded.
    pub(super) named: Option<SegmentHeader>,
}

/// Makes segment `number` with `records`, which may be none, as its first batch. When this returns, they are durable;
/// after an error `number` must not be used again.
pub(super) fn create_segment<'a>(
    fs: &dyn Fs,
    dir: &Path,
    number: u64,
    first_sequence: u64,
    records: impl Iterator<Item = &'a [u8]>,
) -> Result<ActiveSegment, CreateFailure> {
    let salt = fastrand::u64(..);
    let mut frames = Vec::new();
    for (sequence, record) in (first_sequence..).zip(records) {
        let offset = FRAMES_AT + frames.len() as u64;
        encode_record(&mut frames, record, salt, offset, sequence, FRAMES_AT);
    }
    let end = FRAMES_AT + frames.len() as u64;
    let header = SegmentHeader { number, salt, first_sequence, synced: end };
    let mut bytes = header.encode();
    bytes.append(&mut frames);

    let path = segment::path(dir, number);
    let file = write_and_name(fs, &segment::temporary_path(dir, number), &path, &bytes)
        .map_err(|error| CreateFailure { error, named: None })?;
    if let Err(error) = fs.sync_dir(dir) {
        return Err(CreateFailure { error: WalError::io(SYNC, dir, error), named: Some(header) });
    }
    Ok(ActiveSegment { number, salt, file, end, file_bytes: end })
}

fn write_and_name(fs: &dyn Fs, temporary: &Path, path: &Path, bytes: &[u8]) -> Result<Arc<dyn File>, WalError> {
    let failed = |action| move |error: io::Error| WalError::io(action, temporary, error);
    let file = match fs.create(temporary) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs.remove_file(temporary).and_then(|()| fs.create(temporary))
        }
        result => result,
    };
    let file = file.map_err(failed("create"))?;
    let named = file.write_at(bytes, 0).map_err(failed("write")).and_then(|()| {
        file.sync().map_err(failed(SYNC))?;
        fs.rename(temporary, path).map_err(failed("rename"))
    });
    match named {
        Ok(()) => Ok(file),
        Err(error) => {
            // What is left behind only takes space, and the next opening removes it.
            let _ = fs.remove_file(temporary);
            Err(error)
        }
    }
}
