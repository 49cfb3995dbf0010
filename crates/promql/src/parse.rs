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
use crate::lex::TokenKind;
use parser::Parser;

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

/// Parses a selector without range and modifiers, as in `match[]`. It may select everything: that is the caller's to ask.
pub fn parse_selector(text: &str) -> Result<VectorSelector, ParseError> {
    let mut parser = Parser::new(text, ParseOptions::default())?;
    let selector = parser.vector_selector()?;
    parser.expect_end()?;
    Ok(selector)
}
