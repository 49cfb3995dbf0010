//! The project's source files, with their test code cut off.

use std::path::Path;

use sonde_tests::workspace_root;

use crate::rules::Exception;

/// Folders whose code ships.
const LIBRARIES: [&str; 5] = ["crates", "proto", "agent/src", "collector/src", "cli/src"];

/// A source file: its path from the root of the workspace and its lines up to the tests.
#[derive(Debug)]
pub(crate) struct Source {
    path: String,
    code: Vec<String>,
}

/// A set of source files.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    /// The code that ships.
    pub(crate) fn of_libraries() -> Self {
        Self::of(&LIBRARIES)
    }

    /// The code that ships and the developer commands.
    pub(crate) fn of_all_code() -> Self {
        Self::of(&[&LIBRARIES[..], &["xtask/src"]].concat())
    }

    fn of(folders: &[&str]) -> Self {
        let mut sources = Vec::new();
        for folder in folders {
            collect(&workspace_root().join(folder), &mut sources);
        }
        assert!(sources.len() > 20, "only {} files found below {}", sources.len(), workspace_root().display());
        Sources(sources)
    }

    /// Fails where a line of code holds one of `words` outside the exceptions.
    pub(crate) fn forbid(&self, words: &[&str], exceptions: &[Exception]) {
        let mut found = Vec::new();
        for source in self.0.iter().filter(|s| !exceptions.iter().any(|(part, _)| s.path.contains(part))) {
            for (number, line) in source.code.iter().enumerate() {
                let code = line.split("//").next().unwrap_or("");
                if let Some(word) = words.iter().find(|w| code.contains(**w)) {
                    found.push(format!("{}:{}: {word}", source.path, number + 1));
                }
            }
        }
        assert!(found.is_empty(), "not allowed here (exceptions are listed in rules.rs):\n{}", found.join("\n"));
    }

    /// Fails where a file has more than `max` lines of code.
    pub(crate) fn check_lengths(&self, max: usize, exceptions: &[Exception]) {
        let long: Vec<String> = self
            .0
            .iter()
            .filter(|s| s.code.len() > max && !exceptions.iter().any(|(part, _)| s.path.contains(part)))
            .map(|s| format!("{}: {} lines", s.path, s.code.len()))
            .collect();
        assert!(long.is_empty(), "files over {max} lines of code hold two nouns:\n{}", long.join("\n"));
    }

    /// Fails where a file does not open with a `//!` line.
    pub(crate) fn check_module_docs(&self) {
        let silent: Vec<&str> = self
            .0
            .iter()
            .filter(|s| !s.code.first().is_some_and(|line| line.starts_with("//!")))
            .map(|s| s.path.as_str())
            .collect();
        assert!(silent.is_empty(), "modules that do not say what they are for:\n{}", silent.join("\n"));
    }

    /// Fails where a file or folder has one of these names.
    pub(crate) fn check_names(&self, names: &[&str]) {
        let bad: Vec<&str> = self
            .0
            .iter()
            .map(|s| s.path.as_str())
            .filter(|path| path.split(['/', '.']).any(|part| names.contains(&part)))
            .collect();
        assert!(bad.is_empty(), "names that say nothing:\n{}", bad.join("\n"));
    }
}

fn collect(path: &Path, into: &mut Vec<Source>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(path).expect("a source folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for entry in entries {
        let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if entry.is_dir() {
            if !matches!(name.as_str(), "tests" | "benches" | "fuzz" | "target" | "fixtures") {
                collect(&entry, into);
            }
        } else if name.ends_with(".rs") && !matches!(name.as_str(), "tests.rs" | "testing.rs") {
            let text = std::fs::read_to_string(&entry).expect("a source file");
            let code = without_tests(&text);
            let path = entry.strip_prefix(workspace_root()).unwrap_or(&entry).to_string_lossy().into_owned();
            into.push(Source { path, code });
        }
    }
}

/// The lines of a file up to its test module; a test module in a file of its own is skipped where it is declared.
fn without_tests(text: &str) -> Vec<String> {
    let mut code = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let for_tests = line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test");
        match lines.peek() {
            Some(next) if for_tests && next.ends_with('{') => break,
            Some(_) if for_tests => {
                lines.next();
            }
            _ => code.push(line.to_owned()),
        }
    }
    code
}
