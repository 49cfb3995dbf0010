//! The parser: text to tree, with the rules of types checked and the errors of Prometheus.
//!
//! Recursive descent, with the precedence of operators as numbers. Length and depth of a query are bounded.

mod aggregate;
mod check;
mod duration;
mod error;
mod expression;
mod modifier;
mod parser;
mod selector;
#[cfg(test)]
mod tests;

use crate::ast::{Expr, VectorSelector};
use crate::edit::Diagnosis;
use crate::lex::TokenKind;
use parser::{Parser, Tolerated};

pub use error::ParseError;

/// The longest query in bytes. Dashboards make queries of some tens of kilobytes.
pub const MAX_QUERY_BYTES: usize = 1 << 20;

/// How deep parentheses, signs and calls may be nested. It bounds the stack of the parser.
pub const MAX_NESTING: usize = 128;

/// The deepest tree, a chain of operators included. It bounds the stack of all that walks over a tree.
pub const MAX_DEPTH: usize = 400;

/// What the parser accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// Whether experimental functions, aggregations and modifiers are allowed.
    pub experimental: bool,
}

impl Default for ParseOptions {
    fn default() -> Self {
        ParseOptions { experimental: true }
    }
}

/// Parses an expression; experimental parts of the language are allowed.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, ParseOptions::default())
}

/// Parses an expression and checks the types.
pub fn parse_with(text: &str, options: ParseOptions) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(text, options)?;
    if parser.token.kind == TokenKind::Eof {
        return Err(ParseError::at(text, Default::default(), "no expression found in input".to_owned()));
    }
    let expr = parser.expression(0)?;
    parser.expect_end()?;
    check::check(text, options, &expr)?;
    Ok(expr)
}

/// Reads as much as can be read: what cannot is noted, skipped, and stands in the tree as an empty selector. Types are not
/// checked.
pub(crate) fn parse_tolerantly(text: &str, options: ParseOptions) -> Diagnosis {
    let mut diagnosis = Diagnosis { expr: None, errors: Vec::new(), broken: Vec::new() };
    let mut parser = match Parser::new(text, options) {
        Ok(parser) => parser,
        Err(error) => {
            diagnosis.errors.push(error);
            return diagnosis;
        }
    };
    if parser.token.kind == TokenKind::Eof {
        diagnosis.errors.push(ParseError::at(text, Default::default(), "no expression found in input".to_owned()));
        return diagnosis;
    }
    parser.tolerated = Some(Tolerated::default());
    let read = tolerant_expression(&mut parser);
    let Tolerated { mut errors, broken } = parser.tolerated.take().unwrap_or_default();
    match read {
        Ok(expr) => diagnosis.expr = Some(expr),
        Err(error) if errors.contains(&error) => {}
        Err(error) => errors.push(error),
    }
    Diagnosis { errors, broken, ..diagnosis }
}

/// An expression, and what stands behind it though nothing should: each part of that is noted.
fn tolerant_expression(parser: &mut Parser<'_>) -> Result<Expr, ParseError> {
    let expr = parser.expression(0)?;
    while parser.token.kind != TokenKind::Eof {
        let error = parser.unexpected("", "");
        parser.advance()?;
        let level = parser.level();
        parser.tolerate(error, level)?;
        if matches!(parser.token.kind, TokenKind::Binary(_)) {
            parser.advance()?;
            parser.expression(0)?;
        }
    }
    Ok(expr)
}

/// Checks the types of a tree.
pub(crate) fn check_types(text: &str, options: ParseOptions, expr: &Expr) -> Result<(), ParseError> {
    check::check(text, options, expr)
}

/// Parses a selector without range and modifiers, as in `match[]`. It may select everything: that is the caller's to ask.
pub fn parse_selector(text: &str) -> Result<VectorSelector, ParseError> {
    let mut parser = Parser::new(text, ParseOptions::default())?;
    let selector = parser.vector_selector()?;
    parser.expect_end()?;
    Ok(selector)
}
