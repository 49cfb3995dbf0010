//! Durations in ranges, steps and offsets: fixed ones, and expressions that are resolved for a query's grid.

use thiserror::Error;

use super::{Span, UnaryOp};

/// A duration in milliseconds, known or to be resolved.
#[derive(Clone, Debug, PartialEq)]
pub enum Duration {
    /// A plain literal.
    Fixed(i64),
    /// An expression.
    Expr(Box<DurationExpr>),
}

/// An expression of durations and where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationExpr {
    /// What it is.
    pub kind: DurationKind,
    /// Where it stands.
    pub span: Span,
}

/// What an expression of durations is. All values are seconds.
#[derive(Clone, Debug, PartialEq)]
pub enum DurationKind {
    /// A plain number.
    Number(f64),
    /// A duration literal, in milliseconds.
    Literal(i64),
    /// `step()`: the distance of the evaluation times.
    Step,
    /// `range()`: the length of the query's range.
    Range,
    /// `min_of(a, b)`
    MinOf(Box<DurationExpr>, Box<DurationExpr>),
    /// `max_of(a, b)`
    MaxOf(Box<DurationExpr>, Box<DurationExpr>),
    /// A sign.
    Unary(UnaryOp, Box<DurationExpr>),
    /// Arithmetic.
    Binary(DurationOp, Box<DurationExpr>, Box<DurationExpr>),
    /// Parentheses.
    Paren(Box<DurationExpr>),
}

/// An operator between durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DurationOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Mod,
    /// `^`
    Pow,
}

/// What `step()` and `range()` stand for in a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueryGrid {
    /// The distance of the evaluation times in milliseconds; 0 for an instant query.
    pub step_ms: i64,
    /// The end less the start of the query in milliseconds; 0 for an instant query.
    pub range_ms: i64,
}

/// Why a duration cannot be resolved.
#[derive(Clone, Copy, Debug, Error, PartialEq)]
pub enum DurationError {
    /// A divisor is 0.
    #[error("division by zero")]
    DivisionByZero,
    /// A modulus is 0.
    #[error("modulo by zero")]
    ModuloByZero,
    /// The result does not fit into 63 bits of nanoseconds.
    #[error("duration is out of range")]
    OutOfRange,
    /// A range or a step is 0 or less.
    #[error("duration must be greater than 0")]
    NotPositive,
}

impl Duration {
    /// The duration in milliseconds; of any sign.
    pub fn resolve(&self, grid: QueryGrid) -> Result<i64, DurationError> {
        /// About 292 years: what Prometheus can hold, who counts nanoseconds in 63 bits.
        const MAX_MS: f64 = 9_223_372_036_854.0;
        match self {
            Duration::Fixed(ms) => Ok(*ms),
            Duration::Expr(expr) => {
                let ms = expr.seconds(grid)? * 1000.0;
                if ms.is_nan() || ms.abs() > MAX_MS { Err(DurationError::OutOfRange) } else { Ok(ms.round() as i64) }
            }
        }
    }

    /// The duration in milliseconds where it has to be more than 0, as a range or a step.
    pub fn resolve_positive(&self, grid: QueryGrid) -> Result<i64, DurationError> {
        self.resolve(grid).and_then(|ms| if ms > 0 { Ok(ms) } else { Err(DurationError::NotPositive) })
    }
}

impl DurationExpr {
    /// The value in seconds. The depth of an expression is bounded by the parser.
    fn seconds(&self, grid: QueryGrid) -> Result<f64, DurationError> {
        Ok(match &self.kind {
            DurationKind::Number(seconds) => *seconds,
            DurationKind::Literal(ms) => *ms as f64 / 1000.0,
            DurationKind::Step => grid.step_ms as f64 / 1000.0,
            DurationKind::Range => grid.range_ms as f64 / 1000.0,
            DurationKind::MinOf(a, b) => a.seconds(grid)?.min(b.seconds(grid)?),
            DurationKind::MaxOf(a, b) => a.seconds(grid)?.max(b.seconds(grid)?),
            DurationKind::Unary(UnaryOp::Plus, operand) | DurationKind::Paren(operand) => operand.seconds(grid)?,
            DurationKind::Unary(UnaryOp::Minus, operand) => -operand.seconds(grid)?,
            DurationKind::Binary(op, lhs, rhs) => op.apply(lhs.seconds(grid)?, rhs.seconds(grid)?)?,
        })
    }
}

impl DurationOp {
    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            DurationOp::Add => "+",
            DurationOp::Sub => "-",
            DurationOp::Mul => "*",
            DurationOp::Div => "/",
            DurationOp::Mod => "%",
            DurationOp::Pow => "^",
        }
    }

    /// How tightly it binds: more is tighter. `^` associates to the right.
    pub fn precedence(self) -> u8 {
        match self {
            DurationOp::Add | DurationOp::Sub => 1,
            DurationOp::Mul | DurationOp::Div | DurationOp::Mod => 2,
            DurationOp::Pow => 3,
        }
    }

    fn apply(self, lhs: f64, rhs: f64) -> Result<f64, DurationError> {
        Ok(match self {
            DurationOp::Add => lhs + rhs,
            DurationOp::Sub => lhs - rhs,
            DurationOp::Mul => lhs * rhs,
            DurationOp::Div if rhs == 0.0 => return Err(DurationError::DivisionByZero),
            DurationOp::Div => lhs / rhs,
            DurationOp::Mod if rhs == 0.0 => return Err(DurationError::ModuloByZero),
            DurationOp::Mod => lhs % rhs,
            DurationOp::Pow => lhs.powf(rhs),
        })
    }
}
