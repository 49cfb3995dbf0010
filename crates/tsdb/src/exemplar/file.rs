//! The file that keeps the exemplars when the WAL that held them is cut. See docs/format/exemplars.md.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use sonde_disk::blocks::directory::says_damaged;
use sonde_disk::varint::put;
use sonde_disk::{Frame, Fs, read_all, write_atomic};
use sonde_model::{Exemplar, Labels, TimestampMs};

use super::codec::{self, Previous, Writer};
use super::store::Exemplars;
use crate::Error;
use crate::codec::DecodeError;
use crate::db::{Db, Maintenance};
use crate::open::TRIES;

const FRAME: Frame = Frame { magic: *b"SONDEEXM", version: 1 };
/// A file over this is refused: memory bounds what is written far below it.
const MAX_BYTES: u64 = 1 << 30;

/// Where the file lies in the directory of a store.
pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("exemplars")
}

impl Db {
    /// Makes the exemplars durable outside of the WAL. Called before the WAL is cut; what is written may be newer than
    /// the cut, because reading it again from the WAL changes nothing.
    pub(crate) fn save_exemplars(&self, maintenance: &mut Maintenance, now: TimestampMs) -> Result<(), Error> {
        if std::mem::take(&mut maintenance.exemplars_unread) {
            self.read_exemplars_again();
        }
        let bytes = {
            let mut exemplars = self.shared.exemplars.write();
            exemplars.drop_before(self.shared.retained_from(now));
            encode(&exemplars)
        };
        let path = path(&self.dir);
        write_atomic(self.fs.as_ref(), &path, &bytes).map_err(Db::io("write", &path))?;
        self.shared.stats.exemplar_file_bytes.store(bytes.len() as u64, Relaxed);
        Ok(())
    }

    /// The opening could not read the file, which is about to be replaced: what it holds now joins what came since. If it
    /// cannot be read still it is set aside.
    fn read_exemplars_again(&self) {
        let mut exemplars = self.shared.exemplars.write();
        let path = path(&self.dir);
        let read = read(self.fs.as_ref(), &path, &mut exemplars).map_err(|error| error.to_string());
        if let Err(reason) = read.unwrap_or_else(Err) {
            set_aside(self.fs.as_ref(), &path, &reason);
        }
    }
}

/// Copies the file of the store in `from` to the one in `to`, if there is one.
pub(crate) fn copy(fs: &dyn Fs, from: &Path, to: &Path) -> Result<(), Error> {
    let (from, to) = (path(from), path(to));
    if !fs.exists(&from).map_err(Db::io("look for", &from))? {
        return Ok(());
    }
    let bytes = read_all(fs, &from, MAX_BYTES).map_err(Db::io("read", &from))?;
    write_atomic(fs, &to, &bytes).map_err(Db::io("write", &to))
}

/// What the opening found of the file.
#[derive(Debug)]
pub(crate) enum Loaded {
    /// All that it holds, or it is not there.
    Whole,
    /// It is damaged and was set aside.
    Damaged(String),
    /// It cannot be read now, which says nothing about it: it is tried once more before it is replaced.
    Unread(String),
}

/// Reads the file into `exemplars`.
pub(crate) fn load(fs: &dyn Fs, dir: &Path, exemplars: &mut Exemplars) -> Loaded {
    let path = path(dir);
    // More than once, because most errors that say nothing about a file pass.
    let mut found = read(fs, &path, exemplars);
    for _ in 1..TRIES {
        found = found.or_else(|_| read(fs, &path, exemplars));
    }
    match found {
        Ok(Ok(())) => Loaded::Whole,
        Ok(Err(reason)) => {
            set_aside(fs, &path, &reason);
            Loaded::Damaged(reason)
        }
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "the file of exemplars cannot be read now");
            Loaded::Unread(error.to_string())
        }
    }
}

/// Reads the file, if there is one; the inner error says how it is damaged.
fn read(fs: &dyn Fs, path: &Path, exemplars: &mut Exemplars) -> std::io::Result<Result<(), String>> {
    if !fs.exists(path)? {
        return Ok(Ok(()));
    }
    let bytes = match read_all(fs, path, MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if says_damaged(&error) || error.kind() == std::io::ErrorKind::FileTooLarge => {
            return Ok(Err(error.to_string()));
        }
        Err(error) => return Err(error),
    };
    let read = decode(&bytes, &mut |series, exemplar| {
        exemplars.insert(series, exemplar);
    });
    Ok(read.map_err(|error| error.to_string()))
}

