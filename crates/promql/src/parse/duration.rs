//! Durations in square brackets and after `offset`.

use super::parser::{Parser, Result};
use crate::ast::{BinaryOp, Duration, DurationExpr, DurationKind, DurationOp, Span, UnaryOp};
use crate::lex::{Keyword, TokenKind};

/// What may stand where a duration is expected, in the words of Prometheus.
pub(super) const EXPECTED: &str = "number, duration, step(), or range()";

/// The longest literal, in milliseconds: Prometheus counts nanoseconds in 63 bits.
const MAX_LITERAL_MS: f64 = 9_223_372_036_854.0;

impl Parser<'_> {
    /// A duration in brackets: any expression; a literal has to be more than 0.
    pub(super) fn positive_duration(&mut self, context: &str, expected: &str) -> Result<Duration> {
        let expr = self.duration_expression(0, context, expected)?;
        let span = expr.span;
        match self.known_duration(expr)? {
            Duration::Fixed(ms) if ms <= 0 => Err(self.error(span, "duration must be greater than 0")),
            duration => Ok(duration),
        }
    }

    /// A duration after `offset`: one operand, with a sign perhaps. Operators behind it belong to the query.
    pub(super) fn offset_duration(&mut self) -> Result<Duration> {
        let sign = match self.token.kind {
            TokenKind::Binary(BinaryOp::Add) => Some(UnaryOp::Plus),
            TokenKind::Binary(BinaryOp::Sub) => Some(UnaryOp::Minus),
            _ => None,
        };
        let Some(op) = sign else {
            let expr = self.duration_operand("offset", EXPECTED)?;
            return self.known_duration(expr);
        };
        let start = self.advance()?.span.start;
        if matches!(self.token.kind, TokenKind::Binary(_)) {
            return Err(self.unexpected("offset", EXPECTED));
        }
        let operand = self.duration_operand("offset", EXPECTED)?;
        let kind = signed(op, operand);
        self.known_duration(DurationExpr { kind, span: self.span_from(start) })
    }

    /// A literal becomes a fixed duration, all else stays an expression.
    fn known_duration(&self, expr: DurationExpr) -> Result<Duration> {
        let ms = match expr.kind {
            // Prometheus counts nanoseconds here, and whole milliseconds later.
            DurationKind::Number(seconds) => ((seconds * 1e9).round() / 1e6).trunc(),
            DurationKind::Literal(ms) => ms as f64,
            _ if !self.options.experimental => {
                return Err(self.error(expr.span, "experimental duration expression is not enabled"));
            }
            _ => return Ok(Duration::Expr(Box::new(expr))),
        };
        if ms.is_nan() || ms.abs() > MAX_LITERAL_MS {
            return Err(self.error(expr.span, "duration out of range"));
        }
        Ok(Duration::Fixed(ms as i64))
    }

    fn duration_expression(&mut self, above: u8, context: &str, expected: &str) -> Result<DurationExpr> {
        self.enter()?;
        let mut lhs = self.duration_operand(context, expected)?;
        let mut chain = 0;
        while let Some(op) = duration_op(self.token.kind) {
            if op.precedence() <= above {
                break;
            }
            chain += 1;
            self.check_height(chain)?;
            self.advance()?;
            let rhs = self.duration_expression(op.precedence() - u8::from(op == DurationOp::Pow), context, expected)?;
            let span = Span { start: lhs.span.start, end: rhs.span.end };
            lhs = DurationExpr { kind: DurationKind::Binary(op, Box::new(lhs), Box::new(rhs)), span };
        }
        self.leave();
        Ok(lhs)
    }

    fn duration_operand(&mut self, context: &str, expected: &str) -> Result<DurationExpr> {
        let token = self.token;
        let kind = match token.kind {
            TokenKind::Number => DurationKind::Number(self.number_value()?),
            TokenKind::Duration => DurationKind::Literal(self.duration_literal()?),
            TokenKind::Keyword(keyword @ (Keyword::Step | Keyword::Range)) => {
                self.advance()?;
                self.expect(TokenKind::LeftParen, context, "\"(\"")?;
                self.expect(TokenKind::RightParen, context, "\")\"")?;
                if keyword == Keyword::Step { DurationKind::Step } else { DurationKind::Range }
            }
            TokenKind::Identifier => {
                let min = self.text_of(token).eq_ignore_ascii_case("min_of");
                if !min && !self.text_of(token).eq_ignore_ascii_case("max_of") {
                    return Err(self.unexpected(context, expected));
                }
                self.advance()?;
                let (a, b) = self.duration_pair(context, expected)?;
                if min { DurationKind::MinOf(a, b) } else { DurationKind::MaxOf(a, b) }
            }
            TokenKind::LeftParen => {
                self.advance()?;
                let inner = self.duration_expression(0, context, expected)?;
                self.expect(TokenKind::RightParen, context, "\")\"")?;
                DurationKind::Paren(Box::new(inner))
            }
            TokenKind::Binary(BinaryOp::Add) => self.signed_duration(UnaryOp::Plus, context, expected)?,
            TokenKind::Binary(BinaryOp::Sub) => self.signed_duration(UnaryOp::Minus, context, expected)?,
            _ => return Err(self.unexpected(context, expected)),
        };
        Ok(DurationExpr { kind, span: self.span_from(token.span.start) })
    }

    /// A sign and what it belongs to: only `^` binds tighter.
    fn signed_duration(&mut self, op: UnaryOp, context: &str, expected: &str) -> Result<DurationKind> {
        self.advance()?;
        Ok(signed(op, self.duration_expression(DurationOp::Mul.precedence(), context, expected)?))
    }

    fn duration_pair(&mut self, context: &str, expected: &str) -> Result<(Box<DurationExpr>, Box<DurationExpr>)> {
        self.expect(TokenKind::LeftParen, context, "\"(\"")?;
        let a = self.duration_expression(0, context, expected)?;
        self.expect(TokenKind::Comma, context, "\",\"")?;
        let b = self.duration_expression(0, context, expected)?;
        self.expect(TokenKind::RightParen, context, "\")\"")?;
        Ok((Box::new(a), Box::new(b)))
    }
}

/// The sign of a literal becomes part of it.
fn signed(op: UnaryOp, operand: DurationExpr) -> DurationKind {
    match (op, operand.kind) {
        (UnaryOp::Plus, kind @ (DurationKind::Number(_) | DurationKind::Literal(_))) => kind,
        (UnaryOp::Minus, DurationKind::Number(seconds)) => DurationKind::Number(-seconds),
        (UnaryOp::Minus, DurationKind::Literal(ms)) => DurationKind::Literal(-ms),
        (op, kind) => DurationKind::Unary(op, Box::new(DurationExpr { kind, span: operand.span })),
    }
}

fn duration_op(kind: TokenKind) -> Option<DurationOp> {
    Some(match kind {
        TokenKind::Binary(BinaryOp::Add) => DurationOp::Add,
        TokenKind::Binary(BinaryOp::Sub) => DurationOp::Sub,
        TokenKind::Binary(BinaryOp::Mul) => DurationOp::Mul,
        TokenKind::Binary(BinaryOp::Div) => DurationOp::Div,
        TokenKind::Binary(BinaryOp::Mod) => DurationOp::Mod,
        TokenKind::Binary(BinaryOp::Pow) => DurationOp::Pow,
        _ => return None,
    })
}
