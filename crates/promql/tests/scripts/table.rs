//! The committed table of how many runs of each file pass, and how many fail where some do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use crate::run::Outcome;

/// How the runs of a file ended.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    passed: usize,
    failed: usize,
}

/// Compares with the table, or writes it anew. Gives what is worse. `complete`: every file of the table should be there.
pub(crate) fn compare(outcomes: &[(String, Outcome)], complete: bool) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/passed.txt");
    let text = std::fs::read_to_string(&path).unwrap_or_default();
    let table: BTreeMap<String, Count> = text.lines().filter_map(parse_line).collect();
    let counts: BTreeMap<String, Count> =
        outcomes.iter().map(|(name, outcome)| (name.clone(), count(outcome))).collect();
    if std::env::var_os("SONDE_UPDATE_PASSED").is_some() {
        let mut new = if complete { BTreeMap::new() } else { table };
        new.extend(counts);
        return match std::fs::write(&path, print(&new)) {
            Ok(()) => Vec::new(),
            Err(e) => vec![format!("{}: {e}", path.display())],
        };
    }
    let mut problems = Vec::new();
    for (name, count) in &counts {
        let known = table.get(name).copied().unwrap_or_default();
        if count.passed < known.passed {
            problems.push(format!("{name}: {} runs pass, {} did before", count.passed, known.passed));
        } else if count.failed > known.failed {
            problems.push(format!("{name}: {} runs fail, {} did before", count.failed, known.failed));
        } else if *count != known {
            println!("{name}: {} runs pass, the table says {}: {UPDATE}", count.passed, known.passed);
        }
    }
    if complete {
        let missing = table.keys().filter(|name| !counts.contains_key(*name));
        problems.extend(missing.map(|name| format!("{name} is in the table but not among the scripts: {UPDATE}")));
    }
    problems
}

const UPDATE: &str = "update it with SONDE_UPDATE_PASSED=1";

fn count(outcome: &Outcome) -> Count {
    Count { passed: outcome.passed, failed: outcome.total.saturating_sub(outcome.passed) }
}

fn print(table: &BTreeMap<String, Count>) -> String {
    let mut text = String::new();
    for (name, Count { passed, failed }) in table {
        let _ = match failed {
            0 => writeln!(text, "{name} {passed}"),
            _ => writeln!(text, "{name} {passed} {failed}"),
        };
    }
    text
}

fn parse_line(line: &str) -> Option<(String, Count)> {
    let mut words = line.split(' ');
    let name = words.next()?.to_owned();
    let passed = words.next()?.parse().ok()?;
    let failed = words.next().map_or(Some(0), |word| word.parse().ok())?;
    Some((name, Count { passed, failed }))
}
