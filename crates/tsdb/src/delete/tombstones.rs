//! The file of deletes whose samples are not out of all blocks yet. See docs/format/tombstones.md.

use std::path::{Path, PathBuf};

use sonde_disk::blocks::directory::says_damaged;
use sonde_disk::varint::{Reader, put, put_signed, put_str};
use sonde_disk::{Frame, Fs, read_all, write_atomic};
use sonde_model::{Labels, MatchOp, Matcher, TimestampMs};

use crate::Error;
use crate::codec::DecodeError;
use crate::db::Db;

/// Deletes that may wait for their space.
pub(crate) const MAX_TOMBSTONES: usize = 10_000;
/// Version 1 has no mark.
const FRAME: Frame = Frame { magic: *b"SONDETMB", version: 2 };
const MAX_BYTES: u64 = 64 << 20;

/// What the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Deletes {
    /// All flushes up to this one were in blocks when it was written: what a delete covers is not in the log behind them,
    /// also where the manifest, which knows better, is lost.
    pub(crate) flushed: u64,
    pub(crate) tombstones: Vec<Tombstone>,
}

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

/// Replaces the file, durably. All flushes up to `flushed` are in blocks.
pub(crate) fn store(fs: &dyn Fs, dir: &Path, flushed: u64, tombstones: &[Tombstone]) -> Result<(), Error> {
    let path = path(dir);
    let bytes = encode(flushed, tombstones);
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Error::DeletesTooLarge { bytes: bytes.len() as u64, limit: MAX_BYTES });
    }
    write_atomic(fs, &path, &bytes).map_err(Db::io("write", &path))
}

/// Reads the file; the inner error says how it is damaged. One that cannot be read for a reason that says nothing about
/// it is an error: to go on without it would bring back what was deleted.
pub(crate) fn load(fs: &dyn Fs, dir: &Path) -> Result<Result<Deletes, String>, Error> {
    let path = path(dir);
    if !fs.exists(&path).map_err(Db::io("look for", &path))? {
        return Ok(Ok(Deletes::default()));
    }
    match read_all(fs, &path, MAX_BYTES) {
        Ok(bytes) => Ok(decode(&bytes).map_err(|error| error.to_string())),
        Err(error) if says_damaged(&error) || error.kind() == std::io::ErrorKind::FileTooLarge => {
            Ok(Err(error.to_string()))
        }
        Err(error) => Err(Db::io("read", &path)(error)),
    }
}

fn encode(flushed: u64, tombstones: &[Tombstone]) -> Vec<u8> {
    FRAME.write(|out| {
        put(out, flushed);
        put(out, tombstones.len() as u64);
        tombstones.iter().for_each(|tombstone| put_tombstone(out, tombstone));
    })
}

fn put_tombstone(out: &mut Vec<u8>, tombstone: &Tombstone) {
    put(out, tombstone.covers);
    put_signed(out, tombstone.from);
    put_signed(out, tombstone.to);
    put(out, tombstone.selectors.len() as u64);
    for matchers in &tombstone.selectors {
        put(out, matchers.len() as u64);
        for matcher in matchers {
            out.push(match matcher.op() {
                MatchOp::Equal => 0,
                MatchOp::NotEqual => 1,
                MatchOp::Regex => 2,
                MatchOp::NotRegex => 3,
            });
            put_str(out, matcher.name());
            put_str(out, matcher.value());
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Deletes, DecodeError> {
    let (version, mut reader) = FRAME.read(bytes)?;
    let flushed = if version == 1 { 0 } else { reader.varint()? };
    let mut tombstones = Vec::new();
    for _ in 0..reader.count(4, "tombstones")? {
        let (covers, from, to) = (reader.varint()?, reader.signed()?, reader.signed()?);
        let selectors = (0..reader.count(1, "selectors")?)
            .map(|_| (0..reader.count(3, "matchers")?).map(|_| read_matcher(&mut reader)).collect())
            .collect::<Result<_, DecodeError>>()?;
        tombstones.push(Tombstone { covers, from, to, selectors });
    }
    Ok(Deletes { flushed, tombstones })
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
        let bytes = encode(9, std::slice::from_ref(&one));
        assert_eq!(bytes[..16], *b"SONDETMB\x02\0\0\0\x09\x01\xac\x02");
        let read = decode(&bytes).unwrap();
        assert_eq!((read.flushed, format!("{:?}", read.tombstones)), (9, format!("{:?}", std::slice::from_ref(&one))));
        // What was written before there was the mark.
        let body = &bytes[13..bytes.len() - 4];
        let of_version_1 = Frame { version: 1, ..FRAME }.write(|out| out.extend_from_slice(body));
        let read = decode(&of_version_1).unwrap();
        assert_eq!((read.flushed, format!("{:?}", read.tombstones)), (0, format!("{:?}", [one])));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(&damaged).is_err(), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&FRAME.write(|out| out.append(&mut bytes)));
        }
    }
}
