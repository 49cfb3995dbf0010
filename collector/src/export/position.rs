//! The file that says how far a target has come. See docs/format/remote-write-position.md.

use std::io;
use std::path::{Path, PathBuf};

use sonde_disk::checksum::crc32;
use sonde_disk::{Fs, read_all, write_atomic};
use sonde_tsdb::Position;

const MAGIC: &[u8; 8] = b"SONDERWP";
const VERSION: u8 = 1;
/// Magic, version, position, checksum.
const LEN: usize = 8 + 1 + 8 + 4;
const EXTENSION: &str = "position";

/// The file of one target.
#[derive(Clone, Debug)]
pub(super) struct PositionFile(PathBuf);

impl PositionFile {
    /// The file of the target of this name in `dir`.
    pub(super) fn new(dir: &Path, name: &str) -> Self {
        PositionFile(dir.join(format!("{name}.{EXTENSION}")))
    }

    /// Makes a position durable.
    pub(super) fn write(&self, fs: &dyn Fs, position: Position) -> io::Result<()> {
        write_atomic(fs, &self.0, &encode(position))
    }

    /// The position; `None` where there is no file. One that is damaged is told, and as good as not there.
    pub(super) fn read(&self, fs: &dyn Fs) -> io::Result<Option<Position>> {
        if !fs.exists(&self.0)? {
            return Ok(None);
        }
        let position = decode(&read_all(fs, &self.0, 1 << 10)?);
        if position.is_none() {
            tracing::error!("{} is damaged: what is sent on begins with what comes from now on", self.0.display());
        }
        Ok(position)
    }

    /// Removes the files of targets that are not named.
    pub(super) fn remove_others(fs: &dyn Fs, dir: &Path, names: &[&str]) -> io::Result<()> {
        fs.create_dir_all(dir)?;
        for entry in fs.list(dir)? {
            let known = entry.name.strip_suffix(EXTENSION).and_then(|name| name.strip_suffix('.'));
            if known.is_some_and(|name| !names.contains(&name)) {
                fs.remove_file(&dir.join(&entry.name))?;
            }
        }
        fs.sync_dir(dir)
    }
}

fn encode(position: Position) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LEN);
    bytes.extend_from_slice(MAGIC);
    bytes.push(VERSION);
    bytes.extend_from_slice(&position.0.to_le_bytes());
    bytes.extend_from_slice(&crc32(&bytes).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Position> {
    let bytes: &[u8; LEN] = bytes.try_into().ok()?;
    let (content, checksum) = bytes.split_last_chunk::<4>()?;
    let (head, position) = content.split_last_chunk::<8>()?;
    let is_sound = crc32(content) == u32::from_le_bytes(*checksum);
    (is_sound && head[..8] == *MAGIC && head[8] == VERSION).then(|| Position(u64::from_le_bytes(*position)))
}

#[cfg(test)]
mod tests {
    use sonde_disk::MemFs;

    use super::*;

    #[test]
    fn a_position_is_one_of_version_1_for_ever() {
        let golden = b"SONDERWP\x01\x2a\x00\x00\x00\x00\x00\x00\x00";
        let bytes = encode(Position(42));
        assert_eq!((&bytes[..17], bytes.len()), (golden.as_slice(), LEN));
        assert_eq!(bytes[17..], crc32(golden).to_le_bytes());
        assert_eq!(decode(&bytes), Some(Position(42)));
        for i in 0..LEN {
            let mut damaged = bytes.clone();
            damaged[i] ^= 1;
            assert_eq!(decode(&damaged), None, "byte {i}");
        }
        assert_eq!(decode(&bytes[1..]), None);
    }

    #[test]
    fn files_of_targets_that_are_gone_go() {
        let fs = MemFs::new();
        let dir = Path::new("data/remote_write");
        PositionFile::remove_others(&fs, dir, &[]).expect("it works");
        for name in ["a", "b"] {
            PositionFile::new(dir, name).write(&fs, Position(7)).expect("it works");
        }
        PositionFile::remove_others(&fs, dir, &["b"]).expect("it works");
        let read = |name| PositionFile::new(dir, name).read(&fs).expect("it works");
        assert_eq!((read("a"), read("b")), (None, Some(Position(7))));
    }
}
