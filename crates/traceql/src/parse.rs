//! Tokens to tree, by recursive descent.

mod field;
mod metrics;
mod node;
mod pipeline;

use thiserror::Error;

use crate::ast::{Attribute, Hint, Query, Static};
use crate::lex::{Spot, Token, lex};

/// A text longer than this is refused before it is looked at, in bytes.
const MAX_LENGTH: usize = 128 * 1024;
/// How deep parentheses, braces and signs may nest.
const MAX_DEPTH: usize = 100;

/// Where and why a text is no query.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("parse error at line {line}, col {column}: {message}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl ParseError {
    pub(crate) fn new(text: &str, at: usize, message: impl Into<String>) -> Self {
        let before = &text[..at.min(text.len())];
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        ParseError {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        }
    }
}

/// Parses a query. What parses may still make no sense: see [`crate::validate`].
pub fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::new(text, 0, format!("the query is longer than {MAX_LENGTH} bytes")));
    }
    let mut parser = Parser { text, spots: lex(text)?, next: 0, depth: 0 };
    let root = parser.root()?;
    let hints = parser.hints()?;
    match parser.peek() {
        Token::End => Ok(Query { root, hints }),
        _ => Err(parser.unexpected("the end of the query")),
    }
}

/// Parses the name of an attribute or an intrinsic alone, as in `resource.service.name`.
pub fn parse_attribute(text: &str) -> Result<Attribute, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::new(text, 0, format!("the name is longer than {MAX_LENGTH} bytes")));
    }
    let mut parser = Parser { text, spots: lex(text)?, next: 0, depth: 0 };
    match (parser.advance(), parser.peek()) {
        (Token::Attribute(attribute), Token::End) => Ok(attribute),
        (Token::Attribute(_), _) => Err(parser.unexpected("the end of the name")),
        _ => Err(parser.error_before("expected an attribute: `.name`, `span.name`, `resource.name`, or an intrinsic")),
    }
}

/// The state of a descent.
pub(crate) struct Parser<'a> {
    text: &'a str,
    spots: Vec<Spot>,
    next: usize,
    depth: usize,
}

impl Parser<'_> {
    fn hints(&mut self) -> Result<Vec<Hint>, ParseError> {
        if !self.take_word("with") {
            return Ok(Vec::new());
        }
        self.expect("(")?;
        let mut hints = Vec::new();
        loop {
            let Token::Word(name) = self.advance() else {
                return Err(self.error_before("expected the name of a hint"));
            };
            self.expect("=")?;
            let value = match self.advance() {
                Token::Static(value) => value,
                Token::Word(word) if word == "true" || word == "false" => Static::Bool(word == "true"),
                _ => return Err(self.error_before("expected the value of a hint")),
            };
            hints.push(Hint { name, value });
            if !self.take(",") {
                break;
            }
        }
        self.expect(")")?;
        Ok(hints)
    }

    fn peek(&self) -> &Token {
        &self.spots[self.next].token
    }

    fn peek_symbol(&self) -> Option<&'static str> {
        match self.peek() {
            Token::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    fn advance(&mut self) -> Token {
        let token = self.spots[self.next].token.clone();
        if self.next + 1 < self.spots.len() {
            self.next += 1;
        }
        token
    }

    fn take(&mut self, symbol: &str) -> bool {
        let found = self.peek_symbol() == Some(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Token::Word(w) if w == word);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Result<(), ParseError> {
        if self.take(symbol) { Ok(()) } else { Err(self.unexpected(&format!("`{symbol}`"))) }
    }

    /// Runs a part of the descent one level deeper.
    fn deeper<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth >= MAX_DEPTH {
            return Err(self.error(format!("nested more than {MAX_DEPTH} deep")));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    /// An error at the next token.
    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, self.spots[self.next].at, message)
    }

    /// An error at the token that was just taken.
    fn error_before(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(self.text, self.spots[self.next.saturating_sub(1)].at, message)
    }

    fn unexpected(&self, wanted: &str) -> ParseError {
        let found = match self.peek() {
            Token::End => "the end of the query".to_owned(),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::Word(word) => format!("`{word}`"),
            Token::Static(_) => "a literal".to_owned(),
            Token::Attribute(_) => "an attribute".to_owned(),
        };
        self.error(format!("unexpected {found}, expected {wanted}"))
    }
}
