//! The file that says which days a tier has taken, and how much of them. See docs/format/tiers.md.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sonde_disk::varint::{put, put_signed};
use sonde_disk::{Frame, Fs, read_all, write_atomic};

use crate::codec::DecodeError;
use crate::{Db, Error};

const FRAME: Frame = Frame { magic: *b"SONDEFED", version: 1 };
const MAX_BYTES: u64 = 16 << 20;

/// For each day since 1970 the highest rank of the blocks that it was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fed {
    pub(crate) days: BTreeMap<i64, u64>,
}

impl Fed {
    /// Whether all blocks of a day up to this rank were taken.
    pub(crate) fn has(&self, day: i64, rank: u64) -> bool {
        self.days.get(&day).is_some_and(|fed| *fed >= rank)
    }

    /// Reads the file. One that cannot be read is told and taken for empty: what is fed twice is the same.
    pub(crate) fn load(fs: &dyn Fs, dir: &Path) -> Self {
        let path = path(dir);
        match fs.exists(&path) {
            Ok(false) => return Fed::default(),
            Ok(true) => {}
            Err(error) => tracing::warn!(%error, "{} cannot be looked for", path.display()),
        }
        let read = read_all(fs, &path, MAX_BYTES).map_err(|e| e.to_string());
        match read.and_then(|bytes| Fed::decode(&bytes).map_err(|e| e.to_string())) {
            Ok(fed) => fed,
            Err(reason) => {
                tracing::warn!(reason, "{} cannot be read: the tier is fed again", path.display());
                Fed::default()
            }
        }
    }

    /// Whether the file can be read, where there is one; what is wrong with it otherwise.
    pub(crate) fn check(fs: &dyn Fs, dir: &Path) -> Result<(), String> {
        let path = path(dir);
        if matches!(fs.exists(&path), Ok(false)) {
            return Ok(());
        }
        let bytes = read_all(fs, &path, MAX_BYTES).map_err(|error| error.to_string())?;
        Fed::decode(&bytes).map(drop).map_err(|error| error.to_string())
    }

    /// Replaces the file, durably.
    pub(crate) fn store(&self, fs: &dyn Fs, dir: &Path) -> Result<(), Error> {
        let path = path(dir);
        write_atomic(fs, &path, &self.encode()).map_err(Db::io("write", &path))
    }

    fn encode(&self) -> Vec<u8> {
        FRAME.write(|out| {
            put(out, self.days.len() as u64);
            for (day, rank) in &self.days {
                put_signed(out, *day);
                put(out, *rank);
            }
        })
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let (_, mut reader) = FRAME.read(bytes)?;
        let mut fed = Fed::default();
        for _ in 0..reader.count(2, "days")? {
            let (day, rank) = (reader.signed()?, reader.varint()?);
            fed.days.insert(day, rank);
        }
        if !reader.is_empty() {
            return Err(DecodeError::Inconsistent { what: "there is more than the days that were fed" });
        }
        Ok(fed)
    }
}

/// Where the file lies in the directory of a tier.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("fed")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sonde_disk::MemFs;

    use super::*;

    #[test]
    fn what_was_fed_comes_back_and_damage_is_noticed() {
        let fed = Fed { days: BTreeMap::from([(-2, 7), (20_000, 300)]) };
        let bytes = fed.encode();
        assert_eq!(bytes[..20], *b"SONDEFED\x01\0\0\0\x02\x03\x07\xc0\xb8\x02\xac\x02");
        assert_eq!(Fed::decode(&bytes), Ok(fed.clone()));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(Fed::decode(&damaged).is_err(), "byte {at}");
        }
        assert!(fed.has(-2, 7) && fed.has(-2, 6) && !fed.has(-2, 8) && !fed.has(-1, 0));
        let (fs, dir) = (MemFs::new(), Path::new("/tier"));
        fs.create_dir_all(dir).unwrap();
        assert_eq!(Fed::load(&fs, dir), Fed::default());
        fed.store(&fs, dir).unwrap();
        assert_eq!(Fed::load(&fs, dir), fed);
        write_atomic(&fs, &path(dir), b"SONDEFED").unwrap();
        assert_eq!(Fed::load(&fs, dir), Fed::default());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Fed::decode(&FRAME.write(|out| out.append(&mut bytes)));
        }
    }
}
