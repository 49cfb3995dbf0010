//! Reads files under /proc and /sys into one buffer that is used again.

use std::fs::File;
use std::io::Read;

use thiserror::Error;

/// Beyond this a file under /proc is cut: `/proc/stat` of a machine with 4,096 CPUs stays below it.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Why a file of the kernel gave nothing.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReadError {
    /// It cannot be read.
    #[error("{path}: {message}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system says.
        message: String,
    },
    /// It holds something else than expected.
    #[error("{path}: not in the form that Linux has had so far")]
    Malformed {
        /// The file.
        path: String,
    },
    /// It did not answer in time.
    #[error("{path}: does not answer; left out until it does")]
    Stuck {
        /// The mount point.
        path: String,
    },
}

/// The files of the kernel.
#[derive(Debug)]
pub(super) struct Source {
    text: String,
    bytes: Vec<u8>,
}

impl Source {
    pub(super) fn new() -> Self {
        Source { text: String::new(), bytes: Vec::with_capacity(16 << 10) }
    }

    /// The text of a file, bounded.
    pub(super) fn read(&mut self, path: &str) -> Result<&str, ReadError> {
        let unreadable =
            |error: std::io::Error| ReadError::Unreadable { path: path.to_owned(), message: error.to_string() };
        self.bytes.clear();
        File::open(path).map_err(unreadable)?.take(MAX_FILE_BYTES).read_to_end(&mut self.bytes).map_err(unreadable)?;
        self.text.clear();
        self.text.push_str(&String::from_utf8_lossy(&self.bytes));
        Ok(&self.text)
    }

    /// The file as `parse` understands it.
    pub(super) fn parse<T>(&mut self, path: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, ReadError> {
        parse(self.read(path)?).ok_or_else(|| ReadError::Malformed { path: path.to_owned() })
    }

    /// When the host was started, in nanoseconds since the Unix epoch.
    pub(super) fn boot_ns(&mut self) -> Option<i64> {
        let seconds = self.parse("/proc/stat", |text| super::text::value_of(text, "btime")).ok()?;
        i64::try_from(seconds).ok()?.checked_mul(1_000_000_000)
    }
}
