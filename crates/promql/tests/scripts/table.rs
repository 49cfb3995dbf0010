//! The committed table of how many runs of each file pass.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::run::Outcome;

/// Compares with the table, or writes it anew. Gives what is worse.
pub(crate) fn compare(outcomes: &[(String, Outcome)]) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/passed.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let mut table: BTreeMap<String, usize> = text.lines().filter_map(parse_line).collect();
    if std::env::var_os("SONDE_UPDATE_PASSED").is_some() {
        table.extend(outcomes.iter().map(|(name, outcome)| (name.clone(), outcome.passed)));
        let mut text = String::new();
        for (name, passed) in &table {
            let _ = writeln!(text, "{name} {passed}");
        }
        return match std::fs::write(&path, text) {
            Ok(()) => Vec::new(),
            Err(e) => vec![format!("{}: {e}", path.display())],
        };
    }
    let mut problems = Vec::new();
    for (name, outcome) in outcomes {
        let known = table.get(name).copied().unwrap_or(0);
        if outcome.passed < known {
            problems.push(format!("{name}: {} runs pass, {known} did before", outcome.passed));
        }
        if outcome.passed > known {
            println!(
                "{name}: {} runs pass, the table says {known}: update it with SONDE_UPDATE_PASSED=1",
                outcome.passed
            );
        }
    }
    problems
}

fn parse_line(line: &str) -> Option<(String, usize)> {
    let (name, passed) = line.split_once(' ')?;
    Some((name.to_owned(), passed.parse().ok()?))
}
