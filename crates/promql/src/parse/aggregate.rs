//! Aggregations, and the clauses of binary operators.

use super::parser::{Parser, Result};
use crate::ast::{Aggregate, AggregateOp, BinaryOp, Cardinality, Expr, ExprKind, VectorMatching};
use crate::lex::{Keyword, TokenKind};

impl Parser<'_> {
    /// An aggregation whose word was taken: `sum by (a) (x)` or `sum(x) by (a)`.
    pub(super) fn aggregate(&mut self, op: AggregateOp, start: u32) -> Result<Expr> {
        self.aggregations += 1;
        let before = self.aggregate_clause()?;
        let mut args = self.call_arguments()?;
        let clause = match before {
            Some(clause) => Some(clause),
            None => {
                self.check_lexed()?;
                self.aggregate_clause()?
            }
        };
        self.aggregations -= 1;
        let (without, grouping) = clause.unwrap_or_default();
        let span = self.span_from(start);
        if args.is_empty() {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        if op.is_experimental() && !self.options.experimental {
            let message = format!(
                "{}() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
                op.name()
            );
            return Err(self.error(span, message));
        }
        let wanted = if op.takes_param() { 2 } else { 1 };
        let given = args.len();
        let (Some(operand), true) = (args.pop(), given == wanted) else {
            let message =
                format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {given}");
            return Err(self.error(span, message));
        };
        let param = args.pop().map(Box::new);
        let aggregate = Aggregate { op, operand: Box::new(operand), param, grouping, without };
        Ok(Expr::new(ExprKind::Aggregate(aggregate), span))
    }

    fn aggregate_clause(&mut self) -> Result<Option<(bool, Vec<String>)>> {
        let without = match self.token.kind {
            TokenKind::Keyword(Keyword::By) => false,
            TokenKind::Keyword(Keyword::Without) => true,
            _ => return Ok(None),
        };
        self.advance()?;
        Ok(Some((without, self.grouping_labels()?)))
    }

    /// What stands between a binary operator and its right operand: `bool`, `on`, `group_left`, `fill` ...
    pub(super) fn binary_modifiers(&mut self) -> Result<(bool, VectorMatching)> {
        let return_bool = self.accept(TokenKind::Keyword(Keyword::Bool))?.is_some();
        let mut matching = VectorMatching::default();
        if let TokenKind::Keyword(keyword @ (Keyword::On | Keyword::Ignoring)) = self.token.kind {
            self.advance()?;
            matching.on = keyword == Keyword::On;
            matching.labels = self.grouping_labels()?;
            matching.cardinality = match self.token.kind {
                TokenKind::Keyword(Keyword::GroupLeft) => Cardinality::ManyToOne,
                TokenKind::Keyword(Keyword::GroupRight) => Cardinality::OneToMany,
                _ => Cardinality::OneToOne,
            };
            if matching.cardinality != Cardinality::OneToOne {
                self.advance()?;
                if self.token.kind == TokenKind::LeftParen {
                    matching.include = self.grouping_labels()?;
                } else if !self.token.kind.starts_expression() && !self.token.kind.is_fill() {
                    return Err(self.unexpected("grouping opts", "\"(\""));
                }
            }
        }
        self.fill_modifiers(&mut matching)?;
        Ok((return_bool, matching))
    }

    fn fill_modifiers(&mut self, matching: &mut VectorMatching) -> Result<()> {
        let start = self.token.span.start;
        while let TokenKind::Keyword(keyword @ (Keyword::Fill | Keyword::FillLeft | Keyword::FillRight)) =
            self.token.kind
        {
            let fill = &mut matching.fill;
            let taken = match keyword {
                Keyword::FillLeft => fill.left.is_some(),
                Keyword::FillRight => fill.right.is_some(),
                _ => fill.left.is_some() || fill.right.is_some(),
            };
            if taken {
                return Err(self.unexpected("", ""));
            }
            self.advance()?;
            let value = Some(self.fill_value()?);
            if keyword != Keyword::FillRight {
                matching.fill.left = value;
            }
            if keyword != Keyword::FillLeft {
                matching.fill.right = value;
            }
            if !self.options.experimental {
                let message = "binop fill modifiers are experimental and not enabled";
                return Err(self.error(self.span_from(start), message));
            }
        }
        Ok(())
    }

    fn fill_value(&mut self) -> Result<f64> {
        self.expect(TokenKind::LeftParen, "", "")?;
        let negative = match self.token.kind {
            TokenKind::Binary(BinaryOp::Sub) => self.advance().map(|_| true)?,
            TokenKind::Binary(BinaryOp::Add) => self.advance().map(|_| false)?,
            _ => false,
        };
        if !matches!(self.token.kind, TokenKind::Number | TokenKind::Duration) {
            return Err(self.unexpected("", ""));
        }
        let value = self.number()?.value;
        self.expect(TokenKind::RightParen, "", "")?;
        Ok(if negative { -value } else { value })
    }
}
