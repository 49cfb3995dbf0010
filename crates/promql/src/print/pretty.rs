//! An expression over several lines, as Prometheus's `format_query` and `promtool promql format` write it.

use std::fmt::{self, Display, Write};

use super::selector::SubqueryTail;
use super::{AggregateHead, Operator};
use crate::ast::{Expr, ExprKind};

/// What is longer than so many bytes goes over several lines.
const LINE_BYTES: usize = 100;

/// A query nested deep with many lines would grow a thousandfold by its indents.
const MAX_PRETTY_BYTES: usize = 8 << 20;

impl Expr {
    /// The expression over several lines where it is long, the matchers of each selector in order.
    ///
    /// It is on one line where the indents would take megabytes.
    pub fn pretty(&self) -> String {
        let mut expr = self.clone();
        sort_matchers(&mut expr);
        let mut lines = Bounded { text: String::new(), most: MAX_PRETTY_BYTES };
        match write_lines(&mut lines, &expr, 0, false) {
            Ok(()) => lines.text,
            Err(fmt::Error) => expr.to_string(),
        }
    }
}

fn sort_matchers(expr: &mut Expr) {
    let selector = match &mut expr.kind {
        ExprKind::Vector(selector) => Some(selector),
        ExprKind::Matrix(matrix) => Some(&mut matrix.selector),
        _ => None,
    };
    if let Some(selector) = selector {
        selector.matchers.sort_by_cached_key(ToString::to_string);
    }
    expr.children_mut().into_iter().for_each(sort_matchers);
}

/// `indented`: the first line has its indent already, or shall have none.
fn write_lines(out: &mut Bounded, expr: &Expr, level: usize, indented: bool) -> fmt::Result {
    let first_indent = if indented { 0 } else { level };
    if !is_long(expr) {
        // The original leaves the indent of a short subquery out.
        let first_indent = if matches!(expr.kind, ExprKind::Subquery(_)) { 0 } else { first_indent };
        write_indent(out, first_indent)?;
        return write!(out, "{expr}");
    }
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix(_) => {
            write_indent(out, first_indent)?;
            write!(out, "{expr}")
        }
        ExprKind::Subquery(subquery) => {
            write_lines(out, &subquery.expr, level, indented)?;
            write!(out, "{}", SubqueryTail(subquery))
        }
        ExprKind::Unary(unary) => {
            write_indent(out, first_indent)?;
            out.write_str(unary.op.symbol())?;
            write_lines(out, &unary.operand, level, true)
        }
        ExprKind::Binary(binary) => {
            write_lines(out, &binary.lhs, level + 1, indented)?;
            out.write_str("\n")?;
            write_indent(out, level)?;
            writeln!(out, "{}", Operator(binary))?;
            write_lines(out, &binary.rhs, level + 1, false)
        }
        ExprKind::Aggregate(aggregate) => {
            write_indent(out, first_indent)?;
            write!(out, "{}", AggregateHead(aggregate))?;
            write_in_parentheses(out, aggregate.param.iter().map(|p| &**p).chain([&*aggregate.operand]), level)
        }
        ExprKind::Call(call) => {
            write_indent(out, first_indent)?;
            out.write_str(call.function.name())?;
            write_in_parentheses(out, &call.args, level)
        }
        ExprKind::Paren(inner) => {
            write_indent(out, first_indent)?;
            write_in_parentheses(out, [&**inner], level)
        }
    }
}

fn write_in_parentheses<'a>(out: &mut Bounded, inner: impl IntoIterator<Item = &'a Expr>, level: usize) -> fmt::Result {
    out.write_str("(")?;
    for (i, expr) in inner.into_iter().enumerate() {
        out.write_str(if i == 0 { "\n" } else { ",\n" })?;
        write_lines(out, expr, level + 1, false)?;
    }
    out.write_str("\n")?;
    write_indent(out, level)?;
    out.write_str(")")
}

fn write_indent(out: &mut Bounded, level: usize) -> fmt::Result {
    (0..level).try_for_each(|_| out.write_str("  "))
}

/// Whether an expression is too long for a line; no more of it is printed than tells.
fn is_long(expr: &impl Display) -> bool {
    write!(Bounded { text: String::new(), most: LINE_BYTES }, "{expr}").is_err()
}

/// A text that refuses to grow above a length.
struct Bounded {
    text: String,
    most: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.text.len() + part.len() > self.most {
            return Err(fmt::Error);
        }
        self.text.push_str(part);
        Ok(())
    }
}
