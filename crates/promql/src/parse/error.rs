//! What is wrong with a query, and where.

use std::fmt;

use thiserror::Error;

use crate::ast::Span;

/// Why a text is not PromQL.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub struct ParseError {
    /// The part of the text that is wrong, in bytes.
    pub span: Span,
    /// The line, from 1; 0 for an empty text.
    pub line: u32,
    /// The column in bytes, from 1; 0 for an empty text.
    pub column: u32,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    pub(crate) fn at(text: &str, span: Span, message: String) -> Self {
        let (line, column) = if text.is_empty() { (0, 0) } else { line_and_column(text, span.start) };
        ParseError { span, line, column, message }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "unknown position: parse error: {}", self.message),
            line => write!(f, "{line}:{}: parse error: {}", self.column, self.message),
        }
    }
}

/// The line and the column, both from 1, of a byte of a text. Columns count bytes, as in Prometheus.
pub(crate) fn line_and_column(text: &str, position: u32) -> (u32, u32) {
    let before = &text.as_bytes()[..text.len().min(position as usize)];
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    (line as u32, (before.len() - line_start + 1) as u32)
}
