//! The state of a parse: the token ahead, and how deep it is.

use super::{MAX_DEPTH, MAX_NESTING, MAX_QUERY_BYTES, ParseError, ParseOptions};
use crate::ast::Span;
use crate::lex::{Lexer, Token, TokenKind};

pub(super) type Result<T> = std::result::Result<T, ParseError>;

/// Reads the tokens of a text with one token ahead.
pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) options: ParseOptions,
    /// The token ahead.
    pub(super) token: Token,
    /// The end of the token before.
    pub(super) last_end: u32,
    /// How many aggregations are open: their arguments are not read to the end.
    pub(super) aggregations: usize,
    lexer: Lexer<'a>,
    depth: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, options: ParseOptions) -> Result<Self> {
        if text.len() > MAX_QUERY_BYTES {
            let message = format!("query of {} bytes is longer than the limit of {MAX_QUERY_BYTES} bytes", text.len());
            return Err(ParseError::at(text, Span::default(), message));
        }
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token();
        Ok(Parser { text, options, token, last_end: 0, aggregations: 0, lexer, depth: 0 })
    }

    /// Takes the token ahead. If the next is none, that is an error as soon as somebody wants it: what is wrong with
    /// the text before it comes first.
    pub(super) fn advance(&mut self) -> Result<Token> {
        self.check_lexed()?;
        let token = self.token;
        self.last_end = token.span.end;
        self.token = self.lexer.next_token();
        Ok(token)
    }

    /// That the token ahead is one.
    pub(super) fn check_lexed(&self) -> Result<()> {
        if self.token.kind == TokenKind::Error {
            return Err(self.error(self.token.span, self.lexer.error()));
        }
        Ok(())
    }

    /// Takes the token ahead if it is of this kind.
    pub(super) fn accept(&mut self, kind: TokenKind) -> Result<Option<Token>> {
        if self.token.kind == kind { self.advance().map(Some) } else { Ok(None) }
    }

    /// Takes the token ahead, which has to be of this kind.
    pub(super) fn expect(&mut self, kind: TokenKind, context: &str, expected: &str) -> Result<Token> {
        if self.token.kind == kind { self.advance() } else { Err(self.unexpected(context, expected)) }
    }

    pub(super) fn expect_end(&mut self) -> Result<()> {
        if self.token.kind == TokenKind::Eof { Ok(()) } else { Err(self.unexpected("", "")) }
    }

    /// The text of a token.
    pub(super) fn text_of(&self, token: Token) -> &'a str {
        &self.text[token.span.start as usize..token.span.end as usize]
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::at(self.text, span, message.into())
    }

    /// The token ahead does not fit. What has no `context` of its own is in the aggregation that is open.
    pub(super) fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        if let Err(error) = self.check_lexed() {
            return error;
        }
        let context = if context.is_empty() && self.aggregations > 0 { "aggregation" } else { context };
        let mut message = format!("unexpected {}", self.token.kind.describe(self.text_of(self.token)));
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.error(self.token.span, message)
    }

    /// From `start` to the end of the token before.
    pub(super) fn span_from(&self, start: u32) -> Span {
        Span { start, end: self.last_end }
    }

    /// Goes one level deeper, unless that is too deep. An error ends the parse, so that only success has to leave.
    pub(super) fn enter(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_NESTING {
            return Err(self.too_deep("nested", MAX_NESTING));
        }
        Ok(())
    }

    /// Comes back from a level.
    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }

    /// Refuses a tree that is too deep: `height` levels lie below the current one.
    pub(super) fn check_height(&self, height: usize) -> Result<()> {
        if self.depth + height > MAX_DEPTH {
            return Err(self.too_deep("chained", MAX_DEPTH));
        }
        Ok(())
    }

    fn too_deep(&self, how: &str, limit: usize) -> ParseError {
        self.error(self.token.span, format!("query is {how} deeper than the limit of {limit} levels"))
    }
}
