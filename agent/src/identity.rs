//! Who this agent is to its collector: a random id for life, and an epoch for each life that could have lost something.
//!
//! The file is text, so that an operator who cloned a machine image can read it, and delete it.

use std::io;
use std::path::{Path, PathBuf};

use sonde_disk::{Fs, read_all, write_atomic};
use sonde_model::AgentId;
use thiserror::Error;

/// The file below the agent's folder.
pub const FILE_NAME: &str = "identity";

/// The file has three short lines.
const MAX_FILE_BYTES: u64 = 4 << 10;

/// The id and the epoch under which batches are numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The id of the agent.
    pub agent: AgentId,
    /// Its life, from 1.
    pub epoch: u64,
    /// Whether spans are numbered under it too. Not so where a release wrote it that took metrics only.
    pub has_traces: bool,
}

/// Why the identity cannot be kept.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The file cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for an agent id")]
    Random {
        /// What the system says.
        source: getrandom::Error,
    },
}

impl Identity {
    /// A new identity: no other agent has this id.
    pub fn new() -> Result<Self, IdentityError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(|source| IdentityError::Random { source })?;
        Ok(Identity { agent: AgentId(id), epoch: 1, has_traces: true })
    }

    /// Reads the identity of the agent whose folder this is; `None` if it has none, or one that cannot be understood.
    pub fn load(fs: &dyn Fs, dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join(FILE_NAME);
        let file = |source| IdentityError::File { path: path.clone(), source };
        if !fs.exists(&path).map_err(file)? {
            return Ok(None);
        }
        let bytes = read_all(fs, &path, MAX_FILE_BYTES).map_err(file)?;
        let identity = parse(&String::from_utf8_lossy(&bytes));
        if identity.is_none() {
            tracing::warn!("{} cannot be understood: this agent takes a new id", path.display());
        }
        Ok(identity)
    }

    /// Writes the identity; durable when this returns.
    pub fn store(&self, fs: &dyn Fs, dir: &Path) -> Result<(), IdentityError> {
        let path = dir.join(FILE_NAME);
        write_atomic(fs, &path, self.to_text().as_bytes()).map_err(|source| IdentityError::File { path, source })
    }

    fn to_text(self) -> String {
        let signals = if self.has_traces { "signals: metrics, traces\n" } else { "" };
        format!("agent_id: {}\nepoch: {}\n{signals}", self.agent, self.epoch)
    }
}

fn parse(text: &str) -> Option<Identity> {
    let mut lines = text.lines();
    let agent = lines.next()?.strip_prefix("agent_id: ")?.parse().ok()?;
    let epoch = lines.next()?.strip_prefix("epoch: ")?.parse().ok().filter(|epoch| *epoch > 0)?;
    let has_traces = lines.next().is_some_and(|line| line == "signals: metrics, traces");
    Some(Identity { agent, epoch, has_traces })
}

#[cfg(test)]
mod tests {
    use sonde_disk::MemFs;

    use super::*;

    #[test]
    fn an_identity_outlives_a_crash() {
        let fs = MemFs::new();
        let dir = Path::new("agent");
        fs.create_dir_all(dir).unwrap();
        assert_eq!(Identity::load(&fs, dir).unwrap(), None);
        let identity = Identity { epoch: 7, ..Identity::new().unwrap() };
        identity.store(&fs, dir).unwrap();
        assert_eq!(Identity::load(&fs.crash(1), dir).unwrap(), Some(identity));
    }

    #[test]
    fn what_cannot_be_understood_is_no_identity() {
        let good = Identity { agent: AgentId([7; 16]), epoch: 3, has_traces: true };
        assert_eq!(parse(&good.to_text()), Some(good));
        let older = Identity { has_traces: false, ..good };
        assert_eq!(parse(&older.to_text()), Some(older));
        for text in ["", "agent_id: 7\nepoch: 1\n", "epoch: 1\n", &good.to_text().replace('3', "0")] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_ne!(Identity::new().unwrap().agent, Identity::new().unwrap().agent);
    }
}
