//! Runs scripts in the language of Prometheus's promqltest: those of the conformance folder and our own beside this file.
//!
//! The rules are those of the original harness: an instant query is run again with `@` on every selector at other times,
//! and each of these again as a range query. Every run counts. The table `passed.txt` holds how many runs of a file pass;
//! fewer are a failure, as is one
//! that fails and is not known to; more ask to update it with `SONDE_UPDATE_PASSED=1`.
//!
//! `SONDE_CONFORMANCE` names the conformance folder; with `SONDE_CONFORMANCE_REQUIRED=1` its absence is a failure.
//! Arguments are parts of file names: only these files are run, and every failure is printed.

#![expect(clippy::print_stdout, reason = "the summary of a test without the standard harness")]

mod almost;
mod compare;
mod eval;
mod expect;
mod hints;
mod histogram;
mod load;
mod nhcb;
mod rerun;
mod run;
mod script;
mod sequence;
mod store;
mod table;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use run::Outcome;

/// How many failures of a file are printed when all files are run.
const SHOWN_FAILURES: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|a| a == "--list") {
        println!("scripts: test");
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let mut problems = Vec::new();
    let mut outcomes = Vec::new();
    let (files, complete) = script_files(&mut problems);
    for path in files {
        let name = file_name(&path);
        if filters.is_empty() || filters.iter().any(|f| name.contains(f.as_str())) {
            let outcome = run::run_file(&path);
            print_failures(&name, &outcome, if filters.is_empty() { SHOWN_FAILURES } else { usize::MAX });
            outcomes.push((name, outcome));
        }
    }
    print_summary(&outcomes);
    if filters.is_empty() {
        problems.extend(table::compare(&outcomes, complete));
    }
    for problem in &problems {
        println!("{problem}");
    }
    let passed: usize = outcomes.iter().map(|(_, outcome)| outcome.passed).sum();
    let verdict = if problems.is_empty() { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {passed} passed; {} failed; 0 ignored", problems.len());
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The scripts of the conformance folder and our own, and whether the former are there.
fn script_files(problems: &mut Vec<String>) -> (Vec<PathBuf>, bool) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let conformance = match std::env::var_os("SONDE_CONFORMANCE") {
        Some(folder) => PathBuf::from(folder),
        None => here.join("../../../shared/conformance"),
    };
    let mut files = test_files(&here.join("tests/scripts"));
    let given = test_files(&conformance.join("promql"));
    if given.is_empty() {
        let text =
            format!("not run: the scripts of Prometheus, for there are none in {}/promql", conformance.display());
        if std::env::var_os("SONDE_CONFORMANCE_REQUIRED").is_some_and(|v| v == "1") {
            problems.push(text);
        } else {
            println!("{text}");
            append_to_summary("SONDE_NOT_RUN", &format!("{text}\n"));
        }
    }
    let complete = !given.is_empty();
    files.extend(given);
    (files, complete)
}

fn test_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|e| e == "test")).collect();
    files.sort();
    files
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn print_failures(name: &str, outcome: &Outcome, most: usize) {
    for failure in outcome.failures.iter().take(most) {
        println!("{name}:{failure}");
    }
    if outcome.failures.len() > most {
        println!("{name}: ... and {} more (name the file to see them all)", outcome.failures.len() - most);
    }
}

fn print_summary(outcomes: &[(String, Outcome)]) {
    let (mut passed, mut total) = (0, 0);
    let mut text = format!("{:<32} {:>8} {:>8}\n", "script", "passed", "total");
    for (name, outcome) in outcomes {
        text += &format!("{name:<32} {:>8} {:>8}\n", outcome.passed, outcome.total);
        passed += outcome.passed;
        total += outcome.total;
    }
    text += &format!("{:<32} {passed:>8} {total:>8}\n", "all");
    print!("{text}");
    append_to_summary("SONDE_PASSED", &text);
}

/// Adds to the file that an environment variable names, where one does: the summary of a run of all tests.
fn append_to_summary(variable: &str, text: &str) {
    let Some(path) = std::env::var_os(variable) else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        println!("cannot write {}: {error}", path.display());
    }
}
