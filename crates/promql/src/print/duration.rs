//! Durations as text.

use std::fmt::{self, Display, Formatter};

use sonde_model::duration::DurationMs;

use super::PlainNumber;
use crate::ast::{Duration, DurationExpr, DurationKind};

impl Display for Duration {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Duration::Fixed(ms) => DurationMs(*ms).fmt(f),
            Duration::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationKind::Number(seconds) => PlainNumber(*seconds).fmt(f),
            DurationKind::Literal(ms) => DurationMs(*ms).fmt(f),
            DurationKind::Step => f.write_str("step()"),
            DurationKind::Range => f.write_str("range()"),
            DurationKind::MinOf(a, b) => write!(f, "min_of({a}, {b})"),
            DurationKind::MaxOf(a, b) => write!(f, "max_of({a}, {b})"),
            DurationKind::Unary(op, operand) => write!(f, "{}{operand}", op.symbol()),
            DurationKind::Binary(op, lhs, rhs) => write!(f, "{lhs} {} {rhs}", op.symbol()),
            DurationKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}
