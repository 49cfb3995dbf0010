//! Expressions: operands, signs, operators, calls.

use super::parser::{Parser, Result};
use crate::ast::{
    AggregateOp, Binary, BinaryOp, Call, Cardinality, Expr, ExprKind, Number, Span, Unary, UnaryOp, VectorSelector,
};
use crate::functions::Function;
use crate::lex::{Keyword, TokenKind, parse_number, unquote};
use sonde_model::duration::parse_duration_ms;

impl Parser<'_> {
    /// An expression of operators that bind tighter than `above`.
    pub(super) fn expression(&mut self, above: u8) -> Result<Expr> {
        self.enter()?;
        let mut lhs = self.operand()?;
        // A chain of operators makes a tree as deep as it is long, although nothing recurses here.
        let mut chain = 0;
        while let TokenKind::Binary(op) = self.token.kind {
            if op.precedence() <= above {
                break;
            }
            chain += 1;
            self.check_height(chain)?;
            lhs = self.binary(lhs, op)?;
        }
        self.leave();
        Ok(lhs)
    }

    /// An operator, the token ahead, with its right operand.
    fn binary(&mut self, lhs: Expr, op: BinaryOp) -> Result<Expr> {
        self.advance()?;
        let (return_bool, mut matching) = self.binary_modifiers()?;
        if op.is_set() && matching.cardinality == Cardinality::OneToOne {
            matching.cardinality = Cardinality::ManyToMany;
        }
        // `^` associates to the right: what follows may bind as tightly.
        let rhs = self.expression(op.precedence() - u8::from(op == BinaryOp::Pow))?;
        let span = Span { start: lhs.span.start, end: rhs.span.end };
        let binary = Binary { op, lhs: Box::new(lhs), rhs: Box::new(rhs), return_bool, matching };
        Ok(Expr::new(ExprKind::Binary(binary), span))
    }

    /// An operand; where errors are tolerated, one that cannot be read is an empty selector.
    fn operand(&mut self) -> Result<Expr> {
        let level = self.level();
        match self.whole_operand() {
            Err(error) if self.tolerated.is_some() => {
                let span = self.tolerate(error, level)?;
                Ok(Expr::new(ExprKind::Vector(VectorSelector::default()), span))
            }
            result => result,
        }
    }

    /// An operand with its signs before and its modifiers behind.
    fn whole_operand(&mut self) -> Result<Expr> {
        match self.token.kind {
            TokenKind::Binary(BinaryOp::Add) => self.signed(UnaryOp::Plus),
            TokenKind::Binary(BinaryOp::Sub) => self.signed(UnaryOp::Minus),
            _ => {
                let expr = self.primary()?;
                self.modifiers(expr)
            }
        }
    }

    fn signed(&mut self, op: UnaryOp) -> Result<Expr> {
        let start = self.advance()?.span.start;
        // A sign binds as tightly as `*`: only `^` goes before it.
        let operand = self.expression(BinaryOp::Mul.precedence())?;
        let span = Span { start, end: operand.span.end };
        let kind = match (op, operand.kind) {
            (UnaryOp::Plus, ExprKind::Number(number)) => ExprKind::Number(number),
            (UnaryOp::Minus, ExprKind::Number(number)) => ExprKind::Number(Number { value: -number.value, ..number }),
            (op, kind) => ExprKind::Unary(Unary { op, operand: Box::new(Expr::new(kind, operand.span)) }),
        };
        Ok(Expr::new(kind, span))
    }

    fn primary(&mut self) -> Result<Expr> {
        match self.token.kind {
            TokenKind::Number | TokenKind::Duration => self.number_literal(),
            TokenKind::String => self.string_literal(),
            TokenKind::LeftParen => self.parenthesised(),
            TokenKind::LeftBrace => self.selector_expression(None),
            TokenKind::Aggregate(op) => self.aggregate_or_name(op),
            kind if kind.is_metric_name() => self.call_or_name(),
            _ => Err(self.unexpected("", "")),
        }
    }

    fn number_literal(&mut self) -> Result<Expr> {
        let span = self.token.span;
        let number = self.number()?;
        Ok(Expr::new(ExprKind::Number(number), span))
    }

    fn string_literal(&mut self) -> Result<Expr> {
        let token = self.advance()?;
        Ok(Expr::new(ExprKind::String(unquote(self.text_of(token))), token.span))
    }

    fn parenthesised(&mut self) -> Result<Expr> {
        let start = self.advance()?.span.start;
        let inner = Box::new(self.expression(0)?);
        self.expect(TokenKind::RightParen, "", "")?;
        Ok(Expr::new(ExprKind::Paren(inner), self.span_from(start)))
    }

    fn aggregate_or_name(&mut self, op: AggregateOp) -> Result<Expr> {
        let word = self.advance()?;
        match self.token.kind {
            TokenKind::LeftParen | TokenKind::Keyword(Keyword::By | Keyword::Without) => {
                self.aggregate(op, word.span.start)
            }
            TokenKind::Identifier | TokenKind::Number | TokenKind::String | TokenKind::Duration => {
                Err(self.unexpected("", ""))
            }
            _ => self.selector_expression(Some(word)),
        }
    }

    fn call_or_name(&mut self) -> Result<Expr> {
        let name = self.advance()?;
        let callable = matches!(
            name.kind,
            TokenKind::Identifier | TokenKind::Keyword(Keyword::Start | Keyword::End | Keyword::Step | Keyword::Range)
        );
        if callable && self.token.kind == TokenKind::LeftParen {
            return self.call(self.text_of(name), name.span);
        }
        self.selector_expression(Some(name))
    }

    /// A number or a duration, which is a number of seconds.
    pub(super) fn number(&mut self) -> Result<Number> {
        let as_duration = self.token.kind == TokenKind::Duration;
        let value = if as_duration { self.duration_literal()? as f64 / 1000.0 } else { self.number_value()? };
        Ok(Number { value, as_duration })
    }

    /// A number. What is wrong with it comes before what is wrong with the token behind it.
    pub(super) fn number_value(&mut self) -> Result<f64> {
        let parsed = parse_number(self.text_of(self.token));
        let value = parsed.map_err(|reason| self.error(self.token.span, format!("error parsing number: {reason}")))?;
        self.advance().map(|_| value)
    }

    /// A duration in milliseconds.
    pub(super) fn duration_literal(&mut self) -> Result<i64> {
        let parsed = parse_duration_ms(self.text_of(self.token));
        let ms = parsed.map_err(|e| self.error(self.token.span, e.to_string()))?;
        self.advance().map(|_| ms)
    }

    fn call(&mut self, name: &str, name_span: Span) -> Result<Expr> {
        let args = self.call_arguments()?;
        let span = self.span_from(name_span.start);
        // Words of the language may be written in upper case, names of functions may not.
        let Some(function) = Function::from_name(name).or_else(|| Function::from_name(&keyword_name(name))) else {
            return Err(self.error(name_span, format!("unknown function with name {name:?}")));
        };
        Ok(Expr::new(ExprKind::Call(Call { function, args }), span))
    }

    /// `(a, b)`
    pub(super) fn call_arguments(&mut self) -> Result<Vec<Expr>> {
        self.expect(TokenKind::LeftParen, "", "")?;
        let mut args = Vec::new();
        if self.accept(TokenKind::RightParen)?.is_some() {
            return Ok(args);
        }
        loop {
            args.push(self.expression(0)?);
            let Some(comma) = self.accept(TokenKind::Comma)? else { break };
            self.check_lexed()?;
            if !self.token.kind.starts_expression() {
                return Err(self.error(comma.span, "trailing commas not allowed in function call args"));
            }
        }
        self.expect(TokenKind::RightParen, "", "")?;
        Ok(args)
    }
}

/// `START` is the same word as `start`; other names stay as they are.
fn keyword_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    if matches!(lower.as_str(), "start" | "end" | "step" | "range") { lower } else { name.to_owned() }
}
