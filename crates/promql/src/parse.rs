//! The parser: text to tree, with the rules of types checked and the errors of Prometheus.

use thiserror::Error;

use crate::ast::{Expr, Span, VectorSelector};

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

/// Why a text is not PromQL.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{line}:{column}: parse error: {message}")]
pub struct ParseError {
    /// The part of the text that is wrong, in bytes.
    pub span: Span,
    /// The line, from 1.
    pub line: u32,
    /// The column in bytes, from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

/// Parses an expression; experimental parts of the language are allowed.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    parse_with(text, ParseOptions::default())
}

/// Parses an expression.
pub fn parse_with(_text: &str, _options: ParseOptions) -> Result<Expr, ParseError> {
    Err(not_yet())
}

/// Parses a selector without range and modifiers, as in `match[]`.
pub fn parse_selector(_text: &str) -> Result<VectorSelector, ParseError> {
    Err(not_yet())
}

fn not_yet() -> ParseError {
    ParseError { span: Span::default(), line: 1, column: 1, message: "the parser is not implemented yet".to_owned() }
}
