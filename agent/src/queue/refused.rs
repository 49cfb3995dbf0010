//! The numbers of batches that the collector refused for good and that it has not passed yet, kept in a file.
//!
//! An empty batch is sent under such a number. A restart has to know it: the refused batch still lies in the WAL, and
//! sent under a number that the collector knows with other content it would look like a batch of another agent.

use std::io;
use std::path::Path;

use sonde_disk::{Fs, read_all};
use sonde_model::{BatchId, Signal};

use super::cursor::ReadCursor;
use super::reader::same_stream;

/// More are never on their way at once; what is further back was passed long ago.
const MAX_NUMBERS: usize = 1_000;
const MAX_FILE_BYTES: u64 = 256 << 10;

/// Numbers that are given up, and whether the file says so.
#[derive(Debug, Default)]
pub(super) struct RefusedNumbers {
    ids: Vec<BatchId>,
    is_stored: bool,
}

impl RefusedNumbers {
    /// Reads the file; what cannot be understood is no number.
    pub(super) fn load(fs: &dyn Fs, dir: &Path, signal: Signal, cursor: Option<&ReadCursor>) -> io::Result<Self> {
        let path = dir.join(file_name(signal));
        if !fs.exists(&path)? {
            return Ok(RefusedNumbers { ids: Vec::new(), is_stored: true });
        }
        let bytes = read_all(fs, &path, MAX_FILE_BYTES)?;
        let mut ids: Vec<BatchId> =
            String::from_utf8_lossy(&bytes).lines().filter_map(|line| parse(line, signal)).collect();
        let found = ids.len();
        let is_passed = |id: &BatchId| cursor.is_some_and(|c| same_stream(*id, c.last) && id.seq <= c.last.seq);
        ids.retain(|id| !is_passed(id));
        Ok(RefusedNumbers { is_stored: ids.len() == found, ids })
    }

    /// What the file has to say, if it does not say so yet; from now on it is taken to.
    pub(super) fn take_text(&mut self) -> Option<String> {
        let line = |id: &BatchId| format!("{} {} {}\n", id.agent, id.epoch, id.seq);
        let text = (!self.is_stored).then(|| self.ids.iter().map(line).collect());
        self.is_stored = true;
        text
    }

    /// The file could not be written.
    pub(super) fn not_stored(&mut self) {
        self.is_stored = false;
    }

    pub(super) fn contains(&self, id: BatchId) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn add(&mut self, id: BatchId) {
        if self.contains(id) {
            return;
        }
        if self.ids.len() == MAX_NUMBERS {
            self.ids.remove(0);
        }
        self.ids.push(id);
        self.is_stored = false;
    }

    /// The collector has passed this number.
    pub(super) fn remove(&mut self, id: BatchId) {
        let before = self.ids.len();
        self.ids.retain(|known| *known != id);
        self.is_stored &= self.ids.len() == before;
    }
}

/// The file of a signal below the agent's folder.
pub(super) fn file_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "refused",
        Signal::Traces => "refused-traces",
    }
}

fn parse(line: &str, signal: Signal) -> Option<BatchId> {
    let mut words = line.split(' ');
    let agent = words.next()?.parse().ok()?;
    let epoch = words.next()?.parse().ok()?;
    let seq = words.next()?.parse().ok()?;
    Some(BatchId { agent, epoch, signal, seq })
}

#[cfg(test)]
mod tests {
    use sonde_disk::wal::Position;
    use sonde_disk::{MemFs, write_atomic};
    use sonde_model::AgentId;

    use super::*;

    #[test]
    fn numbers_come_back_until_they_are_passed() {
        let (fs, dir) = (MemFs::new(), Path::new("agent"));
        fs.create_dir_all(dir).unwrap();
        let id = |seq| BatchId { agent: AgentId([1; 16]), epoch: 2, signal: Signal::Metrics, seq };
        let load = |cursor: Option<&ReadCursor>| RefusedNumbers::load(&fs, dir, Signal::Metrics, cursor).unwrap();
        let mut numbers = load(None);
        let store = |numbers: &mut RefusedNumbers| {
            let text = numbers.take_text().unwrap();
            write_atomic(&fs, &dir.join(file_name(Signal::Metrics)), text.as_bytes()).unwrap();
        };
        [5, 7, 9].into_iter().for_each(|seq| numbers.add(id(seq)));
        store(&mut numbers);
        assert_eq!(numbers.take_text(), None);
        numbers.remove(id(9));
        assert_eq!(load(None).ids, [id(5), id(7), id(9)], "what is not stored again is not forgotten");
        store(&mut numbers);
        let cursor = ReadCursor { next: Position::START, last: id(5) };
        assert_eq!(load(Some(&cursor)).ids, [id(7)]);
        for seq in 0..2 * MAX_NUMBERS as u64 {
            numbers.add(id(seq));
        }
        assert_eq!(numbers.ids.len(), MAX_NUMBERS);
        write_atomic(&fs, &dir.join(file_name(Signal::Metrics)), b"x\n1 2\n\xff").unwrap();
        assert_eq!(load(None).ids, []);
    }
}
