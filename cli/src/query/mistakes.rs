//! Mistakes in an expression, pointed at before anybody is asked.

use sonde_promql::ParseError;
use sonde_promql::edit::{diagnose, suggestion};

use crate::problem::Problem;

/// How many mistakes are shown.
const SHOWN: usize = 5;

/// Finds mistakes and points at each.
pub(super) fn check_expression(expr: &str) -> Result<(), Problem> {
    let Err(first) = sonde_promql::parse(expr) else { return Ok(()) };
    let problem = Problem::new(format!("the expression is not PromQL: {}", first.message));
    let mut shown = pointed_at(expr, &first, "");
    let others = diagnose(expr).errors.into_iter().filter(|error| error.span != first.span);
    for error in others.take(SHOWN - 1) {
        shown.extend(pointed_at(expr, &error, &format!(" {}", error.message)));
    }
    if shown.is_empty() {
        return Err(problem.hint("Write one, as `sonde query up`; `sonde query --help` has examples."));
    }
    Err(problem.hint(shown.join("\n")))
}

/// The line of a mistake with a mark below it.
fn pointed_at(expr: &str, error: &ParseError, words: &str) -> Vec<String> {
    let Some(line) = expr.lines().nth(error.line.saturating_sub(1) as usize).filter(|_| error.line > 0) else {
        return Vec::new();
    };
    // Columns count bytes; people count characters.
    let before = line.get(..error.column.saturating_sub(1) as usize).unwrap_or(line).chars().count();
    let meant = suggestion(expr, error).map(|word| format!(" did you mean {word}?")).unwrap_or_default();
    vec![format!("  {line}"), format!("  {}^{words}{meant}", " ".repeat(before))]
}
