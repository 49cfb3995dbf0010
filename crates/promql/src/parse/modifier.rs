//! What stands behind an operand: `[range]`, `offset`, `@`, `anchored`, `smoothed`.

use sonde_model::GoFloat;

use super::duration::EXPECTED;
use super::parser::{Parser, Result};
use crate::ast::{At, BinaryOp, Duration, Expr, ExprKind, MatrixSelector, RangeMode, Span, Subquery};
use crate::lex::{Keyword, TokenKind};

/// The places of a selector or subquery that modifiers fill.
type TimePlaces<'e> = (&'e mut Option<Duration>, &'e mut Option<At>);

impl Parser<'_> {
    /// Takes all modifiers behind an operand.
    pub(super) fn modifiers(&mut self, mut expr: Expr) -> Result<Expr> {
        // Subqueries of subqueries make the tree deeper.
        let mut chain = 0;
        loop {
            match self.token.kind {
                TokenKind::LeftBracket => {
                    chain += 1;
                    self.check_height(chain)?;
                    expr = self.range(expr)?;
                }
                TokenKind::Keyword(Keyword::Offset) => self.offset(&mut expr)?,
                TokenKind::At => self.at(&mut expr)?,
                TokenKind::Keyword(keyword @ (Keyword::Anchored | Keyword::Smoothed)) => {
                    self.mode(&mut expr, keyword)?;
                }
                _ => return Ok(expr),
            }
        }
    }

    fn range(&mut self, expr: Expr) -> Result<Expr> {
        let open = self.advance()?;
        let range = self.positive_duration("subquery or range selector", EXPECTED)?;
        match self.token.kind {
            TokenKind::RightBracket => {
                self.advance()?;
                let brackets = self.span_from(open.span.start);
                let span = self.span_from(expr.span.start);
                let ExprKind::Vector(selector) = expr.kind else {
                    return Err(self.error(brackets, "ranges only allowed for vector selectors"));
                };
                if selector.offset.is_some() {
                    return Err(self.error(brackets, "no offset modifiers allowed before range"));
                }
                if selector.at.is_some() {
                    return Err(self.error(brackets, "no @ modifiers allowed before range"));
                }
                let matrix = MatrixSelector { selector, selector_span: expr.span, range };
                Ok(Expr::new(ExprKind::Matrix(matrix), span))
            }
            TokenKind::Colon => {
                self.advance()?;
                let step = match self.token.kind {
                    TokenKind::RightBracket => None,
                    _ => {
                        let expected = "number, duration, step(), range(), or \"]\"";
                        Some(self.positive_duration("subquery selector", expected)?)
                    }
                };
                self.expect(TokenKind::RightBracket, "subquery selector", "\"]\"")?;
                let span = self.span_from(expr.span.start);
                let subquery = Subquery { expr: Box::new(expr), range, step, offset: None, at: None };
                Ok(Expr::new(ExprKind::Subquery(subquery), span))
            }
            _ => Err(self.unexpected("subquery or range", "\":\" or \"]\"")),
        }
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<()> {
        self.advance()?;
        let duration = self.offset_duration()?;
        let Some((offset, _)) = time_places(expr) else {
            let message = "offset modifier must be preceded by an instant vector selector or range vector selector \
                           or a subquery";
            return Err(self.error(expr.span, message));
        };
        if offset.is_some() {
            return Err(self.error(expr.span, "offset may not be set multiple times"));
        }
        *offset = Some(duration);
        expr.span = self.span_from(expr.span.start);
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Result<()> {
        self.advance()?;
        let value = match self.token.kind {
            TokenKind::Keyword(keyword @ (Keyword::Start | Keyword::End)) => {
                self.advance()?;
                self.expect(TokenKind::LeftParen, "@", "timestamp")?;
                self.expect(TokenKind::RightParen, "@", "timestamp")?;
                if keyword == Keyword::Start { At::Start } else { At::End }
            }
            TokenKind::Binary(sign @ (BinaryOp::Add | BinaryOp::Sub)) => {
                self.advance()?;
                self.at_time(expr.span, if sign == BinaryOp::Sub { -1.0 } else { 1.0 })?
            }
            _ => self.at_time(expr.span, 1.0)?,
        };
        let Some((_, at)) = time_places(expr) else {
            let message = "@ modifier must be preceded by an instant vector selector or range vector selector or a \
                           subquery";
            return Err(self.error(expr.span, message));
        };
        if at.is_some() {
            return Err(self.error(expr.span, "@ <timestamp> may not be set multiple times"));
        }
        *at = Some(value);
        expr.span = self.span_from(expr.span.start);
        Ok(())
    }

    fn at_time(&mut self, span: Span, sign: f64) -> Result<At> {
        // A duration is a number of seconds here too.
        if !matches!(self.token.kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected("@", "timestamp"));
        }
        let seconds = sign * self.number()?.value;
        let ms = (seconds * 1000.0).round();
        if !ms.is_finite() || ms.abs() >= i64::MAX as f64 {
            let text = if seconds.is_finite() { format!("{seconds:.6}") } else { GoFloat(seconds).to_string() };
            return Err(self.error(span, format!("timestamp out of bounds for @ modifier: {text}")));
        }
        Ok(At::Time(ms as i64))
    }

    fn mode(&mut self, expr: &mut Expr, keyword: Keyword) -> Result<()> {
        let (word, mode) = match keyword {
            Keyword::Anchored => ("anchored", RangeMode::Anchored),
            _ => ("smoothed", RangeMode::Smoothed),
        };
        self.advance()?;
        if !self.options.experimental {
            return Err(self.error(expr.span, format!("{word} modifier is experimental and not enabled")));
        }
        let place = match &mut expr.kind {
            ExprKind::Vector(selector) => &mut selector.mode,
            ExprKind::Matrix(matrix) => &mut matrix.selector.mode,
            ExprKind::Subquery(_) => {
                return Err(self.error(expr.span, format!("{word} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error(expr.span, format!("{word} modifier not implemented"))),
        };
        if *place != RangeMode::Plain && *place != mode {
            let message = "anchored and smoothed modifiers cannot be used together";
            return Err(self.error(expr.span, message));
        }
        *place = mode;
        expr.span = self.span_from(expr.span.start);
        Ok(())
    }
}

fn time_places(expr: &mut Expr) -> Option<TimePlaces<'_>> {
    match &mut expr.kind {
        ExprKind::Vector(selector) => Some((&mut selector.offset, &mut selector.at)),
        ExprKind::Matrix(matrix) => Some((&mut matrix.selector.offset, &mut matrix.selector.at)),
        ExprKind::Subquery(subquery) => Some((&mut subquery.offset, &mut subquery.at)),
        _ => None,
    }
}
