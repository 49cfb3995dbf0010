//! Small files that are replaced whole: after a crash there is the old content or the new, never a mixture.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::fs::{File, Fs, parent_of};

/// Replaces `path` by `bytes`, durably: written beside it under the name with `.tmp` behind, synced, renamed, and the
/// directory synced. On an error the old content stands (or, if only the last step failed, either content does).
pub fn write_atomic(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(fs, path, bytes, |temporary| fs.create(temporary))
}

/// As [`write_atomic`], for secrets: nobody but the owner may open the file, from its first moment on.
pub fn write_private(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(fs, path, bytes, |temporary| fs.create_private(temporary))
}

fn replace(
    fs: &dyn Fs,
    path: &Path,
    bytes: &[u8],
    create: impl FnOnce(&Path) -> io::Result<Arc<dyn File>>,
) -> io::Result<()> {
    let mut name = OsString::from(path);
    name.push(".tmp");
    let temporary = Path::new(&name);
    match fs.remove_file(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = create(temporary)?;
    let written = file.write_at(bytes, 0).and_then(|()| file.sync()).and_then(|()| fs.rename(temporary, path));
    if let Err(error) = written {
        // The half-written file only takes space; the next call removes it if this does not.
        let _ = fs.remove_file(temporary);
        return Err(error);
    }
    fs.sync_dir(parent_of(path))
}

/// Reads a whole file; fails with `FileTooLarge` before allocating if it holds more than `max_bytes`.
pub fn read_all(fs: &dyn Fs, path: &Path, max_bytes: u64) -> io::Result<Vec<u8>> {
    let file = fs.open(path)?;
    let len = file.len()?;
    if len > max_bytes {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{} holds {len} bytes, more than the {max_bytes} that are read at most", path.display()),
        ));
    }
    let too_large = |_| io::Error::new(io::ErrorKind::FileTooLarge, "the file does not fit into memory");
    let mut bytes = vec![0; usize::try_from(len).map_err(too_large)?];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
