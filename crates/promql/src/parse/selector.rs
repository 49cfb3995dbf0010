//! Selectors: a name, matchers in braces, lists of labels.

use sonde_model::labels::is_legacy_label_name;
use sonde_model::{METRIC_NAME, MatchOp};

use super::parser::{Parser, Result};
use crate::ast::{BinaryOp, Expr, ExprKind, LabelMatcher, VectorSelector};
use crate::lex::{Token, TokenKind, unquote};

impl Parser<'_> {
    /// `name`, `name{...}` or `{...}`.
    pub(super) fn vector_selector(&mut self) -> Result<VectorSelector> {
        let name = match self.token.kind {
            kind if kind.is_metric_name() => Some(self.advance()?),
            TokenKind::LeftBrace => None,
            _ => return Err(self.unexpected("", "")),
        };
        self.selector_after_name(name)
    }

    /// The same as an expression; the name was taken already.
    pub(super) fn selector_expression(&mut self, name: Option<Token>) -> Result<Expr> {
        let start = name.unwrap_or(self.token).span.start;
        let selector = self.selector_after_name(name)?;
        Ok(Expr::new(ExprKind::Vector(selector), self.span_from(start)))
    }

    fn selector_after_name(&mut self, name: Option<Token>) -> Result<VectorSelector> {
        let name = name.map(|token| self.text_of(token).to_owned());
        let matchers = if self.token.kind == TokenKind::LeftBrace { self.matchers()? } else { Vec::new() };
        Ok(VectorSelector { name, matchers, ..VectorSelector::default() })
    }

    fn matchers(&mut self) -> Result<Vec<LabelMatcher>> {
        self.advance()?;
        let mut matchers = Vec::new();
        while self.accept(TokenKind::RightBrace)?.is_none() {
            matchers.push(self.matcher()?);
            if self.accept(TokenKind::Comma)?.is_none() && self.token.kind != TokenKind::RightBrace {
                return Err(self.unexpected("label matching", "\",\" or \"}\""));
            }
        }
        Ok(matchers)
    }

    fn matcher(&mut self) -> Result<LabelMatcher> {
        let label = self.token;
        let name = match label.kind {
            TokenKind::Identifier => self.text_of(label).to_owned(),
            TokenKind::String => self.quoted_name(label)?,
            _ => return Err(self.unexpected("label matching", "identifier or \"}\"")),
        };
        self.advance()?;
        let op = match self.token.kind {
            TokenKind::Equal => MatchOp::Equal,
            TokenKind::Binary(BinaryOp::Neq) => MatchOp::NotEqual,
            TokenKind::EqualRegex => MatchOp::Regex,
            TokenKind::NotEqualRegex => MatchOp::NotRegex,
            // A string alone is the metric name.
            _ if label.kind == TokenKind::String => {
                return Ok(LabelMatcher { name: METRIC_NAME.to_owned(), op: MatchOp::Equal, value: name });
            }
            _ => return Err(self.unexpected("label matching", "label matching operator")),
        };
        self.advance()?;
        let value = self.expect(TokenKind::String, "label matching", "string")?;
        let matcher = LabelMatcher { name, op, value: unquote(self.text_of(value)).text };
        let checked = match op {
            MatchOp::Equal | MatchOp::NotEqual => Ok(()),
            _ if is_plain_pattern(&matcher.value) => self.patterns.reserve(&matcher.value),
            op => self.patterns.matcher(&matcher.name, op, &matcher.value).map(drop),
        };
        match checked {
            Ok(()) => Ok(matcher),
            Err(e) => Err(self.error(self.span_from(label.span.start), e.to_string())),
        }
    }

    /// A name in quotes: any UTF-8 text that is not empty.
    fn quoted_name(&self, token: Token) -> Result<String> {
        let literal = unquote(self.text_of(token));
        if literal.text.is_empty() || literal.not_utf8.is_some() {
            return Err(self.error(token.span, format!("invalid label name {:?}", literal.text)));
        }
        Ok(literal.text)
    }

    /// `(a, b)`: the labels of `by`, `on` and the like.
    pub(super) fn grouping_labels(&mut self) -> Result<Vec<String>> {
        self.expect(TokenKind::LeftParen, "grouping opts", "\"(\"")?;
        let mut labels = Vec::new();
        while self.accept(TokenKind::RightParen)?.is_none() {
            let token = self.token;
            labels.push(match token.kind {
                TokenKind::String => self.quoted_name(token)?,
                kind if kind.is_label_name() && is_legacy_label_name(self.text_of(token)) => {
                    self.text_of(token).to_owned()
                }
                _ => return Err(self.unexpected("grouping opts", "label")),
            });
            self.advance()?;
            if self.accept(TokenKind::Comma)?.is_none() && self.token.kind != TokenKind::RightParen {
                return Err(self.unexpected("grouping opts", "\",\" or \")\""));
            }
        }
        Ok(labels)
    }
}

/// Whether a pattern is so plain that it need not be compiled to know that it can be: texts with `|`, `.*` and `.+`.
/// Compiling takes longer than all the rest of the parser, and the engine does it anyway.
fn is_plain_pattern(pattern: &str) -> bool {
    let mut before = '|';
    for c in pattern.chars() {
        let is_plain = match c {
            '*' | '+' => before == '.',
            c => !r"\?()[]{}^$".contains(c),
        };
        if !is_plain {
            return false;
        }
        before = c;
    }
    // A pattern of any length would be a way around the bound on the size of what is compiled.
    pattern.len() <= 1000
}
