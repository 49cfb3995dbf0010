//! The lexer: text to tokens, one at a time. It knows where keywords are only names and where durations are expected.

mod number;
mod string;
mod token;

pub(crate) use number::parse_number;
pub(crate) use string::unquote;
pub(crate) use token::{Keyword, Token, TokenKind};

use crate::ast::{BinaryOp, Span};
use token::word_kind;

/// Reads tokens from a text.
#[derive(Debug)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    /// The next byte to read.
    pos: usize,
    /// The first byte of the token that is being read.
    start: usize,
    open_parens: usize,
    in_braces: bool,
    bracket: Bracket,
    /// What is wrong, once a token of the kind `Error` was given. Nothing follows it.
    error: Option<String>,
}

/// Where the lexer is with regard to square brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bracket {
    Outside,
    /// No number was read yet.
    Opened,
    /// A number or a keyword was read.
    InDuration,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Lexer { text, pos: 0, start: 0, open_parens: 0, in_braces: false, bracket: Bracket::Outside, error: None }
    }

    /// What is wrong, after a token of the kind `Error`.
    pub(crate) fn error(&self) -> &str {
        self.error.as_deref().unwrap_or_default()
    }

    /// The next token; at the end, and after an error, the same one for ever.
    pub(crate) fn next_token(&mut self) -> Token {
        let kind = match self.error {
            Some(_) => Err(None),
            None => {
                self.skip_blanks();
                self.start = self.pos;
                self.scan().map_err(Some)
            }
        };
        let kind = kind.unwrap_or_else(|error| {
            self.error = error.or(self.error.take());
            self.pos = self.text.len();
            TokenKind::Error
        });
        Token { kind, span: Span { start: self.start as u32, end: self.pos as u32 } }
    }

    fn scan(&mut self) -> Result<TokenKind, String> {
        let Some(c) = self.next() else { return self.end() };
        if self.in_braces {
            return self.scan_in_braces(c);
        }
        if self.bracket == Bracket::Opened && !"]:()+-*/%^,.".contains(c) && !c.is_ascii_digit() {
            return self.scan_duration_word(c);
        }
        Ok(match c {
            ',' => TokenKind::Comma,
            '*' => TokenKind::Binary(BinaryOp::Mul),
            '/' => TokenKind::Binary(BinaryOp::Div),
            '%' => TokenKind::Binary(BinaryOp::Mod),
            '+' => TokenKind::Binary(BinaryOp::Add),
            '-' => TokenKind::Binary(BinaryOp::Sub),
            '^' => TokenKind::Binary(BinaryOp::Pow),
            '@' => TokenKind::At,
            '=' => match self.peek() {
                Some('=') => self.take(TokenKind::Binary(BinaryOp::Eql)),
                Some('~') => return Err("unexpected character after '=': '~'".to_owned()),
                _ => TokenKind::Equal,
            },
            '!' => match self.next() {
                Some('=') => TokenKind::Binary(BinaryOp::Neq),
                other => return Err(format!("unexpected character after '!': {}", quote_char(other))),
            },
            '<' => match self.peek() {
                Some('=') => self.take(TokenKind::Binary(BinaryOp::Lte)),
                Some('/') => self.take(TokenKind::Binary(BinaryOp::TrimUpper)),
                _ => TokenKind::Binary(BinaryOp::Lss),
            },
            '>' => match self.peek() {
                Some('=') => self.take(TokenKind::Binary(BinaryOp::Gte)),
                Some('/') => self.take(TokenKind::Binary(BinaryOp::TrimLower)),
                _ => TokenKind::Binary(BinaryOp::Gtr),
            },
            '(' => {
                self.open_parens += 1;
                TokenKind::LeftParen
            }
            ')' if self.open_parens == 0 => {
                // The place of this error is what follows.
                self.start = self.pos;
                return Err("unexpected right parenthesis ')'".to_owned());
            }
            ')' => {
                self.open_parens -= 1;
                TokenKind::RightParen
            }
            '{' => {
                self.in_braces = true;
                TokenKind::LeftBrace
            }
            '[' if self.bracket != Bracket::Outside => return Err("unexpected left bracket '['".to_owned()),
            '[' => {
                self.bracket = Bracket::Opened;
                TokenKind::LeftBracket
            }
            ']' if self.bracket == Bracket::Outside => return Err("unexpected right bracket ']'".to_owned()),
            ']' => {
                self.bracket = Bracket::Outside;
                TokenKind::RightBracket
            }
            '"' | '\'' | '`' => self.scan_string(c)?,
            c if c.is_ascii_digit() || (c == '.' && self.peek().is_some_and(|d| d.is_ascii_digit())) => {
                self.pos = self.start;
                if self.bracket == Bracket::Opened {
                    self.bracket = Bracket::InDuration;
                }
                self.scan_number_or_duration()?
            }
            ':' if self.bracket == Bracket::InDuration => TokenKind::Colon,
            ':' if self.bracket == Bracket::Opened => {
                return Err("unexpected colon before duration in duration expression".to_owned());
            }
            c if is_word_start(c) && self.bracket != Bracket::Outside => return self.scan_duration_word(c),
            c if is_word_start(c) || c == ':' => self.scan_word(),
            c => return Err(format!("unexpected character: {}", quote_char(Some(c)))),
        })
    }

    fn end(&self) -> Result<TokenKind, String> {
        Err(match self.bracket {
            _ if self.in_braces => "unexpected end of input inside braces",
            Bracket::Opened => "unexpected end of input in duration expression",
            _ if self.open_parens > 0 => "unclosed left parenthesis",
            Bracket::InDuration => "unclosed left bracket",
            Bracket::Outside => return Ok(TokenKind::Eof),
        }
        .to_owned())
    }

    fn scan_in_braces(&mut self, c: char) -> Result<TokenKind, String> {
        Ok(match c {
            ',' => TokenKind::Comma,
            '"' | '\'' | '`' => self.scan_string(c)?,
            '=' if self.peek() == Some('~') => self.take(TokenKind::EqualRegex),
            '=' => TokenKind::Equal,
            '!' => match self.next() {
                Some('~') => TokenKind::NotEqualRegex,
                Some('=') => TokenKind::Binary(BinaryOp::Neq),
                other => return Err(format!("unexpected character after '!' inside braces: {}", quote_char(other))),
            },
            '{' => return Err("unexpected left brace '{'".to_owned()),
            '}' => {
                self.in_braces = false;
                TokenKind::RightBrace
            }
            c if is_word_start(c) => {
                self.skip_while(is_word_part);
                TokenKind::Identifier
            }
            c => return Err(format!("unexpected character inside braces: {}", quote_char(Some(c)))),
        })
    }

    fn scan_word(&mut self) -> TokenKind {
        self.skip_while(|c| is_word_part(c) || c == ':');
        let word = &self.text[self.start..self.pos];
        match word_kind(word) {
            // These were metric names before they became words of the language: they are it only before `(`.
            Some(TokenKind::Keyword(Keyword::Fill | Keyword::FillLeft | Keyword::FillRight))
                if !self.text[self.pos..].trim_start_matches(is_blank).starts_with('(') =>
            {
                TokenKind::Identifier
            }
            Some(kind) => kind,
            None if word.contains(':') => TokenKind::MetricIdentifier,
            None => TokenKind::Identifier,
        }
    }

    /// A word in square brackets: only the functions of durations are known there.
    fn scan_duration_word(&mut self, c: char) -> Result<TokenKind, String> {
        let unexpected = match self.bracket {
            Bracket::Opened => format!("unexpected character in duration expression: {}", quote_char(Some(c))),
            _ => format!("unexpected character: {}, expected ':'", quote_char(Some(c))),
        };
        if !is_word_start(c) {
            return Err(unexpected);
        }
        self.skip_while(is_word_part);
        let kind = match self.text[self.start..self.pos].to_ascii_lowercase().as_str() {
            "step" => TokenKind::Keyword(Keyword::Step),
            "range" => TokenKind::Keyword(Keyword::Range),
            "min_of" | "max_of" => TokenKind::Identifier,
            _ => return Err(unexpected),
        };
        self.bracket = Bracket::InDuration;
        Ok(kind)
    }

    fn skip_blanks(&mut self) {
        loop {
            self.skip_while(is_blank);
            if self.peek() != Some('#') {
                return;
            }
            self.skip_while(|c| c != '\n' && c != '\r');
        }
    }

    fn take(&mut self, kind: TokenKind) -> TokenKind {
        self.next();
        kind
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.text[self.pos..].chars().next()
    }

    fn skip_while(&mut self, mut wanted: impl FnMut(char) -> bool) {
        let rest = &self.text[self.pos..];
        self.pos += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    /// Takes the next character if it is one of `set`.
    fn accept(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.next();
        }
        found
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_word_start(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_word_part(c: char) -> bool {
    c == '_' || c.is_ascii_alphanumeric()
}

/// A character as Prometheus's messages show it.
fn quote_char(c: Option<char>) -> String {
    match c {
        None => "end of input".to_owned(),
        Some('\'') => "'\\''".to_owned(),
        Some('\\') => "'\\\\'".to_owned(),
        Some(c) if c.is_control() => format!("'{}'", c.escape_default()),
        Some(c) => format!("'{c}'"),
    }
}
