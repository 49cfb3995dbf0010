//! Alertmanager's second grammar: names and values of any characters, in quotes where they need it.

use sonde_model::MatchOp;

use super::{MAX_MATCHERS, Matcher, MatcherError, quoted};

/// Reads matchers, separated by commas, between braces or without; a comma after the last is allowed.
pub(super) fn matchers(text: &str) -> Result<Vec<Matcher>, MatcherError> {
    let mut lexer = Lexer { rest: text, column: 0 };
    let mut found = Vec::new();
    let mut token = lexer.next()?;
    let braced = token.kind == Kind::OpenBrace;
    if braced {
        token = lexer.next()?;
    } else if token.kind == Kind::End {
        return Ok(found);
    }
    while !matches!(token.kind, Kind::CloseBrace | Kind::End) {
        if found.len() >= MAX_MATCHERS {
            return Err(MatcherError::TooMany { limit: MAX_MATCHERS });
        }
        found.push(matcher(&token, &mut lexer)?);
        token = lexer.next()?;
        match token.kind {
            Kind::Comma => token = lexer.next()?,
            Kind::CloseBrace | Kind::End => break,
            _ => return Err(token.unexpected("a comma or close brace")),
        }
        if !matches!(token.kind, Kind::CloseBrace | Kind::End | Kind::Quoted | Kind::Unquoted) {
            return Err(token.unexpected("a matcher or close brace after comma"));
        }
    }
    match (braced, token.kind) {
        (true, Kind::CloseBrace) => {
            let after = lexer.next()?;
            if after.kind != Kind::End {
                return Err(after.error(format!("{}: expected end of input", after.text)));
            }
        }
        (true, _) => return Err(token.unexpected("close brace")),
        (false, Kind::CloseBrace) => return Err(token.error("}: expected opening brace".to_owned())),
        (false, _) => {}
    }
    Ok(found)
}

/// A name, an operator and a value, of which the name has been read.
fn matcher(name: &Token<'_>, lexer: &mut Lexer<'_>) -> Result<Matcher, MatcherError> {
    let name = name.content("label name")?;
    let token = lexer.next()?;
    let Kind::Operator(op) = token.kind else {
        return Err(token.unexpected("an operator such as '=', '!=', '=~' or '!~'"));
    };
    let value = lexer.next()?.content("label value")?;
    Matcher::new(&name, op, &value)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    OpenBrace,
    CloseBrace,
    Comma,
    Operator(MatchOp),
    Quoted,
    Unquoted,
    End,
}

struct Token<'a> {
    kind: Kind,
    text: &'a str,
    /// Columns count characters from 0.
    start: usize,
    end: usize,
}

impl Token<'_> {
    /// The name or value that the token is.
    fn content(&self, expected: &str) -> Result<String, MatcherError> {
        match self.kind {
            Kind::Unquoted => Ok(self.text.to_owned()),
            Kind::Quoted => {
                let inner = self.text.get(1..self.text.len() - 1).unwrap_or_default();
                quoted::unquote(inner).ok_or_else(|| self.error(format!("{}: invalid input", self.text)))
            }
            _ => Err(self.unexpected(expected)),
        }
    }

    fn unexpected(&self, expected: &str) -> MatcherError {
        if self.kind == Kind::End {
            self.error(format!("end of input: expected {expected}"))
        } else {
            self.error(format!("unexpected {}: expected {expected}", self.text))
        }
    }

    fn error(&self, reason: String) -> MatcherError {
        MatcherError::Syntax { start: self.start, end: self.end, reason }
    }
}

struct Lexer<'a> {
    rest: &'a str,
    column: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Token<'a>, MatcherError> {
        let trimmed = self.rest.trim_start();
        self.column += self.rest[..self.rest.len() - trimmed.len()].chars().count();
        self.rest = trimmed;
        let Some(first) = trimmed.chars().next() else {
            return Ok(self.take(0, Kind::End));
        };
        match first {
            '{' => Ok(self.take(1, Kind::OpenBrace)),
            '}' => Ok(self.take(1, Kind::CloseBrace)),
            ',' => Ok(self.take(1, Kind::Comma)),
            '"' => self.quoted(),
            '=' | '!' => self.operator(),
            c if is_reserved(c) => {
                let token = self.take(c.len_utf8(), Kind::End);
                Err(token.error(format!("{}: invalid input", token.text)))
            }
            _ => {
                let length = trimmed.find(is_reserved).unwrap_or(trimmed.len());
                Ok(self.take(length, Kind::Unquoted))
            }
        }
    }

    fn operator(&mut self) -> Result<Token<'a>, MatcherError> {
        for op in [MatchOp::Regex, MatchOp::NotRegex, MatchOp::NotEqual, MatchOp::Equal] {
            if self.rest.starts_with(op.symbol()) {
                return Ok(self.take(op.symbol().len(), Kind::Operator(op)));
            }
        }
        let token = self.take(1, Kind::End);
        Err(token.error(format!("{}: expected one of '=~'", token.text)))
    }

    fn quoted(&mut self) -> Result<Token<'a>, MatcherError> {
        let mut escaped = false;
        for (i, c) in self.rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => return Ok(self.take(i + 1, Kind::Quoted)),
                _ => {}
            }
        }
        let token = self.take(self.rest.len(), Kind::End);
        Err(token.error(format!("{}: missing end \"", token.text)))
    }

    fn take(&mut self, bytes: usize, kind: Kind) -> Token<'a> {
        let (text, rest) = self.rest.split_at(bytes);
        let start = self.column;
        self.column += text.chars().count();
        self.rest = rest;
        Token { kind, text, start, end: self.column }
    }
}

fn is_reserved(c: char) -> bool {
    c.is_whitespace() || "{}!=~,\\\"'`".contains(c)
}
