//! The state of a parse: the token ahead, and how deep it is.

use super::{MAX_DEPTH, MAX_NESTING, MAX_QUERY_BYTES, ParseError, ParseOptions};
use crate::ast::Span;
use crate::lex::{Lexer, Token, TokenKind};
use sonde_model::matcher::MatcherBudget;

pub(super) type Result<T> = std::result::Result<T, ParseError>;

/// How many errors are noted before the parser gives up.
const MAX_ERRORS: usize = 50;

/// What the parser went on behind.
#[derive(Debug, Default)]
pub(super) struct Tolerated {
    pub(super) errors: Vec<ParseError>,
    pub(super) broken: Vec<Span>,
}

/// A level of nesting.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    depth: usize,
    aggregations: usize,
    open: usize,
    start: u32,
}

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
    /// What could not be read, where the parser goes on behind it.
    pub(super) tolerated: Option<Tolerated>,
    /// What the patterns of all matchers may take.
    pub(super) patterns: MatcherBudget,
    lexer: Lexer<'a>,
    depth: usize,
    /// How many brackets are open.
    open: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, options: ParseOptions) -> Result<Self> {
        if text.len() > MAX_QUERY_BYTES {
            let message = format!("query of {} bytes is longer than the limit of {MAX_QUERY_BYTES} bytes", text.len());
            return Err(ParseError::at(text, Span::default(), message));
        }
        let mut lexer = Lexer::new(text);
        let token = lexer.next_token();
        let (last_end, aggregations, tolerated, patterns) = (0, 0, None, MatcherBudget::default());
        Ok(Parser { text, options, token, last_end, aggregations, tolerated, patterns, lexer, depth: 0, open: 0 })
    }

    /// Takes the token ahead. If the next is none, that is an error as soon as somebody wants it: what is wrong with
    /// the text before it comes first.
    pub(super) fn advance(&mut self) -> Result<Token> {
        self.check_lexed()?;
        let token = self.token;
        self.last_end = token.span.end;
        match token.kind {
            TokenKind::LeftParen | TokenKind::LeftBrace | TokenKind::LeftBracket => self.open += 1,
            TokenKind::RightParen | TokenKind::RightBrace | TokenKind::RightBracket => {
                self.open = self.open.saturating_sub(1);
            }
            _ => {}
        }
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

    /// Where the parser is now, to come back to this level after an error.
    pub(super) fn level(&self) -> Level {
        Level { depth: self.depth, aggregations: self.aggregations, open: self.open, start: self.token.span.start }
    }

    /// Notes an error, where errors are tolerated, and skips what could not be read, up to what may stand behind an operand
    /// at the same level. Gives the part of the text that was skipped.
    pub(super) fn tolerate(&mut self, error: ParseError, level: Level) -> Result<Span> {
        let Some(tolerated) = self.tolerated.as_mut().filter(|tolerated| tolerated.errors.len() < MAX_ERRORS) else {
            return Err(error);
        };
        // What ends a text is in the way of every level above, too.
        if !tolerated.errors.contains(&error) {
            tolerated.errors.push(error);
        }
        (self.depth, self.aggregations) = (level.depth, level.aggregations);
        loop {
            let is_end = match self.token.kind {
                TokenKind::Eof | TokenKind::Error => true,
                TokenKind::Binary(_) | TokenKind::Comma | TokenKind::RightParen => self.open <= level.open,
                _ => false,
            };
            if is_end {
                break;
            }
            self.advance()?;
        }
        let span = Span { start: level.start, end: self.last_end.max(level.start) };
        self.tolerated.iter_mut().for_each(|tolerated| tolerated.broken.push(span));
        Ok(span)
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