fn set_aside(fs: &dyn Fs, path: &Path, reason: &str) {
    tracing::error!(path = %path.display(), reason, "the file of exemplars is damaged and was set aside");
    // Where it cannot be renamed the next flush replaces it.
    let _ = fs.rename(path, &path.with_extension("damaged"));
}

/// Whether the file can be read, where there is one; the inner error says what is wrong with it.
pub(crate) fn check(fs: &dyn Fs, dir: &Path) -> Result<Result<(), String>, Error> {
    let path = path(dir);
    if !fs.exists(&path).map_err(Db::io("look for", &path))? {
        return Ok(Ok(()));
    }
    let bytes = read_all(fs, &path, MAX_BYTES).map_err(Db::io("read", &path))?;
    Ok(decode(&bytes, &mut |_, _| {}).map_err(|error| error.to_string()))
}

fn encode(exemplars: &Exemplars) -> Vec<u8> {
    let mut sorted: Vec<_> = exemplars.iter().collect();
    sorted.sort_unstable_by_key(|(series, _)| *series);
    FRAME.write(|out| {
        out.reserve(exemplars.status().bytes / 2 + 32);
        put(out, sorted.len() as u64);
        let (mut before, mut writer) = (&Labels::empty(), Writer::default());
        for (series, queue) in sorted {
            codec::put_labels(out, before, series);
            put(out, queue.len() as u64);
            queue.iter().for_each(|exemplar| writer.put(out, exemplar));
            before = series;
        }
    })
}

fn decode(bytes: &[u8], visit: &mut dyn FnMut(&Labels, Exemplar)) -> Result<(), DecodeError> {
    let (_, mut reader) = FRAME.read(bytes)?;
    let (mut before, mut previous) = (Vec::new(), Previous::default());
    for _ in 0..reader.count(2, "series")? {
        let series = codec::read_labels(&mut reader, &mut before)?;
        for _ in 0..reader.count(10, "exemplars")? {
            visit(&series, previous.read(&mut reader)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::exemplar::store::Bounds;

    const BOUNDS: Bounds = Bounds { exemplars: 1000, per_series: 1000, bytes: usize::MAX };

    fn read(bytes: &[u8]) -> Result<Exemplars, DecodeError> {
        let mut exemplars = Exemplars::new(BOUNDS);
        decode(bytes, &mut |series, exemplar| {
            exemplars.insert(series, exemplar);
        })?;
        Ok(exemplars)
    }

    fn some() -> Exemplars {
        let mut exemplars = Exemplars::new(BOUNDS);
        for (series, timestamp, value, id) in [("a", 5, 0.5, "x1"), ("a", 7, f64::NAN, "x2"), ("b", -1, 2.0, "")] {
            let labels = Labels::from_pairs([("trace_id", id)]);
            let series = Labels::from_pairs([("__name__", "m"), ("i", series)]);
            exemplars.insert(&series, Exemplar { labels, value, timestamp });
        }
        exemplars
    }

    #[test]
    fn exemplars_come_back_and_damage_is_noticed() {
        let bytes = encode(&some());
        assert_eq!(encode(&read(&bytes).unwrap()), bytes);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged).is_err() && read(&bytes[..at]).is_err(), "byte {at}");
        }
    }

    /// Files of earlier programs must stay readable: the bytes are written out here.
    #[test]
    fn the_bytes_are_those_of_the_format() {
        let mut exemplars = Exemplars::new(BOUNDS);
        let labels = Labels::from_pairs([("trace_id", "ab")]);
        for (n, timestamp) in [("a", 300), ("b", 301)] {
            let series = Labels::from_pairs([("__name__", "m"), ("n", n)]);
            exemplars.insert(&series, Exemplar { labels: labels.clone(), value: 1.0, timestamp });
        }
        let bytes = encode(&exemplars);
        let one = b"\0\0\0\0\0\0\xf0\x3f";
        let expected: [&[u8]; 9] = [
            b"SONDEEXM\x01\0\0\0\x02",
            b"\x02\x02\x08__name__\x01m\x02\x01n\x01a\x01",
            b"\xd8\x04",
            one,
            b"\x01\x02\x08trace_id\x02ab",
            b"\x02\x00\x01\x01b\x01",
            b"\x02",
            one,
            b"\x01\x00",
        ];
        let expected = expected.concat();
        assert_eq!(bytes[..bytes.len() - 4], expected[..]);
        assert_eq!(bytes[bytes.len() - 4..], sonde_disk::checksum::crc32(&expected).to_le_bytes());
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let all = FRAME.write(|out| out.extend_from_slice(&bytes));
            let _ = read(&all);
        }
    }
}
