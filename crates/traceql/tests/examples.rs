//! Every example query is put into its class: valid, refused by the parser, refused as senseless, not supported.

use std::path::PathBuf;

use serde::Deserialize;
use sonde_traceql::{ValidateError, parse, validate};

/// Queries by class, in the format of Tempo's list of examples.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Examples {
    valid: Vec<String>,
    parse_fails: Vec<String>,
    validate_fails: Vec<String>,
    unsupported: Vec<String>,
}

/// Checks one query against its class: the error is what went wrong.
fn check(query: &str, class: &str) -> Result<(), String> {
    let parsed = parse(query);
    if class == "parse_fails" {
        return match parsed {
            Ok(tree) => Err(format!("parses as {tree}")),
            Err(_) => Ok(()),
        };
    }
    let tree = parsed.map_err(|e| e.to_string())?;
    let printed = tree.to_string();
    let again = parse(&printed).map_err(|e| format!("printed as {printed}: {e}"))?;
    if again != tree {
        return Err(format!("printed as {printed}, which is another tree"));
    }
    match (class, validate(&tree)) {
        ("valid", Ok(())) => Ok(()),
        ("validate_fails", Err(ValidateError::Invalid(_))) | ("unsupported", Err(ValidateError::Unsupported(_))) => {
            Ok(())
        }
        (_, result) => Err(format!("{result:?}")),
    }
}

fn run(examples: &Examples) -> (usize, Vec<String>) {
    let mut passed = 0;
    let mut failures = Vec::new();
    let classes = [
        ("valid", &examples.valid),
        ("parse_fails", &examples.parse_fails),
        ("validate_fails", &examples.validate_fails),
        ("unsupported", &examples.unsupported),
    ];
    for (class, queries) in classes {
        for query in queries {
            match check(query, class) {
                Ok(()) => passed += 1,
                Err(why) => failures.push(format!("{class}: {query}: {why}")),
            }
        }
    }
    (passed, failures)
}

#[test]
fn our_own_examples() {
    let text = include_str!("examples.yaml");
    let (passed, failures) = run(&serde_saphyr::from_str(text).expect("our examples"));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(passed > 20, "{passed}");
}

#[test]
fn the_conformance_examples() {
    let folder = std::env::var_os("SONDE_CONFORMANCE")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/conformance"), PathBuf::from);
    let path = folder.join("traceql/test_examples.yaml");
    let Ok(text) = std::fs::read_to_string(&path) else {
        let required = std::env::var("SONDE_CONFORMANCE_REQUIRED").is_ok_and(|v| v == "1");
        assert!(!required, "{} is missing", path.display());
        record("SONDE_NOT_RUN", "TraceQL examples: the conformance data is not there");
        return;
    };
    let (passed, failures) = run(&serde_saphyr::from_str(&text).expect("the examples"));
    let total = passed + failures.len();
    record("SONDE_PASSED", &format!("traceql/test_examples.yaml {passed}/{total}"));
    assert!(failures.is_empty(), "{passed} of {total}:\n{}", failures.join("\n"));
}

/// Appends a line to the file that an environment variable names, for the summary of the whole run.
#[expect(clippy::print_stdout, reason = "the count belongs in the output of the test")]
fn record(variable: &str, line: &str) {
    use std::io::Write;
    println!("{line}");
    if let Some(path) = std::env::var_os(variable) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("the summary");
        writeln!(file, "{line}").expect("a line");
    }
}
