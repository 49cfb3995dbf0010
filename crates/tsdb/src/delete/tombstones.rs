//! The file of deletes whose samples are not out of all blocks yet. See docs/format/tombstones.md.

use std::path::{Path, PathBuf};

use sonde_disk::blocks::directory::says_damaged;
use sonde_disk::checksum::crc32_holds;
use sonde_disk::varint::{Reader, put, put_signed, put_str};
use sonde_disk::{Fs, read_all, write_atomic};
use sonde_model::{Labels, MatchOp, Matcher, TimestampMs};

use crate::Error;
use crate::codec::DecodeError;
use crate::db::Db;

/// Deletes that may wait for their space.
pub(crate) const MAX_TOMBSTONES: usize = 10_000;
const MAGIC: [u8; 8] = *b"SONDETMB";
const VERSION: u32 = 1;
const MAX_BYTES: u64 = 64 << 20;

/// A delete.
#[derive(Clone, Debug)]
pub(crate) struct Tombstone {
    /// It covers the blocks with numbers up to this one: those that were there.
    pub(crate) covers: u64,
    pub(crate) from: TimestampMs,
    pub(crate) to: TimestampMs,
    /// A series is deleted if all matchers of one of them hold.
    pub(crate) selectors: Vec<Vec<Matcher>>,
}

impl Tombstone {
    /// Whether it deletes samples of a series.
    pub(crate) fn selects(&self, labels: &Labels) -> bool {
        let holds = |m: &Matcher| m.matches(labels.get(m.name()).unwrap_or(""));
        self.selectors.iter().any(|matchers| matchers.iter().all(holds))
    }
}

/// Where the file lies in the directory of a store.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("tombstones")
}

/// Replaces the file, durably.
pub(crate) fn store(fs: &dyn Fs, dir: &Path, tombstones: &[Tombstone]) -> Result<(), Error> {
    let path = path(dir);
    let bytes = encode(tombstones);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::DeletesTooLarge { bytes: bytes.len() as u64, limit: MAX_BYTES });
    }
    write_atomic(fs, &path, &bytes).map_err(Db::io("write", &path))
}

/// Reads the file; the inner error says how it is damaged. One that cannot be read for a reason that says nothing about
/// it is an error: to go on without it would bring back what was deleted.
pub(crate) fn load(fs: &dyn Fs, dir: &Path) -> Result<Result<Vec<Tombstone>, String>, Error> {
    let path = path(dir);
    if !fs.exists(&path).map_err(Db::io("look for", &path))? {
        return Ok(Ok(Vec::new()));
    }
    match read_all(fs, &path, MAX_BYTES) {
        Ok(bytes) => Ok(decode(&bytes).map_err(|error| error.to_string())),
        Err(error) if says_damaged(&error) || error.kind() == std::io::ErrorKind::FileTooLarge => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(Db::io("read", &path)(error)),
    }
}

fn encode(tombstones: &[Tombstone]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&VERSION.to_le_bytes());
    put(&mut out, tombstones.len() as u64);
    for tombstone in tombstones {
        put(&mut out, tombstone.covers);
        put_signed(&mut out, tombstone.from);
        put_signed(&mut out, tombstone.to);
        put(&mut out, tombstone.selectors.len() as u64);
        for matchers in &tombstone.selectors {
            put(&mut out, matchers.len() as u64);
            for matcher in matchers {
                out.push(match matcher.op() {
                    MatchOp::Equal => 0,
                    MatchOp::NotEqual => 1,
                    MatchOp::Regex => 2,
                    MatchOp::NotRegex => 3,
                });
                put_str(&mut out, matcher.name());
                put_str(&mut out, matcher.value());
            }
        }
    }
    let crc = crc32fast::hash(&out);
    out.extend_from_slice(&crc.to_le_bytes());
    out
}

fn decode(bytes: &[u8]) -> Result<Vec<Tombstone>, DecodeError> {
    let (body, crc) = bytes.split_last_chunk::<4>().ok_or(DecodeError::Truncated)?;
    if !crc32_holds(body, u32::from_le_bytes(*crc)) {
        return Err(DecodeError::Inconsistent { what: "the checksum of the tombstones does not hold" });
    }
    let mut reader = Reader::new(body);
    if reader.array()? != MAGIC {
        return Err(DecodeError::Inconsistent { what: "the file does not begin as tombstones do" });
    }
    let version = reader.u32_le()?;
    if version != VERSION {
        return Err(DecodeError::Unknown { what: "tombstones version", value: version.min(255) as u8 });
    }
    let mut tombstones = Vec::new();
    for _ in 0..reader.count(4, "tombstones")? {
        let (covers, from, to) = (reader.varint()?, reader.signed()?, reader.signed()?);
        let selectors = (0..reader.count(1, "selectors")?)
            .map(|_| (0..reader.count(3, "matchers")?).map(|_| read_matcher(&mut reader)).collect())
            .collect::<Result<_, DecodeError>>()?;
        tombstones.push(Tombstone { covers, from, to, selectors });
    }
    Ok(tombstones)
}

fn read_matcher(reader: &mut Reader<'_>) -> Result<Matcher, DecodeError> {
    let op = match reader.u8()? {
        0 => MatchOp::Equal,
        1 => MatchOp::NotEqual,
        2 => MatchOp::Regex,
        3 => MatchOp::NotRegex,
        value => return Err(DecodeError::Unknown { what: "matcher", value }),
    };
    let (name, value) = (reader.str()?, reader.str()?);
    Matcher::new(name, op, value).map_err(|_| DecodeError::Inconsistent { what: "a regular expression is invalid" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tombstones_come_back_and_damage_is_noticed() {
        let matchers = vec![Matcher::equal("__name__", "up"), Matcher::new("job", MatchOp::NotRegex, "a.*").unwrap()];
        let one = Tombstone { covers: 300, from: i64::MIN, to: 7, selectors: vec![matchers, Vec::new()] };
        let bytes = encode(std::slice::from_ref(&one));
        assert_eq!(bytes[..15], *b"SONDETMB\x01\0\0\0\x01\xac\x02");
        assert_eq!(format!("{:?}", decode(&bytes).unwrap()), format!("{:?}", [one]));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let mut all = MAGIC.to_vec();
            all.extend_from_slice(&VERSION.to_le_bytes());
            all.append(&mut bytes);
            all.extend_from_slice(&crc32fast::hash(&all).to_le_bytes());
            let _ = decode(&all);
        }
    }
}
