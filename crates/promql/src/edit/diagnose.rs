//! All that is wrong with a text, not only the first thing: the parser notes an operand that it cannot read, skips it and
//! goes on behind it.

use crate::ast::{Expr, Span};
use crate::parse::{ParseError, ParseOptions, check_types, parse_tolerantly};

/// What could be read of a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// The tree, where there is any; what could not be read stands in it as a selector without name and matchers.
    pub expr: Option<Expr>,
    /// What is wrong, in the order of the text.
    pub errors: Vec<ParseError>,
    /// The parts of the text that could not be read.
    pub broken: Vec<Span>,
}

/// Reads as much of a text as can be read, and says what is wrong with it.
pub fn diagnose(text: &str) -> Diagnosis {
    let options = ParseOptions::default();
    let mut diagnosis = parse_tolerantly(text, options);
    if let Some(expr) = &diagnosis.expr {
        let mut errors = Vec::new();
        check(text, options, expr, &diagnosis.broken, &mut errors);
        for error in errors {
            if !diagnosis.errors.iter().any(|known| known.span == error.span) {
                diagnosis.errors.push(error);
            }
        }
    }
    diagnosis.errors.sort_by_key(|error| (error.span.start, error.span.end));
    diagnosis
}

/// Checks the types of a tree part by part, so that one mistake does not hide the others.
fn check(text: &str, options: ParseOptions, expr: &Expr, broken: &[Span], errors: &mut Vec<ParseError>) {
    let is_broken = broken.iter().any(|part| part.start >= expr.span.start && part.end <= expr.span.end);
    if !is_broken {
        match check_types(text, options, expr) {
            Ok(()) => return,
            Err(error) if errors.iter().any(|known| known.span == error.span) => {}
            Err(error) => errors.push(error),
        }
    }
    expr.children().into_iter().for_each(|child| check(text, options, child, broken, errors));
}
