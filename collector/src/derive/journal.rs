//! The memory of the derivation: how far it has come, and what it has not decided yet.
//!
//! Two files take turns. The one of batch N is durable before batch N goes to the metrics store, and the one of batch
//! N - 1 stays until then. After a crash the cursor of the metrics store says which of the two holds: see decision 43.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sonde_disk::{Fs, read_all, write_atomic};
use sonde_model::TimestampMs;

use super::service_graph::Open;

/// A file is never larger than this: it holds a bounded number of requests with bounded texts.
const LARGEST: u64 = 256 << 20;

/// What was true behind a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// The identity of the derivation, 32 hex digits.
    pub(super) id: String,
    /// The number of the batch; 0 before the first.
    pub(super) seq: u64,
    /// The position in the span store up to which everything is in this batch or in one before it.
    pub(super) position: u64,
    /// The time of the samples of the batch.
    pub(super) timestamp: TimestampMs,
    /// The requests that wait for their other side.
    pub(super) open: Vec<Open>,
}

/// The two files.
#[derive(Debug)]
pub(super) struct Journal<'a> {
    pub(super) fs: &'a dyn Fs,
    pub(super) dir: &'a Path,
}

impl Journal<'_> {
    /// Makes the state durable, in place of the one of the batch before the last.
    pub(super) fn write(&self, state: &State) -> io::Result<()> {
        let bytes = serde_json::to_vec(state).map_err(io::Error::other)?;
        write_atomic(self.fs, &self.path(state.seq), &bytes)
    }

    /// The states that there are. What cannot be read is as good as not there.
    pub(super) fn read(&self) -> io::Result<Vec<State>> {
        self.fs.create_dir_all(self.dir)?;
        let mut states = Vec::new();
        for seq in 0..2 {
            let path = self.path(seq);
            if !self.fs.exists(&path)? {
                continue;
            }
            match serde_json::from_slice(&read_all(self.fs, &path, LARGEST)?) {
                Ok(state) => states.push(state),
                Err(e) => tracing::error!("{} is damaged: {e}", path.display()),
            }
        }
        Ok(states)
    }

    fn path(&self, seq: u64) -> PathBuf {
        self.dir.join(format!("state-{}", seq % 2))
    }
}
