//! The limits and the exceptions, each with its reason.

/// Files above this are refused; above 500 they are questioned in review.
pub(crate) const MAX_LINES: usize = 800;

/// A part of a path in which a rule does not hold, and why.
pub(crate) type Exception = (&'static str, &'static str);

/// Where the wall clock may be read.
pub(crate) const CLOCK: [Exception; 1] = [("crates/runtime/src/clock", "the clock itself")];

/// Where files may be touched without the seam of `disk`.
pub(crate) const FILES: [Exception; 12] = [
    ("crates/disk/", "the seam over the file system"),
    ("collector/src/rules/files", "rule files, which people write"),
    ("cli/src/check", "the files that are to be checked"),
    ("cli/src/certs/files", "certificates and keys, which are made for people"),
    ("cli/src/client", "files that hold a token"),
    ("cli/src/query/repl", "the folder of what was asked at the prompt"),
    ("cli/src/tsdb/files", "what is imported and exported"),
    ("agent/src/credentials", "files that hold a token"),
    ("crates/runtime/src/config", "configuration files, which people write"),
    ("agent/src/receivers/host/", "files of the kernel"),
    ("agent/src/resource", "identity files of the host"),
    ("crates/tls/src/file", "certificates and keys, which people or their tools put there"),
];

/// Where a sync may be asked for.
pub(crate) const SYNC: [Exception; 1] = [("crates/disk/", "the only code that syncs")];

/// Files over the limit.
pub(crate) const LONG_FILES: [Exception; 0] = [];

/// Where a panic is the right answer.
pub(crate) const PANICS: [Exception; 0] = [];
