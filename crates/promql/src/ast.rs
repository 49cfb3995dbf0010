//! The abstract syntax tree of PromQL as plain data: what was written, where it was written, and nothing resolved.
//!
//! It holds no compiled regular expressions and no samples; the engine resolves both when it selects.

mod duration;
mod matching;
mod operators;
mod selector;

use crate::functions::Function;

pub use duration::{Duration, DurationError, DurationExpr, DurationKind, DurationOp, QueryGrid};
pub use matching::{Cardinality, Fill, VectorMatching};
pub use operators::{AggregateOp, BinaryOp, UnaryOp};
pub use selector::{At, LabelMatcher, MatrixSelector, RangeMode, Subquery, VectorSelector};

/// A part of the query text, in bytes: from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

/// An expression and where it stands in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands; annotations point to its start.
    pub span: Span,
}

/// What an expression is.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// A number.
    Number(Number),
    /// A string.
    String(StringLiteral),
    /// `name{matchers}`: the last sample of each series.
    Vector(VectorSelector),
    /// `name{matchers}[range]`: the samples of each series in a range of time.
    Matrix(MatrixSelector),
    /// `expr[range:step]`: an expression evaluated at each step of a range of time.
    Subquery(Subquery),
    /// A sign.
    Unary(Unary),
    /// Two operands with an operator between.
    Binary(Binary),
    /// `sum by (...) (expr)` and its like.
    Aggregate(Aggregate),
    /// `function(args)`
    Call(Call),
    /// `(expr)`: kept, so that the text can be printed again as it was meant.
    Paren(Box<Expr>),
}

/// A number, also one that was written as a duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    /// The value; of a duration in seconds.
    pub value: f64,
    /// Whether it was written as a duration, so that it prints as one.
    pub as_duration: bool,
}

/// A string without its quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringLiteral {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// The bytes where escapes such as `\xc5` made them other than UTF-8.
    pub not_utf8: Option<Box<[u8]>>,
}

/// An expression with a sign.
#[derive(Clone, Debug, PartialEq)]
pub struct Unary {
    /// The sign.
    pub op: UnaryOp,
    /// What it belongs to.
    pub operand: Box<Expr>,
}

/// Two operands with an operator between.
#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    /// The operator.
    pub op: BinaryOp,
    /// The left operand.
    pub lhs: Box<Expr>,
    /// The right operand.
    pub rhs: Box<Expr>,
    /// Whether a comparison yields 0 or 1 instead of filtering.
    pub return_bool: bool,
    /// How series of the two sides find each other; the default where at least one side is a scalar.
    pub matching: VectorMatching,
}

/// An aggregation over the series of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// What is computed.
    pub op: AggregateOp,
    /// The instant vector.
    pub operand: Box<Expr>,
    /// The parameter of `topk`, `bottomk`, `limitk`, `limit_ratio`, `quantile` (a scalar) and `count_values` (a string).
    pub param: Option<Box<Expr>>,
    /// The labels of the clause, as written.
    pub grouping: Vec<String>,
    /// Whether the clause was `without`; without a clause it is `by ()`.
    pub without: bool,
}

/// A call of a function. The parser has checked number and types of the arguments.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// What is called.
    pub function: Function,
    /// The arguments as written; optional ones may be missing.
    pub args: Vec<Expr>,
}

/// The type of what an expression evaluates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// One number a step.
    Scalar,
    /// A string.
    String,
    /// At most one sample a series and step.
    Vector,
    /// Samples of a range of time of each series.
    Matrix,
}

impl ValueType {
    /// The word that error messages use.
    pub fn documented(self) -> &'static str {
        match self {
            ValueType::Scalar => "scalar",
            ValueType::String => "string",
            ValueType::Vector => "instant vector",
            ValueType::Matrix => "range vector",
        }
    }
}

impl Expr {
    /// An expression at a place in the text.
    pub fn new(kind: ExprKind, span: Span) -> Self {
        Expr { kind, span }
    }

    /// The type of what the expression evaluates to.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Vector(_) | ExprKind::Aggregate(_) => ValueType::Vector,
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => ValueType::Matrix,
            ExprKind::Unary(unary) => unary.operand.value_type(),
            ExprKind::Paren(inner) => inner.value_type(),
            ExprKind::Call(call) => call.function.signature().returns,
            ExprKind::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
                (ValueType::Scalar, ValueType::Scalar) => ValueType::Scalar,
                _ => ValueType::Vector,
            },
        }
    }

    /// The expression inside any parentheses around it.
    pub fn unparenthesised(&self) -> &Expr {
        let mut expr = self;
        while let ExprKind::Paren(inner) = &expr.kind {
            expr = inner;
        }
        expr
    }

    /// The expressions directly below this one, in the order of the text.
    pub fn children(&self) -> Vec<&Expr> {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => Vec::new(),
            ExprKind::Subquery(subquery) => vec![&subquery.expr],
            ExprKind::Unary(unary) => vec![&unary.operand],
            ExprKind::Paren(inner) => vec![inner],
            ExprKind::Call(call) => call.args.iter().collect(),
            ExprKind::Binary(binary) => vec![&binary.lhs, &binary.rhs],
            ExprKind::Aggregate(aggregate) => {
                aggregate.param.iter().map(|p| &**p).chain([&*aggregate.operand]).collect()
            }
        }
    }

    /// The same as [`Expr::children`], to change them.
    pub fn children_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.kind {
            ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => Vec::new(),
            ExprKind::Subquery(subquery) => vec![&mut subquery.expr],
            ExprKind::Unary(unary) => vec![&mut unary.operand],
            ExprKind::Paren(inner) => vec![inner],
            ExprKind::Call(call) => call.args.iter_mut().collect(),
            ExprKind::Binary(binary) => vec![&mut binary.lhs, &mut binary.rhs],
            ExprKind::Aggregate(aggregate) => {
                aggregate.param.iter_mut().map(|p| &mut **p).chain([&mut *aggregate.operand]).collect()
            }
        }
    }
}
