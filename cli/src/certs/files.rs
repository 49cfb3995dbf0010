//! The files of certificates: never written over, keys for their owner only.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sonde_tls::PemPair;

use crate::problem::Problem;

/// No certificate and no key is longer.
const MAX_BYTES: u64 = 1 << 20;

/// Makes a folder that only its owner can look into; one that is there stays as it is.
pub(super) fn create_folder(folder: &Path) -> Result<(), Problem> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|e| Problem::new(format!("{}: {e}", folder.display())))
}

/// Writes `NAME.key` and `NAME.pem`; an error where one of them is there.
pub(super) fn write_pair(folder: &Path, name: &str, pair: &PemPair) -> Result<(), Problem> {
    let (key, certificate) = (path(folder, name, "key")?, path(folder, name, "pem")?);
    for path in [&key, &certificate] {
        if path.symlink_metadata().is_ok() {
            return Err(exists(path));
        }
    }
    write(&key, &pair.key, 0o600)?;
    write(&certificate, &pair.certificate, 0o644)
}

/// Reads `NAME.EXTENSION`.
pub(super) fn read(folder: &Path, name: &str, extension: &str) -> Result<String, Problem> {
    let path = path(folder, name, extension)?;
    let unreadable = |e| Problem::new(format!("{}: cannot be read: {e}", path.display()));
    let mut text = String::new();
    File::open(&path).map_err(unreadable)?.take(MAX_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn path(folder: &Path, name: &str, extension: &str) -> Result<PathBuf, Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:@".contains(c);
    if name.starts_with('.') || !name.chars().all(plain) {
        return Err(Problem::new(format!("{name:?} cannot be the name of a file"))
            .hint("Letters, digits and - _ . : @ can stand in it."));
    }
    Ok(folder.join(format!("{name}.{extension}")))
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), Problem> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => exists(path),
        _ => Problem::new(format!("{}: {e}", path.display())),
    })?;
    file.write_all(text.as_bytes()).map_err(|e| Problem::new(format!("{}: {e}", path.display())))
}

fn exists(path: &Path) -> Problem {
    Problem::new(format!("{} is there already", path.display()))
        .hint("Nothing is written over: use another folder with --out, or move the old file away.")
}
