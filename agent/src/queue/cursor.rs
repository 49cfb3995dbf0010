//! How far the collector has taken the queue, kept in a file of its own.
//!
//! It is written behind what was delivered: after a crash some batches are sent again under the same numbers. A segment
//! is removed only after the cursor past it is durable.

use std::io;
use std::path::Path;

use sonde_disk::wal::Position;
use sonde_disk::{Fs, read_all, write_atomic};
use sonde_model::{BatchId, Signal};

/// The file has a few short lines.
const MAX_FILE_BYTES: u64 = 4 << 10;

/// How far the collector has taken the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ReadCursor {
    /// Where the next batch to send lies, or will lie.
    pub(super) next: Position,
    /// The last batch that was taken.
    pub(super) last: BatchId,
}

impl ReadCursor {
    /// Reads the cursor; `None` if there is none, or one that cannot be understood: then everything is sent again.
    pub(super) fn load(fs: &dyn Fs, dir: &Path, signal: Signal) -> io::Result<Option<Self>> {
        let path = dir.join(file_name(signal));
        if !fs.exists(&path)? {
            return Ok(None);
        }
        let bytes = read_all(fs, &path, MAX_FILE_BYTES)?;
        let cursor = parse(&String::from_utf8_lossy(&bytes), signal);
        if cursor.is_none() {
            tracing::warn!("{} cannot be understood: the whole queue is sent again", path.display());
        }
        Ok(cursor)
    }

    /// Writes the cursor; durable when this returns.
    pub(super) fn store(&self, fs: &dyn Fs, dir: &Path) -> io::Result<()> {
        let BatchId { agent, epoch, signal, seq } = self.last;
        let text = format!("next: {}\nagent_id: {agent}\nepoch: {epoch}\nseq: {seq}\n", self.next);
        write_atomic(fs, &dir.join(file_name(signal)), text.as_bytes())
    }
}

/// The file of a signal's cursor below the agent's folder.
pub(super) fn file_name(signal: Signal) -> &'static str {
    match signal {
        Signal::Metrics => "cursor",
        Signal::Traces => "cursor-traces",
    }
}

fn parse(text: &str, signal: Signal) -> Option<ReadCursor> {
    let mut lines = text.lines();
    let mut value = |key: &str| lines.next()?.strip_prefix(key)?.strip_prefix(": ");
    let (segment, offset) = value("next")?.split_once(':')?;
    let next = Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? };
    let agent = value("agent_id")?.parse().ok()?;
    let epoch = value("epoch")?.parse().ok()?;
    let seq = value("seq")?.parse().ok()?;
    Some(ReadCursor { next, last: BatchId { agent, epoch, signal, seq } })
}

#[cfg(test)]
mod tests {
    use sonde_disk::MemFs;
    use sonde_model::AgentId;

    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let fs = MemFs::new();
        let dir = Path::new("agent");
        fs.create_dir_all(dir).unwrap();
        for (signal, seq) in [(Signal::Metrics, 3), (Signal::Traces, 9)] {
            assert_eq!(ReadCursor::load(&fs, dir, signal).unwrap(), None);
            let last = BatchId { agent: AgentId([1; 16]), epoch: 2, signal, seq };
            let cursor = ReadCursor { next: Position { segment: 4, offset: 5 }, last };
            cursor.store(&fs, dir).unwrap();
            assert_eq!(ReadCursor::load(&fs.crash(3), dir, signal).unwrap(), Some(cursor));
        }
        for text in ["", "next: 1\n", "next: 1:2\nagent_id: x\nepoch: 1\nseq: 1\n"] {
            assert_eq!(parse(text, Signal::Metrics), None, "{text}");
        }
    }
}
