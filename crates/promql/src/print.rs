//! The printer: a tree as text that parses to the same tree, in the form that Prometheus prints.

mod duration;
mod pretty;
mod selector;
#[cfg(test)]
mod tests;

use std::fmt::{self, Display, Formatter};

use sonde_model::duration::DurationMs;
use sonde_model::labels::{Quoted, is_legacy_label_name};

use crate::ast::{
    Aggregate, Binary, BinaryOp, Call, Cardinality, Expr, ExprKind, Fill, Number, StringLiteral, VectorMatching,
};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(number) => number.fmt(f),
            ExprKind::String(literal) => literal.fmt(f),
            ExprKind::Vector(selector) => selector.fmt(f),
            ExprKind::Matrix(matrix) => matrix.fmt(f),
            ExprKind::Subquery(subquery) => subquery.fmt(f),
            ExprKind::Unary(unary) => write!(f, "{}{}", unary.op.symbol(), unary.operand),
            ExprKind::Binary(binary) => binary.fmt(f),
            ExprKind::Aggregate(aggregate) => aggregate.fmt(f),
            ExprKind::Call(call) => call.fmt(f),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

impl Display for Number {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.as_duration {
            return DurationMs((self.value * 1000.0).round() as i64).fmt(f);
        }
        PlainNumber(self.value).fmt(f)
    }
}

/// A number without an exponent, infinities with their sign.
struct PlainNumber(f64);

impl Display for PlainNumber {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value == f64::INFINITY => f.write_str("+Inf"),
            value if value == f64::NEG_INFINITY => f.write_str("-Inf"),
            value if value.is_nan() => f.write_str("NaN"),
            value => write!(f, "{value}"),
        }
    }
}

impl Display for StringLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(bytes) = &self.not_utf8 else { return Quoted(&self.text).fmt(f) };
        f.write_str("\"")?;
        for byte in bytes {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(*byte))?,
                b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
                byte => write!(f, "\\x{byte:02x}")?,
            }
        }
        f.write_str("\"")
    }
}

impl Display for Binary {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.lhs.kind {
            // A sign binds less tightly than `^`: it would become one of the whole power.
            ExprKind::Number(Number { value: f64::INFINITY, .. }) if self.op == BinaryOp::Pow => f.write_str("Inf")?,
            _ => self.lhs.fmt(f)?,
        }
        write!(f, " {} {}", Operator(self), self.rhs)
    }
}

/// The operator with `bool` and the clauses of the matching.
struct Operator<'a>(&'a Binary);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let modifier = if self.0.return_bool { " bool" } else { "" };
        write!(f, "{}{modifier}{}", self.0.op.symbol(), self.0.matching)
    }
}

impl Display for VectorMatching {
    /// The clauses with a space before each.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let group = match self.cardinality {
            Cardinality::ManyToOne => Some("group_left"),
            Cardinality::OneToMany => Some("group_right"),
            Cardinality::OneToOne | Cardinality::ManyToMany => None,
        };
        if self.on || !self.labels.is_empty() || group.is_some() {
            let clause = if self.on { "on" } else { "ignoring" };
            write!(f, " {clause} ({})", LabelNames(&self.labels))?;
        }
        if let Some(group) = group {
            write!(f, " {group} ({})", LabelNames(&self.include))?;
        }
        match self.fill {
            Fill { left: Some(left), right: Some(right) } if left == right => {
                write!(f, " fill ({})", PlainNumber(left))
            }
            Fill { left, right } => {
                left.map_or(Ok(()), |value| write!(f, " fill_left ({})", PlainNumber(value)))?;
                right.map_or(Ok(()), |value| write!(f, " fill_right ({})", PlainNumber(value)))
            }
        }
    }
}

impl Display for Aggregate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        AggregateHead(self).fmt(f)?;
        match &self.param {
            Some(param) => write!(f, "({param}, {})", self.operand),
            None => write!(f, "({})", self.operand),
        }
    }
}

/// The operator and its grouping.
struct AggregateHead<'a>(&'a Aggregate);

impl Display for AggregateHead<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.name())?;
        match (self.0.without, self.0.grouping.is_empty()) {
            (true, _) => write!(f, " without ({}) ", LabelNames(&self.0.grouping)),
            (false, false) => write!(f, " by ({}) ", LabelNames(&self.0.grouping)),
            (false, true) => Ok(()),
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}(", self.function.name())?;
        for (i, arg) in self.args.iter().enumerate() {
            write!(f, "{}{arg}", if i == 0 { "" } else { ", " })?;
        }
        f.write_str(")")
    }
}

/// Names of labels with commas between, in quotes where they need it.
struct LabelNames<'a>(&'a [String]);

impl Display for LabelNames<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { ", " })?;
            if is_legacy_label_name(name) { f.write_str(name)? } else { Quoted(name).fmt(f)? }
        }
        Ok(())
    }
}
