//! Finds and reads rule files: paths, patterns with `*` in the last part, and the rules that are built in.

use std::fmt;
use std::path::{Path, PathBuf};

use sonde_alerting::{RuleError, RuleFile};

/// The name, in the list of files, of the rules that come with the program.
pub const BUILTIN: &str = "builtin";

/// The rules that come with the program: for hosts, and for the program itself.
const BUILTIN_FILES: [(&str, &str); 2] = [
    ("builtin/host.yml", include_str!("../../../alert-rules/host.yml")),
    ("builtin/sonde.yml", include_str!("../../../alert-rules/sonde.yml")),
];

/// More files than this are a mistake in a pattern.
const MAX_FILES: usize = 10_000;

/// Everything that is wrong with the rule files.
#[derive(Debug)]
pub struct RuleFilesError {
    /// Files that cannot be found or read, as sentences.
    pub unreadable: Vec<String>,
    /// Mistakes in what was read.
    pub mistakes: Vec<RuleError>,
}

impl fmt::Display for RuleFilesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mistakes = self.mistakes.iter().map(ToString::to_string);
        let all: Vec<String> = self.unreadable.iter().cloned().chain(mistakes).collect();
        f.write_str(&all.join("\n"))
    }
}

impl std::error::Error for RuleFilesError {}

/// Reads all files of a list. Either every file is good, or everything that is wrong with any is reported.
///
/// An entry is a path, a path with `*` for any text in its last part, or [`BUILTIN`]. A pattern may match nothing.
pub fn read_files(entries: &[String]) -> Result<Vec<RuleFile>, RuleFilesError> {
    let mut files = Vec::new();
    let mut error = RuleFilesError { unreadable: Vec::new(), mistakes: Vec::new() };
    let mut read = |origin: &str, text: &str, error: &mut RuleFilesError| match RuleFile::parse(text, origin) {
        Ok(file) => files.push(file),
        Err(mistakes) => error.mistakes.extend(mistakes),
    };
    for entry in entries {
        if entry == BUILTIN {
            for (origin, text) in BUILTIN_FILES {
                read(origin, text, &mut error);
            }
            continue;
        }
        let paths = match matching(Path::new(entry)) {
            Ok(paths) => paths,
            Err(message) => {
                error.unreadable.push(message);
                continue;
            }
        };
        for path in paths {
            match std::fs::read_to_string(&path) {
                Ok(text) => read(&path.display().to_string(), &text, &mut error),
                Err(e) => error.unreadable.push(format!("{}: cannot be read: {e}", path.display())),
            }
        }
    }
    if error.unreadable.is_empty() && error.mistakes.is_empty() { Ok(files) } else { Err(error) }
}

/// The files that an entry names, sorted.
fn matching(entry: &Path) -> Result<Vec<PathBuf>, String> {
    let Some(pattern) = entry.file_name().and_then(|name| name.to_str()).filter(|name| name.contains('*')) else {
        return Ok(vec![entry.to_path_buf()]);
    };
    let directory = entry.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unreadable = |e: std::io::Error| format!("{}: cannot be read: {e}", directory.display());
    let mut paths = Vec::new();
    for found in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = found.map_err(unreadable)?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(|name| fits(pattern, name)) && path.is_file() {
            paths.push(path);
        }
        if paths.len() > MAX_FILES {
            return Err(format!("{}: matches more than {MAX_FILES} files", entry.display()));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    for (i, part) in parts.iter().enumerate() {
        if i + 1 == parts.len() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, name, expected) in [
            ("*.yml", "host.yml", true),
            ("*.yml", ".yml", true),
            ("*.yml", "host.yaml", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("a*a", "a", false),
            ("*", "x", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn every_mistake_of_every_file_is_reported() {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("a.yml"), "groups:\n- name: a\n  rulez: []\n").expect("a file");
        std::fs::write(dir.path().join("b.yml"), "group: []\n").expect("a file");
        let entry = |name: &str| dir.path().join(name).display().to_string();
        let error = read_files(&[entry("*.yml"), entry("none.yml"), entry("no*thing")]).expect_err("mistakes");
        assert_eq!((error.mistakes.len(), error.unreadable.len()), (2, 1), "{error}");
        assert!(error.to_string().contains("a.yml:3: unknown key \"rulez\""), "{error}");
    }
}
