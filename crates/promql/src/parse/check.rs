//! The rules of types, checked once the syntax is known to be right; the first violation is reported.

use sonde_model::METRIC_NAME;

use super::{ParseError, ParseOptions};
use crate::ast::{
    Aggregate, AggregateOp, Binary, Call, Cardinality, Expr, ExprKind, Fill, Span, ValueType, VectorSelector,
};
use crate::functions::Function;

type Result<T> = std::result::Result<T, ParseError>;

/// Checks an expression and all below it; `text` is what spans point into.
pub(super) fn check(text: &str, options: ParseOptions, expr: &Expr) -> Result<()> {
    Checker { text, options }.expr(expr).map(|_| ())
}

struct Checker<'a> {
    text: &'a str,
    options: ParseOptions,
}

impl Checker<'_> {
    fn expr(&self, expr: &Expr) -> Result<ValueType> {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => {}
            ExprKind::Vector(selector) => self.selector(selector, expr.span)?,
            ExprKind::Matrix(matrix) => self.selector(&matrix.selector, matrix.selector_span)?,
            ExprKind::Paren(inner) => return self.expr(inner),
            ExprKind::Subquery(subquery) => {
                let inner = self.expr(&subquery.expr)?;
                if inner != ValueType::Vector {
                    let message = format!("subquery is only allowed on instant vector, got {} instead", word(inner));
                    return self.fail(expr.span, message);
                }
            }
            ExprKind::Unary(unary) => {
                let operand = self.expr(&unary.operand)?;
                if !matches!(operand, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                        operand.documented()
                    );
                    return self.fail(expr.span, message);
                }
                return Ok(operand);
            }
            ExprKind::Aggregate(aggregate) => self.aggregate(aggregate)?,
            ExprKind::Call(call) => self.call(call, expr.span)?,
            ExprKind::Binary(binary) => return self.binary(binary, expr.span),
        }
        Ok(expr.value_type())
    }

    fn expect(&self, expr: &Expr, wanted: ValueType, context: &str) -> Result<()> {
        let given = self.expr(expr)?;
        if given == wanted {
            return Ok(());
        }
        let message = format!("expected type {} in {context}, got {}", wanted.documented(), given.documented());
        self.fail(expr.span, message)
    }

    fn aggregate(&self, aggregate: &Aggregate) -> Result<()> {
        self.expect(&aggregate.operand, ValueType::Vector, "aggregation expression")?;
        let Some(param) = &aggregate.param else { return Ok(()) };
        let wanted = if aggregate.op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
        self.expect(param, wanted, "aggregation parameter")
    }

    fn binary(&self, binary: &Binary, span: Span) -> Result<ValueType> {
        let (lhs, rhs) = (self.expr(&binary.lhs)?, self.expr(&binary.rhs)?);
        let (op, matching) = (binary.op, &binary.matching);
        let both_scalars = lhs == ValueType::Scalar && rhs == ValueType::Scalar;
        let both_vectors = lhs == ValueType::Vector && rhs == ValueType::Vector;
        if binary.return_bool && !op.is_comparison() {
            return self.fail(self.operator_span(binary), "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !binary.return_bool && both_scalars {
            return self.fail(self.operator_span(binary), "comparisons between scalars must use BOOL modifier");
        }
        if matching.on
            && let Some(label) = matching.labels.iter().find(|label| matching.include.contains(label))
        {
            let message = format!("label {label:?} must not occur in ON and GROUP clause at once");
            return self.fail(self.operator_span(binary), message);
        }
        for (operand, given) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !matches!(given, ValueType::Scalar | ValueType::Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.fail(operand.span, message);
            }
        }
        if !both_vectors {
            if !matching.labels.is_empty() {
                return self.fail(span, "vector matching only allowed between instant vectors");
            }
            if matching.fill != Fill::default() {
                return self.fail(span, "filling in missing series only allowed between instant vectors");
            }
        } else if op.is_set() {
            if matching.cardinality != Cardinality::ManyToMany {
                return self.fail(span, format!("no grouping allowed for {:?} operation", op.symbol()));
            }
            if matching.fill != Fill::default() {
                return self.fail(span, "filling in missing series not allowed for set operators");
            }
        }
        if op.is_set() && !both_vectors {
            let message = format!("set operator {:?} not allowed in binary scalar expression", op.symbol());
            return self.fail(span, message);
        }
        Ok(if both_scalars { ValueType::Scalar } else { ValueType::Vector })
    }

    fn call(&self, call: &Call, span: Span) -> Result<()> {
        let signature = call.function.signature();
        let (name, given) = (signature.name, call.args.len());
        if signature.experimental && !self.options.experimental {
            return self.fail(span, format!("function {name:?} is not enabled"));
        }
        let wrong_count =
            |wanted: String| self.fail(span, format!("expected {wanted} in call to {name:?}, got {given}"));
        match (signature.min_args, signature.max_args) {
            (min, Some(max)) if min == max && given != min => return wrong_count(format!("{min} argument(s)")),
            (min, _) if given < min => return wrong_count(format!("at least {min} argument(s)")),
            (_, Some(max)) if given > max => return wrong_count(format!("at most {max} argument(s)")),
            _ => {}
        }
        for (i, arg) in call.args.iter().enumerate() {
            let wanted = *signature.args.get(i).or(signature.args.last()).unwrap_or(&ValueType::Scalar);
            if call.function == Function::Info && i == 1 {
                self.info_selector(arg, span)?;
            } else {
                self.expect(arg, wanted, &format!("call to function {name:?}"))?;
            }
        }
        Ok(())
    }

    /// The second argument of `info` is not evaluated: it only names labels.
    fn info_selector(&self, arg: &Expr, span: Span) -> Result<()> {
        let given = arg.value_type();
        if given != ValueType::Vector {
            let message =
                format!("expected type instant vector in call to function \"info\", got {}", given.documented());
            return self.fail(span, message);
        }
        match &arg.kind {
            ExprKind::Vector(selector) if selector.name.is_none() => Ok(()),
            ExprKind::Vector(_) => self.fail(arg.span, "expected label selectors only, got vector selector instead"),
            _ => self.fail(arg.span, "expected label selectors only"),
        }
    }

    fn selector(&self, selector: &VectorSelector, span: Span) -> Result<()> {
        if let Some(name) = &selector.name {
            if let Some(other) = selector.matchers.iter().find(|matcher| matcher.name == METRIC_NAME) {
                let message = format!("metric name must not be set twice: {name:?} or {:?}", other.value);
                return self.fail(span, message);
            }
            return Ok(());
        }
        // A pattern that compiled when it was parsed compiles again.
        let selects = |matcher: &crate::ast::LabelMatcher| matcher.compile().is_ok_and(|m| !m.matches_absent());
        if !selector.matchers.iter().any(selects) {
            return self.fail(span, "vector selector must contain at least one non-empty matcher");
        }
        Ok(())
    }

    /// Where the operator and its modifiers stand: between the operands, without blanks.
    fn operator_span(&self, binary: &Binary) -> Span {
        let (start, end) = (binary.lhs.span.end as usize, binary.rhs.span.start as usize);
        let between = self.text.get(start..end).unwrap_or_default();
        let before = between.len() - between.trim_start().len();
        Span { start: (start + before) as u32, end: (start + between.trim_end().len()).max(start + before) as u32 }
    }

    fn fail<T>(&self, span: Span, message: impl Into<String>) -> Result<T> {
        Err(ParseError::at(self.text, span, message.into()))
    }
}

/// The short word for a type, as the API uses it.
fn word(value_type: ValueType) -> &'static str {
    match value_type {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}
