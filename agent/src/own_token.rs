//! The agent's own token: made here, kept here, and shown to the collector; only its hash is ever told.
//!
//! It is on disk before the collector is asked to know it, so that a crash at any moment loses nothing: whoever asks again asks with
//! the same token. `docs/decisions/0077` walks through the moments.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use sonde_disk::{Fs, read_all, write_private};
use sonde_model::AgentId;
use thiserror::Error;

/// The file of a token that the collector knows.
const GRANTED: &str = "token";
/// The file of a token that the collector may know.
const ASKED: &str = "token.asked";
/// The files have two short lines.
const MAX_FILE_BYTES: u64 = 4 << 10;
/// Random bytes of a token.
const SECRET_BYTES: usize = 32;

/// A token that belongs to one agent.
#[derive(Clone)]
pub(crate) struct OwnToken {
    text: String,
    is_granted: bool,
}

/// Why there is no token.
#[derive(Debug, Error)]
pub enum OwnTokenError {
    /// A file cannot be read or written.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a token")]
    Random(#[from] getrandom::Error),
}

impl OwnToken {
    /// The token of `agent`: the one that the collector knows, else the one that it was asked to know, else a new one.
    pub(crate) fn open(fs: &dyn Fs, dir: &Path, agent: AgentId) -> Result<Self, OwnTokenError> {
        if let Some(text) = read(fs, &dir.join(GRANTED), agent)? {
            return Ok(OwnToken { text, is_granted: true });
        }
        let asked = dir.join(ASKED);
        if let Some(text) = read(fs, &asked, agent)? {
            return Ok(OwnToken { text, is_granted: false });
        }
        let mut random = [0; SECRET_BYTES];
        getrandom::fill(&mut random)?;
        let digits: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let text = format!("sonde_agent_{digits}");
        let file = format!("{text}\nagent_id: {agent}\n");
        write_private(fs, &asked, file.as_bytes()).map_err(|source| OwnTokenError::File { path: asked, source })?;
        Ok(OwnToken { text, is_granted: false })
    }

    /// What is shown to the collector.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Whether the collector is known to know it.
    pub(crate) fn is_granted(&self) -> bool {
        self.is_granted
    }

    /// What the collector keeps of it.
    pub(crate) fn sha256(&self) -> Vec<u8> {
        digest(&SHA256, self.text.as_bytes()).as_ref().to_vec()
    }

    /// Remembers that the collector knows it.
    pub(crate) fn granted(fs: &dyn Fs, dir: &Path) -> Result<(), OwnTokenError> {
        let path = dir.join(GRANTED);
        let renamed = fs.rename(&dir.join(ASKED), &path).and_then(|()| fs.sync_dir(dir));
        renamed.map_err(|source| OwnTokenError::File { path, source })
    }
}

impl fmt::Debug for OwnToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnToken").field("is_granted", &self.is_granted).finish_non_exhaustive()
    }
}

/// The token in a file, if it belongs to this agent.
fn read(fs: &dyn Fs, path: &Path, agent: AgentId) -> Result<Option<String>, OwnTokenError> {
    let file = |source| OwnTokenError::File { path: path.to_owned(), source };
    if !fs.exists(path).map_err(file)? {
        return Ok(None);
    }
    let bytes = read_all(fs, path, MAX_FILE_BYTES).map_err(file)?;
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    let token = lines.next().filter(|line| !line.is_empty() && line.bytes().all(|b| b.is_ascii_graphic()));
    let owner = lines.next().and_then(|line| line.strip_prefix("agent_id: ")?.parse::<AgentId>().ok());
    match token {
        Some(token) if owner == Some(agent) => Ok(Some(token.to_owned())),
        _ => {
            tracing::warn!("{} does not hold a token of agent {agent}: it is not used", path.display());
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use sonde_disk::MemFs;

    use super::*;

    const AGENT: AgentId = AgentId([7; 16]);

    #[test]
    fn a_token_outlives_a_crash_at_any_moment() {
        let (fs, dir) = (MemFs::new(), Path::new("agent"));
        fs.create_dir_all(dir).unwrap();
        let asked = OwnToken::open(&fs, dir, AGENT).unwrap();
        assert!(!asked.is_granted() && asked.text().len() == 12 + 64 && asked.sha256().len() == 32);
        let fs = fs.crash(1);
        let again = OwnToken::open(&fs, dir, AGENT).unwrap();
        assert_eq!((again.text(), again.is_granted()), (asked.text(), false));
        OwnToken::granted(&fs, dir).unwrap();
        let fs = fs.crash(2);
        let granted = OwnToken::open(&fs, dir, AGENT).unwrap();
        assert_eq!((granted.text(), granted.is_granted()), (asked.text(), true));
        assert!(!format!("{granted:?}").contains(granted.text()));
    }

    #[test]
    fn the_token_of_another_agent_is_not_used() {
        let (fs, dir) = (MemFs::new(), Path::new("agent"));
        fs.create_dir_all(dir).unwrap();
        let one = OwnToken::open(&fs, dir, AGENT).unwrap();
        OwnToken::granted(&fs, dir).unwrap();
        let other = OwnToken::open(&fs, dir, AgentId([8; 16])).unwrap();
        assert!(other.text() != one.text() && !other.is_granted());
    }
}
